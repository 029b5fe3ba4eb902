package instrument

import (
	"context"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricembedded "go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/trace"
	traceembedded "go.opentelemetry.io/otel/trace/embedded"
)

// OpenTelemetry's stand-in for a global provider forwards once: to the first provider that is set. Tracers
// and instruments that are made here from the global provider compare it at each use with the one they
// were made from, and are made again when they differ.

// IsGlobal reports whether an option's provider means the global one: none does, and so does the stand-in.
func IsGlobal(p any) bool {
	t := reflect.TypeOf(p)
	return t == nil || t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// made is what was made from a provider.
type made[P comparable, T any] struct {
	provider P
	uses     T
	opaque   reflect.Type // of a provider that cannot be compared: only one of another type is another one
}

func madeOf[P comparable, T any](p P, uses T) *made[P, T] {
	m := &made[P, T]{provider: p, uses: uses}
	if v := reflect.ValueOf(p); v.IsValid() && !v.Comparable() {
		m.opaque = v.Type()
	}
	return m
}

// by reports whether p is the provider.
func (m *made[P, T]) by(p P) bool {
	if m.opaque != nil {
		return reflect.TypeOf(p) == m.opaque
	}
	return p == m.provider
}

// globalTracer is a tracer of the global provider.
type globalTracer struct {
	traceembedded.Tracer
	scope   *Scope
	current atomic.Pointer[made[trace.TracerProvider, trace.Tracer]]
}

var _ trace.Tracer = (*globalTracer)(nil)

// Start implements trace.Tracer.
func (t *globalTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	p, c := otel.GetTracerProvider(), t.current.Load()
	if !c.by(p) {
		c = t.follow(c, p)
	}
	return c.uses.Start(ctx, name, opts...)
}

func (t *globalTracer) follow(old *made[trace.TracerProvider, trace.Tracer], p trace.TracerProvider) *made[trace.TracerProvider, trace.Tracer] {
	tracer, err := t.scope.tracer(p)
	c := madeOf(p, tracer)
	if t.current.CompareAndSwap(old, c) {
		Handle(err)
	}
	return c
}

// globalInstrument is an instrument of the global provider.
type globalInstrument[I any] struct {
	scope   *Scope
	create  func(*Meter) I
	current atomic.Pointer[made[metric.MeterProvider, I]]
}

// newGlobalInstrument makes the instrument of m first.
func newGlobalInstrument[I any](m *Meter, create func(*Meter) I) *globalInstrument[I] {
	g := &globalInstrument[I]{scope: m.scope, create: create}
	g.current.Store(madeOf(m.provider, create(m)))
	return g
}

func (g *globalInstrument[I]) get() I {
	p, c := otel.GetMeterProvider(), g.current.Load()
	if !c.by(p) {
		return g.follow(c, p)
	}
	return c.uses
}

func (g *globalInstrument[I]) follow(old *made[metric.MeterProvider, I], p metric.MeterProvider) I {
	m := g.scope.meterOf(p)
	c := madeOf(p, g.create(m))
	if g.current.CompareAndSwap(old, c) {
		Handle(m.Err())
		FollowGlobal()
	}
	return c.uses
}

type globalFloat64Histogram struct {
	metricembedded.Float64Histogram
	*globalInstrument[metric.Float64Histogram]
}

type globalInt64Histogram struct {
	metricembedded.Int64Histogram
	*globalInstrument[metric.Int64Histogram]
}

type globalInt64Counter struct {
	metricembedded.Int64Counter
	*globalInstrument[metric.Int64Counter]
}

type globalInt64UpDownCounter struct {
	metricembedded.Int64UpDownCounter
	*globalInstrument[metric.Int64UpDownCounter]
}

var (
	_ metric.Float64Histogram   = (*globalFloat64Histogram)(nil)
	_ metric.Int64Histogram     = (*globalInt64Histogram)(nil)
	_ metric.Int64Counter       = (*globalInt64Counter)(nil)
	_ metric.Int64UpDownCounter = (*globalInt64UpDownCounter)(nil)
)

// Record implements metric.Float64Histogram.
func (h *globalFloat64Histogram) Record(ctx context.Context, v float64, opts ...metric.RecordOption) {
	h.get().Record(ctx, v, opts...)
}

// Enabled implements metric.Float64Histogram.
func (h *globalFloat64Histogram) Enabled(ctx context.Context) bool { return h.get().Enabled(ctx) }

// Record implements metric.Int64Histogram.
func (h *globalInt64Histogram) Record(ctx context.Context, v int64, opts ...metric.RecordOption) {
	h.get().Record(ctx, v, opts...)
}

// Enabled implements metric.Int64Histogram.
func (h *globalInt64Histogram) Enabled(ctx context.Context) bool { return h.get().Enabled(ctx) }

// Add implements metric.Int64Counter.
func (c *globalInt64Counter) Add(ctx context.Context, n int64, opts ...metric.AddOption) {
	c.get().Add(ctx, n, opts...)
}

// Enabled implements metric.Int64Counter.
func (c *globalInt64Counter) Enabled(ctx context.Context) bool { return c.get().Enabled(ctx) }

// Add implements metric.Int64UpDownCounter.
func (c *globalInt64UpDownCounter) Add(ctx context.Context, n int64, opts ...metric.AddOption) {
	c.get().Add(ctx, n, opts...)
}

// Enabled implements metric.Int64UpDownCounter.
func (c *globalInt64UpDownCounter) Enabled(ctx context.Context) bool { return c.get().Enabled(ctx) }
