package worker

import (
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/instrument"
)

// reportError puts a failure onto the span, and, unless a task within this one
// has done so, records it as an exception.
func (t *task) reportError(o *outcome, recording bool) {
	t.tellParents(recorded{o.arrives, o.flushUntil})
	text := t.describeError(o, recording)
	if o.passing || t.notes.Load().has(o.known) {
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
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.String(string(keyTaskResult), resultNames[o.result]),
		slog.String(string(semconv.ExceptionTypeKey), o.errorType),
		slog.String(string(semconv.ExceptionMessageKey), text))
	if o.classified {
		attrs = append(attrs, slog.Bool(string(keyTaskRetryable), o.retryable))
	}
	if stack != "" {
		attrs = append(attrs, slog.String(string(semconv.ExceptionStacktraceKey), stack))
	}
	if o.result == retry {
		t.log(slog.LevelWarn, "task attempt failed", attrs)
		return
	}
	t.log(slog.LevelError, "task failed", attrs)
}

// describeError returns the safe text of an error, which it makes the description
// of the span's status: the error's type if a function of the application ends the
// goroutine.
func (t *task) describeError(o *outcome, recording bool) (text string) {
	text = o.errorType
	defer func() {
		o.text = text
		if recording {
			t.span.SetStatus(codes.Error, text)
		}
	}()
	text = t.text(o.err, o.errorType)
	return text
}

// log writes one record, with the task's context and what identifies the task.
// The record's source is the line that called Run, or what else started the task.
func (t *task) log(level slog.Level, message string, attrs []slog.Attr) {
	defer scope.Guard("the log handler")
	h := t.runner.logger().Handler()
	if !h.Enabled(t.context(), level) {
		return
	}
	rec := slog.NewRecord(t.runner.config.now(), level, message, t.source())
	rec.AddAttrs(slog.String(string(keyTaskName), t.label()))
	if id := t.options.id; id != "" {
		rec.AddAttrs(slog.String(string(keyTaskID), valid(id)))
	}
	if n := t.options.attempt; n > 0 {
		rec.AddAttrs(slog.Int(string(keyTaskAttempt), n))
	}
	rec.AddAttrs(attrs...)
	instrument.Handle(h.Handle(t.context(), rec))
}

// starter returns the return address of whoever called the function that starts a
// task on a goroutine of its own.
func starter() uintptr {
	var pcs [1]uintptr
	runtime.Callers(3, pcs[:])
	return pcs[0]
}

// maxFrames bounds how far source looks.
const maxFrames = 256

// source returns the return address, as slog wants it, of the line that called Run.
// That is still on the stack, from where it is read only when it is needed; if it
// is too far away, it is the function of the task.
func (t *task) source() uintptr {
	if t.async {
		return t.pc
	}
	var pcs [maxFrames]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	// Tasks that a panic has left are still on the stack as well: each end of a
	// task, this one's first, is followed by its Run.
	for open, found := 0, false; ; {
		f, more := frames.Next()
		name, ours := strings.CutPrefix(f.Function, scope.Name+".")
		switch {
		case found && !(ours && name == "Run"):
			return f.PC + 1
		case found || !ours:
		case name == "(*task).end":
			open++
		case name == "(*Runner).Run" || name == "Do[...]" || strings.HasPrefix(name, "Wrap[...]."):
			open--
			found = open == 0
		}
		if !more {
			break
		}
	}
	if t.pc == 0 {
		return 0
	}
	return t.pc + 1
}

// tellParents notes with the tasks around this one what has been recorded.
func (t *task) tellParents(what recorded) {
	if what.err == nil {
		return
	}
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

// notes are what few tasks need to know: how far they are, from
// [Progress], and the errors that the tasks within them have recorded. Errors are
// compared by identity: one that is merely equal to an earlier one is another one.
// An error that is kept here cannot be replaced at its address.
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
	defer scope.Guard("an error")
	nodes := 0
	return find(r.list(), err, &nodes)
}

// panic reports whether a task within this one has let a panic with that value
// pass.
func (r *notes) panic(v any) bool {
	if r == nil {
		return false
	}
	return slices.ContainsFunc(r.list(), func(k recorded) bool {
		p, isPanic := k.err.(*errs.PanicError) //nolint:errorlint // the panic itself, not an error that wraps one
		return isPanic && (identical[any](p, v) || identical(p.Value, v))
	})
}

// flushed returns until when panics within this task were flushed.
func (r *notes) flushed() (until time.Time) {
	if r == nil {
		return until
	}
	for _, k := range r.list() {
		if k.flushUntil.After(until) {
			until = k.flushUntil
		}
	}
	return until
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
