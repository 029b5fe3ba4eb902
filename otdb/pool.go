package otdb

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/target"
)

// closedReasonKey is why a pool closed a connection.
const closedReasonKey = attribute.Key("reason")

// ObservePool registers the metrics of db's connection pool. [Open] and
// [OpenDB] do so themselves; it is for databases opened through [Register],
// [WrapDriver] or [WrapConnector].
//
// The system is inferred from the driver, but what the DSN leads to is not known
// here. The options about providers, attributes, the target and the pool's name
// apply. The returned function unregisters the metrics; it is never
// nil and may be called more than once. If err is not nil, nothing is registered.
func ObservePool(db *sql.DB, opts ...Option) (stop func(), err error) {
	if db == nil {
		return func() {}, errors.New("otdb: ObservePool: the database is nil")
	}
	cfg, err := newConfig(opts)
	if err != nil {
		return func() {}, err
	}
	d, err := newDatabase(cfg, target.FromDriver(db.Driver()))
	if err != nil {
		return func() {}, err
	}
	unregister, err := d.observePool(db, cfg, observedPoolsOf(db.Driver()))
	if err != nil {
		return func() {}, err
	}
	return func() { instrument.Handle(unregister()) }, nil
}

// observePool registers the pool's metrics, and adds it to those whose waits are
// claimed. The returned function ends both; it is never nil and may be called more
// than once.
func (d *database) observePool(db *sql.DB, cfg *config, pools *waitedPools) (unregister func() error, err error) {
	name, stop, err := d.observeStats(cfg, db.Stats)
	if err != nil {
		return stop, err
	}
	remove := pools.add(newWaitedPool(name, db))
	return func() error {
		remove()
		return stop()
	}, nil
}

// observeStats registers the metrics of a pool that has those statistics, and returns the
// name that it has there. The returned function unregisters them; it is never nil and may
// be called more than once.
func (d *database) observeStats(cfg *config, stats func() sql.DBStats) (name string, unregister func() error, err error) {
	name = poolNames.take(d.poolName(cfg))
	base := append(targetAttributes(d.target), semconv.DBClientConnectionPoolName(name))
	base = instrument.Valid(append(base, cfg.attributes...))
	with := func(kv ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(base[:len(base):len(base)], kv...)...))
	}
	pool, idle, used := with(), with(semconv.DBClientConnectionStateIdle), with(semconv.DBClientConnectionStateUsed)
	maxIdle := with(closedReasonKey.String("max_idle"))
	maxIdleTime := with(closedReasonKey.String("max_idle_time"))
	maxLifetime := with(closedReasonKey.String("max_lifetime"))

	observation, err := scope.Observe(cfg.meterProvider, func(m *instrument.Meter) (metric.Registration, error) {
		count, err1 := m.Int64ObservableUpDownCounter("db.client.connection.count",
			metric.WithUnit("{connection}"),
			metric.WithDescription("The number of connections that are currently in state described by the state attribute."))
		limit, err2 := m.Int64ObservableUpDownCounter("db.client.connection.max",
			metric.WithUnit("{connection}"),
			metric.WithDescription("The maximum number of open connections allowed."))
		waits, err3 := m.Int64ObservableCounter("otdb.connection.waits",
			metric.WithUnit("{wait}"),
			metric.WithDescription("How often a caller had to wait for a connection."))
		waited, err4 := m.Float64ObservableCounter("otdb.connection.wait.duration",
			metric.WithUnit("s"),
			metric.WithDescription("How long callers have waited for connections, in total."))
		closed, err5 := m.Int64ObservableCounter("otdb.connection.closed",
			metric.WithUnit("{connection}"),
			metric.WithDescription("Connections that the pool closed, by the limit that made it do so."))
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			return nil, err
		}
		return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
			s := stats()
			o.ObserveInt64(count, int64(s.Idle), idle)
			o.ObserveInt64(count, int64(s.InUse), used)
			if s.MaxOpenConnections > 0 {
				o.ObserveInt64(limit, int64(s.MaxOpenConnections), pool)
			}
			o.ObserveInt64(waits, s.WaitCount, pool)
			o.ObserveFloat64(waited, s.WaitDuration.Seconds(), pool)
			o.ObserveInt64(closed, s.MaxIdleClosed, maxIdle)
			o.ObserveInt64(closed, s.MaxIdleTimeClosed, maxIdleTime)
			o.ObserveInt64(closed, s.MaxLifetimeClosed, maxLifetime)
			return nil
		}, count, limit, waits, waited, closed)
	})
	if err != nil {
		poolNames.give(name)
		return "", func() error { return nil }, err
	}
	return name, sync.OnceValue(func() error {
		poolNames.give(name)
		return observation.Stop()
	}), nil
}

// poolName returns the name that the pool should have.
func (d *database) poolName(cfg *config) string {
	if cfg.poolName != "" {
		return cfg.poolName
	}
	t := d.target
	name := t.Address
	switch port := t.DefaultPort(); {
	case name == "":
		name = t.System
	case t.Port != 0:
		name = net.JoinHostPort(name, strconv.Itoa(t.Port))
	case port != 0 && name[0] != '/': // not a socket
		name = net.JoinHostPort(name, strconv.Itoa(port))
	}
	if t.Namespace != "" {
		name += "/" + t.Namespace
	}
	return name
}

// names hands out names that are unique among those taken.
type names struct {
	mu    sync.Mutex
	taken map[string]bool
}

// poolNames are the names of the pools of this process. Two pools of one name
// would add up in the metrics.
var poolNames names

// take returns name, with a suffix if it is taken.
func (n *names) take(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.taken == nil {
		n.taken = make(map[string]bool)
	}
	free := name
	for i := 2; n.taken[free]; i++ {
		free = name + "#" + strconv.Itoa(i)
	}
	n.taken[free] = true
	return free
}

// give makes name free again.
func (n *names) give(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.taken, name)
}
