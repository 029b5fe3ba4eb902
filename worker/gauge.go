package worker

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/taskspan/taskspan/internal/instrument"
)

// gaugeGroups are the states of the observable gauges. Runners on one meter
// provider share one: two callbacks that observe the same name would otherwise
// overwrite each other. All runners that were given no provider share one too, as
// they follow the global provider.
var gaugeGroups struct {
	mu     sync.Mutex
	groups map[*gaugeGroup]struct{}
}

// globalProvider is the key of the global provider, whichever that is.
type globalProvider struct{}

// gaugeGroup is the state of the gauges of the runners of one meter provider.
type gaugeGroup struct {
	clock func() time.Duration // those of the runner that made the group
	now   func() time.Time

	// The callbacks, by provider: under gaugeGroups.mu, never under mu, as a
	// provider may hold a lock of its own while it registers, and while it
	// calls back.
	registrations map[any]*registration
	global        atomic.Pointer[instrument.Observation] // that of the global provider

	mu     sync.Mutex
	gauges map[string]*gauge
}

// registration is the callback on one meter provider.
type registration struct {
	*instrument.Observation
	runners int
}

// gauge is the state of one task name. Tasks on different processors meet in
// different shards of it, so that they seldom wait for each other.
type gauge struct {
	shards [maxShards]shard // first, so that they are aligned
	span   string
	opts   []metric.ObserveOption
	refs   int // names of runners that use it, under the group's mu

	// The schedule, under the group's mu.
	interval  time.Duration // 0: none
	scheduled float64       // since when, as Unix time

	// The last success as it was observed last, under the group's mu: it must
	// not move by the difference between two readings of two clocks.
	reading time.Duration
	wall    float64
}

// shard is a part of a gauge, on a cache line of its own.
type shard struct {
	mu          sync.Mutex
	first, last *task // the running ones, in the order they started in
	size        int64 // how many they are
	succeeded   time.Duration
	hasSuccess  bool
	_           [16]byte
}

// maxShards is the number of shards of a gauge, a power of two.
const maxShards = 8

// shardIndices are given out so that each processor mostly gets the same one:
// that is how a sync.Pool works.
var (
	shardIndices = func() (s [maxShards]uint8) {
		for i := range s {
			s[i] = uint8(i)
		}
		return s
	}()
	nextShard atomic.Uint32
	shardPool = sync.Pool{New: func() any {
		i := nextShard.Add(1) % maxShards
		return &shardIndices[i]
	}}
)

// shardIndex returns the index of the shard for a task of this goroutine.
func shardIndex() uint8 {
	i := shardPool.Get().(*uint8)
	shardPool.Put(i)
	return *i // which nobody changes
}

func newGaugeGroup(c *config) *gaugeGroup {
	return &gaugeGroup{clock: c.clock, now: c.now, registrations: make(map[any]*registration), gauges: make(map[string]*gauge)}
}

// providerKey returns a map key that stands for a provider.
func providerKey(p metric.MeterProvider) any {
	if p == nil {
		return globalProvider{}
	}
	if reflect.ValueOf(p).Comparable() {
		return p
	}
	return new(byte)
}

// same reports whether a and b are the same value, for any types.
func same(a, b any) bool {
	if a == nil || b == nil {
		return a == b
	}
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	if va.Type() != vb.Type() {
		return false
	}
	if va.Comparable() && vb.Comparable() {
		return a == b
	}
	switch va.Kind() {
	case reflect.Slice, reflect.Map, reflect.Func:
		return va.UnsafePointer() == vb.UnsafePointer()
	default:
		return false
	}
}

// joinGauges returns the group of a runner whose meter comes from p, nil for the
// global provider, and how to leave it.
func joinGauges(c *config, p metric.MeterProvider) (*gaugeGroup, func() error, error) {
	gaugeGroups.mu.Lock()
	defer gaugeGroups.mu.Unlock()
	if instrument.IsGlobal(p) {
		p = nil
	}
	instrument.FollowGlobal() // so that it is known which provider is the global one
	key := providerKey(p)
	g := groupOn(key)
	if g == nil {
		switch current := otel.GetMeterProvider(); {
		case p == nil:
			g = groupOn(providerKey(current))
		case same(p, current):
			g = groupOn(globalProvider{})
		}
	}
	if g == nil {
		g = newGaugeGroup(c)
	}
	if g.registrations[key] == nil {
		o, err := scope.Observe(p, func(m *instrument.Meter) (metric.Registration, error) { return g.register(m, p) })
		if err != nil {
			return g, func() error { return nil }, err
		}
		g.registrations[key] = &registration{Observation: o}
		if p == nil {
			g.global.Store(o)
		}
	}
	g.registrations[key].runners++
	if gaugeGroups.groups == nil {
		gaugeGroups.groups = make(map[*gaugeGroup]struct{})
	}
	gaugeGroups.groups[g] = struct{}{}
	return g, func() error { return g.leave(key) }, nil
}

// groupOn returns the group that has a callback on the provider of that key, or
// nil. The caller holds gaugeGroups.mu.
func groupOn(key any) *gaugeGroup {
	for g := range gaugeGroups.groups {
		if g.registrations[key] != nil {
			return g
		}
	}
	return nil
}

