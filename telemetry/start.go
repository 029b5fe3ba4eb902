package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/metrics"
)

// Start sets up traces, metrics and logs as the standard OTEL_* environment variables and the options
// ask, and makes them the global ones of the packages otel and otel/log. Call it once, early in main;
// instrumentation that was made before it reports to what it sets up. The package documentation says
// which variables there are, and what happens when none is set.
//
// A signal for which nothing asks is left alone: its global provider stays what it was, usually one that
// does nothing. The propagator is always set.
//
// Start fails, and then leaves nothing running and no global changed, when a variable names an unknown
// exporter, protocol or propagator, when an exporter cannot be made, and when the address for metrics
// cannot be listened on. That a collector cannot be reached is no such error: it is reported to
// otel.Handle whenever an export fails, while the program runs on. So are values that the SDK itself
// rejects, such as an unknown sampler, and what it does then is its default.
//
// The returned function flushes what has been recorded, stops everything in reverse order, the metrics
// listener included, and returns all errors joined. It returns when ctx ends, even if a collector hangs;
// what has not been stopped by then is given up in the background. A context without a deadline is given
// ten seconds. Only the first call does the work: concurrent and later ones wait for it, and return the
// same error. The function is never nil.
func Start(ctx context.Context, opts ...Option) (shutdown func(context.Context) error, err error) {
	shutdown = func(context.Context) error { return nil }
	propagator, err := propagatorFromEnv()
	if err != nil {
		return shutdown, err
	}
	if sdkDisabled() {
		otel.SetTextMapPropagator(propagator)
		return shutdown, nil
	}

	s := &setup{config: newConfig(opts)}
	if err := s.prepare(ctx); err != nil {
		return shutdown, errors.Join(err, s.abandon(ctx))
	}
	s.resource = newResource(ctx, s.config.attributes)
	if err := s.startMetrics(); err != nil {
		return shutdown, errors.Join(err, s.abandon(ctx))
	}
	s.startTraces()
	s.startLogs()
	s.startServer()
	s.publish(propagator)
	return s.parts.shutdown, nil
}

// setup is the state of one Start. What can fail comes first, in prepare; what it has made is given back
// by abandon if anything fails.
type setup struct {
	config   *config
	resource *resource.Resource
	parts    parts
	undo     []func(context.Context) error

	tree          bool
	spanExporters []sdktrace.SpanExporter
	logExporters  []sdklog.Exporter
	readers       []sdkmetric.Reader
	prometheus    bool
	listener      net.Listener // nil: metrics are not served by us

	tracerProvider *sdktrace.TracerProvider // nil, like the others: nothing asks for it
	loggerProvider *sdklog.LoggerProvider
	meterProvider  metric.MeterProvider
	metrics        *metrics.Provider
}

func (s *setup) prepare(ctx context.Context) error {
	if err := s.prepareTraces(ctx); err != nil {
		return err
	}
	if err := s.prepareLogs(ctx); err != nil {
		return err
	}
	return s.prepareMetrics(ctx)
}

func (s *setup) prepareTraces(ctx context.Context) error {
	names, err := tracesSignal.exporters()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == exporterTree {
			s.tree = true
			continue
		}
		e, err := spanExporters.make(ctx, name)
		if err != nil {
			return err
		}
		s.undo = append(s.undo, e.Shutdown)
		s.spanExporters = append(s.spanExporters, e)
	}
	return nil
}

func (s *setup) prepareLogs(ctx context.Context) error {
	names, err := logsSignal.exporters()
	if err != nil {
		return err
	}
	for _, name := range names {
		e, err := logExporters.make(ctx, name)
		if err != nil {
			return err
		}
		s.undo = append(s.undo, e.Shutdown)
		s.logExporters = append(s.logExporters, e)
	}
	return nil
}

func (s *setup) prepareMetrics(ctx context.Context) error {
	c := s.config
	names, err := metricsSignal.exporters()
	if err != nil {
		return err
	}
	serve := c.metricsAddr != ""
	for _, name := range names {
		if name == exporterPrometheus {
			serve = true
			continue
		}
		r, err := metricReaders.make(ctx, name)
		if err != nil {
			return err
		}
		s.undo = append(s.undo, r.Shutdown)
		s.readers = append(s.readers, r)
	}
	s.prometheus = serve || c.registry != nil || len(c.mountMetrics) > 0
	if !serve {
		return nil
	}
	addr, err := prometheusAddr(c.metricsAddr)
	if err != nil {
		return err
	}
	l, err := listen(ctx, addr)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func(context.Context) error { return l.Close() })
	s.listener = l
	return nil
}

