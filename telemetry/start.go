package telemetry

import (
	"context"
	"errors"
	"net"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/metrics"
	"github.com/taskspan/taskspan/telemetry/tree"
)

// Start sets up traces, metrics and logs as the standard OTEL_* environment variables and the options
// ask, and makes them the global ones of the packages otel and otel/log. Call it once, early in main;
// instrumentation that was made before it reports to what it sets up. After a second call, otdb and worker
// follow; other instrumentation stays with the first, as OpenTelemetry's stand-ins forward once. Their pool
// metrics and gauges move at the next statement or task, or after the next collection by the old provider.
// The package documentation lists the variables, and what happens when none is set.
//
//	t, err := telemetry.Start(ctx)
//	if err != nil {
//		log.Print(err) // telemetry may be incomplete; the program need not stop
//	}
//	defer t.Shutdown(ctx)
//
// The [Telemetry] is never nil, and has to be shut down whatever the error is. It has all that could be set up:
// an error means that something is left out, or that a default is used in place of a value that is no good.
// The error names each such variable or option, and what is used instead. So a mistyped variable stops no
// program that does not want to be stopped. Values that may hold credentials (headers, endpoints) are not
// in it. A collector that cannot be reached is no such error: it is reported to otel.Handle whenever an
// export fails.
//
// A signal for which nothing asks is left alone: its global provider stays what it was, usually one that
// does nothing. The propagator is always set.
func Start(ctx context.Context, opts ...Option) (*Telemetry, error) {
	handleErrors()
	s := &setup{config: newConfig(opts), telemetry: &Telemetry{}}
	for _, err := range checkVariables() {
		s.report(err)
	}
	propagator, err := propagatorFromEnv()
	s.report(err)
	if sdkDisabled() {
		otel.SetTextMapPropagator(propagator)
		return s.telemetry, s.err()
	}
	s.prepareTraces(ctx)
	s.prepareLogs(ctx)
	s.prepareMetrics(ctx)
	s.resource = newResource(ctx, s.config.attributes)
	s.startMetrics()
	s.startTraces()
	s.startLogs()
	s.startServer()
	s.publish(propagator)
	return s.telemetry, s.err()
}

// setup is the state of one Start.
type setup struct {
	config    *config
	resource  *resource.Resource
	telemetry *Telemetry
	errs      []error

	tree          bool
	spanExporters []sdktrace.SpanExporter
	logExporters  []sdklog.Exporter
	readers       []sdkmetric.Reader
	prometheus    bool
	listener      net.Listener         // nil: metrics are not served by us
	meterProvider metric.MeterProvider // nil: nothing asks for it
}

// report keeps an error that is not nil, once.
func (s *setup) report(err error) {
	if err == nil {
		return
	}
	// A variable that holds for all signals is checked for each.
	if !slices.ContainsFunc(s.errs, func(e error) bool { return e.Error() == err.Error() }) {
		s.errs = append(s.errs, err)
	}
}

func (s *setup) err() error { return errors.Join(s.errs...) }

func (s *setup) prepareTraces(ctx context.Context) {
	names, err := tracesSignal.exporters()
	s.report(err)
	for _, name := range names {
		if name == exporterTree {
			s.tree = true
			continue
		}
		if e, err := spanExporters.make(ctx, name, &s.telemetry.parts); err != nil {
			s.report(err)
		} else {
			s.spanExporters = append(s.spanExporters, e)
		}
	}
}

func (s *setup) prepareLogs(ctx context.Context) {
	names, err := logsSignal.exporters()
	s.report(err)
	for _, name := range names {
		if e, err := logExporters.make(ctx, name, &s.telemetry.parts); err != nil {
			s.report(err)
		} else {
			s.logExporters = append(s.logExporters, e)
		}
	}
}

