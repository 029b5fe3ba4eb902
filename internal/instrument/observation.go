package instrument

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Observation is a callback for observable instruments. It is safe for concurrent use.
type Observation struct {
	scope    *Scope
	register func(*Meter) (metric.Registration, error)
	on       atomic.Pointer[made[metric.MeterProvider, metric.Registration]] // nil: not any more

	// mu is held while the callback is registered and unregistered, for which a provider may hold a lock of its
	// own, and never while it calls back.
	mu sync.Mutex
}

// Observe calls register, which registers a callback on a meter of p. If p is nil, it is the global provider, and
// the callback moves to another when one is set and this is noticed: at the next use of any tracer or instrument
// of the global provider that came from this package, or after the next collection by the previous provider. It is
// never on both. It is an error if register returns neither a registration nor an error. That p has no meter is in
// the error of [Scope.Meter] alone.
func (s *Scope) Observe(p metric.MeterProvider, register func(*Meter) (metric.Registration, error)) (*Observation, error) {
	o := &Observation{scope: s, register: register}
	if !IsGlobal(p) {
		r, err := o.registerOn(s.meterOf(p))
		o.on.Store(madeOf(p, r))
		return o, err
	}
	m := s.Meter(nil)
	r, err := o.registerOn(m)
	if err != nil {
		return o, err
	}
	o.on.Store(madeOf(m.provider, r))
	observations.add(o)
	FollowGlobal() // that may have changed meanwhile
	return o, nil
}

// On reports whether the callback is registered with p itself. It may be called on a nil Observation, and from
// callbacks.
func (o *Observation) On(p metric.MeterProvider) bool {
	if o == nil {
		return false
	}
	on := o.on.Load()
	return on != nil && on.by(p)
}

// Stop unregisters the callback, once.
func (o *Observation) Stop() error {
	observations.remove(o)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.unregister(o.on.Swap(nil))
}

func (o *Observation) registerOn(m *Meter) (r metric.Registration, err error) {
	defer o.scope.GuardTo(&err, "the meter")
	if r, err = o.register(m); err == nil && r == nil {
		err = fmt.Errorf("%s: the meter returned no registration", o.scope.Package)
	}
	return r, err
}

func (o *Observation) unregister(on *made[metric.MeterProvider, metric.Registration]) (err error) {
	if on == nil || on.uses == nil {
		return nil
	}
	defer o.scope.GuardTo(&err, "the meter")
	return on.uses.Unregister()
}

// move moves the callback to another global provider, if it is another.
func (o *Observation) move(p metric.MeterProvider) (err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	on := o.on.Load()
	if on == nil || on.by(p) {
		return nil
	}
	errOld := o.unregister(on)
	m := o.scope.meterOf(p)
	m.global = true
	r, errNew := o.registerOn(m)
	o.on.Store(madeOf(p, r)) // if that failed, as well: it is not tried again
	return errors.Join(errOld, m.Err(), errNew)
}

// observations are those of the global provider.
var observations observationSet

type observationSet struct {
	mu    sync.Mutex
	set   map[*Observation]struct{}
	calls atomic.Int64 // of FollowGlobal, which the running one has not looked after
}

func (s *observationSet) add(o *Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = make(map[*Observation]struct{})
	}
	s.set[o] = struct{}{}
}

func (s *observationSet) remove(o *Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, o)
}

func (s *observationSet) list() []*Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Observation, 0, len(s.set))
	for o := range s.set {
		list = append(list, o)
	}
	return list
}

// FollowGlobal moves the callbacks on the global meter provider to the one that is set now. If it is running
// already, that one starts over, and this one returns.
func FollowGlobal() {
	if observations.calls.Add(1) > 1 {
		return
	}
	for n := int64(1); ; n = observations.calls.Load() {
		p := otel.GetMeterProvider()
		for _, o := range observations.list() {
			Handle(o.move(p))
		}
		if observations.calls.CompareAndSwap(n, 0) {
			return
		}
	}
}

// following returns a callback that notices, when it is called, that its provider is not the global one any more.
// The move must not wait for the collection, nor the collection for the move.
func (m *Meter) following(f metric.Callback) metric.Callback {
	here := madeOf(m.provider, struct{}{})
	return func(ctx context.Context, o metric.Observer) error {
		if !here.by(otel.GetMeterProvider()) {
			go FollowGlobal()
		}
		return f(ctx, o)
	}
}
