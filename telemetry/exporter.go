package telemetry

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutlog"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// maker makes the exporters of one signal.
//
// autoexport makes the one exporter that a variable names, and knows those that programs have
// registered with it, but takes no lists. The elements of a list are therefore made here.
type maker[T any] struct {
	signal  signal
	auto    func(context.Context) (T, error)
	console func() (T, error)
	http    func(context.Context) (T, error)
	grpc    func(context.Context) (T, error)
}

var spanExporters = maker[sdktrace.SpanExporter]{
	signal: tracesSignal,
	auto:   func(ctx context.Context) (sdktrace.SpanExporter, error) { return autoexport.NewSpanExporter(ctx) },
	console: func() (sdktrace.SpanExporter, error) {
		return stdouttrace.New()
	},
	http: func(ctx context.Context) (sdktrace.SpanExporter, error) { return otlptracehttp.New(ctx) },
	grpc: func(ctx context.Context) (sdktrace.SpanExporter, error) { return otlptracegrpc.New(ctx) },
}

var logExporters = maker[sdklog.Exporter]{
	signal: logsSignal,
	auto:   func(ctx context.Context) (sdklog.Exporter, error) { return autoexport.NewLogExporter(ctx) },
	console: func() (sdklog.Exporter, error) {
		return stdoutlog.New()
	},
	http: func(ctx context.Context) (sdklog.Exporter, error) { return otlploghttp.New(ctx) },
	grpc: func(ctx context.Context) (sdklog.Exporter, error) { return otlploggrpc.New(ctx) },
}

var metricReaders = maker[sdkmetric.Reader]{
	signal: metricsSignal,
	auto:   func(ctx context.Context) (sdkmetric.Reader, error) { return autoexport.NewMetricReader(ctx) },
	console: func() (sdkmetric.Reader, error) {
		return periodic(stdoutmetric.New())
	},
	http: func(ctx context.Context) (sdkmetric.Reader, error) { return periodic(otlpmetrichttp.New(ctx)) },
	grpc: func(ctx context.Context) (sdkmetric.Reader, error) { return periodic(otlpmetricgrpc.New(ctx)) },
}

// periodic wraps what a metric exporter's constructor returned.
func periodic[E sdkmetric.Exporter](exporter E, err error) (sdkmetric.Reader, error) {
	if err != nil {
		return nil, err
	}
	if getenv(envProducers) != "" {
		return nil, errors.Join(
			errors.New(envProducers+" is supported for a single exporter only, not in a list"),
			exporter.Shutdown(context.Background()),
		)
	}
	return sdkmetric.NewPeriodicReader(exporter), nil
}

// make makes the exporter of that name.
func (m maker[T]) make(ctx context.Context, name string) (T, error) {
	var zero T
	protocol := ""
	if name == exporterOTLP {
		var err error
		if protocol, err = m.signal.otlpProtocol(); err != nil {
			return zero, err
		}
	}

	var made T
	var err error
	value := os.Getenv(m.signal.exporterVar())
	switch {
	case value == "" || value == name:
		made, err = m.auto(ctx)
	case protocol == protocolGRPC:
		made, err = m.grpc(ctx)
	case protocol == protocolHTTP:
		made, err = m.http(ctx)
	case name == exporterConsole:
		made, err = m.console()
	default:
		return zero, m.signal.errorf("%q cannot be used in a list (known: %s)", name, m.signal.knownText())
	}
	switch {
	case err == nil:
		return made, nil
	case slices.Contains(m.signal.known, name):
		return zero, m.signal.errorf("%w", err)
	default:
		return zero, m.signal.errorf("%w (known: %s, and what is registered with autoexport)", err, m.signal.knownText())
	}
}

func (s signal) knownText() string { return strings.Join(s.known, ", ") }
