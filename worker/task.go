package worker

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
)

// task is one run of one function. It is a single allocation of 256 bytes, the
// context that carries it and the ledger included.
type task struct {
	runner  *Runner
	options *taskConfig
	name    *name
	pc      uintptr
	parent  *task // the task in whose context this one started

	span    trace.Span
	started time.Duration // a reading of the runner's clock

	// Where the running tasks of its name are listed: prev, next and running are
	// under the mutex of that shard.
	prev, next *task
	running    bool
	shardIndex uint8

	// returned reports that the function returned, and did not panic or exit; async
	// that it runs on a goroutine of its own, and pc is who started that.
	returned, async bool

	phase atomic.Uint32 // what is safe to read while it runs

	notes  atomic.Pointer[notes] // nil until there are any
	ledger ledger.Ledger         // and the context of the task
}

// The phases of a task.
const (
	phaseStarting = iota // the span and the context are being made
	phaseRunning
	phaseEnded // what became of it is being recorded
)

// timedSpan is a span that knows its times, such as the SDK's.
type timedSpan interface {
	StartTime() time.Time
	EndTime() time.Time
}

// maxStartAttributes is how many of the attributes that options add a span has from
// its start on. It gets the others at its end, after its result.
const maxStartAttributes = 16

// noSpan stands in where a tracer failed. It must not be the span in the task's
// context, which is another one's to end.
var noSpan = trace.SpanFromContext(context.Background())

// taskOf returns the task that ctx belongs to, or nil.
func taskOf(l *ledger.Ledger) *task {
	t, _ := l.Owner().(*task)
	return t
}

// begin starts a task on r, or on the default runner if r is nil. There is no
// task if there is an error.
func begin(ctx context.Context, r *Runner, taskName string, pc uintptr, c *taskConfig) (*task, error) {
	if c.runner != nil {
		r = c.runner
	}
	if c.function != nil {
		pc = *c.function
	}
	if ctx == nil {
		ctx = context.Background()
	}
	if r == nil || r.config == nil {
		r = runnerOf(ctx)
	}
	around := ledger.FromContext(ctx)
	t := &task{runner: r, options: c, pc: pc, span: noSpan, parent: taskOf(around)}
	var label string
	t.name, label = r.names.get(taskName)
	if c.detached {
		ctx, around = context.WithoutCancel(ctx), nil
	}
	t.ledger.Init(around, ledger.Config{Task: label, Owner: t, Limits: c.limits(&r.config.limits)})
	if c.newRoot || c.origin != nil {
		t.ledger.BeginTrace()
	}
	t.started = r.config.clock()
	if !r.admit(t) {
		return nil, ErrDraining
	}
	t.start(ctx)
	return t, nil
}

// start starts the span. A function of an option that ends its goroutine ends the
// task.
func (t *task) start(ctx context.Context) {
	started := false
	defer func() {
		t.ledger.Bind(ctx)
		if !started {
			t.exited(nil)
			return
		}
		t.phase.Store(phaseRunning)
		if d := t.runner.config.stillRunning; d > 0 {
			t.runner.lookout.arm(t.started + d)
		}
		if !t.options.enqueuedAt.IsZero() {
			t.measureQueue()
		}
	}()
	ctx = t.startSpan(ctx)
	started = true
}

// shard returns where the running tasks of its name are listed that started on the same
// processor.
func (t *task) shard() *shard { return &t.name.gauge.shards[t.shardIndex] }

// label returns the name of the task as the span has it.
func (t *task) label() string { return t.ledger.Task() }

// context returns the context of the task's function.
func (t *task) context() context.Context { return t.ledger.Context() }

