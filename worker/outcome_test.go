package worker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/taskspan/taskspan/errs"
)

// took is how long the tasks of these tests take.
const took = 30 * time.Millisecond

// sqlState is a PostgreSQL driver's error.
type sqlState string

func (e sqlState) Error() string    { return "ERROR: the secret is 12345 (SQLSTATE " + string(e) + ")" }
func (e sqlState) SQLState() string { return string(e) }

// typedError has a type of its own.
type typedError struct{ text string }

func (e *typedError) Error() string { return e.text }

var errTyped = &typedError{"no such thing"}

// row is a row of the table in the package's documentation.
type row struct {
	// fn is run for as long as took, with a context that cancel ends.
	fn func(ctx context.Context, cancel context.CancelCauseFunc) error
	// returns is what Run returns.
	returns error
	// result and errorType are what the span and the metric have.
	result, errorType string
	// message is the safe text of span, event and log; empty if it is no error.
	message string
	// retryable is "true" or "false" where the class of the error is known.
	retryable string
	cause     string
	options   []TaskOption
	timeout   time.Duration // of the context, if it has one

	timeoutCause error
}

// canceledByName counts as context.Canceled, as the causes of signal.NotifyContext
// do.
type canceledByName string

func (e canceledByName) Error() string      { return string(e) }
func (canceledByName) Is(target error) bool { return target == context.Canceled }

