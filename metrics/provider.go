package metrics

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

var _ metric.MeterProvider = (*Provider)(nil)

// Provider is a metric.MeterProvider whose metrics are exported to a Prometheus registry.
// Make one with [New]; the zero value is of no use. All methods may be called concurrently.
type Provider struct {
	embedded.MeterProvider

	sdk     *sdkmetric.MeterProvider
	handler http.Handler

	stop    sync.Once
	stopped atomic.Bool
}

// New returns a Provider. It fails when the registry that [WithRegistry] gave it cannot be gathered from, or
// refuses its collectors; nothing is left running then, but readers given by [WithReader] remain
// the caller's to shut down.
func New(opts ...Option) (*Provider, error) {
	c := newConfig(opts)
	reg := c.registry
	if reg == nil {
		own := prometheus.NewRegistry()
		if err := registerStandard(own); err != nil {
			return nil, fmt.Errorf("metrics: registering the standard collectors: %w", err)
		}
		reg = own
	}
	gatherer, ok := reg.(prometheus.Gatherer)
	if !ok {
		return nil, fmt.Errorf("metrics: WithRegistry: a %T is no prometheus.Gatherer: its metrics could not be served", reg)
	}
	exporter, err := promexporter.New(promexporter.WithRegisterer(reg))
	if err != nil {
		return nil, fmt.Errorf("metrics: registering with the Prometheus registry: %w", err)
	}

	sdkOpts := []sdkmetric.Option{
		sdkmetric.WithReader(exporter),
		sdkmetric.WithView(c.views...),
		sdkmetric.WithCardinalityLimit(c.limit),
	}
	if c.resource != nil {
		sdkOpts = append(sdkOpts, sdkmetric.WithResource(c.resource))
	}
	for _, r := range c.readers {
		sdkOpts = append(sdkOpts, sdkmetric.WithReader(r))
	}
	p := &Provider{sdk: sdkmetric.NewMeterProvider(sdkOpts...)}
	p.handler = p.newHandler(reg, gatherer, c.registry == nil)
	return p, nil
}

// registerStandard gives a registry of ours what client_golang's default registry has, and the
// version of the main module.
func registerStandard(reg *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// Meter implements metric.MeterProvider. After Shutdown it returns meters that record nothing.
func (p *Provider) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return p.sdk.Meter(name, opts...)
}

// Handler serves the registry, in the format that the client asks for: OpenMetrics or protobuf, both with
// exemplars, or plain text, which is the default. It always returns the same handler.
//
// When some of the metrics cannot be collected, the others are served and the error goes to
// otel.Handle; if there are no others, the status is 500. After [Provider.Shutdown] the status is 503.
// OpenMetrics is served without _created samples: a Prometheus server takes them for further series.
func (p *Provider) Handler() http.Handler {
	return p.handler
}

// ForceFlush makes the readers given by [WithReader] export what has been recorded so far. For
// Prometheus there is nothing to flush: every scrape collects.
func (p *Provider) ForceFlush(ctx context.Context) error {
	return p.sdk.ForceFlush(ctx)
}

// Shutdown flushes and stops all readers, including those given by [WithReader], and returns their
// errors. Scrapes that are under way are completed; later ones get status 503. Anything recorded
// afterwards is lost, without harm. Only the first call does anything: a concurrent one waits for it,
// and all later ones return nil.
func (p *Provider) Shutdown(ctx context.Context) error {
	var err error
	p.stop.Do(func() {
		p.stopped.Store(true)
		err = p.sdk.Shutdown(ctx)
	})
	return err
}
