package worker

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/errs"
)

// flushing are providers, or a handler, with a ForceFlush of the test's.
type flushing struct {
	*sdktrace.TracerProvider
	flush func(context.Context) error
}

type flushingMeter struct {
	*sdkmetric.MeterProvider
	flush func(context.Context) error
}

type flushingLog struct {
	*logRecorder
	flush func(context.Context) error
}

func (f flushing) ForceFlush(ctx context.Context) error      { return f.flush(ctx) }
func (f flushingMeter) ForceFlush(ctx context.Context) error { return f.flush(ctx) }
func (f flushingLog) ForceFlush(ctx context.Context) error   { return f.flush(ctx) }

// newFlushing returns a backend whose tracer provider is flushed by that function.
func newFlushing(t *testing.T, flush func(context.Context) error, opts ...Option) *backend {
	t.Helper()
	b := newBackend(t)
	b.runner = b.newRunner(append([]Option{WithTracerProvider(flushing{b.TracerProvider, flush})}, opts...)...)
	return b
}

var aPanic = func(context.Context) error { panic("task") }

// What providers and the handler hold is exported before a panic goes on, once the
// task is recorded, and not again within ten seconds.
func TestFlush(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var (
			mu      sync.Mutex
			flushed []string
			b       = newBackend(t)
		)
		flush := func(what string) func(context.Context) error {
			return func(ctx context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				flushed = append(flushed, what)
				if d, ok := ctx.Deadline(); !ok || time.Until(d) != flushTimeout || ctx.Err() != nil {
					t.Errorf("%s: deadline %v", what, d)
				}
				if len(b.ended()) == 0 {
					t.Error("the span has not ended")
				}
				if got := b.Collect(); got["worker.task.active"].Data.(metricdata.Sum[int64]).DataPoints[0].Value != 0 || got["worker.task.duration"].Data == nil {
					t.Error("the metrics are not recorded")
				}
				return nil
			}
		}
		b.runner = b.newRunner(WithTracerProvider(flushing{b.TracerProvider, flush("traces")}),
			WithMeterProvider(flushingMeter{b.MeterProvider, flush("metrics")}), WithLogger(slog.New(flushingLog{b.log, flush("logs")})))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for want, pause := range []time.Duration{0, flushPause - 1, 1} {
			time.Sleep(pause)
			if v := caught(func() { _ = b.runner.Run(ctx, "load", aPanic) }); v != "task" {
				t.Errorf("panicked with %v", v)
			}
			if len(flushed) != 3*max(1, want) {
				t.Errorf("%d: flushed %v", want, flushed)
			}
		}
		slices.Sort(flushed)
		wantEqual(t, "flushed", flushed, []string{"logs", "logs", "metrics", "metrics", "traces", "traces"})
		time.Sleep(flushPause)
		_ = b.runner.Run(ctx, "load", func(context.Context) error { return errBoom })
		if len(flushed) != 6 {
			t.Error("flushed without a panic")
		}
	})
}

// A runner without providers flushes the global ones; what has no ForceFlush is left
// alone.
func TestFlushGlobal(t *testing.T) {
	r := &Runner{config: newConfig(nil)}
	if got := r.flushers(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// All tasks that one panic leaves share two seconds, whatever becomes of it on its
// way.
func TestFlushNested(t *testing.T) {
	goOn := func(f func() error) error { return f() }
	for name, between := range map[string]func(func() error) error{
		"as it is": goOn,
		"another panic": func(f func() error) error {
			defer func() { panic(errors.New("another")) }()
			return f()
		},
		"a future": nil,
	} {
		for want, takes := range map[int64]time.Duration{1: time.Hour, 2: time.Second, 3: 0} {
			t.Run(name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					var flushed atomic.Int64
					b := newFlushing(t, func(ctx context.Context) error {
						flushed.Add(1)
						time.Sleep(takes)
						return nil
					})
					start := time.Now()
					caught(func() {
						_ = b.runner.Run(t.Context(), "outermost", func(ctx context.Context) error {
							return b.runner.Run(ctx, "outer", func(ctx context.Context) error {
								if between == nil {
									_, err := Go(ctx, "inner", func(context.Context) (int, error) { panic("task") }, WithRunner(b.runner)).Wait()
									return err
								}
								return between(func() error { return b.runner.Run(ctx, "inner", aPanic) })
							})
						})
					})
					if d := time.Since(start); flushed.Load() != want || d != min(flushTimeout, 3*takes) {
						t.Errorf("flushed %d times in %v, want %d", flushed.Load(), d, want)
					}
					time.Sleep(2 * time.Hour)
					switch takes {
					case time.Second:
						b.TakeHandled() // the second flush returns just when its time is over
					case time.Hour:
						b.WantHandled("worker: the flush before a panic has not returned in time")
					}
				})
			})
		}
	}
}