func TestOutcomes(t *testing.T) {
	stop := errors.New("the worker stops")
	skipReason := errors.New("nothing to do")
	wrapped := fmt.Errorf("load: %w", errTyped)
	wrappedSkip := fmt.Errorf("look: %w", Skip(skipReason))
	canceled := fmt.Errorf("query: %w", context.Canceled)
	deadline := fmt.Errorf("query: %w", context.DeadlineExceeded)

	cancelledToo := errors.Join(errTyped, context.Canceled)
	violated := errors.Join(sqlState("23505"), context.Canceled)
	both := errors.Join(context.Canceled, context.DeadlineExceeded)
	someSkipped := errors.Join(Skip(skipReason), errTyped)
	endless := new(loopError)

	returns := func(err error) func(context.Context, context.CancelCauseFunc) error {
		return func(context.Context, context.CancelCauseFunc) error {
			time.Sleep(took)
			return err
		}
	}
	cancels := func(err error) func(context.Context, context.CancelCauseFunc) error {
		return func(ctx context.Context, cancel context.CancelCauseFunc) error {
			time.Sleep(took)
			cancel(stop)
			<-ctx.Done()
			return err
		}
	}
	expires := func(err error) func(context.Context, context.CancelCauseFunc) error {
		return func(ctx context.Context, _ context.CancelCauseFunc) error {
			<-ctx.Done()
			return err
		}
	}

	causes := func(err error) func(context.Context, context.CancelCauseFunc) error {
		return func(ctx context.Context, cancel context.CancelCauseFunc) error {
			time.Sleep(took)
			cancel(err)
			<-ctx.Done()
			return err
		}
	}
	late := errors.New("the batch is late")
	wrapsLate := fmt.Errorf("load: %w", late)
	stopped := fmt.Errorf("load: %w", stop)
	signalled := canceledByName("terminated signal received")
	wrapsCanceled := fmt.Errorf("the shop closes: %w", context.Canceled)
	wrappedPermanent := fmt.Errorf("load: %w", Permanent(errTyped))
	joinedPermanent := errors.Join(errTyped, Permanent(sqlState("23505")))
	oneOfTwo := []TaskOption{WithAttempt(1), WithMaxAttempts(2)}

	rows := map[string]row{
		"nil":                    {fn: returns(nil), result: "success"},
		"error":                  {fn: returns(errTyped), returns: errTyped, result: "failure", errorType: "*worker.typedError", message: "no such thing"},
		"wrapped error":          {fn: returns(wrapped), returns: wrapped, result: "failure", errorType: "*worker.typedError", message: "load: no such thing"},
		"driver's error":         {fn: returns(sqlState("23505")), returns: sqlState("23505"), result: "failure", errorType: "23505", message: errs.Message(sqlState("23505")), retryable: "false"},
		"skip":                   {fn: returns(Skip(skipReason)), returns: skipReason, result: "skip"},
		"skip without a reason":  {fn: returns(Skip(nil)), result: "skip"},
		"wrapped skip":           {fn: returns(wrappedSkip), returns: wrappedSkip, result: "skip"},
		"skip of a cancellation": {fn: cancels(Skip(context.Canceled)), returns: context.Canceled, result: "skip"},

		"cancelled": {fn: cancels(context.Canceled), returns: context.Canceled, result: "cancellation", cause: "the worker stops"},
		"cancelled, wrapped": {
			fn: cancels(canceled), returns: canceled, result: "cancellation", cause: "the worker stops",
		},
		"cancelled, in a driver's word": {
			fn: cancels(sqlState("57014")), returns: sqlState("57014"), result: "cancellation", cause: "the worker stops",
		},
		"cancelled, in database/sql's word": {
			fn: cancels(sql.ErrTxDone), returns: sql.ErrTxDone, result: "cancellation", cause: "the worker stops",
		},
		"a transaction that was over": {
			fn: returns(sql.ErrTxDone), returns: sql.ErrTxDone, result: "failure", errorType: "sql.ErrTxDone", message: errs.Message(sql.ErrTxDone),
		},
		"cancelled, and more": {
			fn: cancels(cancelledToo), returns: cancelledToo, result: "failure",
			errorType: errs.Classify(errTyped).Type, message: errs.Message(cancelledToo), retryable: "false",
		},
		"cancelled, and a violated constraint": {
			fn: cancels(violated), returns: violated, result: "failure", errorType: "23505", message: errs.Message(violated), retryable: "false",
		},
		"cancelled, both words": {
			fn: cancels(both), returns: both, result: "cancellation", cause: "the worker stops",
		},
		"timeout, both words": {
			fn: expires(both), timeout: took, returns: both, result: "timeout", errorType: "context.DeadlineExceeded",
			message: errs.Message(both), retryable: "false", cause: "context deadline exceeded",
		},
		"timeout while cancelled": {
			fn: cancels(context.DeadlineExceeded), returns: context.DeadlineExceeded, result: "timeout",
			errorType: "context.DeadlineExceeded", message: "context deadline exceeded", retryable: "false", cause: "the worker stops",
		},
		"canceled while timed out": {
			fn: expires(context.Canceled), timeout: took, returns: context.Canceled, result: "cancellation",
			cause: "context deadline exceeded",
		},
		"skip among others": {
			fn: returns(someSkipped), returns: someSkipped, result: "failure", errorType: errs.Classify(someSkipped).Type,
			message: errs.Message(someSkipped),
		},
		"endless error": {
			fn: returns(endless), returns: endless, result: "failure", errorType: "*worker.loopError", message: errs.Message(endless),
		},
		"cancelled, but failed": {
			fn: cancels(errTyped), returns: errTyped, result: "failure", errorType: "*worker.typedError", message: "no such thing",
		},
		"cancelled, but succeeded": {fn: cancels(nil), result: "success"},
		"canceled without a cancelled context": {
			fn: returns(context.Canceled), returns: context.Canceled, result: "failure", errorType: "context.Canceled",
			message: "context canceled", retryable: "false",
		},
		"a driver's cancellation without a cancelled context": {
			fn: returns(sqlState("57014")), returns: sqlState("57014"), result: "failure", errorType: "57014",
			message: errs.Message(sqlState("57014")), retryable: "false",
		},

		"permanent": {
			fn: returns(Permanent(errTyped)), returns: errTyped, result: "failure", errorType: "*worker.typedError",
			message: "no such thing", retryable: "false",
		},
		"permanent nothing": {fn: returns(Permanent(nil)), result: "success"},
		"permanent, and retryable": {
			fn: returns(Permanent(sqlState("40001"))), returns: sqlState("40001"), result: "failure", errorType: "40001",
			message: errs.Message(sqlState("40001")), retryable: "false", options: oneOfTwo,
		},
		"permanent, wrapped": {
			fn: returns(wrappedPermanent), returns: wrappedPermanent, result: "failure", errorType: "*worker.typedError",
			message: errs.Message(wrappedPermanent), retryable: "false", options: oneOfTwo,
		},
		"permanent, joined": {
			fn: returns(joinedPermanent), returns: joinedPermanent, result: "failure", errorType: errs.Classify(joinedPermanent).Type,
			message: errs.Message(joinedPermanent), retryable: "false", options: oneOfTwo,
		},
		"skip of an attempt": {fn: returns(Skip(errTyped)), returns: errTyped, result: "skip", options: oneOfTwo},
		"retry": {
			fn: returns(sqlState("40001")), returns: sqlState("40001"), result: "retry", errorType: "40001",
			message: errs.Message(sqlState("40001")), retryable: "true", options: oneOfTwo,
		},
		"retry of any error": {
			fn: returns(errTyped), returns: errTyped, result: "retry", errorType: "*worker.typedError", message: "no such thing", options: oneOfTwo,
		},
		"retry of a timeout": {
			fn: expires(context.DeadlineExceeded), timeout: took, returns: context.DeadlineExceeded, result: "retry", options: oneOfTwo,
			errorType: "context.DeadlineExceeded", message: "context deadline exceeded", retryable: "false", cause: "context deadline exceeded",
		},
		"no retry of a cancellation": {
			fn: cancels(context.Canceled), returns: context.Canceled, result: "cancellation", cause: "the worker stops", options: oneOfTwo,
		},
		"last attempt": {
			fn: returns(errTyped), returns: errTyped, result: "failure", errorType: "*worker.typedError", message: "no such thing",
			options: []TaskOption{WithAttempt(2), WithMaxAttempts(2)},
		},
		"attempt of nobody knows how many": {
			fn: returns(errTyped), returns: errTyped, result: "failure", errorType: "*worker.typedError", message: "no such thing",
			options: []TaskOption{WithAttempt(1)},
		},
		"some attempt of many": {
			fn: returns(errTyped), returns: errTyped, result: "failure", errorType: "*worker.typedError", message: "no such thing",
			options: []TaskOption{WithMaxAttempts(3)},
		},

		"the cause of a cancellation": {
			fn: cancels(stop), returns: stop, result: "failure", errorType: errs.Classify(stop).Type, message: errs.Message(stop), cause: "the worker stops",
		},
		"the cause of a cancellation, wrapped": {
			fn: cancels(stopped), returns: stopped, result: "failure", errorType: errs.Classify(stop).Type,
			message: errs.Message(stopped), cause: "the worker stops",
		},
		"the cause that is a cancellation": {
			fn: causes(signalled), returns: signalled, result: "cancellation", cause: "terminated signal received",
		},
		"the cause that is a cancellation, wrapped": {
			fn: causes(wrapsCanceled), returns: wrapsCanceled, result: "cancellation", cause: errs.Message(wrapsCanceled),
		},
		"a cancellation by signal": {
			fn: func(ctx context.Context, cancel context.CancelCauseFunc) error {
				_ = causes(signalled)(ctx, cancel)
				return ctx.Err()
			}, returns: context.Canceled, result: "cancellation", cause: "terminated signal received",
		},
		"the cause of a timeout": {
			fn: expires(late), timeout: took, timeoutCause: late, returns: late, result: "timeout",
			errorType: errs.Classify(late).Type, message: errs.Message(late), cause: "the batch is late",
		},
		"the cause of a timeout, wrapped": {
			fn: expires(wrapsLate), timeout: took, timeoutCause: late, returns: wrapsLate, result: "timeout",
			errorType: errs.Classify(late).Type, message: errs.Message(wrapsLate), cause: "the batch is late",
		},
		"a timeout with a cause": {
			fn: expires(context.DeadlineExceeded), timeout: took, timeoutCause: late, returns: context.DeadlineExceeded, result: "timeout",
			errorType: "context.DeadlineExceeded", message: "context deadline exceeded", retryable: "false", cause: "the batch is late",
		},
		"a cause that nobody has": {
			fn: returns(stop), returns: stop, result: "failure", errorType: errs.Classify(stop).Type, message: errs.Message(stop),
		},

		"timeout": {
			fn: expires(context.DeadlineExceeded), timeout: took, returns: context.DeadlineExceeded, result: "timeout",
			errorType: "context.DeadlineExceeded", message: "context deadline exceeded", retryable: "false", cause: "context deadline exceeded",
		},
		"timeout, wrapped": {
			fn: expires(deadline), timeout: took, returns: deadline, result: "timeout",
			errorType: "context.DeadlineExceeded", message: "query: context deadline exceeded", retryable: "false", cause: "context deadline exceeded",
		},
		"timeout, in a driver's word": {
			fn: expires(sqlState("57014")), timeout: took, returns: sqlState("57014"), result: "timeout",
			errorType: "57014", message: errs.Message(sqlState("57014")), retryable: "false", cause: "context deadline exceeded",
		},
		"timeout of the function's own": {
			fn: returns(context.DeadlineExceeded), returns: context.DeadlineExceeded, result: "failure",
			errorType: "context.DeadlineExceeded", message: "context deadline exceeded", retryable: "false",
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) { row.test(t) })
		})
	}
}

