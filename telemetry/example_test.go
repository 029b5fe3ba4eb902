package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/telemetry"
)

// Without any variable set, and with no option that asks for more, Start exports nothing and costs
// nothing; with OTEL_EXPORTER_OTLP_ENDPOINT it exports everything.
func ExampleStart() {
	ctx := context.Background()
	t, err := telemetry.Start(ctx,
		telemetry.WithServiceName("indexer"),
		telemetry.WithServiceVersion("v1.0.0"),
	)
	if err != nil {
		fmt.Println(err) // the program goes on, with what could be set up
	}
	_, span := otel.Tracer("example").Start(ctx, "load packages")
	span.End()
	fmt.Println(t.Shutdown(ctx))
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
	// telemetry: OTEL_TRACES_EXPORTER="otpl": unknown exporter or metrics producer (known: console, none, otlp, tree, and what is registered with autoexport); nothing is exported
}

// A program that has an HTTP server of its own serves metrics there.
func ExampleTelemetry_MetricsHandler() {
	ctx := context.Background()
	t, err := telemetry.Start(ctx, telemetry.WithPrometheus())
	if err != nil {
		fmt.Println(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.MetricsHandler())

	server := httptest.NewServer(mux) // in a program: http.ListenAndServe
	response, err := http.Get(server.URL + "/metrics")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(response.Status)
	if err := errors.Join(response.Body.Close(), t.Shutdown(ctx)); err != nil {
		fmt.Println(err)
	}
	server.Close()
	// Output: 200 OK
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

// A program that sets up its own provider keeps the spans of tasks apart from those of
// their statements.
func ExampleNewSpanProcessor() {
	exporter := tracetest.NewInMemoryExporter() // or one of OTLP
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(telemetry.NewSpanProcessor(exporter)))
	ctx := context.Background()
	_, span := provider.Tracer("example").Start(ctx, "load packages")
	span.End()
	if err := provider.ForceFlush(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(exporter.GetSpans()[0].Name)
	fmt.Println(provider.Shutdown(ctx))
	// Output:
	// load packages
	// <nil>
}
