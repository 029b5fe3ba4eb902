package worker

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// gaugeGroups are the states of the observable gauges. Runners on one meter
// provider share one: two callbacks that observe the same name would otherwise
// overwrite each other. All runners that were given no provider share one too,
// because the global provider is a stand-in at first that becomes the real one.
var gaugeGroups struct {
	mu     sync.Mutex
	groups map[any]*gaugeGroup
}

// globalProvider is the key of the group of the runners without a provider.
type globalProvider struct{}

// gaugeGroup is the state of the gauges of the runners of one meter provider.
type gaugeGroup struct {
	key   any
	clock func() time.Duration // those of the runner that made the group
	now   func() time.Time

	// The callbacks, by provider: under gaugeGroups.mu, never under mu, as a
	// provider may hold a lock of its own while it registers, and while it
	// calls back.
	registrations map[any]*registration

	mu     sync.Mutex
	gauges map[string]*gauge
}

// registration is the callback on one meter provider.
type registration struct {
	metric.Registration
	runners int
}

// gauge is the state of one task name. Tasks on different processors meet in
// different shards of it, so that they seldom wait for each other.
type gauge struct {
	shards [maxShards]shard // first, so that they are aligned
	span   string
	opts   []metric.ObserveOption
	refs   int // names of runners that use it, under the group's mu

	// The last success as it was observed last, under the group's mu: it must
	// not move by the difference between two readings of two clocks.
	reading time.Duration
	wall    float64
}

// shard is a part of a gauge, on a cache line of its own.
type shard struct {
	mu          sync.Mutex
	first, last *task // the running ones, in the order they started in
	succeeded   time.Duration
	hasSuccess  bool
	_           [24]byte
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

// shard returns the shard for a task of this goroutine.
func (k *gauge) shard() *shard {
	i := shardPool.Get().(*uint8)
	s := &k.shards[*i]
	shardPool.Put(i)
	return s
}

func newGaugeGroup(key any, c *config) *gaugeGroup {
	return &gaugeGroup{key: key, clock: c.clock, now: c.now, registrations: make(map[any]*registration), gauges: make(map[string]*gauge)}
}

// providerKey returns a map key that stands for a provider.
func providerKey(p metric.MeterProvider) any {
	if p != nil && reflect.TypeOf(p).Comparable() {
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

// joinGauges returns the group of a runner whose meter comes from p, and how to
// leave it. global says that p is the global provider.
func joinGauges(c *config, p metric.MeterProvider, m metric.Meter, global bool) (*gaugeGroup, func() error, error) {
	provider := providerKey(p)
	key := provider
	if global {
		key = globalProvider{}
	}
	gaugeGroups.mu.Lock()
	defer gaugeGroups.mu.Unlock()

	g := gaugeGroups.groups[key]
	for _, other := range gaugeGroups.groups {
		// The provider may have become the global one, or have ceased to be it.
		if other.registrations[provider] != nil {
			g = other
		}
	}
	if g == nil {
		g = newGaugeGroup(key, c)
	}
	reg := g.registrations[provider]
	if reg == nil {
		r, err := g.register(m)
		if err != nil {
			return g, func() error { return nil }, err
		}
		reg = &registration{Registration: r}
		g.registrations[provider] = reg
	}
	reg.runners++
	if gaugeGroups.groups == nil {
		gaugeGroups.groups = make(map[any]*gaugeGroup)
	}
	gaugeGroups.groups[g.key] = g
	return g, func() error { return g.leave(provider) }, nil
}

func (g *gaugeGroup) leave(provider any) error {
	gaugeGroups.mu.Lock()
	defer gaugeGroups.mu.Unlock()
	reg := g.registrations[provider]
	if reg.runners--; reg.runners > 0 {
		return nil
	}
	delete(g.registrations, provider)
	if len(g.registrations) == 0 {
		delete(gaugeGroups.groups, g.key)
	}
	return reg.Unregister()
}

func (g *gaugeGroup) register(m metric.Meter) (metric.Registration, error) {
	age, err1 := m.Float64ObservableGauge("worker.task.oldest.age",
		metric.WithUnit("s"),
		metric.WithDescription("How long the oldest running worker task has run."))
	success, err2 := m.Float64ObservableGauge("worker.task.last_success.timestamp",
		metric.WithUnit("s"),
		metric.WithDescription("When a worker task last succeeded, as Unix time."))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	r, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		g.observe(o, age, success)
		return nil
	}, age, success)
	if err == nil && r == nil {
		err = errors.New("worker: the meter returned no registration")
	}
	return r, err
}

func (g *gaugeGroup) observe(o metric.Observer, age, success metric.Float64Observable) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range g.gauges {
		started, isRunning, succeeded, hasSuccess := k.look()
		now, wall := g.clock(), g.now()
		if isRunning {
			o.ObserveFloat64(age, (now - started).Seconds(), k.opts...)
		}
		if !hasSuccess {
			continue
		}
		if k.wall == 0 || k.reading != succeeded {
			k.reading = succeeded
			k.wall = float64(wall.Add(succeeded-now).UnixNano()) / float64(time.Second)
		}
		o.ObserveFloat64(success, k.wall, k.opts...)
	}
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
	return newGaugeGroup(nil, &config{clock: g.clock, now: g.now})
}

// look returns when the oldest running task started, and when one succeeded
// last, as readings of the clock.
func (k *gauge) look() (started time.Duration, isRunning bool, succeeded time.Duration, hasSuccess bool) {
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		if t := s.first; t != nil && (!isRunning || t.started < started) {
			started, isRunning = t.started, true
		}
		if s.hasSuccess && (!hasSuccess || s.succeeded > succeeded) {
			succeeded, hasSuccess = s.succeeded, true
		}
		s.mu.Unlock()
	}
	return started, isRunning, succeeded, hasSuccess
}

// expect notes that a success is expected from this reading of the clock on.
func (k *gauge) expect(reading time.Duration) {
	if _, _, _, ok := k.look(); ok {
		return
	}
	s := &k.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.succeed(reading)
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
}
