package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/telemetry"
)

// Without any variable set, and with no option that asks for more, Start exports nothing and costs
// nothing; with OTEL_EXPORTER_OTLP_ENDPOINT it exports everything.
func ExampleStart() {
	ctx := context.Background()
	shutdown, err := telemetry.Start(ctx,
		telemetry.WithServiceName("indexer"),
		telemetry.WithServiceVersion("v1.0.0"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, span := otel.Tracer("example").Start(ctx, "load packages")
	span.End()
	fmt.Println(shutdown(ctx))
	// Output: <nil>
}

// A mistake in the environment is named.
func ExampleStart_mistake() {
	previous, set := os.LookupEnv("OTEL_TRACES_EXPORTER")
	os.Setenv("OTEL_TRACES_EXPORTER", "otpl") //nolint:errcheck // the name is valid
	defer func() {
		os.Unsetenv("OTEL_TRACES_EXPORTER") //nolint:errcheck // the name is valid
		if set {
			os.Setenv("OTEL_TRACES_EXPORTER", previous) //nolint:errcheck // the name is valid
		}
	}()

	_, err := telemetry.Start(context.Background())
	fmt.Println(err)
	// Output:
	// telemetry: OTEL_TRACES_EXPORTER="otpl": unknown exporter or metrics producer (known: console, none, otlp, tree, and what is registered with autoexport)
}

// A program that has an HTTP server of its own serves metrics there.
func ExampleWithMetricsHandler() {
	ctx := context.Background()
	mux := http.NewServeMux()
	shutdown, err := telemetry.Start(ctx, telemetry.WithMetricsHandler(func(h http.Handler) {
		mux.Handle("GET /metrics", h)
	}))
	if err != nil {
		fmt.Println(err)
		return
	}

	server := httptest.NewServer(mux) // in a program: http.ListenAndServe
	response, err := http.Get(server.URL + "/metrics")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(response.Status)
	if err := errors.Join(response.Body.Close(), shutdown(ctx)); err != nil {
		fmt.Println(err)
	}
	server.Close()
	// Output: 200 OK
}

// The tree can be printed anywhere; times are given here so that the output is always the same.
func ExampleTree() {
	tp := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(telemetry.NewTree(os.Stdout, telemetry.WithTreeColumns(80))),
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

func ExampleNewLogHandler() {
	withoutTime := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(telemetry.NewLogHandler(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})))

	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0x4b, 0xf9, 0x2f}, SpanID: trace.SpanID{0x00, 0xf0, 0x67},
	}))
	logger.WithGroup("package").InfoContext(ctx, "indexed", "imports", 12)
	logger.Info("no span here")
	// Output:
	// level=INFO msg=indexed package.imports=12 trace_id=4bf92f00000000000000000000000000 span_id=00f0670000000000
	// level=INFO msg="no span here"
}