func (row *row) test(t *testing.T) {
	b := newBackend(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if row.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, row.timeout, row.timeoutCause)
		defer stop()
	}

	calls := 0
	err := b.runner.Run(ctx, "load", func(ctx context.Context) error {
		calls++
		return row.fn(ctx, cancel)
	}, row.options...)

	if err != row.returns {
		t.Errorf("Run returned %#v, want %#v itself", err, row.returns)
	}
	if calls != 1 {
		t.Errorf("fn was called %d times", calls)
	}
	start := kv{"worker.task.name": "load", "code.function.name": "github.com/taskspan/taskspan/worker.(*row).test.func1"}
	if c := newTaskConfig(row.options); c.attempt > 0 {
		start["worker.task.attempt"] = int64(c.attempt)
	}
	row.wantTelemetry(b, start, "")
}

// wantTelemetry checks all that the task "load" left behind. start is what its
// span had from the start on; stack is the stack of a panic.
func (row *row) wantTelemetry(b *backend, start kv, stack string) {
	b.t.Helper()
	s := span{
		Name: "load", Start: start, End: kv{"worker.task.result": row.result},
		Failed: row.message != "", Status: row.message, Length: took,
	}
	labels := kv{"worker.task.name": "load", "worker.task.result": row.result}
	if row.cause != "" {
		s.End["worker.task.cancel.cause"] = row.cause
	}
	var log []record
	if row.errorType != "" {
		s.End["error.type"] = row.errorType
		labels["error.type"] = row.errorType
		exception := kv{"exception.type": row.errorType, "exception.message": row.message}
		logged := kv{
			"worker.task.name": "load", "worker.task.result": row.result,
			"exception.type": row.errorType, "exception.message": row.message,
		}
		if n, ok := start["worker.task.attempt"]; ok {
			logged["worker.task.attempt"] = n
		}
		if row.retryable != "" {
			s.End["worker.task.error.retryable"] = row.retryable == "true"
			logged["worker.task.error.retryable"] = row.retryable == "true"
		}
		if stack != "" {
			exception["exception.stacktrace"] = stack
			logged["exception.stacktrace"] = stack
		}
		s.Events = []event{{Name: "exception", Attrs: exception}}
		log = []record{{slog.LevelError, "task failed", "load", logged}}
		if row.result == "retry" {
			log[0].Level, log[0].Message = slog.LevelWarn, "task attempt failed"
		}
	}
	b.WantSpans(s)
	b.wantLog(log...)
	b.wantMetrics(
		durationMetric(observations(labels, took.Seconds())),
		activeMetric(map[string]int64{"load": 0}),
	)
	b.wantLastSuccess(row.result == "success")
}

