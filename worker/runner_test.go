package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/oteltest"
)

func fails(context.Context) error { return errTyped }

const (
	fnNothing = "github.com/taskspan/taskspan/worker.nothing"
	fnFails   = "github.com/taskspan/taskspan/worker.fails"
)

// ok is the span of a task that ran the function nothing.
func ok(name string) span {
	return span{
		Name: name, Start: kv{"worker.task.name": name, "code.function.name": fnNothing}, End: kv{"worker.task.result": "success"},
	}
}

// failed is the span of a task that ran the function fails.
func failed(name string) span {
	return span{
		Name: name, Failed: true, Status: "no such thing",
		Start: kv{"worker.task.name": name, "code.function.name": fnFails},
		End:   kv{"worker.task.result": "failure", "error.type": "*worker.typedError"},
	}
}

var typedException = event{Name: "exception", Attrs: kv{"exception.type": "*worker.typedError", "exception.message": "no such thing"}}

func typedRecord(name string) record {
	return record{slog.LevelError, "task failed", name, kv{
		"worker.task.name": name, "worker.task.result": "failure",
		"exception.type": "*worker.typedError", "exception.message": "no such thing",
	}}
}

func TestNewMistakes(t *testing.T) {
	for want, opt := range map[string]Option{
		`worker: "" cannot be a label`:                            WithLabelKeys("tenant", ""),
		`worker: "worker.task.name" cannot be a label`:            WithLabelKeys("worker.task.name"),
		`worker: "error.type" cannot be a label`:                  WithLabelKeys("error.type"),
		"worker: at most 0 task names: must be at least 1":        WithMaxTaskNames(0),
		"worker: repeated statements: -1 is negative":             WithRepeatedStatements(-1),
		"worker: slow statements: -1ns is negative":               WithSlowStatements(-1),
		"worker: idle transactions: -1ns is negative":             WithIdleTransactions(-1),
		"worker: operation spans: -1 is negative":                 WithMaxOperationSpans(-1),
		"worker: 201 scheduled tasks, but at most 200 task names": manySchedules(201),
		"worker: a scheduled task has no name":                    WithSchedule("", time.Hour),
		"worker: the schedule of \"x\uFFFD\": 0s is not positive": WithSchedule("x\xff", 0),
		`worker: "a\xff" cannot be a label`:                       WithLabelKeys("a\xff"),
		"meter provider: broken":                                  WithMeterProvider(brokenMeters{}),
		"worker: the meter provider panicked with a string":       WithMeterProvider(panicking{}),
		"worker: the tracer provider panicked with a string":      WithTracerProvider(panicking{}),
		"worker: the meter provider returned no meter":            WithMeterProvider(nilProvider{}),
		"worker: the tracer provider returned no tracer":          WithTracerProvider(nilProvider{}),
		"worker: the meter returned no registration":              WithMeterProvider(noRegistrations{}),
		`worker: "le" cannot be a label`:                          WithLabelKeys("le"),
		`worker: "quantile" cannot be a label`:                    WithLabelKeys("quantile"),
		`worker: "job" cannot be a label`:                         WithLabelKeys("job"),
		`worker: "worker_task_name" cannot be a label`:            WithLabelKeys("worker_task_name"),
		`worker: "worker/task/result" cannot be a label`:          WithLabelKeys("worker/task/result"),
		`worker: "error_type" cannot be a label`:                  WithLabelKeys("error_type"),
		`worker: "otel.scope.name" cannot be a label`:             WithLabelKeys("otel.scope.name"),
		`worker: "__name__" cannot be a label`:                    WithLabelKeys("__name__"),
		`worker: the labels "a.b" and "a_b" are one to`:           WithLabelKeys("a.b", "a", "a_b"),
	} {
		r, err := New(WithTracerProvider(tracenoop.NewTracerProvider()), WithMeterProvider(metricnoop.NewMeterProvider()), nil, opt)
		if err == nil || !strings.Contains(err.Error(), want) || r != nil {
			t.Errorf("New returned %v and %v, want %q", r, err, want)
		}
	}
	_, err := New(WithMeterProvider(metricnoop.NewMeterProvider()), WithMaxTaskNames(-1), WithRepeatedStatements(-1))
	if n := len(strings.Split(err.Error(), "\n")); n != 2 {
		t.Errorf("%d mistakes in %q", n, err)
	}
}

// manySchedules schedules n tasks.
func manySchedules(n int) Option {
	return optionFunc(func(c *config) {
		for i := range n {
			WithSchedule(fmt.Sprint("task ", i), time.Hour).apply(c)
		}
	})
}

// brokenMeters makes no instruments.
type brokenMeters struct{ metricnoop.MeterProvider }

type brokenMeter struct{ metricnoop.Meter }

