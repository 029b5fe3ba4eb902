package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/oteltest"
)

// nilSpans is a tracer provider whose tracers return nothing.
type nilSpans struct{ tracenoop.TracerProvider }

type nilTracer struct{ tracenoop.Tracer }

func (nilSpans) Tracer(string, ...trace.TracerOption) trace.Tracer { return nilTracer{} }
func (nilTracer) Start(context.Context, string, ...trace.SpanStartOption) (context.Context, trace.Span) {
	return nil, nil
}

// A span that is not there is not the span in the context.
func TestNoSpan(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		r := b.newRunner(WithTracerProvider(nilSpans{}))
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			_ = r.Run(ctx, "inner", func(ctx context.Context) error { return fails(ctx) })
			if !trace.SpanFromContext(ctx).IsRecording() {
				t.Error("the outer span has ended")
			}
			return nil
		})
		b.WantSpans(b.ended()[0])
		if len(b.log.records) != 1 {
			t.Errorf("%v", b.log.records)
		}
	})
}

// gauges returns the values of the gauges, by metric and name.
func (b *backend) gauges() map[string]map[string]float64 {
	b.t.Helper()
	out := make(map[string]map[string]float64)
	for name, m := range b.Collect() {
		g, ok := m.Data.(metricdata.Gauge[float64])
		if !ok {
			continue
		}
		if m.Unit != "s" {
			b.t.Errorf("%s in %s", name, m.Unit)
		}
		out[name] = make(map[string]float64)
		for _, p := range g.DataPoints {
			v, _ := p.Attributes.Value("worker.task.name")
			if p.Attributes.Len() != 1 {
				b.t.Errorf("%s: %v", name, p.Attributes)
			}
			out[name][v.AsString()] = p.Value
		}
	}
	return out
}

const (
	oldestAge     = "worker.task.oldest.age"
	lastSuccess   = "worker.task.last_success.timestamp"
	interval      = "worker.task.schedule.interval"
	scheduleStart = "worker.task.schedule.start.timestamp"
)

// bubbleStart is the Unix time at which a test's bubble starts.
const bubbleStart = 946684800.

// Runners on one meter provider observe each name once.
func TestGaugesShared(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithSchedule("load", time.Minute), WithSchedule("never", time.Hour), WithSchedule("load", 2*time.Minute))
		other := b.newRunner(WithSchedule("load", 3*time.Minute))
		time.Sleep(time.Second) // the schedules began before
		want := func(age, success map[string]float64) {
			t.Helper()
			got := b.gauges()
			wantEqual(t, "age", got[oldestAge], age)
			wantEqual(t, "last success", got[lastSuccess], success)
			if len(got[interval]) > 0 {
				wantEqual(t, "interval", got[interval], map[string]float64{"load": 180, "never": 3600})
				wantEqual(t, "start", got[scheduleStart], map[string]float64{"load": bubbleStart, "never": bubbleStart})
			}
		}
		want(nil, nil)

		sleep := func(d time.Duration, err error) func(context.Context) (int, error) {
			return func(context.Context) (int, error) { time.Sleep(d); return 0, err }
		}
		f1 := Go(t.Context(), "load", sleep(10*time.Second, nil), WithRunner(b.runner))
		time.Sleep(time.Second)
		f2 := Go(t.Context(), "load", sleep(3*time.Second, nil), WithRunner(other))
		f3 := Go(t.Context(), "never", sleep(time.Second, errTyped), WithRunner(other))
		f4 := Go(t.Context(), "skip", sleep(time.Second, Skip(nil)), WithRunner(other))
		time.Sleep(500 * time.Millisecond)
		want(map[string]float64{"load": 1.5, "never": .5, "skip": .5}, nil)
		_, _ = f3.Wait()
		_, _ = f4.Wait()
		_, _ = f2.Wait() // at 5 s
		want(map[string]float64{"load": 4}, map[string]float64{"load": bubbleStart + 5})
		time.Sleep(time.Second)
		want(map[string]float64{"load": 5}, map[string]float64{"load": bubbleStart + 5})
		_, _ = f1.Wait() // at 11 s
		want(nil, map[string]float64{"load": bubbleStart + 11})

		// The names of a runner go with it, unless another one has them too.
		if err := other.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if err := other.Run(t.Context(), "after", nothing); err != ErrDraining {
			t.Error(err)
		}
		want(nil, map[string]float64{"load": bubbleStart + 11})
		again := b.newRunner(WithSchedule("load", 3*time.Minute))
		want(nil, map[string]float64{"load": bubbleStart + 11})
		for _, r := range []*Runner{again, b.runner} {
			if err := r.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		}
		wantEqual(t, "drained", b.gauges(), map[string]map[string]float64{})
		gaugeGroups.mu.Lock()
		defer gaugeGroups.mu.Unlock()
		if groupOn(providerKey(b.MeterProvider)) != nil {
			t.Error("the group is still there")
		}
	})
}