// wantLastSuccess checks the gauges after the task "load" has ended.
func (b *backend) wantLastSuccess(want bool) {
	b.t.Helper()
	got := b.Collect()
	if age, ok := got["worker.task.oldest.age"]; ok {
		b.t.Errorf("no task is running, but %v", age)
	}
	g, ok := got["worker.task.last_success.timestamp"]
	if ok != want {
		b.t.Errorf("last success: %v, want %v", g, want)
	}
	if !ok {
		return
	}
	end := b.Ended()[0].EndTime()
	p := g.Data.(metricdata.Gauge[float64]).DataPoints
	if len(p) != 1 || p[0].Value != float64(end.UnixNano())/1e9 {
		b.t.Errorf("last success: %v, want one point at %v", p, end)
	}
}

// stackOf returns the one stack that a task recorded, and checks that it shows
// the function that panicked.
func (b *backend) stackOf(function string) string {
	b.t.Helper()
	if len(b.log.records) != 1 {
		b.t.Fatalf("records %v, want one", b.log.records)
	}
	stack, _ := b.log.records[0].Attrs["exception.stacktrace"].(string)
	if !strings.HasPrefix(stack, "goroutine ") || !strings.Contains(stack, function+"(") {
		b.t.Errorf("no %s in the stack %s", function, stack)
	}
	return stack
}