var errBroken = errors.New("meter provider: broken")

func (brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }
func (brokenMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errBroken
}
func (brokenMeter) Int64Histogram(string, ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return nil, errBroken
}
func (brokenMeter) Int64ObservableUpDownCounter(string, ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	return nil, errBroken
}
func (brokenMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errBroken
}
func (brokenMeter) Float64ObservableGauge(string, ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	return nil, errBroken
}

// nilProvider returns nothing.
type nilProvider struct {
	tracenoop.TracerProvider
	metricnoop.MeterProvider
}

func (nilProvider) Tracer(string, ...trace.TracerOption) trace.Tracer { return nil }
func (nilProvider) Meter(string, ...metric.MeterOption) metric.Meter  { return nil }

// noRegistrations registers nothing.
type noRegistrations struct{ metricnoop.MeterProvider }

type noRegistration struct{ metricnoop.Meter }

func (noRegistrations) Meter(string, ...metric.MeterOption) metric.Meter { return noRegistration{} }
func (noRegistration) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, nil
}

// panicking is a provider that panics, at once or in its tracers, spans and
// instruments.
type panicking struct {
	tracenoop.TracerProvider
	metricnoop.MeterProvider
	later bool
	spans bool
}

func (p panicking) Tracer(string, ...trace.TracerOption) trace.Tracer {
	if !p.later {
		panic("no tracers today")
	}
	return panickingTracer{spans: p.spans}
}

func (p panicking) Meter(string, ...metric.MeterOption) metric.Meter {
	if !p.later {
		panic("no meters today")
	}
	return panickingMeter{}
}

type panickingTracer struct {
	tracenoop.Tracer
	spans bool
}

func (t panickingTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	if t.spans {
		return ctx, panickingSpan{}
	}
	panic("no spans today")
}

type panickingSpan struct{ tracenoop.Span }

func (panickingSpan) IsRecording() bool                   { panic("IsRecording") }
func (panickingSpan) End(...trace.SpanEndOption)          { panic("End") }
func (panickingSpan) SetAttributes(...attribute.KeyValue) { panic("SetAttributes") }

type panickingMeter struct{ metricnoop.Meter }

func (panickingMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return panickingHistogram{}, nil
}

type panickingHistogram struct{ metricnoop.Float64Histogram }

func (panickingHistogram) Record(context.Context, float64, ...metric.RecordOption) { panic("Record") }

// panickingLog is a slog.Handler that panics.
type panickingLog struct{ slog.Handler }

func (panickingLog) Enabled(context.Context, slog.Level) bool  { return true }
func (panickingLog) Handle(context.Context, slog.Record) error { panic("Handle") }

// failingLog is a slog.Handler that fails.
type failingLog struct{ slog.Handler }

func (failingLog) Enabled(context.Context, slog.Level) bool  { return true }
func (failingLog) Handle(context.Context, slog.Record) error { return errBroken }

