package tree_test

import (
	"context"
	"fmt"
	"os"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/telemetry/tree"
)

// The tree can be printed anywhere; times are given here so that the output is always the same.
func ExampleNew() {
	tp := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(tree.New(os.Stdout, tree.WithColumns(80))),
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
	)
	tracer := tp.Tracer("example")
	begin := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) trace.SpanEventOption { return trace.WithTimestamp(begin.Add(d)) }

	ctx, task := tracer.Start(context.Background(), "resolve imports", at(0))
	for i := range 48 {
		from := time.Duration(i) * 10 * time.Millisecond
		_, query := tracer.Start(ctx, "SELECT packages", at(from))
		query.End(at(from + 2*time.Millisecond))
	}
	_, commit := tracer.Start(ctx, "COMMIT", at(480*time.Millisecond))
	commit.End(at(600 * time.Millisecond))
	task.End(at(600 * time.Millisecond))

	if err := tp.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// resolve imports           600 ms ▕████████████████████████▏
	// ├─ SELECT packages ×48   96.0 ms ▕░░░░░░░░░░░░░░░░░░░     ▏ mean 2.00 ms, max 2.00 ms
	// └─ COMMIT                 120 ms ▕                   █████▏
}
