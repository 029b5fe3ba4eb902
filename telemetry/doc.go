// Package telemetry sets up OpenTelemetry for a program in one call, from the standard environment
// variables: traces, metrics and logs, where they are exported to, which spans are sampled, how a trace
// crosses process boundaries, and how the process is called.
//
//	func main() {
//		ctx := context.Background()
//		t, err := telemetry.Start(ctx, telemetry.WithServiceName("indexer"))
//		if err != nil {
//			log.Print(err) // the rest works
//		}
//		defer t.Shutdown(ctx)
//		slog.SetDefault(slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(os.Stderr, nil))))
//		...
//	}
//
// # Nothing is exported unless it is asked for
//
// For each signal on its own: if OTEL_TRACES_EXPORTER (OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER) names no
// exporter, and neither OTEL_EXPORTER_OTLP_ENDPOINT nor OTEL_EXPORTER_OTLP_TRACES_ENDPOINT (…_METRICS_…,
// …_LOGS_…) names an endpoint, the signal is not exported. The specification would have OTLP to localhost
// instead, which in a program that nobody has configured yields errors and nothing else. This deviation is
// deliberate; OTEL_TRACES_EXPORTER=otlp has what the specification has by default.
//
// # Variables
//
// Read here:
//
//	OTEL_SDK_DISABLED                      true: set up nothing but the propagator
//	OTEL_TRACES_EXPORTER                   otlp, console, none, tree; several separated by commas
//	OTEL_METRICS_EXPORTER                  otlp, console, none, prometheus; likewise
//	OTEL_LOGS_EXPORTER                     otlp, console, none; likewise
//	OTEL_PROPAGATORS                       tracecontext,baggage by default; also b3, b3multi, jaeger, xray, ottrace, none
//	OTEL_EXPORTER_PROMETHEUS_HOST, _PORT   where prometheus is served: localhost, 9464
//
// The value tree prints each finished trace to standard error, as package tree describes. The value prometheus
// serves the metrics of package metrics, with exemplars, on the path /metrics; with otlp,prometheus one
// MeterProvider feeds both. Exporters that a program has registered with autoexport are found by their name,
// but not in a list.
//
// Read by the SDK, its exporters and detectors:
//
//	OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
//	OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
//	OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL (http/protobuf, grpc), _HEADERS, _TIMEOUT, _COMPRESSION,
//	_CERTIFICATE, …, and the same for one signal, as in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
//	OTEL_BSP_*, OTEL_BLRP_*, OTEL_METRIC_EXPORT_INTERVAL, OTEL_METRIC_EXPORT_TIMEOUT
//	OTEL_SPAN_*_LIMIT, OTEL_ATTRIBUTE_*_LIMIT, OTEL_METRICS_EXEMPLAR_FILTER, OTEL_METRICS_PRODUCERS
//	OTEL_GO_X_CARDINALITY_LIMIT
//
// A value that the SDK cannot take does not stop the program. [Start] returns an error that names the variable,
// the value (headers and endpoints excepted, which may hold credentials), and what is used in its place:
//
//	number out of range, or none    the default: 2048 for OTEL_BSP_MAX_QUEUE_SIZE=-1
//	OTEL_TRACES_SAMPLER, other enumerations, true and false    the default
//	OTEL_EXPORTER_OTLP_HEADERS      the elements of the form key=value
//	OTEL_EXPORTER_OTLP_CERTIFICATE  the certificates of the system
//	OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, _KEY    no certificate of the client
//	OTEL_EXPORTER_OTLP_ENDPOINT     nothing: the signal is not exported there
//	OTEL_*_EXPORTER                 the other exporters of the list
//	OTEL_PROPAGATORS                tracecontext,baggage
//	OTEL_CONFIG_FILE                the other variables: the file is not read (see below)
//	OTEL_METRICS_PRODUCERS          none and prometheus are known, for otlp and console
//
// A file is not supported because its implementation for Go, go.opentelemetry.io/contrib/otelconf (v0.27), makes
// providers of its own: the queue of tasks, the bound on series, the Prometheus registry and the options of this
// package could not be added to them. A program that wants a file can use otelconf in place of this package: otdb
// and worker follow the global providers.
//
// Errors of OpenTelemetry itself, such as a failed export, are logged by slog's default logger, unless the program
// has set a handler for them with otel.SetErrorHandler.
//
// See https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
//
// # The resource
//
// All signals carry the same resource. Host, operating system, process, container and SDK are detected; a
// command line is not recorded, as it may hold secrets, nor is the owner of the process. The options
// [WithServiceName], [WithServiceVersion] and [WithResourceAttributes] come over that, the environment over
// all.
//
// # Panics
//
// The SDK would record the value of a panic that passes through a span's deferred End. Since that can be
// anything, Start turns it off. Package worker records panics, with what is safe to export of them.
package telemetry
