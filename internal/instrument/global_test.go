package instrument

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// alone reports whether the test has the process for itself, and otherwise runs it in one: the stand-ins for the
// global providers forward only once.
func alone(t *testing.T) bool {
	t.Helper()
	const variable = "TASKSPAN_ALONE"
	if os.Getenv(variable) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(cmd.Environ(), variable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// sums returns the values of the counters and gauges that a reader collects, and the counts of the histograms.
func sums(t *testing.T, r sdkmetric.Reader) map[string]int64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]int64)
	for _, s := range data.ScopeMetrics {
		for _, m := range s.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					out[m.Name] += p.Value
				}
			case metricdata.Histogram[int64]:
				out[m.Name] = int64(d.DataPoints[0].Count)
			case metricdata.Histogram[float64]:
				out[m.Name] = int64(d.DataPoints[0].Count)
			}
		}
	}
	return out
}

func wantSums(t *testing.T, r sdkmetric.Reader, want map[string]int64) {
	t.Helper()
	got := sums(t, r)
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d, want %d", name, got[name], n)
		}
	}
	for name, n := range got {
		if _, ok := want[name]; !ok && n != 0 {
			t.Errorf("%s: %d, want none", name, n)
		}
	}
}

// observed registers an observable counter that is always 7.
func observed(m *Meter) (metric.Registration, error) {
	c, err := m.Int64ObservableUpDownCounter("seven")
	if err != nil {
		return nil, err
	}
	return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(c, 7)
		return nil
	}, c)
}

// Goroutines that use what was made before any provider was set, while providers are set one after the other: each
// point is in one of them, the callback in the last.
func TestInstrumentsFollow(t *testing.T) {
	if !alone(t) {
		return
	}
	m := scope.Meter(nil)
	counter, up, whole, part := m.Int64Counter("c"), m.Int64UpDownCounter("u"), m.Int64Histogram("i"), m.Float64Histogram("f")
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	o, err := scope.Observe(nil, observed)
	if err != nil {
		t.Fatal(err)
	}
	var readers []sdkmetric.Reader
	set := func() {
		r := sdkmetric.NewManualReader()
		readers = append(readers, r)
		otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)))
	}
	set()
	const users, providers, uses = 4, 5, 100
	for range providers {
		var wg sync.WaitGroup
		for range users {
			wg.Go(func() {
				for range uses {
					counter.Add(t.Context(), 1)
					up.Add(t.Context(), 1)
					whole.Record(t.Context(), 1)
					part.Record(t.Context(), 1)
				}
			})
		}
		set()
		wg.Wait()
	}
	if !counter.Enabled(t.Context()) || !up.Enabled(t.Context()) || !whole.Enabled(t.Context()) || !part.Enabled(t.Context()) {
		t.Error("not enabled")
	}
	counter.Add(t.Context(), 1)
	wantNow := func(i int, seven int64) {
		t.Helper()
		if got := sums(t, readers[i])["seven"]; got != seven {
			t.Errorf("provider %d observed %d, want %d", i, got, seven)
		}
	}
	total := make(map[string]int64)
	for i, r := range readers {
		for name, n := range sums(t, r) {
			total[name] += n
		}
		if i < providers {
			wantNow(i, 0)
		}
	}
	wantNow(providers, 7)
	const all = users * providers * uses
	if want := map[string]int64{"c": all + 1, "u": all, "i": all, "f": all, "seven": 7}; !equal(total, want) {
		t.Errorf("in total %v, want %v", total, want)
	}
	if err := errors.Join(o.Stop(), o.Stop()); err != nil {
		t.Error(err)
	}
	wantNow(providers, 0)
	set()
	counter.Add(t.Context(), 1)
	wantSums(t, readers[providers+1], map[string]int64{"c": 1})
}