// abandon gives back what prepare made.
func (s *setup) abandon(ctx context.Context) error {
	ctx, cancel := release(ctx)
	defer cancel()
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		if err := s.undo[i](ctx); err != nil {
			errs = append(errs, fmt.Errorf("telemetry: giving up: %w", err))
		}
	}
	return errors.Join(errs...)
}

// startMetrics makes one MeterProvider for all readers. It is the last thing that can fail.
func (s *setup) startMetrics() error {
	c := s.config
	readers := slices.Concat(s.readers, c.readers)
	switch {
	case s.prometheus:
		opts := []metrics.Option{metrics.WithRegistry(c.registry), metrics.WithResource(s.resource), metrics.WithView(c.views...)}
		for _, r := range readers {
			opts = append(opts, metrics.WithReader(r))
		}
		m, err := metrics.New(opts...)
		if err != nil {
			return err
		}
		s.metrics, s.meterProvider = m, m
		s.parts.add("metrics", m.Shutdown)
	case len(readers) > 0:
		opts := []sdkmetric.Option{sdkmetric.WithResource(s.resource), sdkmetric.WithView(c.views...)}
		for _, r := range readers {
			opts = append(opts, sdkmetric.WithReader(r))
		}
		m := sdkmetric.NewMeterProvider(opts...)
		s.meterProvider = m
		s.parts.add("metrics", m.Shutdown)
	}
	return nil
}

func (s *setup) startTraces() {
	processors := s.config.spanProcessors
	if s.tree {
		processors = append(processors, NewTree(s.config.treeOutput))
	}
	for _, e := range s.spanExporters {
		processors = append(processors, sdktrace.NewBatchSpanProcessor(e))
	}
	if len(processors) == 0 {
		return
	}
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(s.resource),
		// The SDK would export the text of whatever a span's deferred End sees panicking.
		sdktrace.WithoutPanicRecording(),
	}
	for _, p := range processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	tp := sdktrace.NewTracerProvider(opts...)
	s.tracerProvider = tp
	s.parts.add("traces", func(ctx context.Context) error {
		// Flushing first: unlike Shutdown it returns what a batch processor's export fails with.
		flushCtx, cancel := share(ctx, 2)
		err := tp.ForceFlush(flushCtx)
		cancel()
		if ctx.Err() != nil {
			ctx, cancel = release(ctx)
			defer cancel()
		}
		return errors.Join(err, tp.Shutdown(ctx))
	})
}

func (s *setup) startLogs() {
	processors := s.config.logProcessors
	for _, e := range s.logExporters {
		processors = append(processors, sdklog.NewBatchProcessor(e))
	}
	if len(processors) == 0 {
		return
	}
	opts := []sdklog.LoggerProviderOption{sdklog.WithResource(s.resource)}
	for _, p := range processors {
		opts = append(opts, sdklog.WithProcessor(p))
	}
	s.loggerProvider = sdklog.NewLoggerProvider(opts...)
	s.parts.add("logs", s.loggerProvider.Shutdown)
}

func (s *setup) startServer() {
	if s.listener != nil {
		s.parts.add("the metrics listener", serveMetrics(s.listener, s.metrics.Handler()))
	}
}

// publish makes the providers known to the rest of the program.
func (s *setup) publish(propagator propagation.TextMapPropagator) {
	otel.SetTextMapPropagator(propagator)
	if s.tracerProvider != nil {
		otel.SetTracerProvider(s.tracerProvider)
	}
	if s.meterProvider != nil {
		otel.SetMeterProvider(s.meterProvider)
	}
	if s.loggerProvider != nil {
		var lp log.LoggerProvider = s.loggerProvider
		otel.SetLoggerProvider(lp)
	}
	for _, mount := range s.config.mountMetrics {
		mount(s.metrics.Handler())
	}
	if s.listener != nil {
		for _, served := range s.config.metricsServed {
			served(s.listener.Addr())
		}
	}
}
