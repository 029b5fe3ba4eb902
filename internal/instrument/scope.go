package instrument

import (
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Scope is the instrumentation scope of a package. It must not change while it is
// used.
type Scope struct {
	Package   string // as it stands in front of the package's errors: "otdb"
	Name      string // as exported: the import path
	Version   string
	SchemaURL string // of the conventions that the package follows
}

// Tracer returns a tracer of p. If p is nil, it is one of the global provider, and of
// the next one when another is set. If there is an error, the tracer records nothing.
func (s *Scope) Tracer(p trace.TracerProvider) (trace.Tracer, error) {
	if !IsGlobal(p) {
		return s.tracer(p)
	}
	p = otel.GetTracerProvider()
	found, err := s.tracer(p)
	t := &globalTracer{scope: s}
	t.current.Store(madeOf(p, found))
	return t, err
}

func (s *Scope) tracer(p trace.TracerProvider) (t trace.Tracer, err error) {
	t = tracenoop.Tracer{}
	defer s.GuardTo(&err, "the tracer provider")
	found := p.Tracer(s.Name, trace.WithInstrumentationVersion(s.Version), trace.WithSchemaURL(s.SchemaURL))
	if found == nil {
		return t, fmt.Errorf("%s: the tracer provider returned no tracer; nothing is traced", s.Package)
	}
	return found, nil
}

// Meter returns a meter of p. If p is nil, it is one of the global provider, and its
// instruments are those of the next one when another is set. If there is no meter, the
// instruments record nothing; see [Meter.Err].
func (s *Scope) Meter(p metric.MeterProvider) *Meter {
	if !IsGlobal(p) {
		return s.meterOf(p)
	}
	m := s.meterOf(otel.GetMeterProvider())
	m.global = true
	return m
}

// meterOf returns a meter of p alone.
func (s *Scope) meterOf(p metric.MeterProvider) *Meter {
	m := &Meter{Meter: metricnoop.Meter{}, scope: s, provider: p}
	found, err := s.meter(p)
	if err != nil {
		m.errs = append(m.errs, err)
		return m
	}
	m.Meter = found
	return m
}

func (s *Scope) meter(p metric.MeterProvider) (m metric.Meter, err error) {
	defer s.GuardTo(&err, "the meter provider")
	m = p.Meter(s.Name, metric.WithInstrumentationVersion(s.Version), metric.WithSchemaURL(s.SchemaURL))
	if m == nil {
		return nil, fmt.Errorf("%s: the meter provider returned no meter; nothing is measured", s.Package)
	}
	return m, nil
}