func equal(a, b map[string]int64) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// The stand-in is the global provider, also for whoever gave it as an option.
func TestStandIn(t *testing.T) {
	if !alone(t) {
		return
	}
	tp, mp := otel.GetTracerProvider(), otel.GetMeterProvider()
	if !IsGlobal(tp) || !IsGlobal(mp) || !IsGlobal(nil) || IsGlobal(tracenoop.NewTracerProvider()) {
		t.Error("IsGlobal takes one for the other")
	}
	c := scope.Meter(mp).Int64Counter("c")
	o, err := scope.Observe(mp, observed)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := sdkmetric.NewManualReader()
		p := sdkmetric.NewMeterProvider(sdkmetric.WithReader(r))
		otel.SetMeterProvider(p)
		c.Add(t.Context(), 1)
		wantSums(t, r, map[string]int64{"c": 1, "seven": 7})
		if !o.On(p) || o.On(mp) {
			t.Error("it is not on the provider")
		}
	}
}

// What a callback is given to does not change where the provider is the user's.
func TestObservationOfOneProvider(t *testing.T) {
	r := sdkmetric.NewManualReader()
	p := sdkmetric.NewMeterProvider(sdkmetric.WithReader(r))
	o, err := scope.Observe(p, observed)
	if err != nil {
		t.Fatal(err)
	}
	FollowGlobal()
	wantSums(t, r, map[string]int64{"seven": 7})
	if err := o.Stop(); err != nil {
		t.Error(err)
	}
	wantSums(t, r, nil)
	if (*Observation)(nil).On(p) || o.On(p) {
		t.Error("it is still there")
	}
}

func TestObservationThatFails(t *testing.T) {
	for _, tt := range []struct {
		name     string
		register func(*Meter) (metric.Registration, error)
		want     string
	}{
		{"error", func(*Meter) (metric.Registration, error) { return nil, errMeter }, errMeter.Error()},
		{"nothing", func(*Meter) (metric.Registration, error) { return nil, nil }, "pkg: the meter returned no registration"}, //nolint:nilnil // which is tested
		{"panic", func(*Meter) (metric.Registration, error) { panic(secret) }, "pkg: the meter panicked with a string"},
	} {
		for _, p := range []metric.MeterProvider{nil, metricnoop.NewMeterProvider()} {
			o, err := scope.Observe(p, tt.register)
			if err == nil || err.Error() != tt.want {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
			}
			if err := o.Stop(); err != nil {
				t.Errorf("%s: Stop: %v", tt.name, err)
			}
		}
	}
}

// A provider without a meter is reported once; the next one is followed.
func TestFollowingAProviderThatFails(t *testing.T) {
	if !alone(t) {
		return
	}
	otel.SetMeterProvider(metricnoop.NewMeterProvider()) // which the stand-in forwards to: a bad one makes it panic
	c := scope.Meter(nil).Int64Counter("c")
	if _, err := scope.Observe(nil, observed); err != nil {
		t.Fatal(err)
	}
	got := handled(t, func() {
		otel.SetMeterProvider(meterProvider{meter: func() metric.Meter { return nil }})
		c.Add(t.Context(), 1)
		c.Add(t.Context(), 1)
	})
	const text = "pkg: the meter provider returned no meter; nothing is measured"
	if want := []string{text, text}; !slices.Equal(got, want) { // counter and callback
		t.Errorf("handled %q, want %q", got, want)
	}
	r := sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)))
	c.Add(t.Context(), 1)
	wantSums(t, r, map[string]int64{"c": 1, "seven": 7})
}

func TestFollowingAllocatesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	tracer, err := scope.Tracer(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := scope.Meter(nil).Float64Histogram("f")
	bare := tracer.(*globalTracer).current.Load().uses
	spans := func() float64 { return testing.AllocsPerRun(100, func() { bare.Start(t.Context(), "s") }) }()
	if n := testing.AllocsPerRun(100, func() { tracer.Start(t.Context(), "s") }); n != spans {
		t.Errorf("a span makes %v allocations, without following %v", n, spans)
	}
	if n := testing.AllocsPerRun(100, func() { h.Record(t.Context(), 1) }); n != 0 {
		t.Errorf("a point makes %v allocations", n)
	}
}

