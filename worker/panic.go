package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/errs"
)

// end, deferred, ends a task whose function was called on the goroutine of its
// caller. It panics on with the value of a panic, from within the deferred
// call: the frames of the function that panicked are still on the stack, so a
// crash shows them.
func (t *task) end(err *error) {
	if t.returned {
		*err = t.complete(*err)
		return
	}
	v := recover()
	if v == nil && exiting() {
		t.exited(errExiting)
		return
	}
	p := t.panicked(v)
	if t.runner.config.recoverPanics {
		*err = p
		return
	}
	t.flush()
	panic(v)
}

// endAsync, deferred, ends a task on a goroutine of its own. A panic that is to
// go on is left in raise, for whoever waits for the task.
func (t *task) endAsync(err *error, raise **errs.PanicError) {
	if t.returned {
		*err = t.complete(*err)
		return
	}
	v := recover()
	if v == nil && exiting() {
		t.exited(ErrGoexit)
		*err = ErrGoexit
		return
	}
	p := t.panicked(v)
	*err = p
	if !t.runner.config.recoverPanics {
		t.flush()
		*raise = p
	}
}

// exiting tells runtime.Goexit from panic(nil) in a deferred function that
// recovered nothing. With GODEBUG=panicnil=1 the latter recovers as nil.
func exiting() bool {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		switch f.Function {
		case "runtime.Goexit":
			return true
		case "runtime.gopanic":
			return false
		}
		if !more {
			return true
		}
	}
}

// errExiting stands for a Goexit among the errors that a task has reported:
// that of a task on the same goroutine arrives as a Goexit, and not as an error.
var errExiting = errors.New("worker: goroutine is exiting")

// exited records that the function called runtime.Goexit. arrives is what the
// tasks around it see of that.
func (t *task) exited(arrives error) {
	t.finish(&outcome{result: failure, err: ErrGoexit, errorType: typeGoexit, known: errExiting, arrives: arrives})
}

// panicked records that the function panicked with v.
func (t *task) panicked(v any) *errs.PanicError {
	p, ok := v.(*errs.PanicError) // raised again by whoever waited for a task
	if !ok {
		p = &errs.PanicError{Value: v, Stack: debug.Stack()}
	}
	t.finish(&outcome{result: panicked, err: p, errorType: panicType(p), known: p, arrives: p})
	return p
}

// panicType returns the error.type of a panic.
func panicType(p *errs.PanicError) (s string) {
	s = semconv.ErrorTypeOther.Value.AsString()
	defer guard("classifying a panic")
	if class := errs.Classify(p); class.Type != "" {
		s = class.Type
	}
	return s
}

// errFlushTimeout says that a flush is left to itself.
var errFlushTimeout = errors.New("worker: the flush before a panic has not returned in time")

// flush calls the runner's flush, and waits for it for a bounded time.
func (t *task) flush() {
	f := t.runner.config.flush
	if f == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.context()), flushTimeout)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer guard("flushing")
		if err := f(ctx); err != nil {
			handle(fmt.Errorf("worker: flushing before a panic: %w", err))
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
		handle(errFlushTimeout)
	}
}