//go:noinline
func panicWith(v any) { panic(v) }

// index panics with a runtime.Error.
//
//go:noinline
func index(s []int) int { return s[len(s)] }

// panics are values to panic with, and how they are reported.
var panics = map[string]struct {
	panic              func()
	errorType, message string
}{
	"string":        {func() { panicWith("kaboom") }, "panic", ""},
	"error":         {func() { panicWith(errTyped) }, "*worker.typedError", ""},
	"runtime.Error": {func() { index(nil) }, "runtime.boundsError", ""},
	"nil":           {func() { panicWith(nil) }, "*runtime.PanicNilError", ""},
	"uncomparable":  {func() { panicWith([]string{"a", "b"}) }, "panic", ""},
}

// caught is what a function panicked with.
func caught(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestPanic(t *testing.T) {
	for name, p := range panics {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBackend(t)
				var original any
				returned := false
				got := caught(func() {
					_ = b.runner.Run(t.Context(), "load", func(context.Context) error {
						defer func() {
							original = recover()
							panic(original)
						}()
						time.Sleep(took)
						p.panic()
						return nil
					})
					returned = true
				})
				if returned || !same(got, original) {
					t.Errorf("panicked on with %#v, want %#v", got, original)
				}
				want := &errs.PanicError{Value: original}
				row := row{result: "panic", errorType: errs.Classify(want).Type, message: errs.Message(want)}
				if row.errorType == "" || row.message == "" {
					t.Errorf("%+v", row)
				}
				row.wantTelemetry(b, kv{
					"worker.task.name": "load", "code.function.name": "github.com/taskspan/taskspan/worker.TestPanic.func1.1.1.1",
				}, b.stackOf("worker.TestPanic.func1.1.1.1"))
			})
		})
	}
}

func TestRecoverPanics(t *testing.T) {
	for name, p := range panics {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newFlushing(t, func(context.Context) error { t.Error("flushed before no crash"); return nil }, WithRecoverPanics())
				err := b.runner.Run(t.Context(), "load", func(context.Context) error {
					time.Sleep(took)
					p.panic()
					return nil
				})
				var got *errs.PanicError
				if !errors.As(err, &got) || !errors.Is(err, got) {
					t.Fatalf("Run returned %#v", err)
				}
				stack := b.stackOf("worker.TestRecoverPanics.func1.1.2")
				if string(got.Stack) != stack {
					t.Errorf("the stack of the error is not the recorded one: %s", got.Stack)
				}
				row := row{result: "panic", errorType: errs.Classify(got).Type, message: errs.Message(got)}
				row.wantTelemetry(b, kv{
					"worker.task.name": "load", "code.function.name": "github.com/taskspan/taskspan/worker.TestRecoverPanics.func1.1.2",
				}, stack)
			})
		})
	}
}