// However many tasks start before the provider is set, and end after, the number
// of those that run is exact, and a task that never succeeded has no last success.
func TestGaugesOfProviderSetLater(t *testing.T) {
	if !alone(t) {
		return
	}
	r, err := New(WithSchedule("load", time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var tasks []*Future[int]
	for range 3 {
		tasks = append(tasks, Go(t.Context(), "load", func(context.Context) (int, error) { <-end; return 0, errBoom }, WithRunner(r)))
	}
	b := newBackend(t)
	otel.SetMeterProvider(b.MeterProvider)
	want := func(n int64) {
		t.Helper()
		b.WantMetric(activeMetric(map[string]int64{"load": n}))
		if got, ok := b.gauges()[lastSuccess]; ok {
			t.Errorf("last success %v", got)
		}
	}
	want(3)
	close(end)
	for _, f := range tasks {
		_, _ = f.Wait()
	}
	want(0)
}

// A provider that becomes the global one has the same gauges as before.
func TestGaugesSharedWithGlobal(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBackend(t)
	otel.SetMeterProvider(b.MeterProvider)
	global, err := New(WithTracerProvider(b.TracerProvider))
	if err != nil {
		t.Fatal(err)
	}
	if global.names.group != b.runner.names.group {
		t.Error("two groups on one provider")
	}
	if err := errors.Join(global.Drain(t.Context()), b.runner.Drain(t.Context())); err != nil {
		t.Error(err)
	}
}

// A timestamp that was observed does not move when the wall clock does.
func TestLastSuccessStands(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		step := time.Duration(0)
		b := newBackend(t, optionFunc(func(c *config) { c.now = func() time.Time { return time.Now().Add(step) } }))
		_ = b.runner.Run(t.Context(), "load", nothing)
		for range 3 {
			if got := b.gauges()[lastSuccess]["load"]; got != bubbleStart {
				t.Errorf("%v", got)
			}
			step += time.Minute
			time.Sleep(time.Second)
		}
	})
}

// incomparable is a provider that is no map key.
type incomparable struct {
	metricnoop.MeterProvider
	_ []int
}

func TestIncomparableProvider(t *testing.T) {
	for range 2 {
		r, err := New(WithMeterProvider(incomparable{}), WithTracerProvider(tracenoop.NewTracerProvider()))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context(), "load", nothing); err != nil {
			t.Error(err)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// stubborn is a provider whose callbacks cannot be unregistered.
type stubborn struct{ metricnoop.MeterProvider }

type stubbornMeter struct{ metricnoop.Meter }

type stubbornRegistration struct{ metricnoop.Registration }

func (stubborn) Meter(string, ...metric.MeterOption) metric.Meter { return stubbornMeter{} }
func (stubbornMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return stubbornRegistration{}, nil
}
func (stubbornRegistration) Unregister() error { return errBoom }

func TestUnregisterFails(t *testing.T) {
	f := oteltest.RecordHandled(t)
	r, err := New(WithMeterProvider(stubborn{}), WithTracerProvider(tracenoop.NewTracerProvider()))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	f.WantHandled("worker: unregistering gauges: boom")
}
