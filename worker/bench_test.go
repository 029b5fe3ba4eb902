package worker

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// discard is a span processor that makes the SDK record spans, and keeps none.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

// floor is what a task costs that is instrumented by hand, with all that can be
// made once made once: a span with the same attributes, a record of its
// duration, the active counter, and the two readings of the clock.
type floor struct {
	tracer   trace.Tracer
	start    []trace.SpanStartOption
	result   []attribute.KeyValue
	duration metric.Float64Histogram
	record   []metric.RecordOption
}

func newFloor(tp trace.TracerProvider, mp metric.MeterProvider) *floor {
	m := mp.Meter("floor")
	f := &floor{
		tracer: tp.Tracer("floor"),
		start: []trace.SpanStartOption{trace.WithAttributes(
			keyTaskName.String("load"), semconv.CodeFunctionName("github.com/taskspan/taskspan/worker.nothing"))},
		result: []attribute.KeyValue{keyTaskResult.String("success")},
		record: []metric.RecordOption{metric.WithAttributeSet(
			attribute.NewSet(keyTaskName.String("load"), keyTaskResult.String("success")))},
	}
	f.duration, _ = m.Float64Histogram("duration", metric.WithExplicitBucketBoundaries(durationBuckets...))
	return f
}

func (f *floor) run(ctx context.Context, fn func(context.Context) error) error {
	start := time.Now()
	ctx, span := f.tracer.Start(ctx, "load", f.start...)
	err := fn(ctx)
	span.SetAttributes(f.result...)
	span.End()
	f.duration.Record(ctx, time.Since(start).Seconds(), f.record...)
	return err
}

// group runs tasks on goroutines of their own, and waits for them.
func (f *floor) group(ctx context.Context, n int) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { _ = f.run(ctx, nothing) })
	}
	wg.Wait()
}

func nothing(context.Context) error { return nil }

// providers are what the benchmarks compare on.
func providers(b *testing.B, f func(b *testing.B, tp trace.TracerProvider, mp metric.MeterProvider)) {
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	b.Run("sampled", func(b *testing.B) {
		f(b, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(discard{})), mp)
	})
	b.Run("unsampled", func(b *testing.B) {
		f(b, sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())), mp)
	})
	b.Run("noop", func(b *testing.B) {
		f(b, tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider())
	})
}

func benchRunner(b *testing.B, tp trace.TracerProvider, mp metric.MeterProvider) *Runner {
	b.Helper()
	r, err := New(WithTracerProvider(tp), WithMeterProvider(mp))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := r.Drain(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return r
}

func BenchmarkRun(b *testing.B) {
	ctx := context.Background()
	providers(b, func(b *testing.B, tp trace.TracerProvider, mp metric.MeterProvider) {
		b.Run("floor", func(b *testing.B) {
			f := newFloor(tp, mp)
			b.ReportAllocs()
			for b.Loop() {
				_ = f.run(ctx, nothing)
			}
		})
		b.Run("run", func(b *testing.B) {
			r := benchRunner(b, tp, mp)
			b.ReportAllocs()
			for b.Loop() {
				_ = r.Run(ctx, "load", nothing)
			}
		})
	})
}

func value(context.Context) (int, error)           { return 1, nil }
func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

// BenchmarkForms compares the other forms of a task with the floor of Run, and
// those on goroutines with that of goroutines.
func BenchmarkForms(b *testing.B) {
	ctx := context.Background()
	const tasks = 8
	providers(b, func(b *testing.B, tp trace.TracerProvider, mp metric.MeterProvider) {
		f := newFloor(tp, mp)
		with := WithRunner(benchRunner(b, tp, mp))
		double := Wrap("load", double, with)
		for _, form := range []struct {
			name string
			run  func()
		}{
			{"floor", func() { _ = f.run(ctx, nothing) }},
			{"do", func() { _, _ = Do(ctx, "load", value, with) }},
			{"wrap", func() { _, _ = double(ctx, 1) }},
			{"floor of a goroutine", func() { f.group(ctx, 1) }},
			{"go", func() { _, _ = Go(ctx, "load", value, with).Wait() }},
			{"floor of 8 goroutines", func() { f.group(ctx, tasks) }},
			{"group of 8", func() {
				g, _ := NewGroup(ctx)
				for range tasks {
					g.Go("load", nothing, with)
				}
				_ = g.Wait()
			}},
		} {
			b.Run(form.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					form.run()
				}
			})
		}
	})
}

// BenchmarkEnds is what it costs to end otherwise than with success.
func BenchmarkEnds(b *testing.B) {
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(discard{}))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	r, err := New(WithTracerProvider(tp), WithMeterProvider(mp), WithRecoverPanics(), WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		b.Fatal(err)
	}
	for name, fn := range map[string]func(context.Context) error{
		"failure": fails,
		"panic":   func(context.Context) error { panic("x") },
		"queries": func(ctx context.Context) error { query(ctx, "SELECT packages", 10, 1); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = r.Run(context.Background(), "load", fn)
			}
		})
	}
}

func BenchmarkInput(b *testing.B) {
	v := &job{ID: 1}
	b.ReportAllocs()
	for b.Loop() {
		_ = appendInput(nil, v)
	}
}

func BenchmarkRunParallel(b *testing.B) {
	ctx := context.Background()
	providers(b, func(b *testing.B, tp trace.TracerProvider, mp metric.MeterProvider) {
		b.Run("floor", func(b *testing.B) {
			f := newFloor(tp, mp)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = f.run(ctx, nothing)
				}
			})
		})
		b.Run("run", func(b *testing.B) {
			r := benchRunner(b, tp, mp)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = r.Run(ctx, "load", nothing)
				}
			})
		})
	})
}
