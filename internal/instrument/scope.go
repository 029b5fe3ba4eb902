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

// Tracer returns a tracer of p, or of the global provider if p is nil. If there is
// an error, the tracer records nothing.
func (s *Scope) Tracer(p trace.TracerProvider) (t trace.Tracer, err error) {
	t = tracenoop.Tracer{}
	defer s.GuardTo(&err, "the tracer provider")
	if p == nil {
		p = otel.GetTracerProvider()
	}
	found := p.Tracer(s.Name, trace.WithInstrumentationVersion(s.Version), trace.WithSchemaURL(s.SchemaURL))
	if found == nil {
		return t, fmt.Errorf("%s: the tracer provider returned no tracer; nothing is traced", s.Package)
	}
	return found, nil
}

// Meter returns a meter of p, or of the global provider if p is nil. If p has none,
// the meter's instruments record nothing; see [Meter.Err].
func (s *Scope) Meter(p metric.MeterProvider) *Meter {
	m := &Meter{Meter: metricnoop.Meter{}, scope: s}
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
	if p == nil {
		p = otel.GetMeterProvider()
	}
	m = p.Meter(s.Name, metric.WithInstrumentationVersion(s.Version), metric.WithSchemaURL(s.SchemaURL))
	if m == nil {
		return nil, fmt.Errorf("%s: the meter provider returned no meter; nothing is measured", s.Package)
	}
	return m, nil
}