// startSpan returns the context of the span.
func (t *task) startSpan(ctx context.Context) (out context.Context) {
	out = ctx
	defer scope.Guard("the tracer")
	var opts []trace.SpanStartOption
	if t.options.plain() {
		opts = t.name.startOptions(t.label(), t.pc).opts
	} else {
		ctx, opts = t.spanOptions(ctx)
	}
	with, span := t.runner.tracer.Start(ctx, t.label(), opts...)
	if span != nil {
		t.span = span
	}
	switch {
	case with != nil:
		out = with
	case span != nil:
		out = trace.ContextWithSpan(ctx, span)
	}
	return out
}

// spanOptions returns the options of a span whose task has options of its own,
// and the context to start it in.
func (t *task) spanOptions(ctx context.Context) (context.Context, []trace.SpanStartOption) {
	c := t.options
	kv := make([]attribute.KeyValue, 0, len(c.attributes)+len(c.labels)+2*len(c.inputs)+4)
	kv = append(kv, t.name.startOptions(t.label(), t.pc).kv...)
	if c.id != "" {
		kv = append(kv, keyTaskID.String(valid(c.id)))
	}
	if c.attempt > 0 {
		kv = append(kv, keyTaskAttempt.Int(c.attempt))
	}
	own := len(kv)
	kv = append(kv, c.attributes...)
	kv = append(kv, t.runner.declared(c.labels)...)
	for _, v := range c.inputs {
		kv = appendInput(kv, v)
	}
	// Of two with one key, the last would count.
	kv = append(kv[:own], slices.DeleteFunc(kv[own:], func(a attribute.KeyValue) bool {
		return slices.ContainsFunc(kv[:own], func(b attribute.KeyValue) bool { return a.Key == b.Key })
	})...)
	for i := range kv[own:] {
		kv[own+i] = validAttribute(kv[own+i])
	}
	// A span that has too many attributes drops the last ones: what is ours comes
	// before the rest.
	if most := own + maxStartAttributes; len(kv) > most {
		own := *c
		kv, own.rest = kv[:most:most], kv[most:]
		t.options = &own
	}

	opts := make([]trace.SpanStartOption, 0, 4)
	opts = append(opts, trace.WithAttributes(kv...))
	kind := c.kind
	if c.origin != nil {
		if kind == trace.SpanKindUnspecified {
			kind = trace.SpanKindConsumer
		}
		ctx, opts = c.origin.apply(ctx, t.runner, opts)
	} else if c.newRoot {
		opts = append(opts, trace.WithNewRoot())
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: sc}))
		}
	}
	if kind != trace.SpanKindUnspecified {
		opts = append(opts, trace.WithSpanKind(kind))
	}
	return ctx, opts
}

// complete records that the function returned err, and returns what Run does.
func (t *task) complete(err error) error {
	if err == nil {
		t.finish(&succeeded)
		return nil
	}
	// Methods of the error may end the goroutine.
	o := unjudged(err)
	defer func() { t.finish(&o) }()
	o = t.judge(err)
	t.giveUp(err)
	return unmarked(err)
}

// finish records how the task ended. The task counts as running until all of
// it is recorded, so that whoever drains the runner can shut the providers down.
//
// All of it is deferred: a function of the application may end the goroutine.
func (t *task) finish(o *outcome) {
	var (
		a   account
		opt []trace.SpanEndOption
		end = t.runner.config.clock()
		ws  = t.runner.watchers.Load()
	)
	defer t.runner.dismiss(t, o.result == success, end)
	t.phase.Store(phaseEnded)
	if ws != nil {
		a.open = t.ledger.Snapshot(t.runner.config.now())
	}
	defer func() {
		d := t.measure(o, &a, end)
		if ws != nil {
			ws.tell(t, t.final(o, &a, d))
		}
	}()
	defer func() { t.endSpan(opt) }()
	t.closeLedger(&a)
	t.describe(o, &a, &opt)
}