// Runners do not keep a panic longer together than one does.
func TestFlushOfTwoRunners(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return nil }
		inner, outer := newFlushing(t, hang), newFlushing(t, hang)
		start := time.Now()
		caught(func() {
			_ = outer.runner.Run(t.Context(), "outer", func(ctx context.Context) error { return inner.runner.Run(ctx, "inner", aPanic) })
		})
		if d := time.Since(start); d != flushTimeout {
			t.Errorf("flushed for %v", d)
		}
		outer.WantHandled("worker: the flush before a panic has not returned in time")
	})
}

// The tasks of a group hear of a panic before it is flushed.
func TestFlushInGroup(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newFlushing(t, func(ctx context.Context) error { <-ctx.Done(); return nil })
		start := time.Now()
		g, ctx := NewGroup(t.Context())
		g.Go("panics", aPanic, WithRunner(b.runner))
		<-ctx.Done()
		if d := time.Since(start); d != 0 {
			t.Errorf("the context was cancelled after %v", d)
		}
		caught(func() { _ = g.Wait() })
		b.WantHandled("worker: the flush before a panic has not returned in time")
	})
}

// A flush that fails, panics or hangs does not keep the panic.
func TestFlushFails(t *testing.T) {
	for name, tc := range map[string]struct {
		flush func(context.Context) error
		want  []string
		takes time.Duration
	}{
		"fails":  {func(context.Context) error { return errBoom }, []string{"worker: flushing before a panic: boom"}, 0},
		"panics": {func(context.Context) error { panic("flush") }, []string{"worker: a flush panicked with a string"}, 0},
		"exits":  {func(context.Context) error { runtime.Goexit(); return nil }, nil, 0},
		"hangs":  {func(context.Context) error { time.Sleep(time.Hour); return nil }, []string{"worker: the flush before a panic has not returned in time"}, flushTimeout},
		"waits in vain": {func(ctx context.Context) error { <-ctx.Done(); time.Sleep(1); return ctx.Err() }, []string{
			"worker: the flush before a panic has not returned in time", "worker: flushing before a panic: context deadline exceeded",
		}, flushTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newFlushing(t, tc.flush)
				start := time.Now()
				if v := caught(func() { _ = b.runner.Run(t.Context(), "load", aPanic) }); v != "task" {
					t.Errorf("panicked with %v", v)
				}
				if d := time.Since(start); d != tc.takes {
					t.Errorf("took %v", d)
				}
				time.Sleep(2 * time.Hour)
				b.WantHandled(tc.want...)
			})
		})
	}
}

// http.ErrAbortHandler passes, even where panics are recovered: a server waits for it.
func TestAbortHandler(t *testing.T) {
	abort := func(context.Context) error { time.Sleep(took); panic(http.ErrAbortHandler) }
	for name, run := range map[string]func(*Runner, context.Context) error{
		"Run": func(r *Runner, ctx context.Context) error { return r.Run(ctx, "load", abort) },
		"Do": func(r *Runner, ctx context.Context) error {
			_, err := Do(ctx, "load", func(ctx context.Context) (int, error) { return 0, abort(ctx) }, WithRunner(r))
			return err
		},
		"Go": func(r *Runner, ctx context.Context) error {
			_, err := Go(ctx, "load", func(ctx context.Context) (int, error) { return 0, abort(ctx) }, WithRunner(r)).Wait()
			return err
		},
		"Group": func(r *Runner, ctx context.Context) error {
			g, _ := NewGroup(ctx)
			g.Go("load", abort, WithRunner(r))
			return g.Wait()
		},
	} {
		for _, opts := range [][]Option{nil, {WithRecoverPanics()}} {
			t.Run(name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					b := newFlushing(t, func(context.Context) error { t.Error("flushed"); return nil }, opts...)
					got := caught(func() { _ = run(b.runner, t.Context()) })
					if got != any(http.ErrAbortHandler) {
						t.Errorf("panicked with %v", got)
					}
					row := row{result: "cancellation", cause: errs.Message(http.ErrAbortHandler)}
					row.wantTelemetry(b, kv{"worker.task.name": "load", "code.function.name": b.ended()[0].Attributes()["code.function.name"]}, "")
				})
			})
		}
	}
}
