package worker

import (
	"reflect"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
)

// TaskOption configures one task.
type TaskOption interface{ applyTask(*taskConfig) }

type taskOptionFunc func(*taskConfig)

func (f taskOptionFunc) applyTask(c *taskConfig) { f(c) }

// taskConfig is what the options of one task set. Most tasks have none, and
// share noTaskConfig.
type taskConfig struct {
	runner     *Runner
	id         string
	attempt    int
	attempts   int // at most; 0: not known
	enqueuedAt time.Time
	kind       trace.SpanKind
	newRoot    bool
	detached   bool
	attributes []attribute.KeyValue
	labels     []attribute.KeyValue
	inputs     []any
	origin     *origin
	function   *uintptr // instead of the function that is called; 0: none
	shared     []func(*ledger.Limits)
	rest       []attribute.KeyValue // of one task: what its span gets at its end
}

var noTaskConfig = new(taskConfig)

func newTaskConfig(opts []TaskOption) *taskConfig {
	if len(opts) == 0 {
		return noTaskConfig
	}
	c := new(taskConfig)
	for _, o := range opts {
		if o != nil {
			o.applyTask(c)
		}
	}
	return c
}

// plain reports whether the task's span is that of a task without options.
func (c *taskConfig) plain() bool {
	return c == noTaskConfig || c.id == "" && c.attempt <= 0 && c.kind == trace.SpanKindUnspecified && !c.newRoot &&
		len(c.attributes) == 0 && len(c.labels) == 0 && len(c.inputs) == 0 && c.origin == nil
}

// limits returns the limits of a task whose runner has those.
func (c *taskConfig) limits(l *ledger.Limits) *ledger.Limits {
	if len(c.shared) == 0 {
		return l
	}
	own := *l
	for _, set := range c.shared {
		set(&own)
	}
	return &own
}

// WithRunner sets the runner of a task. Nil means the one that the task would
// have anyway: that of the method, of the context ([Runner.Context]), or
// [Default].
func WithRunner(r *Runner) TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.runner = r })
}

// WithID sets the attribute worker.task.id: which of the tasks of this name it
// is. An empty id is left out.
func WithID(id string) TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.id = id })
}

// WithAttempt sets the attribute worker.task.attempt: how often this task has
// been tried, this time included. Less than one is left out.
func WithAttempt(n int) TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.attempt = n })
}

// WithMaxAttempts sets how often the task is tried at most. A failure or a timeout
// of an earlier attempt ([WithAttempt]) has the result retry, and is logged at
// WARN instead of ERROR; see [Permanent]. Less than one is left out.
func WithMaxAttempts(m int) TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.attempts = m })
}

// another reports whether there will be another attempt if this one fails.
func (c *taskConfig) another() bool { return c.attempt > 0 && c.attempt < c.attempts }

// WithFunction sets the function that the attribute code.function.name names,
// instead of the one that is called. It is for queues and schedulers, which call
// the functions of others through one of their own. Nil, or what is not a
// function, leaves the attribute out.
func WithFunction(fn any) TaskOption {
	var pc uintptr
	if v := reflect.ValueOf(fn); v.Kind() == reflect.Func {
		pc = v.Pointer()
	}
	return taskOptionFunc(func(c *taskConfig) { c.function = &pc })
}

// WithEnqueuedAt sets when the task was put into its queue. The time until it
// started is recorded as worker.task.queue.duration, in seconds; clocks that
// disagree make it zero, never negative. A zero time is left out.
func WithEnqueuedAt(t time.Time) TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.enqueuedAt = t })
}

// WithSpanKind sets the kind of the task's span. The default is internal, and
// consumer with [FromCarrier] and [ContinueFrom].
func WithSpanKind(k trace.SpanKind) TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.kind = k })
}

// WithNewRoot gives the task a trace of its own, linked to the span in its
// context. Its queries still count in the tasks around it. With [FromCarrier] or
// [ContinueFrom] it does nothing: they decide where the span belongs.
func WithNewRoot() TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.newRoot = true })
}

// WithDetached lets the task outlive the one that starts it: neither the
// cancellation nor the deadline of its context reaches it, and its queries are
// its own, not counted in the tasks around it. Values stay, and so does the
// trace.
func WithDetached() TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.detached = true })
}

// WithAttributes adds attributes to the task's span, from its start on, so that
// samplers see them. Attributes beyond the first 16 of all options come at its end. The
// metrics do not have them; see [WithLabel].
func WithAttributes(kv ...attribute.KeyValue) TaskOption {
	kv = slices.Clone(kv)
	return taskOptionFunc(func(c *taskConfig) { c.attributes = append(c.attributes, kv...) })
}

// WithLabel sets an attribute of worker.task.duration, and of the span. The key
// must have been declared with [WithLabelKeys]; one that was not is dropped, and
// reported to otel.Handle once.
func WithLabel(key, value string) TaskOption {
	kv := attribute.String(valid(key), valid(value))
	return taskOptionFunc(func(c *taskConfig) { c.labels = append(c.labels, kv) })
}

// WithInput records what the task works on, as worker.task.input.<key>, from
// the start of the span on. v is one of
//
//   - a struct, or a pointer to one: its fields tagged `trace:"key"`, and no
//     others, are recorded;
//   - a func() []attribute.KeyValue, called once when the task starts;
//   - in [Wrap], a function from the argument's type to []attribute.KeyValue.
//
// A tagged field holds a boolean, a number, a string, a [time.Time] (recorded as
// RFC 3339), a [time.Duration] (in seconds), a type with a LogValue, MarshalText
// or String method (tried in this order), a slice or array of these other than
// of bytes and of unsigned numbers of 64 bits, or a struct, whose own tagged
// fields are recorded as <key>.<their key>. Pointers are followed, and nil ones
// left out. Fields of an untagged embedded struct count as the outer one's. A
// key has letters, digits, '-', '_' and '.' in it; "-" alone leaves a field out.
//
// Anything else is a mistake, reported to otel.Handle once for its type; the
// remaining fields are recorded. If the function or a method of a field panics,
// the panic is reported, and the task goes on.
//
// Values reach exporters as they are: tag no field that holds a secret,
// or give its type a LogValue method that hides it.
func WithInput(v any) TaskOption {
	return taskOptionFunc(func(c *taskConfig) { c.inputs = append(c.inputs, v) })
}
