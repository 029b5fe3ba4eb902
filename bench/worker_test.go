package bench

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/taskspan/taskspan/worker"
)

// BenchmarkRun compares an empty task with a call of the same function.
func BenchmarkRun(b *testing.B) {
	empty := func(context.Context) error { return nil }
	b.Run(string(bare), func(b *testing.B) {
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			if err := empty(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, m := range []mode{sampled, unsampled} {
		b.Run(string(m), func(b *testing.B) {
			tracers, meters := providers(m)
			runner, err := worker.New(worker.WithTracerProvider(tracers), worker.WithMeterProvider(meters),
				worker.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
			if err != nil {
				b.Fatal(err)
			}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := runner.Run(ctx, "bench.empty", empty); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
