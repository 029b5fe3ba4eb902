package telemetry

import (
	"context"
	"errors"
	"net"
	"net/http"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/metrics"
)

// Telemetry is what [Start] has set up. All methods may be called concurrently. The zero value has set up
// nothing, and its methods do nothing.
type Telemetry struct {
	parts   parts
	tracers *sdktrace.TracerProvider // nil, like the others: nothing asks for it
	loggers *sdklog.LoggerProvider
	meters  flusher
	metrics *metrics.Provider // Prometheus'
	addr    net.Addr
}

// flusher is what both kinds of meter providers are.
type flusher interface {
	ForceFlush(context.Context) error
}

// Shutdown exports what has been recorded, stops everything in reverse order, the metrics listener included,
// and returns all errors joined. It returns when ctx ends, even if a collector hangs; what has not been
// stopped by then is given up in the background. A context without a deadline is given ten seconds.
//
// Only the first call does the work: concurrent and later ones wait for it, and return the same error. An
// error means that telemetry was lost, and not that the program's own work failed: log it.
func (t *Telemetry) Shutdown(ctx context.Context) error { return t.parts.shutdown(ctx) }

// ForceFlush exports what has been recorded so far: spans, then logs, then metrics that are pushed. It returns
// all errors joined, and returns when ctx ends.
func (t *Telemetry) ForceFlush(ctx context.Context) error {
	var flushers []flusher
	if t.tracers != nil {
		flushers = append(flushers, t.tracers)
	}
	if t.loggers != nil {
		flushers = append(flushers, t.loggers)
	}
	if t.meters != nil {
		flushers = append(flushers, t.meters)
	}
	var errs []error
	for i, f := range flushers {
		flushCtx, cancel := share(ctx, len(flushers)-i) // a collector that hangs does not take it all
		errs = append(errs, f.ForceFlush(flushCtx))
		cancel()
	}
	return errors.Join(errs...)
}

// MetricsHandler serves the Prometheus metrics, for programs that have an HTTP server of their own and start
// with [WithPrometheus]:
//
//	mux.Handle("GET /metrics", t.MetricsHandler())
//
// It is never nil. It answers with status 404 where no Prometheus metrics are collected, since nothing asks for
// them or OTEL_SDK_DISABLED is set, and with status 503 after [Telemetry.Shutdown].
func (t *Telemetry) MetricsHandler() http.Handler {
	if t.metrics == nil {
		return http.NotFoundHandler()
	}
	return t.metrics.Handler()
}

// MetricsAddr returns the address at which Prometheus metrics are served, nil if they are not. It may differ
// from the one requested: the environment may have replaced the host or the port, and port 0 stands for any
// that is free.
func (t *Telemetry) MetricsAddr() net.Addr { return t.addr }
