package worker

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
)

// origin is where a task that comes off a queue was put into it.
type origin struct {
	carrier propagation.TextMapCarrier
	parent  bool
}

// Inject writes the trace context and baggage of ctx into c, such as the
// headers of a message, for [FromCarrier] or [ContinueFrom] to read where the
// message is worked on. It uses the propagator of the runner of the task that
// ctx belongs to, else that of [Runner.Context], or of the default one.
func Inject(ctx context.Context, c propagation.TextMapCarrier) {
	if ctx == nil || c == nil {
		return
	}
	defer scope.Guard("the propagator")
	r := fromContext(ctx)
	if t := taskOf(ledger.FromContext(ctx)); t != nil {
		r = t.runner
	} else if r == nil {
		r = defaultRunner.Load()
	}
	r.propagator().Inject(ctx, c)
}

// FromCarrier declares that the task was put into a queue with [Inject]. Its span
// is the root of a trace of its own, of the kind consumer, and linked to the
// span that was injected: a queue may hold a task for days, and deliver it more
// than once. Baggage reaches the task. [WithNewRoot] changes nothing of it, and
// of FromCarrier and [ContinueFrom] the last one counts.
//
// A carrier without a trace context is no mistake: the span is then a root
// without a link.
func FromCarrier(c propagation.TextMapCarrier) TaskOption {
	o := &origin{carrier: c}
	return taskOptionFunc(func(c *taskConfig) { c.origin = o })
}

// ContinueFrom is [FromCarrier] for a task that is one step of a request that
// waits for it: its span is a child of the span that was injected, in the same
// trace. Without a trace context in the carrier it is a child of the span in its
// context.
func ContinueFrom(c propagation.TextMapCarrier) TaskOption {
	o := &origin{carrier: c, parent: true}
	return taskOptionFunc(func(c *taskConfig) { c.origin = o })
}

// apply adds where the task comes from to its span's options, and returns the
// context to start the span in.
func (o *origin) apply(ctx context.Context, r *Runner, opts []trace.SpanStartOption) (context.Context, []trace.SpanStartOption) {
	local := trace.SpanFromContext(ctx)
	// The span in ctx is not what the carrier holds.
	remote := o.extract(trace.ContextWithSpan(ctx, nil), r)
	sc := trace.SpanContextFromContext(remote)
	if o.parent {
		if sc.IsValid() {
			return remote, opts
		}
		return trace.ContextWithSpan(remote, local), opts
	}
	opts = append(opts, trace.WithNewRoot())
	if sc.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: sc}))
	}
	return remote, opts
}

// extract reads the carrier. A panic of a propagator or a carrier leaves
// ctx as it is.
func (o *origin) extract(ctx context.Context, r *Runner) (out context.Context) {
	out = ctx
	if o.carrier == nil {
		return out
	}
	defer scope.Guard("the propagator")
	if c := r.propagator().Extract(ctx, o.carrier); c != nil {
		out = c
	}
	return out
}

// propagator returns how trace contexts travel. A nil runner is the default one
// that nobody has asked for yet.
func (r *Runner) propagator() propagation.TextMapPropagator {
	if r != nil && r.config.propagator != nil {
		return r.config.propagator
	}
	return otel.GetTextMapPropagator()
}