// Whatever fails but the function: it runs once, what it returns comes back,
// and otel.Handle hears of it.
func TestTelemetryFails(t *testing.T) {
	quiet := []Option{WithTracerProvider(tracenoop.NewTracerProvider()), WithMeterProvider(metricnoop.NewMeterProvider()), WithLogger(slog.New(slog.DiscardHandler))}
	for name, tc := range map[string]struct {
		opt  []Option
		task []TaskOption
		want []string
	}{
		"tracer":  {opt: []Option{WithTracerProvider(panicking{later: true})}, want: []string{"worker: the tracer panicked with a string"}},
		"span":    {opt: []Option{WithTracerProvider(panicking{later: true, spans: true})}, want: []string{"worker: the span panicked with a string", "worker: the span panicked with a string"}},
		"metrics": {opt: []Option{WithMeterProvider(panicking{later: true})}, want: []string{"worker: an instrument panicked with a string"}},
		"log":     {opt: []Option{WithLogger(slog.New(panickingLog{}))}, want: []string{"worker: the log handler panicked with a string"}},
		"log's error": {
			opt: []Option{WithLogger(slog.New(failingLog{}))}, want: []string{"meter provider: broken"},
		},
		"error text": {
			opt: []Option{WithErrorText(func(error) string { panic("text") })}, want: []string{"worker: the text of an error panicked with a string"},
		},
		"queue": {
			opt: []Option{WithMeterProvider(panicking{later: true})}, task: []TaskOption{WithEnqueuedAt(time.Now())},
			want: []string{"worker: an instrument panicked with a string", "worker: an instrument panicked with a string"},
		},
		"nil option": {task: []TaskOption{nil}},
	} {
		t.Run(name, func(t *testing.T) {
			f := oteltest.RecordHandled(t)
			r, err := New(append(quiet[:len(quiet):len(quiet)], tc.opt...)...)
			if err != nil {
				t.Fatal(err)
			}
			calls := 0
			err = r.Run(t.Context(), "load", func(context.Context) error { calls++; return errTyped }, tc.task...)
			if err != errTyped || calls != 1 {
				t.Errorf("%d calls, error %v", calls, err)
			}
			f.WantHandled(tc.want...)
			if got := caught(func() {
				_ = r.Run(t.Context(), "load", func(context.Context) error { panic("task") }, tc.task...)
			}); got != "task" {
				t.Errorf("panicked with %v", got)
			}
			f.WantHandled(tc.want...)
			if err := r.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// An error handler that panics is survived as well.
func TestErrorHandlerPanics(t *testing.T) {
	oteltest.RecordHandled(t)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { panic("handler") }))
	r, err := New(WithTracerProvider(panicking{later: true}), WithMeterProvider(metricnoop.NewMeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context(), "", nothing); err != nil {
		t.Error(err)
	}
}

// badError panics in whatever an error is asked.
type badError struct{}

func (badError) Error() string   { panic("Error") }
func (badError) Is(error) bool   { panic("Is") }
func (badError) As(any) bool     { panic("As") }
func (badError) Unwrap() []error { panic("Unwrap") }

func TestErrorPanics(t *testing.T) {
	b := newBackend(t)
	if err := b.runner.Run(t.Context(), "load", func(context.Context) error { return badError{} }); err != (badError{}) {
		t.Errorf("%T", err)
	}
	s := b.ended()[0]
	if s.Attributes()["worker.task.result"] != "failure" || s.Status == "" || len(s.Events) != 1 || len(b.log.records) != 1 {
		t.Errorf("%+v", s)
	}
	// Around it, it cannot be looked at either.
	_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
		_ = b.runner.Run(ctx, "inner", fails)
		return badError{}
	})
	if s := b.ended()[2]; s.Status == "" || len(s.Events) != 1 {
		t.Errorf("%+v", s)
	}
	b.WantHandled(slices.Repeat([]string{"worker: an error panicked with a string"}, 3)...)
}

func TestNames(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithMaxTaskNames(3), WithSchedule("scheduled", time.Hour))
		for range 2 {
			for _, name := range []string{"a", "", "b\xff", "c"} {
				if err := b.runner.Run(t.Context(), name, nothing); err != nil {
					t.Error(err)
				}
			}
		}
		b.WantHandled("worker: a task has no name")
		var want []span
		for range 2 {
			want = append(want, ok("a"), ok("unnamed"), ok("b\uFFFD"), ok("c"))
		}
		b.WantSpans(want...)
		point := func(name string, n int) []oteltest.Observation {
			return observations(kv{"worker.task.name": name, "worker.task.result": "success"}, make([]float64, n)...)
		}
		b.wantMetrics(
			durationMetric(point("a", 2), point("unnamed", 2), point("_OTHER", 4)),
			activeMetric(map[string]int64{"a": 0, "unnamed": 0, "_OTHER": 0, "scheduled": 0}),
		)
	})
}

// A nil function panics as a nil function does, within the task.
func TestNilFunction(t *testing.T) {
	b := newBackend(t)
	v := caught(func() { _ = b.runner.Run(t.Context(), "load", nil) })
	if err, ok := v.(error); !ok || !strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("panicked with %v", v)
	}
	a := b.ended()[0].Attributes()
	if a["worker.task.result"] != "panic" {
		t.Errorf("result %v", a["worker.task.result"])
	}
	if _, ok := a["code.function.name"]; ok {
		t.Errorf("function %v", a["code.function.name"])
	}
}

func TestNilContext(t *testing.T) {
	b := newBackend(t)
	//nolint:staticcheck // a nil context is what the test is about
	err := b.runner.Run(nil, "load", func(ctx context.Context) error {
		if !trace.SpanFromContext(ctx).IsRecording() {
			t.Error("no span")
		}
		return ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
}

type key struct{}

// The function's context is the caller's, with a span and a ledger.
func TestContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Hour)
		defer cancel()
		var inner context.Context
		err := b.runner.Run(ctx, "load", func(ctx context.Context) error {
			inner = ctx
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want, _ := ctx.Deadline()
		if got, ok := inner.Deadline(); !ok || !got.Equal(want) {
			t.Errorf("deadline %v", got)
		}
		if inner.Value(key{}) != "value" {
			t.Error("the value is lost")
		}
		if inner.Err() != nil {
			t.Error("the context is cancelled when the task ends")
		}
		if trace.SpanFromContext(inner).SpanContext().SpanID() != b.Ended()[0].SpanContext().SpanID() {
			t.Error("the context carries another span")
		}
		if got := ledger.FromContext(inner).Task(); got != "load" {
			t.Errorf("the ledger is that of %q", got)
		}
		cancel()
		if inner.Err() != context.Canceled {
			t.Error("cancelling does not reach the task")
		}
	})
}

