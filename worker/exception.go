package worker

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
)

// reportError puts a failure onto the span, and, unless a task within this one
// has done so, records it as an exception.
func (t *task) reportError(o *outcome, recording bool) {
	known := o.passing || t.notes.Load().has(o.known)
	t.tellParents(recorded{o.arrives, o.flushUntil})

	text := t.runner.text(o.err, o.errorType)
	o.text = text
	if recording {
		t.setStatus(text)
	}
	if known {
		return
	}
	stack := ""
	if p, ok := o.err.(*errs.PanicError); ok && o.result == panicked { //nolint:errorlint // the panic itself, not an error that wraps one
		stack = p.SafeStack()
	}
	if recording && !t.runner.noEvents {
		kv := make([]attribute.KeyValue, 0, 3)
		kv = append(kv, semconv.ExceptionType(o.errorType), semconv.ExceptionMessage(text))
		if stack != "" {
			kv = append(kv, semconv.ExceptionStacktrace(stack))
		}
		t.span.AddEvent(semconv.ExceptionEventName, trace.WithAttributes(kv...))
	}
	attrs := make([]slog.Attr, 0, 7)
	attrs = append(attrs,
		slog.String(string(keyTaskResult), resultNames[o.result]),
		slog.String(string(semconv.ExceptionTypeKey), o.errorType),
		slog.String(string(semconv.ExceptionMessageKey), text))
	if stack != "" {
		attrs = append(attrs, slog.String(string(semconv.ExceptionStacktraceKey), stack))
	}
	t.log(slog.LevelError, "task failed", attrs)
}

// log writes one record, with the task's context and what identifies the task.
// The record's source is the task's function.
func (t *task) log(level slog.Level, message string, attrs []slog.Attr) {
	defer guard("logging")
	h := t.runner.logger().Handler()
	if !h.Enabled(t.context(), level) {
		return
	}
	pc := t.pc
	if pc != 0 {
		pc++ // a record has a return address, which is behind the call
	}
	rec := slog.NewRecord(t.runner.config.now(), level, message, pc)
	rec.AddAttrs(slog.String(string(keyTaskName), t.label()))
	if id := t.options.id; id != "" {
		rec.AddAttrs(slog.String(string(keyTaskID), valid(id)))
	}
	if n := t.options.attempt; n > 0 {
		rec.AddAttrs(slog.Int(string(keyTaskAttempt), n))
	}
	rec.AddAttrs(attrs...)
	if err := h.Handle(t.context(), rec); err != nil {
		handle(err)
	}
}

// tellParents notes with the tasks around this one what has been recorded.
func (t *task) tellParents(what recorded) {
	for p := t.parent; p != nil; p = p.parent {
		p.note().add(what)
	}
}

// note returns the task's notes, which it makes if there are none.
func (t *task) note() *notes {
	n := t.notes.Load()
	for n == nil {
		t.notes.CompareAndSwap(nil, new(notes))
		n = t.notes.Load()
	}
	return n
}

// maxReported is how many errors of its inner tasks a task remembers. A task
// that outlives more failures than that may record an old one again.
const maxReported = 64

// recorded is an error that a task has recorded.
type recorded struct {
	err        error
	flushUntil time.Time // of a panic
}

// notes are what few tasks need to know: how far they are, as [Progress] was
// told, and the errors that the tasks within them have recorded. Errors are told
// apart by identity: one that is merely equal to an earlier one is another one.
// What is kept here cannot be replaced at its address.
type notes struct {
	done, total atomic.Int64

	mu   sync.Mutex
	errs []recorded
	next int // where the ring goes on once it is full
}

func (r *notes) add(what recorded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.errs) < maxReported {
		r.errs = append(r.errs, what)
		return
	}
	r.errs[r.next] = what
	r.next = (r.next + 1) % maxReported
}

func (r *notes) list() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errs)
}

// has reports whether err, or one that it wraps, has been recorded. An error
// that cannot be looked at has not.
func (r *notes) has(err error) (known bool) {
	if r == nil {
		return false
	}
	defer guard("looking at an error")
	nodes := 0
	return find(r.list(), err, &nodes)
}

// panic returns until when the panic with that value, which a task within this
// one has let pass, may be flushed. It returns false if none has recorded it.
func (r *notes) panic(v any) (until time.Time, ok bool) {
	if r == nil {
		return until, false
	}
	for _, k := range r.list() {
		p, isPanic := k.err.(*errs.PanicError) //nolint:errorlint // the panic itself, not an error that wraps one
		if isPanic && (identical[any](p, v) || identical(p.Value, v)) && !k.flushUntil.Before(until) {
			until, ok = k.flushUntil, true
		}
	}
	return until, ok
}

// maxErrorNodes bounds the search of an error's tree, which may be a cycle.
const maxErrorNodes = 200

// find looks for err, or what it wraps, among the errors that are known.
func find(known []recorded, err error, nodes *int) bool {
	if *nodes++; err == nil || *nodes > maxErrorNodes {
		return false
	}
	for _, k := range known {
		if identical(k.err, err) {
			return true
		}
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked by hand, by identity
	case *errs.PanicError:
		// Its value may be one that all panics of a kind share.
		return false
	case exitOf:
		return slices.ContainsFunc(known, func(k recorded) bool {
			other, ok := k.err.(exitOf) //nolint:errorlint // nothing wraps it
			return ok && other == e
		})
	case interface{ Unwrap() error }:
		return find(known, e.Unwrap(), nodes)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if find(known, err, nodes) {
				return true
			}
		}
	}
	return false
}

// identical reports whether two interface values are one: they have the same
// type, and the same pointer or, for other types, the same copy of the value,
// which stays the same as long as it is passed on as an interface.
func identical[T any](a, b T) bool {
	return words(&a) == words(&b)
}

// words returns the two words of an interface value, its type and its data.
func words[T any](v *T) [2]unsafe.Pointer {
	return *(*[2]unsafe.Pointer)(unsafe.Pointer(v)) //nolint:gosec // the only way to the identity of a value that is no pointer
}
