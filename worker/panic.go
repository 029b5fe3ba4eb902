package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

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
		t.exited(exitOf(goroutine()))
		return
	}
	p, until := t.panicked(v)
	if t.runner.config.recoverPanics {
		*err = p
		return
	}
	t.flush(until)
	panic(v)
}

// endAsync, deferred, ends a task on a goroutine of its own, and in its group if
// it has one. A panic that is to go on is left in raise, for whoever waits for
// the task.
func (t *task) endAsync(err *error, raise **errs.PanicError, g *Group) {
	if t.returned {
		*err = t.complete(*err)
		g.end(*err, nil)
		return
	}
	v := recover()
	if v == nil && exiting() {
		t.exited(ErrGoexit)
		*err = ErrGoexit
		g.end(ErrGoexit, nil)
		return
	}
	p, until := t.panicked(v)
	*err = p
	if t.runner.config.recoverPanics {
		g.end(p, nil)
		return
	}
	*raise = p
	// The other tasks of the group need not wait for the flush to hear of it.
	g.end(p, p)
	t.flush(until)
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

// exitOf stands for the Goexit of a goroutine among the errors that a task has
// reported: that of a task on the same goroutine arrives as a Goexit, and not as
// an error.
type exitOf string

func (exitOf) Error() string { return "worker: goroutine is exiting" }

// goroutine returns what tells this goroutine from all others, ever.
func goroutine() string {
	buf := make([]byte, 64)
	buf = buf[:runtime.Stack(buf, false)] // goroutine 1 [running]:
	id, _, _ := bytes.Cut(bytes.TrimPrefix(buf, []byte("goroutine ")), []byte(" "))
	return string(id)
}

// exited records that the function called runtime.Goexit. arrives is what the
// tasks around it see of that.
func (t *task) exited(arrives error) {
	t.finish(&outcome{result: failure, err: ErrGoexit, errorType: typeGoexit, known: exitOf(goroutine()), arrives: arrives})
}

// panicked records that the function panicked with v. It returns until when the
// panic may be flushed.
func (t *task) panicked(v any) (p *errs.PanicError, flushUntil time.Time) {
	flushUntil, passing := t.notes.Load().panic(v)
	if passing = passing && passed(); !passing {
		flushUntil = time.Now().Add(flushTimeout)
	}
	p, ok := v.(*errs.PanicError) // raised again by whoever waited for a task
	if !ok {
		p = &errs.PanicError{Value: v, Stack: errs.Stack()}
	}
	t.finish(&outcome{
		result: panicked, err: p, errorType: panicType(p),
		known: p, arrives: p, passing: passing, flushUntil: flushUntil,
	})
	return p, flushUntil
}

// passed reports whether the panic that has been recovered comes from the end of
// a task within this one, whose frame is on the stack until the panic is over.
func passed() bool {
	end := functionName(functionPC((*task).end))
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for panicking := false; ; {
		f, more := frames.Next()
		switch f.Function {
		case "runtime.gopanic":
			panicking = true
		case end:
			if panicking {
				return true
			}
		}
		if !more {
			return false
		}
	}
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

// flush calls the runner's flush, and waits for it until then. The tasks that one
// panic passes share that time.
func (t *task) flush(until time.Time) {
	f := t.runner.config.flush
	if f == nil || !time.Now().Before(until) {
		return
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(t.context()), until)
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
