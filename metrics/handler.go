package metrics

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel"
)

// collidingGauge is the name of a gauge of the Go collector that collides in OpenMetrics with the counter
// of the same name with _total, which makes strict readers refuse all of the metrics. It always equals
// go_memstats_heap_alloc_bytes. https://github.com/prometheus/client_golang/issues/829
const collidingGauge = "go_memstats_alloc_bytes"

// newHandler serves what gatherer has until the provider is shut down. In a registry of our own, failed scrapes
// are counted as well; a caller's registry is left as it is, since the counter's name may be taken.
func (p *Provider) newHandler(reg prometheus.Registerer, gatherer prometheus.Gatherer, own bool) http.Handler {
	opts := promhttp.HandlerOpts{
		ErrorLog:          errorLog{},
		ErrorHandling:     promhttp.ContinueOnError,
		EnableOpenMetrics: true,
	}
	if own {
		opts.Registry = reg
		all := gatherer
		gatherer = prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			families, err := all.Gather()
			return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == collidingGauge }), err
		})
	}
	scrape := promhttp.HandlerFor(gatherer, opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.stopped.Load() {
			http.Error(w, "metrics are shut down", http.StatusServiceUnavailable)
			return
		}
		scrape.ServeHTTP(w, r)
	})
}

// errorLog passes the errors of scrapes to the OpenTelemetry error handler.
type errorLog struct{}

var _ promhttp.Logger = errorLog{}

// Println implements promhttp.Logger. Its last argument is the error, the others are the place.
func (errorLog) Println(v ...any) {
	if n := len(v); n > 0 {
		if err, ok := v[n-1].(error); ok {
			otel.Handle(fmt.Errorf("metrics: serving a scrape: %w", err))
			return
		}
	}
	otel.Handle(errors.New("metrics: serving a scrape: " + fmt.Sprint(v...)))
}