// A nested task is a child; its error is recorded once, where it happened.
func TestNestedError(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("outer: %w", err) }
	join := func(err error) error { return errors.Join(errBoom, fmt.Errorf("%w: %w", errBoom, err)) }
	for name, around := range map[string]func(error) error{"the same": func(err error) error { return err }, "wrapped": wrap, "joined": join} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBackend(t)
				other := b.newRunner()
				_ = b.runner.Run(t.Context(), "outermost", func(ctx context.Context) error {
					return b.runner.Run(ctx, "outer", func(ctx context.Context) error {
						return around(other.Run(ctx, "inner", fails))
					})
				})
				spans := b.ended()
				if len(spans) != 3 {
					t.Fatalf("%d spans", len(spans))
				}
				want := failed("inner")
				want.Parent = "outer"
				want.Events = []event{typedException}
				want.Kind = trace.SpanKindInternal
				wantEqual(t, "inner", spans[0], want)
				for i, name := range []string{"inner", "outer", "outermost"} {
					s := spans[i]
					if s.Name != name || s.Status == "" || s.Attributes()["worker.task.result"] != "failure" || s.Attributes()["error.type"] == nil {
						t.Errorf("%+v", s)
					}
					if i > 0 && len(s.Events) > 0 {
						t.Errorf("%s repeats the exception: %v", name, s.Events)
					}
				}
				b.wantLog(typedRecord("inner"))
			})
		})
	}
}

// An error of the outer task's own is recorded, whatever happened within.
func TestNestedOtherError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			_ = b.runner.Run(ctx, "inner", func(context.Context) error { return errBoom })
			return errTyped
		})
		if n := len(b.log.records); n != 2 {
			t.Errorf("%d records", n)
		}
	})
}

// A panic passes through every task around it, and is recorded once.
func TestNestedPanic(t *testing.T) {
	for name, value := range map[string]any{"string": "kaboom", "error": errTyped, "slice": []int{1}, "map": map[int]int{}} {
		for _, opts := range [][]Option{nil, {WithRecoverPanics()}} {
			t.Run(name, func(t *testing.T) {
				b := newBackend(t, opts...)
				got := caught(func() {
					_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
						return b.runner.Run(ctx, "inner", func(context.Context) error { panic(value) })
					})
				})
				if opts == nil && !same(got, value) {
					t.Errorf("panicked with %v", got)
				}
				spans := b.ended()
				if len(spans) != 2 || len(spans[0].Events) != 1 || len(spans[1].Events) != 0 {
					t.Errorf("%+v", spans)
				}
				if len(b.log.records) != 1 {
					t.Errorf("%d records", len(b.log.records))
				}
			})
		}
	}
}

// An error or a panic that merely equals one of an inner task is another one.
func TestNestedEqual(t *testing.T) {
	copied := func() error { return sqlState(fmt.Sprint("55P", "03")) }
	exit := func(context.Context) error { runtime.Goexit(); return nil }
	dereference := func(context.Context) error { return *(func() *error { return nil })() }
	kaboom := func(context.Context) error { panic("kaboom") }
	for name, tc := range map[string]struct{ inner, outer func(context.Context) error }{
		"errors":      {func(context.Context) error { return copied() }, func(context.Context) error { return fmt.Errorf("mine: %w", copied()) }},
		"dereference": {dereference, dereference},
		"text":        {kaboom, kaboom},
		"in a cleanup": {kaboom, func(ctx context.Context) error {
			defer func() { panic("while cleaning up") }()
			return kaboom(ctx)
		}},
		"recovered": {dereference, func(ctx context.Context) error {
			return caught(func() { _ = dereference(ctx) }).(error)
		}},
	} {
		for _, opts := range [][]Option{nil, {WithRecoverPanics()}} {
			t.Run(name, func(t *testing.T) {
				b := newBackend(t, opts...)
				caught(func() {
					_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
						caught(func() { _ = b.runner.Run(ctx, "inner", tc.inner) })
						return tc.outer(ctx)
					})
				})
				if n := len(b.log.records); n != 2 {
					t.Errorf("%d records", n)
				}
			})
		}
	}
	t.Run("Goexit", func(t *testing.T) {
		b := newBackend(t)
		on := func(f func()) { done := make(chan struct{}); go func() { defer close(done); f() }(); <-done }
		on(func() {
			_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
				on(func() { _ = b.runner.Run(ctx, "inner", exit) })
				return exit(ctx)
			})
		})
		if n := len(b.log.records); n != 2 {
			t.Errorf("%d records", n)
		}
	})
}