// describe puts onto the span and into the log how the task ended. It sets the
// options to end the span with.
func (t *task) describe(o *outcome, a *account, end *[]trace.SpanEndOption) {
	defer scope.Guard("the span")
	if o.err == nil && len(a.findings) == 0 && a.Operations == 0 && a.Wait == 0 && o.cause == nil && len(t.options.rest) == 0 {
		t.span.SetAttributes(resultAttributes[o.result]...)
		return
	}
	if o.err != nil || len(a.findings) > 0 {
		// The rest takes time that is not the task's.
		*end = t.endNow()
	}
	recording := t.span.IsRecording()
	if recording {
		t.setAttributes(o, a)
	}
	if o.err != nil {
		// Deferred, since the handler may end the goroutine while it logs a finding.
		defer t.reportError(o, recording)
	}
	for i := range a.findings {
		t.reportFinding(&a.findings[i], recording)
	}
}

// setAttributes gives the span the attributes of its end: what is known without a
// function of the application first.
func (t *task) setAttributes(o *outcome, a *account) {
	kv := make([]attribute.KeyValue, 0, 10)
	kv = append(kv, resultAttributes[o.result]...)
	if o.errorType != "" {
		kv = append(kv, semconv.ErrorTypeKey.String(o.errorType))
	}
	if a.Operations > 0 {
		kv = append(kv,
			keyTaskDBOperations.Int64(a.Operations),
			keyTaskDBDuration.Float64(a.Duration.Seconds()),
			keyTaskDBRows.Int64(a.Rows),
			keyTaskDBErrors.Int64(a.Errors))
	}
	if a.Wait > 0 {
		kv = append(kv, keyTaskDBWait.Float64(a.Wait.Seconds()))
	}
	if n := len(a.findings); n > 0 {
		kv = append(kv, keyTaskFindings.Int(n))
	}
	if o.classified {
		kv = append(kv, keyTaskRetryable.Bool(o.retryable))
	}
	t.span.SetAttributes(kv...)
	defer func() { t.span.SetAttributes(t.options.rest...) }()
	if o.cause != nil {
		t.span.SetAttributes(keyTaskCancelCause.String(t.text(o.cause, "")))
	}
}

// endNow returns the options that end the span at this time.
func (t *task) endNow() []trace.SpanEndOption {
	s, ok := t.span.(timedSpan)
	if !ok {
		return nil
	}
	start := s.StartTime()
	return []trace.SpanEndOption{trace.WithTimestamp(start.Add(time.Since(start)))}
}

func (t *task) endSpan(opts []trace.SpanEndOption) {
	defer scope.Guard("the span")
	t.span.End(opts...)
}

// measure records the metrics of a task that ended at that reading of the clock,
// once the span has ended. It returns how long the task took.
func (t *task) measure(o *outcome, a *account, end time.Duration) (d time.Duration) {
	d = end - t.started
	defer scope.Guard("an instrument")
	if s, ok := t.span.(timedSpan); ok {
		if end := s.EndTime(); !end.IsZero() {
			d = end.Sub(s.StartTime())
		}
	}
	in := t.runner.instruments
	in.duration.Record(t.context(), d.Seconds(),
		t.name.duration(o.result, o.errorType, t.runner.declared(t.options.labels))...)
	if a.Operations > 0 {
		in.dbOperations.Record(t.context(), a.Operations, t.name.record...)
		in.dbDuration.Record(t.context(), a.Duration.Seconds(), t.name.record...)
	}
	if a.Wait > 0 {
		in.dbWait.Record(t.context(), a.Wait.Seconds(), t.name.record...)
	}
	for i := range a.findings {
		in.findings.Add(t.context(), 1, a.findings[i].options(t.name)...)
	}
	return d
}

// measureQueue records how long the task waited in its queue.
func (t *task) measureQueue() {
	defer scope.Guard("an instrument")
	started := t.runner.config.now()
	if s, ok := t.span.(timedSpan); ok {
		started = s.StartTime()
	}
	d := max(0, started.Sub(t.options.enqueuedAt))
	t.runner.instruments.queueDuration.Record(t.context(), d.Seconds(), t.name.record...)
}
