package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/instrument"
)

const (
	// flushTimeout is how long a panic may be flushed, in all tasks that it leaves.
	flushTimeout = 2 * time.Second
	// flushPause is how long a runner does not flush again.
	flushPause = 10 * time.Second
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
	if v == nil && instrument.Unwinding() == instrument.Exited {
		t.exited(nil)
		return
	}
	if aborts(v) {
		t.aborted()
		panic(v)
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
// it has one. The value of a panic that is to go on is left in raise, for whoever
// waits for the task.
func (t *task) endAsync(err *error, raise *any, g *Group) {
	// Deferred, since a method of the error may end the goroutine.
	defer func() { g.end(*err, *raise) }()
	if t.returned {
		*err = t.complete(*err)
		return
	}
	v := recover()
	if v == nil && instrument.Unwinding() == instrument.Exited {
		*err = ErrGoexit
		t.exited(ErrGoexit)
		return
	}
	*err = ErrGoexit // if a method of the panic's value ends the goroutine
	if aborts(v) {
		t.aborted()
		*err, *raise = http.ErrAbortHandler, v
		return
	}
	p, until := t.panicked(v)
	*err = p
	if t.runner.config.recoverPanics {
		return
	}
	*raise = p
	// The other tasks of the group need not wait for the flush to hear of it.
	g.end(p, p)
	t.flush(until)
}

// aborts reports whether a panic does no more than end the response of an HTTP
// server.
func aborts(v any) bool { return v == any(http.ErrAbortHandler) }

// aborted records that the function panicked with http.ErrAbortHandler.
func (t *task) aborted() {
	t.finish(&outcome{result: cancellation, cause: http.ErrAbortHandler})
}

// exited records that the function called runtime.Goexit. arrives is what the
// tasks around it see of that.
func (t *task) exited(arrives error) {
	o := outcome{result: failure, err: ErrGoexit, errorType: typeGoexit, arrives: arrives}
	if t.options.another() {
		o.result = retry
	}
	t.finish(&o)
}

// panicked records that the function panicked with v. It returns until when that may
// be flushed, if the panic goes on.
func (t *task) panicked(v any) (p *errs.PanicError, flushUntil time.Time) {
	within := t.notes.Load()
	if !t.runner.config.recoverPanics {
		flushUntil = t.runner.flushUntil(within)
	}
	p, ok := v.(*errs.PanicError) // raised again by whoever waited for a task
	if !ok {
		p = &errs.PanicError{Value: v, Stack: errs.Stack()}
	}
	if err, ok := p.Value.(error); ok && raisedInDriver() {
		errs.LookDriver(err, t.ledger.Said())
	}
	t.finish(&outcome{
		result: panicked, err: p, errorType: panicType(p),
		known: p, arrives: p, passing: within.panic(v) && passed(), flushUntil: flushUntil,
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

// raisedInDriver reports whether the panic that has been recovered comes from a call
// of a driver: then otdb has a frame on the stack, until the panic is over.
func raisedInDriver() bool {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for panicking := false; ; {
		f, more := frames.Next()
		if panicking && strings.Contains(f.Function, "taskspan/taskspan/otdb.") {
			return true
		}
		panicking = panicking || f.Function == "runtime.gopanic"
		if !more {
			return false
		}
	}
}

// panicType returns the error.type of a panic.
func panicType(p *errs.PanicError) (s string) {
	s = semconv.ErrorTypeOther.Value.AsString()
	defer scope.Guard("a panic's value")
	if class := errs.Classify(p); class.Type != "" {
		s = class.Type
	}
	return s
}

// flushUntil returns until when a panic may be flushed that leaves a task. It
// shares the time of one that was flushed within that task: it may be the same.
func (r *Runner) flushUntil(within *notes) time.Time {
	now := time.Now()
	if until := within.flushed(); now.Before(until.Add(flushPause - flushTimeout)) {
		return until
	}
	reading := int64(r.config.clock()) + 1
	last := r.lastFlush.Load()
	if last != 0 && reading-last < int64(flushPause) || !r.lastFlush.CompareAndSwap(last, reading) {
		return time.Time{}
	}
	return now.Add(flushTimeout)
}

// errFlushTimeout means that a flush is left to itself.
var errFlushTimeout = errors.New("worker: the flush before a panic has not returned in time")

// flush has the providers export what they hold, and waits for it until then.
func (t *task) flush(until time.Time) {
	if !time.Now().Before(until) {
		return
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	var flushes sync.WaitGroup
	for _, f := range t.runner.flushers() {
		flushes.Go(func() {
			defer scope.Guard("a flush")
			if err := f.ForceFlush(ctx); err != nil {
				instrument.Handle(fmt.Errorf("worker: flushing before a panic: %w", err))
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		flushes.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		instrument.Handle(errFlushTimeout)
	}
}

// flusher is a provider, or a handler, that exports what it holds when it is asked
// to, as those of the SDK do.
type flusher interface{ ForceFlush(context.Context) error }

// flushers returns where the runner's telemetry may wait for its export.
func (r *Runner) flushers() (out []flusher) {
	var traces, metrics any = otel.GetTracerProvider(), otel.GetMeterProvider()
	if p := r.config.tracerProvider; p != nil {
		traces = p
	}
	if p := r.config.meterProvider; p != nil {
		metrics = p
	}
	for _, p := range []any{traces, metrics, r.logger().Handler(), otel.GetLoggerProvider()} {
		if f, ok := p.(flusher); ok {
			out = append(out, f)
		}
	}
	return out
}
