package telemetry

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/propagation"
)

// The variables that this package reads itself. The SDK and the exporters read many more.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
const (
	envSDKDisabled    = "OTEL_SDK_DISABLED"
	envPropagators    = "OTEL_PROPAGATORS"
	envProducers      = "OTEL_METRICS_PRODUCERS"
	envPrometheusHost = "OTEL_EXPORTER_PROMETHEUS_HOST"
	envPrometheusPort = "OTEL_EXPORTER_PROMETHEUS_PORT"
	envOTLPEndpoint   = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envOTLPProtocol   = "OTEL_EXPORTER_OTLP_PROTOCOL"

	envBSPScheduleDelay = "OTEL_BSP_SCHEDULE_DELAY"
	envBSPExportTimeout = "OTEL_BSP_EXPORT_TIMEOUT"
	envBSPMaxQueueSize  = "OTEL_BSP_MAX_QUEUE_SIZE"
	envBSPMaxBatchSize  = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
	envCardinalityLimit = "OTEL_GO_X_CARDINALITY_LIMIT"
)

// The address that the specification has for the Prometheus exporter.
const (
	defaultPrometheusHost = "localhost"
	defaultPrometheusPort = "9464"
)

// Names of exporters.
const (
	exporterNone       = "none"
	exporterOTLP       = "otlp"
	exporterConsole    = "console"
	exporterPrometheus = "prometheus"
	exporterTree       = "tree"
)

// Values of the OTLP protocol variables.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

func sdkDisabled() bool {
	return strings.EqualFold(getenv(envSDKDisabled), "true")
}

// getenv returns the value of a variable; blank means unset, as the specification asks.
func getenv(name string) string {
	return strings.TrimSpace(os.Getenv(name))
}

// getenvList splits a comma-separated value. Blank and repeated elements are left out.
func getenvList(name string) []string {
	var list []string
	for element := range strings.SplitSeq(os.Getenv(name), ",") {
		element = strings.TrimSpace(element)
		if element != "" && !slices.Contains(list, element) {
			list = append(list, element)
		}
	}
	return list
}

// propagatorFromEnv returns what OTEL_PROPAGATORS names: by default, and beside an error, W3C trace context and
// baggage.
func propagatorFromEnv() (propagation.TextMapPropagator, error) {
	standard := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	names := getenvList(envPropagators)
	if len(names) == 0 {
		return standard, nil
	}
	p, err := autoprop.TextMapPropagator(names...)
	if err != nil {
		return standard, fmt.Errorf("telemetry: %s=%q: %w (known: tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, none); "+
			"using tracecontext,baggage", envPropagators, os.Getenv(envPropagators), err)
	}
	return p, nil
}

// signal is one of traces, metrics and logs, as far as variables are concerned.
type signal struct {
	name  string   // as in variables, in upper case
	known []string // exporters, sorted
}

var (
	tracesSignal  = signal{"TRACES", []string{exporterConsole, exporterNone, exporterOTLP, exporterTree}}
	metricsSignal = signal{"METRICS", []string{exporterConsole, exporterNone, exporterOTLP, exporterPrometheus}}
	logsSignal    = signal{"LOGS", []string{exporterConsole, exporterNone, exporterOTLP}}
)

func (s signal) exporterVar() string { return "OTEL_" + s.name + "_EXPORTER" }

// otlpVars returns the names of an OTLP variable, the signal's own first.
func (s signal) otlpVars(general string) [2]string {
	return [2]string{strings.Replace(general, "_OTLP_", "_OTLP_"+s.name+"_", 1), general}
}

// exporters returns the names of the exporters that the environment asks for. With no name given it is
// OTLP if there is an endpoint to export to, and otherwise nothing.
func (s signal) exporters() ([]string, error) {
	names := getenvList(s.exporterVar())
	switch {
	case len(names) == 0:
		for _, v := range s.otlpVars(envOTLPEndpoint) {
			if getenv(v) != "" {
				return []string{exporterOTLP}, nil
			}
		}
		return nil, nil
	case slices.Equal(names, []string{exporterNone}):
		return nil, nil
	case slices.Contains(names, exporterNone):
		return nil, s.errorf("%s cannot be combined with other exporters", exporterNone)
	}
	return names, nil
}

// errorf returns an error about the value of the signal's exporter variable.
func (s signal) errorf(format string, args ...any) error {
	return fmt.Errorf("telemetry: %s=%q: %w", s.exporterVar(), os.Getenv(s.exporterVar()), fmt.Errorf(format, args...))
}

// otlpProtocol returns the protocol of the signal's OTLP exporter; what is unknown is reported elsewhere, and
// means the default. It refuses endpoints that are no URL: the exporters take "collector:4318" for an empty
// host, and "127.0.0.1:4318" for no endpoint at all.
func (s signal) otlpProtocol() (string, error) {
	protocol := protocolHTTP
	for _, v := range s.otlpVars(envOTLPProtocol) {
		if value := getenv(v); value != "" {
			if value == protocolGRPC {
				protocol = value
			}
			break
		}
	}
	for _, v := range s.otlpVars(envOTLPEndpoint) {
		if value := getenv(v); value != "" {
			if !usableEndpoint(value, protocol) {
				port := map[string]string{protocolHTTP: "4318", protocolGRPC: "4317"}[protocol]
				// The value is not repeated: it may hold credentials.
				return "", fmt.Errorf("telemetry: %s: not a URL such as http://localhost:%s", v, port)
			}
			break
		}
	}
	return protocol, nil
}

// usableEndpoint reports whether the exporter for that protocol would find the host. For gRPC it may be any
// target that gRPC has a resolver for.
func usableEndpoint(endpoint, protocol string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	return protocol == protocolGRPC || (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// prometheusAddr returns where to serve metrics, given the address that the program asked for. Beside an error it
// returns what is used instead, if there is anything.
func prometheusAddr(programs string) (string, error) {
	host, port := defaultPrometheusHost, defaultPrometheusPort
	if programs != "" {
		var err error
		if host, port, err = net.SplitHostPort(programs); err != nil {
			return "", fmt.Errorf("telemetry: WithMetricsAddr(%q): %w", programs, withoutAddr(err))
		}
	}
	if v := getenv(envPrometheusHost); v != "" {
		host = strings.TrimSuffix(strings.TrimPrefix(v, "["), "]")
	}
	var err error
	if v := getenv(envPrometheusPort); v != "" {
		if n, parseErr := strconv.Atoi(v); parseErr == nil && n >= 0 && n <= math.MaxUint16 {
			port = v
		} else {
			err = fmt.Errorf("telemetry: %s=%q: not a whole number from 0 to 65535; using %s", envPrometheusPort, v, port)
		}
	}
	return net.JoinHostPort(host, port), err
}

// withoutAddr strips the address from an error about it, for messages that name it themselves.
func withoutAddr(err error) error {
	var addrErr *net.AddrError
	if errors.As(err, &addrErr) {
		return errors.New(addrErr.Err)
	}
	return err
}