// A panic that a deferred function between two tasks raises again is the same.
func TestNestedPanicAgain(t *testing.T) {
	for name, value := range map[string]any{"text": "kaboom", "struct": struct{ s []int }{}, "number": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			caught(func() {
				_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
					defer func() { panic(recover()) }()
					return b.runner.Run(ctx, "inner", func(context.Context) error { panic(value) })
				})
			})
			if n := len(b.log.records); n != 1 {
				t.Errorf("%d records", n)
			}
		})
	}
}

// How many errors a task remembers is bounded.
func TestReportedBounded(t *testing.T) {
	b := newBackend(t)
	_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
		var first, last error
		for i := range 3 * maxReported {
			last = fmt.Errorf("error %d", i)
			if i == 0 {
				first = last
			}
			_ = b.runner.Run(ctx, "inner", func(context.Context) error { return last })
		}
		r := taskOf(ledger.FromContext(ctx)).notes.Load()
		if len(r.errs) != maxReported || !r.has(last) || r.has(first) {
			t.Errorf("%d errors are known", len(r.errs))
		}
		return nil
	})
}

type loopError struct{}

func (e *loopError) Error() string { return "loop" }
func (e *loopError) Unwrap() error { return e }

func TestReportedCycle(t *testing.T) {
	r := new(notes)
	r.add(recorded{err: errBoom})
	if r.has(new(loopError)) {
		t.Error("found what is not there")
	}
	if same(nil, errBoom) || !same(nil, nil) || same(struct{ s []int }{}, struct{ s []int }{}) {
		t.Error("same")
	}
}

// What a task without a recorded span takes to be reported is not its own.
func TestDurationWithoutReport(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithTracerProvider(tracenoop.NewTracerProvider()), WithErrorText(func(error) string {
			time.Sleep(time.Second)
			return "slow"
		}))
		_ = b.runner.Run(t.Context(), "load", fails)
		if sum := b.Collect()["worker.task.duration"].Data.(metricdata.Histogram[float64]).DataPoints[0].Sum; sum != 0 {
			t.Errorf("%v seconds", sum)
		}
	})
}

// An error handler may run tasks of its own.
func TestErrorHandlerRunsTasks(t *testing.T) {
	b := newBackend(t)
	b.runner.leaveGauges = func() error { return errBoom }
	handled := 0
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {
		handled++
		_ = b.runner.Run(t.Context(), fmt.Sprint("report ", handled), nothing)
		if handled == 2 {
			_ = b.runner.Drain(t.Context())
		}
	}))
	_ = b.runner.Run(t.Context(), "", nothing)
	if err := b.runner.Drain(t.Context()); err != nil || handled != 2 {
		t.Errorf("%v after %d faults", err, handled)
	}
}

// Nothing that a driver quotes, and no field that is not on the list, gets out.
func TestSecrets(t *testing.T) {
	const canary = "12345" // in the text of every sqlState
	b := newBackend(t)
	for _, fn := range []func(ctx context.Context, cancel context.CancelCauseFunc) error{
		func(context.Context, context.CancelCauseFunc) error { return sqlState("23505") },
		func(context.Context, context.CancelCauseFunc) error { return fmt.Errorf("save: %w", sqlState("23505")) },
		func(context.Context, context.CancelCauseFunc) error { panic(sqlState("23505")) },
		func(_ context.Context, cancel context.CancelCauseFunc) error {
			cancel(fmt.Errorf("stop: %w", sqlState("23505")))
			return sqlState("57014")
		},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		_ = caught(func() {
			_ = b.runner.Run(ctx, "load", func(ctx context.Context) error { return fn(ctx, cancel) },
				WithInput(struct {
					ID       int `trace:"id"`
					Password string
					Token    secret `trace:"token"`
				}{1, canary, canary}))
		})
		cancel(nil)
	}
	if text := fmt.Sprintf("%+v %+v %+v", b.ended(), b.log.records, b.Collect()); strings.Contains(text, canary) {
		t.Error(text)
	}
}

func TestErrorText(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithErrorText(func(err error) string { return fmt.Sprintf("a %T\xff", err) }))
		_ = b.runner.Run(t.Context(), "load", fails)
		want := failed("load")
		want.Status = "a *worker.typedError\uFFFD"
		want.Events = []event{{Name: "exception", Attrs: kv{"exception.type": "*worker.typedError", "exception.message": want.Status}}}
		b.WantSpans(want)
	})
}