// With GODEBUG=panicnil=1, panic(nil) recovers as nil, which is what a
// deferred function sees of Goexit too.
func TestPanicNilAsBefore(t *testing.T) {
	t.Setenv("GODEBUG", "panicnil=1")
	b := newBackend(t)
	finished := false
	panicking := true
	func() {
		defer func() {
			// Recovering nil from a panic stops it: the function returns.
			_ = recover()
		}()
		_ = b.runner.Run(t.Context(), "load", func(context.Context) error { panicWith(nil); return nil })
		panicking = false
	}()
	finished = true
	if !finished || !panicking {
		t.Errorf("the panic did not go on")
	}
	if got := b.ended()[0].Attributes()["worker.task.result"]; got != "panic" {
		t.Errorf("result %v", got)
	}
	// And Goexit is still Goexit.
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.runner.Run(t.Context(), "load", func(context.Context) error { runtime.Goexit(); return nil })
		t.Error("Goexit did not go on")
	}()
	<-done
	if got := b.ended()[1].Attributes()["error.type"]; got != "runtime.Goexit" {
		t.Errorf("error.type %v", got)
	}
}

func TestGoexit(t *testing.T) {
	for _, opts := range [][]Option{nil, {WithRecoverPanics()}} {
		inBubble(t, func(t *testing.T) {
			b := newBackend(t, opts...)
			exited := make(chan bool)
			go func() {
				went := true
				defer func() { exited <- went }()
				_ = b.runner.Run(t.Context(), "load", func(context.Context) error {
					time.Sleep(took)
					runtime.Goexit()
					return nil
				})
				went = false
			}()
			if !<-exited {
				t.Error("Goexit did not go on")
			}
			row := row{result: "failure", errorType: "runtime.Goexit", message: ErrGoexit.Error()}
			row.wantTelemetry(b, kv{
				"worker.task.name": "load", "code.function.name": "github.com/taskspan/taskspan/worker.TestGoexit.func1.1.2",
			}, "")
		})
	}
}

// A panic on the way out of Goexit is a panic, and Goexit after a panic ends
// that one.
func TestGoexitAndPanic(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		run := func(fn func()) (v any) {
			done := make(chan any, 1)
			go func() {
				defer func() { done <- recover() }()
				_ = b.runner.Run(t.Context(), "load", func(context.Context) error { fn(); return nil })
			}()
			return <-done
		}
		if v := run(func() { defer panic("in a deferred call"); runtime.Goexit() }); v != "in a deferred call" {
			t.Errorf("panicked with %v", v)
		}
		if v := run(func() { defer runtime.Goexit(); panic("first") }); v != nil {
			t.Errorf("panicked with %v", v)
		}
		spans := b.ended()
		if a := spans[0].Attributes(); a["worker.task.result"] != "panic" {
			t.Errorf("%v", a)
		}
		if a := spans[1].Attributes(); a["error.type"] != "runtime.Goexit" {
			t.Errorf("%v", a)
		}
	})
}

