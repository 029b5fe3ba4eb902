package instrument

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "the value of a panic"

var scope = &Scope{Package: "pkg", Name: "example.com/pkg", Version: "v1.2.3", SchemaURL: "https://example.com/schema"}

// handled returns the errors that f reports to otel.Handle.
func handled(t *testing.T, f func()) (texts []string) {
	t.Helper()
	before := otel.GetErrorHandler()
	defer otel.SetErrorHandler(before)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { texts = append(texts, err.Error()) }))
	f()
	return texts
}

func TestHandle(t *testing.T) {
	got := handled(t, func() {
		Handle(nil)
		Handle(errors.New("one"))
	})
	if want := []string{"one"}; !slices.Equal(got, want) {
		t.Errorf("handled %q, want %q", got, want)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { panic(secret) }))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	Handle(errors.New("two")) // which does not panic
}

func TestGuard(t *testing.T) {
	guarded := func(f func()) {
		defer scope.Guard("the tracer")
		f()
	}
	got := handled(t, func() {
		guarded(func() { panic(secret) })
		guarded(func() {})
	})
	if want := []string{"pkg: the tracer panicked with a string"}; !slices.Equal(got, want) {
		t.Errorf("handled %q, want %q", got, want)
	}
}

func TestGuardTo(t *testing.T) {
	guarded := func(f func() error) (err error) {
		defer scope.GuardTo(&err, "the meter")
		return f()
	}
	if err := guarded(func() error { panic(errors.New(secret)) }); err == nil || err.Error() != "pkg: the meter panicked with a *errors.errorString" {
		t.Errorf("error of a panic: %v", err)
	}
	own := errors.New("own")
	if err := guarded(func() error { return own }); err != own {
		t.Errorf("error of a return: %v", err)
	}
}

type tracerProvider struct {
	tracenoop.TracerProvider
	tracer func() trace.Tracer
}

func (p tracerProvider) Tracer(string, ...trace.TracerOption) trace.Tracer { return p.tracer() }

func TestTracer(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tracer, err := scope.Tracer(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Start(t.Context(), "span")
	span.End()
	if got := spans.GetSpans()[0].InstrumentationScope; got.Name != scope.Name || got.Version != scope.Version || got.SchemaURL != scope.SchemaURL {
		t.Errorf("the scope is %+v", got)
	}
	for _, tt := range []struct {
		name string
		p    trace.TracerProvider
		want string
	}{
		{"nil tracer", tracerProvider{tracer: func() trace.Tracer { return nil }}, "pkg: the tracer provider returned no tracer; nothing is traced"},
		{"panic", tracerProvider{tracer: func() trace.Tracer { panic(secret) }}, "pkg: the tracer provider panicked with a string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tracer, err := scope.Tracer(tt.p)
			if err == nil || err.Error() != tt.want {
				t.Errorf("the error is %v, want %s", err, tt.want)
			}
			if tracer != (tracenoop.Tracer{}) {
				t.Errorf("the tracer is a %T", tracer)
			}
		})
	}
}

type meterProvider struct {
	metricnoop.MeterProvider
	meter func() metric.Meter
}

func (p meterProvider) Meter(string, ...metric.MeterOption) metric.Meter { return p.meter() }

// badMeter makes one instrument in each way in which that can fail.
type badMeter struct{ metricnoop.Meter }

var errMeter = errors.New("no such instrument")

func (badMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, nil //nolint:nilnil // which is what is tested
}

func (badMeter) Int64Histogram(string, ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	panic(secret)
}

func (badMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errMeter
}

// instruments makes and uses one instrument of each kind.
func instruments(ctx context.Context, m *Meter) {
	m.Float64Histogram("a", metric.WithUnit("s")).Record(ctx, 1)
	m.Int64Histogram("b").Record(ctx, 1)
	m.Int64Counter("c").Add(ctx, 1)
	m.Int64UpDownCounter("d").Add(ctx, 1)
}

