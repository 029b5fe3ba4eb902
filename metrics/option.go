package metrics

import (
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Option configures a [Provider]. Options come from this package alone.
type Option interface {
	apply(*config)
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config is what the options of one New add up to.
type config struct {
	registry prometheus.Registerer // nil: an own one, with the standard collectors
	resource *resource.Resource    // nil: the SDK's default
	limit    int                   // of series an instrument
	readers  []sdkmetric.Reader
	views    []sdkmetric.View
}

// defaultCardinalityLimit is ten times the SDK's, which is below what 500 statements with their error codes
// make. Beyond it, new series lose their attributes.
const defaultCardinalityLimit = 20_000

// newConfig is where every default is set.
func newConfig(opts []Option) *config {
	c := &config{limit: defaultCardinalityLimit}
	if n, err := strconv.Atoi(strings.TrimSpace(os.Getenv("OTEL_GO_X_CARDINALITY_LIMIT"))); err == nil {
		c.limit = n
	}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(c)
		}
	}
	return c
}

// WithRegistry exports to reg, next to whatever else is registered there. The standard collectors
// are then left to the caller. One registry takes one Provider: a second one would export the same
// target_info, and scrapes would report the collision.
//
// By default, and for nil, the Provider has a registry of its own, with the Go runtime, process and
// build information collectors, but without their go_memstats_alloc_bytes: it is the same as
// go_memstats_heap_alloc_bytes, and would make the OpenMetrics format ambiguous.
//
// The registry is also what [Provider.Handler] serves, so reg must be a prometheus.Gatherer too, as
// prometheus.DefaultRegisterer and every *prometheus.Registry are: with promauto's, pass
// prometheus.DefaultRegisterer. [New] refuses any other.
func WithRegistry(reg prometheus.Registerer) Option {
	return optionFunc(func(c *config) {
		if r, ok := reg.(*prometheus.Registry); ok && r == nil {
			reg = nil
		}
		c.registry = reg
	})
}

// WithCardinalityLimit sets how many series an instrument can have: sets of attributes that differ. A measurement
// with another set is added to one series, whose only attribute is otel.metric.overflow. By default it
// is the environment variable OTEL_GO_X_CARDINALITY_LIMIT, or 20,000; 0 and less lift the limit.
//
// The SDK's own default is 2,000. A program that makes its own MeterProvider sets sdkmetric.WithCardinalityLimit.
func WithCardinalityLimit(n int) Option {
	return optionFunc(func(c *config) { c.limit = n })
}

// WithResource describes the process that the metrics are about; it is exported as target_info.
// Attributes in res win over the same ones in OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME.
//
// By default, and for nil, it is resource.Default() of the SDK, which reads these variables.
func WithResource(res *resource.Resource) Option {
	return optionFunc(func(c *config) { c.resource = res })
}

// WithReader adds a reader to the same MeterProvider, for example a periodic one that pushes the
// metrics by OTLP, or a manual one in tests. The Provider shuts it down. A nil reader is ignored.
//
// The option may be given several times.
func WithReader(r sdkmetric.Reader) Option {
	return optionFunc(func(c *config) {
		if r != nil {
			c.readers = append(c.readers, r)
		}
	})
}

// WithView adds views, which rename metrics, change buckets and drop attributes, for all readers.
// The option may be given several times.
//
// Attributes that a view drops from a metric go to its exemplars, whose labels may not be longer than
// 128 characters in all: what does not fit is reported to otel.Handle, and exported without exemplars.
func WithView(views ...sdkmetric.View) Option {
	return optionFunc(func(c *config) {
		for _, v := range views {
			if v != nil {
				c.views = append(c.views, v)
			}
		}
	})
}
