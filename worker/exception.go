package worker

import (
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
)

// reportError puts a failure onto the span, and, unless a task within this one
// has done so, records it as an exception.
func (t *task) reportError(o *outcome, recording bool) {
	known := t.reported.Load().has(o.known)
	t.tellParents(o.arrives)

	text := t.runner.text(o.err, o.errorType)
	if recording {
		t.setStatus(text)
	}
	if known {
		return
	}
	stack := ""
	if p, ok := o.err.(*errs.PanicError); ok && o.result == panicked { //nolint:errorlint // the panic itself, not an error that wraps one
		stack = valid(string(p.Stack))
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

// tellParents notes with the tasks around this one that err has been recorded.
func (t *task) tellParents(err error) {
	for p := t.parent; p != nil; p = p.parent {
		r := p.reported.Load()
		for r == nil {
			p.reported.CompareAndSwap(nil, new(reported))
			r = p.reported.Load()
		}
		r.add(err)
	}
}

// maxReported is how many errors of its inner tasks a task remembers. A task
// that outlives more failures than that may record an old one again.
const maxReported = 64

// reported are the errors that the tasks within a task have recorded.
type reported struct {
	mu   sync.Mutex
	errs []any
	next int // where the ring goes on once it is full
}

func (r *reported) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(err)
	// The panic of an inner task arrives here as a bare value.
	if p, ok := err.(*errs.PanicError); ok { //nolint:errorlint // the panic itself, not an error that wraps one
		r.put(p.Value)
	}
}

func (r *reported) put(v any) {
	if len(r.errs) < maxReported {
		r.errs = append(r.errs, v)
		return
	}
	r.errs[r.next] = v
	r.next = (r.next + 1) % maxReported
}

// has reports whether err, or one that it wraps, has been recorded. An error
// that cannot be looked at has not.
func (r *reported) has(err error) (known bool) {
	if r == nil {
		return false
	}
	defer guard("looking at an error")
	r.mu.Lock()
	list := slices.Clone(r.errs)
	r.mu.Unlock()
	nodes := 0
	return find(list, err, &nodes)
}

// maxErrorNodes bounds the search of an error's tree, which may be a cycle.
const maxErrorNodes = 200

// find looks for v, or what it wraps, among the values that are known.
func find(known []any, v any, nodes *int) bool {
	if *nodes++; v == nil || *nodes > maxErrorNodes {
		return false
	}
	for _, k := range known {
		if same(k, v) {
			return true
		}
	}
	switch e := v.(type) {
	case *errs.PanicError:
		return find(known, e.Value, nodes)
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

// same reports whether a and b are the same value, for any types.
func same(a, b any) bool {
	if a == nil || b == nil {
		return a == b
	}
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	if va.Type() != vb.Type() {
		return false
	}
	if va.Comparable() && vb.Comparable() {
		return a == b
	}
	switch va.Kind() {
	case reflect.Slice, reflect.Map, reflect.Func:
		return va.UnsafePointer() == vb.UnsafePointer()
	default:
		return false
	}
}