func (g *gaugeGroup) leave(key any) error {
	gaugeGroups.mu.Lock()
	defer gaugeGroups.mu.Unlock()
	reg := g.registrations[key]
	if reg.runners--; reg.runners > 0 {
		return nil
	}
	delete(g.registrations, key)
	if len(g.registrations) == 0 {
		delete(gaugeGroups.groups, g)
	}
	if key == any(globalProvider{}) {
		g.global.Store(nil)
	}
	return reg.Stop()
}

// observables are the observable instruments of one meter.
type observables struct {
	active                        metric.Int64ObservableUpDownCounter
	age, success, interval, start metric.Float64ObservableGauge
}

// register registers the callback for runners that were given p, nil for none. The
// global provider can be one of those: then the one callback observes for both.
func (g *gaugeGroup) register(m *instrument.Meter, p metric.MeterProvider) (metric.Registration, error) {
	var (
		in observables
		e  [5]error
	)
	in.active, e[0] = m.Int64ObservableUpDownCounter("worker.task.active",
		metric.WithUnit("{task}"),
		metric.WithDescription("Worker tasks that are running."))
	in.age, e[1] = m.Float64ObservableGauge("worker.task.oldest.age",
		metric.WithUnit("s"),
		metric.WithDescription("How long the oldest running worker task has run."))
	in.success, e[2] = m.Float64ObservableGauge("worker.task.last_success.timestamp",
		metric.WithUnit("s"),
		metric.WithDescription("When a worker task last succeeded, as Unix time."))
	in.interval, e[3] = m.Float64ObservableGauge("worker.task.schedule.interval",
		metric.WithUnit("s"),
		metric.WithDescription("The time in which a worker task is to succeed once."))
	in.start, e[4] = m.Float64ObservableGauge("worker.task.schedule.start.timestamp",
		metric.WithUnit("s"),
		metric.WithDescription("Since when a worker task is to succeed, as Unix time."))
	if err := errors.Join(e[:]...); err != nil {
		return nil, err
	}
	return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if p == nil || !g.global.Load().On(p) {
			g.observe(o, &in)
		}
		return nil
	}, in.active, in.age, in.success, in.interval, in.start)
}

func (g *gaugeGroup) observe(o metric.Observer, in *observables) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range g.gauges {
		is := k.look()
		now, wall := g.clock(), g.now()
		o.ObserveInt64(in.active, is.running, k.opts...)
		if is.running > 0 {
			o.ObserveFloat64(in.age, (now - is.oldest).Seconds(), k.opts...)
		}
		if k.interval > 0 {
			o.ObserveFloat64(in.interval, k.interval.Seconds(), k.opts...)
			o.ObserveFloat64(in.start, k.scheduled, k.opts...)
		}
		if !is.hasSuccess {
			continue
		}
		if k.wall == 0 || k.reading != is.succeeded {
			k.reading = is.succeeded
			k.wall = unixSeconds(wall.Add(is.succeeded - now))
		}
		o.ObserveFloat64(in.success, k.wall, k.opts...)
	}
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixNano()) / float64(time.Second) }

// schedule notes that a task is to succeed once in that time, from start on. Of
// several starts the first one counts, and of several times the last.
func (g *gaugeGroup) schedule(k *gauge, every time.Duration, start time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if k.interval == 0 {
		k.scheduled = unixSeconds(start)
	}
	k.interval = every
}

// gauge returns the state of a task name, for one more user.
func (g *gaugeGroup) gauge(span string) *gauge {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := g.gauges[span]
	if k == nil {
		k = &gauge{span: span, opts: []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(keyTaskName.String(span)))}}
		g.gauges[span] = k
	}
	k.refs++
	return k
}

// release gives back what gauge returned. It ignores what is not the group's.
func (g *gaugeGroup) release(k *gauge) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gauges[k.span] != k {
		return
	}
	if k.refs--; k.refs == 0 {
		delete(g.gauges, k.span)
	}
}

// apart returns a group of its own that no provider knows.
func (g *gaugeGroup) apart() *gaugeGroup {
	return newGaugeGroup(&config{clock: g.clock, now: g.now})
}

// state is what a gauge has at one moment; times are readings of the clock.
type state struct {
	running    int64
	oldest     time.Duration // when the oldest running task started
	succeeded  time.Duration // when one succeeded last
	hasSuccess bool
}

func (k *gauge) look() (out state) {
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		if t := s.first; t != nil && (out.running == 0 || t.started < out.oldest) {
			out.oldest = t.started
		}
		out.running += s.size
		if s.hasSuccess && (!out.hasSuccess || s.succeeded > out.succeeded) {
			out.succeeded, out.hasSuccess = s.succeeded, true
		}
		s.mu.Unlock()
	}
	return out
}

// succeed notes a success. The caller holds s.mu.
func (s *shard) succeed(reading time.Duration) {
	if !s.hasSuccess || reading > s.succeeded {
		s.succeeded, s.hasSuccess = reading, true
	}
}

// link adds a running task. The caller holds s.mu.
func (s *shard) link(t *task) {
	t.prev = s.last
	if s.last == nil {
		s.first = t
	} else {
		s.last.next = t
	}
	s.last = t
	t.running = true
	s.size++
}

// unlink takes a task off that has ended. The caller holds s.mu.
func (s *shard) unlink(t *task) {
	if t.prev == nil {
		s.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		s.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.running = nil, nil, false
	s.size--
}
