package instrument

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// Meter is a meter whose synchronous instruments can always be used. One that cannot
// be made records nothing, and its error is in Err. Observable instruments are the
// embedded meter's own, which may panic; see [Scope.Observe].
//
// It is used by one goroutine at a time.
type Meter struct {
	metric.Meter
	scope    *Scope
	provider metric.MeterProvider
	global   bool // instruments follow the global provider
	errs     []error
}

// Err returns why the meter, or instruments that were made since, record nothing.
func (m *Meter) Err() error { return errors.Join(m.errs...) }

// Float64Histogram returns the instrument of that name.
func (m *Meter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) metric.Float64Histogram {
	create := func(m *Meter) metric.Float64Histogram {
		return instrument[metric.Float64Histogram](m, m.Meter.Float64Histogram, noop.Float64Histogram{}, name, opts)
	}
	if m.global {
		return &globalFloat64Histogram{globalInstrument: newGlobalInstrument(m, create)}
	}
	return create(m)
}

// Int64Histogram returns the instrument of that name.
func (m *Meter) Int64Histogram(name string, opts ...metric.Int64HistogramOption) metric.Int64Histogram {
	create := func(m *Meter) metric.Int64Histogram {
		return instrument[metric.Int64Histogram](m, m.Meter.Int64Histogram, noop.Int64Histogram{}, name, opts)
	}
	if m.global {
		return &globalInt64Histogram{globalInstrument: newGlobalInstrument(m, create)}
	}
	return create(m)
}

// Int64Counter returns the instrument of that name.
func (m *Meter) Int64Counter(name string, opts ...metric.Int64CounterOption) metric.Int64Counter {
	create := func(m *Meter) metric.Int64Counter {
		return instrument[metric.Int64Counter](m, m.Meter.Int64Counter, noop.Int64Counter{}, name, opts)
	}
	if m.global {
		return &globalInt64Counter{globalInstrument: newGlobalInstrument(m, create)}
	}
	return create(m)
}

// Int64UpDownCounter returns the instrument of that name.
func (m *Meter) Int64UpDownCounter(name string, opts ...metric.Int64UpDownCounterOption) metric.Int64UpDownCounter {
	create := func(m *Meter) metric.Int64UpDownCounter {
		return instrument[metric.Int64UpDownCounter](m, m.Meter.Int64UpDownCounter, noop.Int64UpDownCounter{}, name, opts)
	}
	if m.global {
		return &globalInt64UpDownCounter{globalInstrument: newGlobalInstrument(m, create)}
	}
	return create(m)
}

// RegisterCallback registers f.
func (m *Meter) RegisterCallback(f metric.Callback, instruments ...metric.Observable) (metric.Registration, error) {
	if m.global {
		f = m.following(f)
	}
	return m.Meter.RegisterCallback(f, instruments...)
}

// instrument calls a method of the meter, and returns none where that fails.
func instrument[I comparable, O any](m *Meter, method func(string, ...O) (I, error), none I, name string, opts []O) I {
	var nothing I
	made, err := call(m.scope, method, name, opts)
	if err == nil && made == nothing {
		err = fmt.Errorf("%s: the meter returned no %s", m.scope.Package, name)
	}
	if err != nil {
		m.errs = append(m.errs, err)
		return none
	}
	return made
}

func call[I, O any](s *Scope, method func(string, ...O) (I, error), name string, opts []O) (made I, err error) {
	defer s.GuardTo(&err, "the meter")
	return method(name, opts...)
}