func TestExceptionSignals(t *testing.T) {
	for value, events := range map[string]int{"": 1, "logs": 0, " logs ": 0, "logs/dup": 1, "logs,logs/dup": 1, "other,logs": 0, "LOGS": 1} {
		t.Run(value, func(t *testing.T) {
			t.Setenv(exceptionSignals, value)
			b := newBackend(t)
			t.Setenv(exceptionSignals, "") // it is read once
			_ = b.runner.Run(t.Context(), "load", fails)
			s := b.ended()[0]
			if len(s.Events) != events || s.Status != "no such thing" || s.Attributes()["error.type"] != "*worker.typedError" {
				t.Errorf("%+v", s)
			}
			b.wantLog(typedRecord("load"))
		})
	}
}

// Without a logger, the default one is looked up when it is needed.
func TestDefaultLogger(t *testing.T) {
	b := newBackend(t, WithLogger(nil))
	old := slog.Default()
	defer slog.SetDefault(old)
	slog.SetDefault(slog.New(b.log))
	_ = b.runner.Run(t.Context(), "load", fails)
	b.wantLog(typedRecord("load"))
}

// A record that the handler does not want is not made.
func TestLogLevel(t *testing.T) {
	b := newBackend(t)
	b.log.level = slog.LevelError + 1
	_ = b.runner.Run(t.Context(), "load", fails)
	b.wantLog()
}

// What the ledger came to is on the span and in the metrics, of nested tasks in
// those around them too.
func TestLedger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		query := ledger.Entry{Text: textOf("SELECT packages"), Rows: 3, Duration: 20 * time.Millisecond}
		commit := ledger.Entry{Failed: true, Duration: 10 * time.Millisecond}
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			ledger.FromContext(ctx).Record(query)
			_ = b.runner.Run(ctx, "inner", func(ctx context.Context) error {
				ledger.FromContext(ctx).Record(query)
				ledger.FromContext(ctx).Record(commit)
				return nil
			})
			return b.runner.Run(ctx, "none", nothing)
		})
		spans := b.ended()
		for i, want := range []kv{
			{"worker.task.db.operations": int64(2), "worker.task.db.duration": 0.03, "worker.task.db.rows": int64(3), "worker.task.db.errors": int64(1)},
			{},
			{"worker.task.db.operations": int64(3), "worker.task.db.duration": 0.05, "worker.task.db.rows": int64(6), "worker.task.db.errors": int64(1)},
		} {
			got := spans[i].Attributes()
			delete(got, "code.function.name")
			want["worker.task.name"], want["worker.task.result"] = spans[i].Name, "success"
			wantEqual(t, spans[i].Name, got, want)
		}
		inner, outer := kv{"worker.task.name": "inner"}, kv{"worker.task.name": "outer"}
		point := func(name string) []oteltest.Observation {
			return observations(kv{"worker.task.name": name, "worker.task.result": "success"}, 0.)
		}
		b.wantMetrics(
			durationMetric(point("inner"), point("outer"), point("none")),
			activeMetric(map[string]int64{"inner": 0, "outer": 0, "none": 0}),
			metricdata.Metrics{
				Name:        "worker.task.db.operations",
				Description: "Database operations of a worker task, if it had any.",
				Unit:        "{operation}",
				Data: oteltest.Whole(oteltest.Histogram(operationBuckets,
					slices.Concat(observations(inner, 2), observations(outer, 3)))),
			},
			histogram("worker.task.db.duration", "Time of a worker task inside database drivers, if it had database operations.",
				observations(inner, .03), observations(outer, .05)),
		)
	})
}

// The duration in the metric is the span's own, and points at it.
func TestDurationIsTheSpans(t *testing.T) {
	b := newBackend(t)
	for i, fn := range []func(context.Context) error{nothing, fails} {
		_ = b.runner.Run(t.Context(), "load", fn)
		s := b.Ended()[i]
		points := b.Collect()["worker.task.duration"].Data.(metricdata.Histogram[float64]).DataPoints
		p := points[slices.IndexFunc(points, func(p metricdata.HistogramDataPoint[float64]) bool {
			return p.Attributes.HasValue("error.type") == (i == 1)
		})]
		if want := s.EndTime().Sub(s.StartTime()).Seconds(); p.Sum != want {
			t.Errorf("duration %v, want %v", p.Sum, want)
		}
		if id := s.SpanContext().SpanID(); len(p.Exemplars) != 1 || trace.SpanID(p.Exemplars[0].SpanID) != id {
			t.Errorf("exemplars %v, want %v", p.Exemplars, id)
		}
	}
}

// Without a span that knows its times, the runner's clock counts.
func TestDurationWithoutSpan(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithTracerProvider(tracenoop.NewTracerProvider()))
		_ = b.runner.Run(t.Context(), "load", func(context.Context) error { time.Sleep(took); return nil })
		b.wantMetrics(
			durationMetric(observations(kv{"worker.task.name": "load", "worker.task.result": "success"}, took.Seconds())),
			activeMetric(map[string]int64{"load": 0}),
		)
	})
}