// Joined errors are a cancellation or a timeout only if all of them are.
func TestJoinedEnds(t *testing.T) {
	canceled := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx
	}
	expired := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithDeadline(ctx, time.Unix(1, 0))
		cancel()
		return ctx
	}
	for name, tc := range map[string]struct {
		ctx               func(context.Context) context.Context
		err               error
		result, errorType string
	}{
		"a failure":          {canceled, errors.Join(context.Canceled, errTyped), "failure", ""},
		"a failure deep":     {canceled, fmt.Errorf("x: %w", errors.Join(fmt.Errorf("y: %w", errors.Join(errTyped, context.Canceled)), context.Canceled)), "failure", ""},
		"a failure and SQL":  {canceled, errors.Join(sqlState("57014"), errTyped), "failure", ""},
		"cancellations":      {canceled, errors.Join(context.Canceled, sqlState("57014"), nil), "cancellation", ""},
		"one":                {canceled, errors.Join(nil, context.Canceled), "cancellation", ""},
		"timeouts":           {expired, errors.Join(context.DeadlineExceeded, context.DeadlineExceeded), "timeout", "context.DeadlineExceeded"},
		"both":               {expired, errors.Join(context.Canceled, context.DeadlineExceeded), "timeout", "context.DeadlineExceeded"},
		"both, cancelled":    {canceled, errors.Join(context.DeadlineExceeded, context.Canceled), "cancellation", ""},
		"itself":             {canceled, new(loopError), "failure", ""},
		"a skip":             {canceled, errors.Join(Skip(errBoom), nil), "skip", ""},
		"a skip and another": {canceled, errors.Join(Skip(errBoom), errTyped), "failure", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			_ = b.runner.Run(tc.ctx(t.Context()), "load", func(context.Context) error { return tc.err })
			got := b.ended()[0].Attributes()
			if got["worker.task.result"] != tc.result || tc.errorType != "" && got["error.type"] != tc.errorType {
				t.Errorf("%v", got)
			}
		})
	}
}

// A Goexit passes through every task on its goroutine, and each records it; one of
// another goroutine is an error, which is recorded once.
func TestNestedGoexit(t *testing.T) {
	b := newBackend(t)
	exit := func(context.Context) error { runtime.Goexit(); return nil }
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error { return b.runner.Run(ctx, "inner", exit) })
	}()
	<-done
	f := Go(t.Context(), "outer", func(ctx context.Context) (int, error) {
		_, err := Go(ctx, "inner", func(ctx context.Context) (int, error) { return 0, exit(ctx) }, WithRunner(b.runner)).Wait()
		if err != ErrGoexit {
			t.Error(err)
		}
		runtime.Goexit()
		return 0, nil
	}, WithRunner(b.runner))
	_, _ = f.Wait()
	_, _ = Go(t.Context(), "outer", func(ctx context.Context) (int, error) {
		return Go(ctx, "inner", func(ctx context.Context) (int, error) { return 0, exit(ctx) }, WithRunner(b.runner)).Wait()
	}, WithRunner(b.runner)).Wait()
	var events []int
	for _, s := range b.ended() {
		events = append(events, len(s.Events))
	}
	wantEqual(t, "events", events, []int{1, 1, 1, 1, 1, 0})
}

// The context may be done before the task starts.
func TestContextAlreadyCancelled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := b.runner.Run(ctx, "load", func(ctx context.Context) error {
			time.Sleep(took)
			return ctx.Err()
		})
		if err != context.Canceled {
			t.Errorf("%v", err)
		}
		row := row{result: "cancellation", cause: "context canceled"}
		row.wantTelemetry(b, kv{
			"worker.task.name": "load", "code.function.name": "github.com/taskspan/taskspan/worker.TestContextAlreadyCancelled.func1.1",
		}, "")
	})
}

// The stack that a crash prints still has the frames of the function that
// panicked, because it is panicked on from a deferred call.
func TestPanicKeepsFrames(t *testing.T) {
	b := newBackend(t)
	var frames []string
	func() {
		defer func() {
			pcs := make([]uintptr, 64)
			it := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
			for {
				f, more := it.Next()
				frames = append(frames, f.Function)
				if !more {
					break
				}
			}
			_ = recover()
		}()
		_ = b.runner.Run(t.Context(), "load", func(context.Context) error { panicWith("x"); return nil })
	}()
	if !strings.Contains(strings.Join(frames, "\n"), "worker.panicWith") {
		t.Errorf("frames %q", frames)
	}
}