func (s *setup) prepareMetrics(ctx context.Context) {
	c := s.config
	names, err := metricsSignal.exporters()
	s.report(err)
	serve := c.metricsAddr != ""
	for _, name := range names {
		if name == exporterPrometheus {
			serve = true
			continue
		}
		if r, err := metricReaders.make(ctx, name, &s.telemetry.parts); err != nil {
			s.report(err)
		} else {
			s.readers = append(s.readers, r)
		}
	}
	s.report(checkProducers(names, serve))
	s.prometheus = serve || c.registry != nil || c.prometheus
	if !serve {
		return
	}
	addr, err := prometheusAddr(c.metricsAddr)
	s.report(err)
	if addr != "" {
		s.listener, err = listen(ctx, addr)
		s.report(err)
	}
}

// startMetrics makes one MeterProvider for all readers.
func (s *setup) startMetrics() {
	c := s.config
	readers := slices.Concat(s.readers, c.readers)
	if s.prometheus {
		opts := []metrics.Option{metrics.WithRegistry(c.registry), metrics.WithResource(s.resource),
			metrics.WithView(c.views...), metrics.WithCardinalityLimit(c.limit)}
		for _, r := range readers {
			opts = append(opts, metrics.WithReader(r))
		}
		m, err := metrics.New(opts...)
		if err == nil {
			s.meterProvider, s.telemetry.meters, s.telemetry.metrics = m, m, m
			s.telemetry.parts.add("metrics", m.Shutdown)
			return
		}
		s.report(err)
		if s.listener != nil {
			s.report(s.listener.Close())
			s.listener = nil
		}
	}
	if len(readers) > 0 {
		opts := []sdkmetric.Option{sdkmetric.WithResource(s.resource), sdkmetric.WithView(c.views...),
			sdkmetric.WithCardinalityLimit(c.limit)}
		for _, r := range readers {
			opts = append(opts, sdkmetric.WithReader(r))
		}
		m := sdkmetric.NewMeterProvider(opts...)
		s.meterProvider, s.telemetry.meters = m, m
		s.telemetry.parts.add("metrics", m.Shutdown)
	}
}

func (s *setup) startTraces() {
	processors := s.config.spanProcessors
	if s.tree {
		processors = append(processors, tree.New(s.config.treeOutput))
	}
	for _, e := range s.spanExporters {
		processors = append(processors, NewSpanProcessor(e))
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
	s.telemetry.tracers = tp
	s.telemetry.parts.add("traces", func(ctx context.Context) error {
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
		processors = append(processors, sdklog.NewBatchProcessor(e,
			sdklog.WithMaxQueueSize(integer("OTEL_BLRP_MAX_QUEUE_SIZE")),
			sdklog.WithExportMaxBatchSize(integer("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE")),
			sdklog.WithExportInterval(millis("OTEL_BLRP_SCHEDULE_DELAY")),
			sdklog.WithExportTimeout(millis("OTEL_BLRP_EXPORT_TIMEOUT"))))
	}
	if len(processors) == 0 {
		return
	}
	opts := []sdklog.LoggerProviderOption{sdklog.WithResource(s.resource)}
	for _, p := range processors {
		opts = append(opts, sdklog.WithProcessor(p))
	}
	s.telemetry.loggers = sdklog.NewLoggerProvider(opts...)
	s.telemetry.parts.add("logs", s.telemetry.loggers.Shutdown)
}

func (s *setup) startServer() {
	if s.listener != nil {
		s.telemetry.addr = s.listener.Addr()
		s.telemetry.parts.add("the metrics listener", serveMetrics(s.listener, s.telemetry.metrics.Handler()))
	}
}

// publish makes the providers known to the rest of the program.
func (s *setup) publish(propagator propagation.TextMapPropagator) {
	otel.SetTextMapPropagator(propagator)
	if s.telemetry.tracers != nil {
		otel.SetTracerProvider(s.telemetry.tracers)
	}
	if s.meterProvider != nil {
		otel.SetMeterProvider(s.meterProvider)
	}
	if s.telemetry.loggers != nil {
		otel.SetLoggerProvider(s.telemetry.loggers)
	}
}