func TestMeter(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	m := scope.Meter(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	instruments(t.Context(), m)
	if err := m.Err(); err != nil {
		t.Error(err)
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range data.ScopeMetrics {
		if s.Scope.Name != scope.Name || s.Scope.Version != scope.Version || s.Scope.SchemaURL != scope.SchemaURL {
			t.Errorf("the scope is %+v", s.Scope)
		}
		for _, m := range s.Metrics {
			names = append(names, m.Name+m.Unit)
		}
	}
	slices.Sort(names)
	if want := []string{"as", "b", "c", "d"}; !slices.Equal(names, want) {
		t.Errorf("the instruments are %q, want %q", names, want)
	}
}

func TestMeterThatFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    metric.MeterProvider
		want []string
	}{
		{"nil meter", meterProvider{meter: func() metric.Meter { return nil }}, []string{"pkg: the meter provider returned no meter; nothing is measured"}},
		{"panic", meterProvider{meter: func() metric.Meter { panic(secret) }}, []string{"pkg: the meter provider panicked with a string"}},
		{"instruments", meterProvider{meter: func() metric.Meter { return badMeter{} }}, []string{
			"pkg: the meter returned no a",
			"pkg: the meter panicked with a string",
			errMeter.Error(),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := scope.Meter(tt.p)
			instruments(t.Context(), m)
			if err := m.Err(); err == nil || err.Error() != strings.Join(tt.want, "\n") {
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestGlobalProviders(t *testing.T) {
	tp, mp := otel.GetTracerProvider(), otel.GetMeterProvider()
	defer otel.SetTracerProvider(tp)
	defer otel.SetMeterProvider(mp)
	otel.SetTracerProvider(tracerProvider{tracer: func() trace.Tracer { return nil }})
	otel.SetMeterProvider(meterProvider{meter: func() metric.Meter { return nil }})
	if _, err := scope.Tracer(nil); err == nil {
		t.Error("Tracer(nil) did not ask the global provider")
	}
	if scope.Meter(nil).Err() == nil {
		t.Error("Meter(nil) did not ask the global provider")
	}
}

func TestClock(t *testing.T) {
	before := time.Now()
	a, b := SystemClock.Now(), SystemClock.Now()
	if b < a {
		t.Errorf("the clock went from %v to %v", a, b)
	}
	at := SystemClock.Time(a)
	if at.Before(before) || at.After(time.Now()) {
		t.Errorf("the time of a reading between %v and now is %v", before, at)
	}
	if d := SystemClock.Time(b).Sub(at); d != b-a {
		t.Errorf("two times are %v apart, their readings %v", d, b-a)
	}
	if n := testing.AllocsPerRun(100, func() { SystemClock.Now() }); n != 0 {
		t.Errorf("a reading makes %v allocations", n)
	}
}

// ending calls f and returns how that ended, 0 for a return.
func ending(f func()) (e Ending) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := ErrNotReturned
		defer func() {
			p := recover()
			if err == ErrNotReturned {
				e = Unwinding()
			}
			_ = p
		}()
		f()
		err = nil
	}()
	<-done
	return e
}

// unrecovered is ending for whoever passes the panic on.
func unrecovered(f func()) (e Ending) {
	ending(func() {
		err := ErrNotReturned
		defer func() {
			if err == ErrNotReturned {
				e = Unwinding()
			}
		}()
		f()
		err = nil
	})
	return e
}

func TestUnwinding(t *testing.T) {
	deferred := func(deferred, body func()) func() {
		return func() {
			defer deferred()
			body()
		}
	}
	panics := func() { panic(secret) }
	recovers := func() { _ = recover() }
	// A deferred function that is deep in calls when it asks.
	var deep func(n int, f func())
	deep = func(n int, f func()) {
		if n > 0 {
			deep(n-1, f)
			return
		}
		f()
	}
	for _, tt := range []struct {
		name string
		f    func()
		want Ending
	}{
		{"return", func() {}, 0},
		{"panic", panics, Panicked},
		{"runtime error", func() { _ = []int{}[len(os.Args)] }, Panicked},
		{"Goexit", runtime.Goexit, Exited},
		{"panic far below", func() { deep(500, panics) }, Panicked},
		{"Goexit far below", func() { deep(500, runtime.Goexit) }, Exited},
		{"panic on the way of a Goexit", deferred(panics, runtime.Goexit), Panicked},
		{"Goexit on the way of a panic", deferred(runtime.Goexit, panics), Exited},
		{"panic that is recovered on the way of a Goexit", deferred(func() { deferred(recovers, panics)() }, runtime.Goexit), Exited},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ending(tt.f); got != tt.want {
				t.Errorf("recovered: %d, want %d", got, tt.want)
			}
			if got := unrecovered(tt.f); got != tt.want {
				t.Errorf("not recovered: %d, want %d", got, tt.want)
			}
		})
	}
}

// TestUnwindingOfNilPanics runs in a process of its own: with GODEBUG=panicnil=1,
// recover returns nil for panic(nil) too.
func TestUnwindingOfNilPanics(t *testing.T) {
	const variable = "TASKSPAN_NIL_PANIC"
	if os.Getenv(variable) != "" {
		var value any
		fmt.Println("panic(nil):", ending(func() { panic(value) }) == Panicked)
		fmt.Println("Goexit:", ending(runtime.Goexit) == Exited)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUnwindingOfNilPanics$")
	cmd.Env = append(cmd.Environ(), variable+"=1", "GODEBUG=panicnil=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if s := string(out); !strings.Contains(s, "panic(nil): true\nGoexit: true\n") {
		t.Errorf("the process printed %s", s)
	}
}