// The difference is what following costs.
func BenchmarkFollowing(b *testing.B) {
	before := otel.GetTracerProvider()
	defer otel.SetTracerProvider(before)
	otel.SetTracerProvider(&tracenoop.TracerProvider{}) // pointers, as the SDK's are
	otel.SetMeterProvider(&metricnoop.MeterProvider{})
	ctx := b.Context()
	following, _ := scope.Tracer(nil)
	bare, _ := scope.Tracer(tracenoop.NewTracerProvider())
	b.Run("tracer/bare", func(b *testing.B) {
		for b.Loop() {
			bare.Start(ctx, "s")
		}
	})
	b.Run("tracer/following", func(b *testing.B) {
		for b.Loop() {
			following.Start(ctx, "s")
		}
	})
	h, bareH := scope.Meter(nil).Float64Histogram("f"), scope.Meter(metricnoop.NewMeterProvider()).Float64Histogram("f")
	b.Run("histogram/bare", func(b *testing.B) {
		for b.Loop() {
			bareH.Record(ctx, 1)
		}
	})
	b.Run("histogram/following", func(b *testing.B) {
		for b.Loop() {
			h.Record(ctx, 1)
		}
	})
}

// What was made from one provider follows to the next, and back: each has its own points and spans.
func TestFollowing(t *testing.T) {
	tp, mp := otel.GetTracerProvider(), otel.GetMeterProvider()
	defer otel.SetTracerProvider(tp)
	defer otel.SetMeterProvider(mp)
	var readers [2]sdkmetric.Reader
	var meters [2]*sdkmetric.MeterProvider
	var exporters [2]*tracetest.InMemoryExporter
	var tracers [2]*sdktrace.TracerProvider
	for i := range meters {
		readers[i], exporters[i] = sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()
		meters[i] = sdkmetric.NewMeterProvider(sdkmetric.WithReader(readers[i]))
		tracers[i] = sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporters[i]))
	}
	set := func(i int) {
		otel.SetMeterProvider(meters[i])
		otel.SetTracerProvider(tracers[i])
	}
	set(0)
	tracer, err := scope.Tracer(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := scope.Meter(nil)
	counter, up, whole, part := m.Int64Counter("c"), m.Int64UpDownCounter("u"), m.Int64Histogram("i"), m.Float64Histogram("f")
	o, err := scope.Observe(nil, observed)
	if err := errors.Join(err, m.Err()); err != nil {
		t.Fatal(err)
	}
	use := func() {
		counter.Add(t.Context(), 1)
		up.Add(t.Context(), 1)
		whole.Record(t.Context(), 1)
		part.Record(t.Context(), 1)
		_, span := tracer.Start(t.Context(), "span")
		span.End()
		if !counter.Enabled(t.Context()) || !up.Enabled(t.Context()) || !whole.Enabled(t.Context()) || !part.Enabled(t.Context()) {
			t.Error("not enabled")
		}
	}
	use()
	set(1)
	use()
	use()
	wantSums(t, readers[0], map[string]int64{"c": 1, "u": 1, "i": 1, "f": 1})
	wantSums(t, readers[1], map[string]int64{"c": 2, "u": 2, "i": 2, "f": 2, "seven": 7})
	if !o.On(meters[1]) || o.On(meters[0]) {
		t.Error("the callback is not on the second provider alone")
	}
	set(0)
	use()
	wantSums(t, readers[0], map[string]int64{"c": 2, "u": 2, "i": 2, "f": 2, "seven": 7})
	if n, m := len(exporters[0].GetSpans()), len(exporters[1].GetSpans()); n != 2 || m != 2 {
		t.Errorf("%d and %d spans, want 2 of each", n, m)
	}
	if err := o.Stop(); err != nil {
		t.Error(err)
	}
	wantSums(t, readers[0], map[string]int64{"c": 2, "u": 2, "i": 2, "f": 2})
}