// While a task runs, it is counted as active and has an age.
func TestRunningTask(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		_ = b.runner.Run(t.Context(), "load", func(context.Context) error {
			time.Sleep(took)
			got := b.Collect()
			if v := got["worker.task.active"].Data.(metricdata.Sum[int64]).DataPoints[0].Value; v != 1 {
				t.Errorf("active %d", v)
			}
			if v := got["worker.task.oldest.age"].Data.(metricdata.Gauge[float64]).DataPoints[0].Value; v != took.Seconds() {
				t.Errorf("age %v", v)
			}
			return nil
		})
	})
}

func TestDefault(t *testing.T) {
	defer SetDefault(nil)
	SetDefault(nil)
	builtin := Default()
	if builtin == nil || Default() != builtin {
		t.Error("the default is not kept")
	}
	b := newBackend(t)
	SetDefault(b.runner)
	if Default() != b.runner {
		t.Error("the default is not the one that was set")
	}
	other := newBackend(t)
	for _, run := range []func() error{
		func() error { return Run(t.Context(), "load", nothing) },
		func() error { return new(Runner).Run(t.Context(), "load", nothing) },
		func() error { return (*Runner)(nil).Run(t.Context(), "load", nothing, WithRunner(nil)) },
		func() error { return Run(t.Context(), "load", nothing, WithRunner(other.runner)) },
		func() error { return b.runner.Run(t.Context(), "load", nothing, WithRunner(other.runner)) },
	} {
		if err := run(); err != nil {
			t.Error(err)
		}
	}
	if n, m := len(b.ended()), len(other.ended()); n != 3 || m != 2 {
		t.Errorf("%d and %d spans", n, m)
	}
}

// alone runs a test in a process of its own: global providers can be set but
// once. It reports whether this is that process.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("TASKSPAN_ALONE") != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "TASKSPAN_ALONE=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// If the default runner cannot have its instruments, it works without.
func TestDefaultWithoutMeters(t *testing.T) {
	if !alone(t) {
		return
	}
	otel.SetMeterProvider(brokenMeters{})
	f := oteltest.RecordHandled(t)
	if err := Run(t.Context(), "load", fails); err != errTyped {
		t.Error(err)
	}
	f.WantHandled(strings.TrimSpace(strings.Repeat("meter provider: broken\n", 11))) // one of each instrument
}

// Providers that become the global ones after New are used all the same.
func TestGlobalsSetLater(t *testing.T) {
	if !alone(t) {
		return
	}
	early, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if err := early.Run(t.Context(), "load", nothing); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t)
	otel.SetTracerProvider(b.TracerProvider)
	otel.SetMeterProvider(b.MeterProvider)
	late, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Runner{early, late, nil} {
		if err := r.Run(t.Context(), "load", nothing); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.ended()); n != 3 {
		t.Errorf("%d spans", n)
	}
	got := b.Collect()
	if n := got["worker.task.duration"].Data.(metricdata.Histogram[float64]).DataPoints[0].Count; n != 3 {
		t.Errorf("%d durations", n)
	}
	if n := len(got["worker.task.last_success.timestamp"].Data.(metricdata.Gauge[float64]).DataPoints); n != 1 {
		t.Errorf("%d gauges", n)
	}
}

