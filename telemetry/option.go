package telemetry

import (
	"io"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Option adds to what the environment asks of [Start]. Options come from this package alone.
//
// The parts that an option adds are set up whatever exporters the environment names, unless OTEL_SDK_DISABLED
// turns everything off. A nil Option is ignored.
type Option interface {
	apply(*config)
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config is what the options of one Start add up to.
type config struct {
	attributes     []attribute.KeyValue // of the resource; later ones win, the environment wins over all
	spanProcessors []sdktrace.SpanProcessor
	logProcessors  []sdklog.Processor
	readers        []sdkmetric.Reader
	views          []sdkmetric.View
	registry       prometheus.Registerer
	limit          int // of series an instrument
	metricsAddr    string
	prometheus     bool      // for MetricsHandler
	treeOutput     io.Writer // where OTEL_TRACES_EXPORTER=tree prints
}

// defaultCardinalityLimit is that of package metrics.
const defaultCardinalityLimit = 20_000

// newConfig is where every default is set.
func newConfig(opts []Option) *config {
	c := &config{treeOutput: os.Stderr, limit: integer(envCardinalityLimit)}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(c)
		}
	}
	return c
}

// WithServiceName sets service.name where neither OTEL_SERVICE_NAME nor OTEL_RESOURCE_ATTRIBUTES does.
// By default, and for an empty name, it is unknown_service: and the name of the executable.
func WithServiceName(name string) Option {
	if name == "" {
		return nil
	}
	return WithResourceAttributes(semconv.ServiceName(name))
}

// WithServiceVersion sets service.version where OTEL_RESOURCE_ATTRIBUTES does not.
func WithServiceVersion(version string) Option {
	return WithResourceAttributes(semconv.ServiceVersion(version))
}

// WithResourceAttributes describes the process. The attributes win over those that are detected (host,
// operating system, process, container), and those in OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME win
// over them. The option may be given several times; of equal keys the last wins.
func WithResourceAttributes(attributes ...attribute.KeyValue) Option {
	return optionFunc(func(c *config) { c.attributes = append(c.attributes, attributes...) })
}

// WithSpanProcessor sends spans to p as well, for example one of package tree, or in tests a tracetest.SpanRecorder.
// An exporter is passed in a processor of the SDK, such as sdktrace.NewBatchSpanProcessor(exporter).
// Shutdown shuts p down. A nil processor is ignored; the option may be given several times.
func WithSpanProcessor(p sdktrace.SpanProcessor) Option {
	return optionFunc(func(c *config) {
		if p != nil {
			c.spanProcessors = append(c.spanProcessors, p)
		}
	})
}

// WithLogProcessor sends log records to p as well. Shutdown shuts p down. A nil processor is ignored;
// the option may be given several times.
func WithLogProcessor(p sdklog.Processor) Option {
	return optionFunc(func(c *config) {
		if p != nil {
			c.logProcessors = append(c.logProcessors, p)
		}
	})
}

// WithReader reads metrics by r as well, for example a manual reader in tests. Shutdown shuts r down.
// A nil reader is ignored; the option may be given several times.
func WithReader(r sdkmetric.Reader) Option {
	return optionFunc(func(c *config) {
		if r != nil {
			c.readers = append(c.readers, r)
		}
	})
}

// WithView adds views of metrics, which rename them, change buckets and drop attributes, for every
// reader and exporter. A nil view is ignored; the option may be given several times.
func WithView(views ...sdkmetric.View) Option {
	return optionFunc(func(c *config) {
		for _, v := range views {
			if v != nil {
				c.views = append(c.views, v)
			}
		}
	})
}

// WithRegistry exports metrics to reg, which the program may serve itself, next to what else it has
// registered there. Whatever else serves Prometheus metrics ([WithMetricsAddr],
// [Telemetry.MetricsHandler], OTEL_METRICS_EXPORTER=prometheus) then serves reg. See metrics.WithRegistry.
//
// By default, and for nil, an own registry is made where metrics are served.
func WithRegistry(reg prometheus.Registerer) Option {
	return optionFunc(func(c *config) {
		if r, ok := reg.(*prometheus.Registry); ok && r == nil {
			reg = nil
		}
		c.registry = reg
	})
}

// WithCardinalityLimit sets how many series an instrument can have, as metrics.WithCardinalityLimit does. By
// default it is OTEL_GO_X_CARDINALITY_LIMIT, or 20,000; 0 and less lift the limit.
func WithCardinalityLimit(n int) Option {
	return optionFunc(func(c *config) { c.limit = n })
}

// WithMetricsAddr serves Prometheus metrics at addr, a host and port such as ":9464", on the path
// /metrics. The operator's OTEL_EXPORTER_PROMETHEUS_HOST and OTEL_EXPORTER_PROMETHEUS_PORT replace the
// host and the port where they are set. An empty address is ignored.
func WithMetricsAddr(addr string) Option {
	return optionFunc(func(c *config) { c.metricsAddr = addr })
}

// WithPrometheus collects Prometheus metrics for [Telemetry.MetricsHandler], whether or not they are served at
// an address of their own.
func WithPrometheus() Option {
	return optionFunc(func(c *config) { c.prometheus = true })
}
