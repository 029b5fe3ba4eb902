package telemetry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	prometheusbridge "go.opentelemetry.io/contrib/bridges/prometheus"
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
// autoexport knows those that programs have registered with it. It takes no lists, and makes exporters that
// misread variables, so the others are made here.
type maker[T any] struct {
	signal  signal
	auto    func(context.Context) (T, error)
	console func() (T, error)
	http    func(context.Context, otlp) (T, error)
	grpc    func(context.Context, otlp) (T, error)
}

var spanExporters = maker[sdktrace.SpanExporter]{
	signal: tracesSignal,
	auto:   func(ctx context.Context) (sdktrace.SpanExporter, error) { return autoexport.NewSpanExporter(ctx) },
	console: func() (sdktrace.SpanExporter, error) {
		return stdouttrace.New()
	},
	http: func(ctx context.Context, o otlp) (sdktrace.SpanExporter, error) {
		return otlptracehttp.New(ctx, append(options(o, otlptracehttp.WithTimeout, otlptracehttp.WithHeaders, otlptracehttp.WithInsecure(),
			otlptracehttp.WithCompression(otlptracehttp.NoCompression)), otlptracehttp.WithHTTPClient(o.client))...)
	},
	grpc: func(ctx context.Context, o otlp) (sdktrace.SpanExporter, error) {
		return otlptracegrpc.New(ctx, options(o, otlptracegrpc.WithTimeout, otlptracegrpc.WithHeaders, otlptracegrpc.WithInsecure())...)
	},
}

var logExporters = maker[sdklog.Exporter]{
	signal: logsSignal,
	auto:   func(ctx context.Context) (sdklog.Exporter, error) { return autoexport.NewLogExporter(ctx) },
	console: func() (sdklog.Exporter, error) {
		return stdoutlog.New()
	},
	http: func(ctx context.Context, o otlp) (sdklog.Exporter, error) {
		return otlploghttp.New(ctx, append(options(o, otlploghttp.WithTimeout, otlploghttp.WithHeaders, otlploghttp.WithInsecure(),
			otlploghttp.WithCompression(otlploghttp.NoCompression)), otlploghttp.WithHTTPClient(o.client))...)
	},
	grpc: func(ctx context.Context, o otlp) (sdklog.Exporter, error) {
		return otlploggrpc.New(ctx, options(o, otlploggrpc.WithTimeout, otlploggrpc.WithHeaders, otlploggrpc.WithInsecure())...)
	},
}

var metricReaders = maker[sdkmetric.Reader]{
	signal: metricsSignal,
	auto:   func(ctx context.Context) (sdkmetric.Reader, error) { return autoexport.NewMetricReader(ctx) },
	console: func() (sdkmetric.Reader, error) {
		return periodic(stdoutmetric.New())
	},
	http: func(ctx context.Context, o otlp) (sdkmetric.Reader, error) {
		return periodic(otlpmetrichttp.New(ctx, append(options(o, otlpmetrichttp.WithTimeout, otlpmetrichttp.WithHeaders, otlpmetrichttp.WithInsecure(),
			otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression)), otlpmetrichttp.WithHTTPClient(o.client))...))
	},
	grpc: func(ctx context.Context, o otlp) (sdkmetric.Reader, error) {
		return periodic(otlpmetricgrpc.New(ctx, options(o, otlpmetricgrpc.WithTimeout, otlpmetricgrpc.WithHeaders, otlpmetricgrpc.WithInsecure())...))
	},
}

// options turns the settings into those of an exporter. Those for gRPC compress nothing of themselves where the
// variable is no good.
func options[O any](o otlp, timeout func(time.Duration) O, headers func(map[string]string) O, insecure O, uncompressed ...O) []O {
	var opts []O
	if o.replaced {
		opts = append(opts, timeout(o.timeout))
	}
	if o.headers != nil {
		opts = append(opts, headers(o.headers))
	}
	if o.insecure {
		opts = append(opts, insecure)
	}
	if o.compression {
		opts = append(opts, uncompressed...)
	}
	return opts
}

// periodic wraps what a metric exporter's constructor returned.
func periodic[E sdkmetric.Exporter](exporter E, err error) (sdkmetric.Reader, error) {
	if err != nil {
		return nil, err
	}
	opts := []sdkmetric.PeriodicReaderOption{
		sdkmetric.WithInterval(millis("OTEL_METRIC_EXPORT_INTERVAL")),
		sdkmetric.WithTimeout(millis("OTEL_METRIC_EXPORT_TIMEOUT")),
	}
	if slices.Contains(getenvList(envProducers), exporterPrometheus) {
		opts = append(opts, sdkmetric.WithProducer(prometheusbridge.NewMetricProducer()))
	}
	return sdkmetric.NewPeriodicReader(exporter, opts...), nil
}

// checkProducers returns an error about producers of metrics that are not used. One that a program has registered
// with autoexport is known there alone, and only an exporter of the program's can use it.
func checkProducers(exporters []string, served bool) error {
	for _, name := range getenvList(envProducers) {
		switch {
		case name == exporterNone:
		case name != exporterPrometheus:
			if !slices.ContainsFunc(exporters, func(e string) bool { return !slices.Contains(metricsSignal.known, e) }) {
				return fmt.Errorf("telemetry: %s=%q: unknown producer %q (known: none, prometheus); it is left out", envProducers, getenv(envProducers), name)
			}
		case served:
			return fmt.Errorf("telemetry: %s=%q: metrics served to Prometheus have no producers; "+
				"the program's own metrics are served with telemetry.WithRegistry(prometheus.DefaultRegisterer)", envProducers, getenv(envProducers))
		}
	}
	return nil
}

// make makes the exporter of that name. Resources beyond its own shutdown are released with p.
func (m maker[T]) make(ctx context.Context, name string, p *parts) (T, error) {
	var made T
	var err error
	switch {
	case name == exporterOTLP:
		protocol, err := m.signal.otlpProtocol()
		if err != nil {
			return made, err
		}
		construct, settings := m.grpc, m.signal.otlpSettings()
		if protocol != protocolGRPC {
			var release func()
			settings.client, release = m.signal.httpClient(settings)
			p.releases = append(p.releases, release)
			construct = m.http
		}
		if made, err = construct(ctx, settings); err != nil {
			return made, m.signal.errorf("%w", err)
		}
		return made, nil
	case name == exporterConsole:
		if made, err = m.console(); err != nil {
			return made, m.signal.errorf("%w", err)
		}
		return made, nil
	case getenv(m.signal.exporterVar()) != name:
		return made, m.signal.errorf("%q cannot be used in a list (known: %s); it is left out", name, m.signal.knownText())
	}
	if made, err = m.auto(ctx); err != nil {
		return made, m.signal.errorf("%w (known: %s, and what is registered with autoexport); nothing is exported", err, m.signal.knownText())
	}
	return made, nil
}

func (s signal) knownText() string { return strings.Join(s.known, ", ") }