// The budgets are those of the floor, measured beside it, and the task itself;
// for the other forms also their results, their goroutines and their closures.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector: make allocs")
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(discard{}))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	r, err := New(WithTracerProvider(tp), WithMeterProvider(mp))
	if err != nil {
		t.Fatal(err)
	}
	few, err := New(WithTracerProvider(tp), WithMeterProvider(mp), WithMaxTaskNames(1), WithSchedule("one", time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer SetDefault(nil)
	SetDefault(r)
	ctx := t.Context()
	f := newFloor(tp, mp)
	double := Wrap("load", double)
	work := Wrap("work", func(context.Context, *job) (int, error) { return 1, nil })
	arg := &job{ID: 1}
	floor := testing.AllocsPerRun(1000, func() { _ = f.run(ctx, nothing) })
	for name, tc := range map[string]struct {
		run    func()
		budget float64
	}{
		"Run":                {func() { _ = r.Run(ctx, "load", nothing) }, 1},
		"Run by default":     {func() { _ = Run(ctx, "load", nothing) }, 1},
		"Do":                 {func() { _, _ = Do(ctx, "load", value) }, 1},
		"Wrap":               {func() { _, _ = double(ctx, 1) }, 1},
		"Wrap with an input": {func() { _, _ = work(ctx, arg) }, 14},
		"Go":                 {func() { _, _ = Go(ctx, "load", value).Wait() }, 5},
		"beyond the names":   {func() { _ = few.Run(ctx, "load", nothing); _ = few.Run(ctx, "more", nothing) }, floor + 12},
		"nested": {func() {
			_ = r.Run(ctx, "outer", func(ctx context.Context) error { return r.Run(ctx, "inner", nothing) })
		}, floor + 3},
		"queries": {func() { _ = r.Run(ctx, "load", queries) }, 7},
	} {
		if got := testing.AllocsPerRun(1000, tc.run); got > floor+tc.budget {
			t.Errorf("%s: %v allocations, the floor has %v and the budget is %v more", name, got, floor, tc.budget)
		}
	}
}

var packages = ledger.Entry{Text: textOf("SELECT packages"), Rows: 1, Duration: time.Millisecond}

func queries(ctx context.Context) error {
	for range 10 {
		ledger.FromContext(ctx).Record(packages)
	}
	return nil
}

// limitsOf are the limits of the task in ctx.
func limitsOf(ctx context.Context) ledger.Limits { return *ledger.FromContext(ctx).Limits() }

// What is an option of a runner and of a task is, for one task, what the task says.
func TestSharedOptions(t *testing.T) {
	standard := ledger.Limits{RepeatedStatements: 20, SlowStatements: time.Second, IdleTransactions: 10 * time.Second, OperationSpans: 100}
	own := ledger.Limits{RepeatedStatements: 1, SlowStatements: 2, IdleTransactions: 3, OperationSpans: 4}
	set := []SharedOption{WithRepeatedStatements(1), WithSlowStatements(2), WithIdleTransactions(3), WithMaxOperationSpans(4)}
	off := []SharedOption{WithRepeatedStatements(0), WithSlowStatements(0), WithIdleTransactions(0), WithMaxOperationSpans(0)}
	runnerOptions, taskOptions := []Option{}, []TaskOption{}
	for i := range set {
		runnerOptions = append(runnerOptions, set[i])
		taskOptions = append(taskOptions, off[i])
	}
	for name, tc := range map[string]struct {
		runner []Option
		task   []TaskOption
		want   ledger.Limits
	}{
		"default":      {nil, nil, standard},
		"runner":       {runnerOptions, nil, own},
		"task":         {runnerOptions, taskOptions, ledger.Limits{}},
		"one of them":  {runnerOptions, []TaskOption{WithSlowStatements(7), WithSlowStatements(8)}, ledger.Limits{RepeatedStatements: 1, SlowStatements: 8, IdleTransactions: 3, OperationSpans: 4}},
		"task alone":   {nil, []TaskOption{WithMaxOperationSpans(7), nil}, ledger.Limits{RepeatedStatements: 20, SlowStatements: time.Second, IdleTransactions: 10 * time.Second, OperationSpans: 7}},
		"task's wrong": {runnerOptions, []TaskOption{WithIdleTransactions(-1)}, own},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, tc.runner...)
			_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
				wantEqual(t, "limits", limitsOf(ctx), tc.want)
				return b.runner.Run(ctx, "inner", func(ctx context.Context) error {
					if len(tc.runner) > 0 {
						wantEqual(t, "limits of the next task", limitsOf(ctx), own)
					}
					return nil
				})
			}, tc.task...)
			if name == "task's wrong" {
				b.WantHandled("worker: idle transactions: -1ns is negative")
			} else {
				b.WantHandled()
			}
		})
	}
}

// Tasks below a context with a runner are that runner's, unless they say otherwise.
func TestRunnerContext(t *testing.T) {
	defer SetDefault(nil)
	standard, b, other := newBackend(t), newBackend(t, WithPropagator(w3c)), newBackend(t)
	SetDefault(standard.runner)
	ctx := b.runner.Context(t.Context())
	carrier := propagation.MapCarrier{"traceparent": traceParent}
	Inject(trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(w3c.Extract(ctx, carrier))), carrier)
	_ = Run(ctx, "below", func(ctx context.Context) error {
		_ = Run(ctx, "nested", nothing, ContinueFrom(carrier))
		_ = other.runner.Run(ctx, "method", func(ctx context.Context) error { return Run(ctx, "below the method", nothing) })
		return Run(ctx, "option", nothing, WithRunner(other.runner))
	})
	for _, ctx := range []context.Context{(*Runner)(nil).Context(t.Context()), new(Runner).Context(nil)} { //nolint:staticcheck // a nil context is survived
		_ = Run(ctx, "default", nothing)
	}
	names := func(b *backend) (all []string) {
		for _, s := range b.ended() {
			all = append(all, s.Name)
		}
		return all
	}
	wantEqual(t, "the context's", names(b), []string{"nested", "below the method", "below"})
	wantEqual(t, "another's", names(other), []string{"method", "option"})
	wantEqual(t, "the default's", names(standard), []string{"default", "default"})
}
