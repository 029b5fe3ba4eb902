package otdb

import (
	"context"
	"database/sql"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// poolNumbers are what the metrics say of one pool.
type poolNumbers struct {
	idle, used, limit                     int64 // -1 where it is absent
	waits                                 int64
	wait                                  time.Duration
	maxIdle, maxIdleTime, maxLifetimeDone int64

	target attrs // what the pool leads to; an SQLite database in memory if it is nil
}

// wantPools checks all metrics of the pools, whole.
func (r *rig) wantPools(pools map[string]poolNumbers, more ...attribute.KeyValue) {
	r.t.Helper()
	var count, limit, waits, closed []metricdata.DataPoint[int64]
	var waited []metricdata.DataPoint[float64]
	for name, n := range pools {
		target := n.target
		if target == nil {
			target = attrs{"db.system.name": "sqlite"}
		}
		more := slices.Concat(more, target.Slice())
		set := func(kv ...attribute.KeyValue) attribute.Set {
			return attribute.NewSet(slices.Concat(kv, more, []attribute.KeyValue{attribute.String("db.client.connection.pool.name", name)})...)
		}
		point := func(v int64, kv ...attribute.KeyValue) metricdata.DataPoint[int64] {
			return metricdata.DataPoint[int64]{Attributes: set(kv...), Value: v}
		}
		count = append(count,
			point(n.idle, attribute.String("db.client.connection.state", "idle")),
			point(n.used, attribute.String("db.client.connection.state", "used")))
		if n.limit >= 0 {
			limit = append(limit, point(n.limit))
		}
		waits = append(waits, point(n.waits))
		waited = append(waited, metricdata.DataPoint[float64]{Attributes: set(), Value: n.wait.Seconds()})
		closed = append(closed,
			point(n.maxIdle, attribute.String("reason", "max_idle")),
			point(n.maxIdleTime, attribute.String("reason", "max_idle_time")),
			point(n.maxLifetimeDone, attribute.String("reason", "max_lifetime")))
	}
	ints := func(monotonic bool, points []metricdata.DataPoint[int64]) metricdata.Aggregation {
		return metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: monotonic, DataPoints: points}
	}
	want := []metricdata.Metrics{
		{
			Name: "db.client.connection.count", Unit: "{connection}", Data: ints(false, count),
			Description: "The number of connections that are currently in state described by the state attribute.",
		},
		{
			Name: "db.client.connection.max", Unit: "{connection}", Data: ints(false, limit),
			Description: "The maximum number of open connections allowed.",
		},
		{
			Name: "otdb.connection.waits", Unit: "{wait}", Data: ints(true, waits),
			Description: "How often a caller had to wait for a connection.",
		},
		{
			Name: "otdb.connection.wait.duration", Unit: "s",
			Description: "How long callers have waited for connections, in total.",
			Data:        metricdata.Sum[float64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true, DataPoints: waited},
		},
		{
			Name: "otdb.connection.closed", Unit: "{connection}", Data: ints(true, closed),
			Description: "Connections that the pool closed, by the limit that made it do so.",
		},
	}
	got := r.Collect()
	for _, m := range want {
		if m.Name == "db.client.connection.max" && len(limit) == 0 || len(pools) == 0 {
			if _, ok := got[m.Name]; ok {
				r.t.Errorf("%s is there: %v", m.Name, got[m.Name].Data)
			}
			continue
		}
		r.WantMetric(m)
	}
}

func TestPoolMetrics(t *testing.T) {
	r := newRig(t)
	db, err := Open("sqlite3", ":memory:", r.options(WithPoolName("orders"), WithAttributes(attribute.String("zone", "b")))...)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	zone := attribute.String("zone", "b")
	ctx := context.Background()
	r.wantPools(map[string]poolNumbers{"orders": {limit: -1}}, zone)

	first, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.wantPools(map[string]poolNumbers{"orders": {used: 2, limit: -1}}, zone)

	// A caller that waits in vain, and gives up.
	db.SetMaxOpenConns(2)
	waiting, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := db.Conn(waiting); err != context.Canceled {
			t.Errorf("err = %v", err)
		}
	}()
	timeout := time.After(10 * time.Second)
	for db.Stats().WaitCount == 0 {
		select {
		case <-timeout:
			t.Fatal("nobody waits")
		default:
			runtime.Gosched()
		}
	}
	cancel()
	<-done
	stats := db.Stats()
	if stats.WaitDuration <= 0 {
		t.Errorf("waited %v", stats.WaitDuration)
	}
	r.wantPools(map[string]poolNumbers{"orders": {used: 2, limit: 2, waits: 1, wait: stats.WaitDuration}}, zone)

	db.SetMaxIdleConns(1)
	_, _ = first.Close(), second.Close()
	r.wantPools(map[string]poolNumbers{"orders": {idle: 1, limit: 2, waits: 1, wait: stats.WaitDuration, maxIdle: 1}}, zone)

	// The next caller finds a connection that has become too old.
	db.SetConnMaxLifetime(time.Nanosecond)
	if err := db.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
	if n := db.Stats(); n.MaxLifetimeClosed == 0 {
		t.Errorf("stats %+v", n)
	} else {
		r.wantPools(map[string]poolNumbers{"orders": {
			idle: int64(n.Idle), limit: 2, waits: 1, wait: stats.WaitDuration, maxIdle: n.MaxIdleClosed, maxLifetimeDone: n.MaxLifetimeClosed,
		}}, zone)
	}

	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r.wantPools(nil)
}

func TestPoolNames(t *testing.T) {
	for _, test := range []struct {
		opts []Option
		want string
		to   attrs
	}{
		{nil, "sqlite", attrs{"db.system.name": "sqlite"}},
		{[]Option{WithNamespace("shop")}, "sqlite/shop", attrs{"db.system.name": "sqlite", "db.namespace": "shop"}},
		{[]Option{WithSystem("postgresql"), WithServer("db.example.com", 0), WithNamespace("shop")}, "db.example.com:5432/shop", attrs{
			"db.system.name": "postgresql", "server.address": "db.example.com", "db.namespace": "shop",
		}},
		{[]Option{WithSystem("postgresql"), WithServer("db.example.com", 5433)}, "db.example.com:5433", attrs{
			"db.system.name": "postgresql", "server.address": "db.example.com", "server.port": 5433,
		}},
		{[]Option{WithSystem("postgresql"), WithServer("::1", 5433), WithNamespace("shop")}, "[::1]:5433/shop", attrs{
			"db.system.name": "postgresql", "server.address": "::1", "server.port": 5433, "db.namespace": "shop",
		}},
		{[]Option{WithSystem("postgresql"), WithServer("/run/postgresql", 0), WithNamespace("shop")}, "/run/postgresql/shop", attrs{
			"db.system.name": "postgresql", "server.address": "/run/postgresql", "db.namespace": "shop",
		}},
		{[]Option{WithServer("db.example.com", 0)}, "db.example.com", attrs{"db.system.name": "sqlite", "server.address": "db.example.com"}},
		{[]Option{WithPoolName("orders"), WithNamespace("shop")}, "orders", attrs{"db.system.name": "sqlite", "db.namespace": "shop"}},
	} {
		r := newRig(t)
		unlimited := poolNumbers{limit: -1, target: test.to}
		first := r.open("sqlite3", ":memory:", test.opts...)
		r.wantPools(map[string]poolNumbers{test.want: unlimited})
		second := r.open("sqlite3", ":memory:", test.opts...)
		third := r.open("sqlite3", ":memory:", test.opts...)
		r.wantPools(map[string]poolNumbers{test.want: unlimited, test.want + "#2": unlimited, test.want + "#3": unlimited})
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		r.wantPools(map[string]poolNumbers{test.want: unlimited, test.want + "#3": unlimited})
		fourth := OpenDB(sqliteConnector(t, ":memory:"), r.options(append([]Option{WithSystem("sqlite")}, test.opts...)...)...) // the name is free again
		r.wantPools(map[string]poolNumbers{test.want: unlimited, test.want + "#2": unlimited, test.want + "#3": unlimited})
		for _, db := range []*sql.DB{first, third, fourth} {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		r.wantPools(nil)
	}
}

func TestPoolNameOfADSN(t *testing.T) {
	name := freshName() + "-pgx"
	sql.Register(name, &shopDriver{})
	r := newRig(t)
	r.open(name, "postgres://worker:canary-password@127.0.0.1:54321/shop?sslmode=disable")
	r.wantPools(map[string]poolNumbers{"127.0.0.1:54321/shop": {limit: -1, target: attrs{
		"db.system.name": "postgresql", "server.address": "127.0.0.1", "server.port": 54321, "db.namespace": "shop",
	}}})
	r.WantNothingOf("canary")
}

func TestObservePool(t *testing.T) {
	r := newRig(t)
	raw := freshName()
	sql.Register(raw, WrapDriver(sqliteConnector(t, "").Driver(), r.options()...))
	db, err := sql.Open(raw, ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r.wantPools(nil)
	stop, err := ObservePool(db, r.options(WithSystem("sqlite"), WithNamespace("shop"))...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ObservePool(db, r.options(WithSystem("sqlite"), WithPoolName("again"))...)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(3)
	if err := db.PingContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	shop := attrs{"db.system.name": "sqlite", "db.namespace": "shop"}
	r.wantPools(map[string]poolNumbers{"sqlite/shop": {idle: 1, limit: 3, target: shop}, "again": {idle: 1, limit: 3}})
	stop()
	r.wantPools(map[string]poolNumbers{"again": {idle: 1, limit: 3}})

	// The name is another pool's now, and stopping twice does not take it away.
	other := r.open("sqlite3", ":memory:", WithNamespace("shop"))
	stop()
	r.open("sqlite3", ":memory:", WithNamespace("shop"))
	r.wantPools(map[string]poolNumbers{"sqlite/shop": {limit: -1, target: shop}, "sqlite/shop#2": {limit: -1, target: shop}, "again": {idle: 1, limit: 3}})
	again()
	again()
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	r.wantPools(map[string]poolNumbers{"sqlite/shop#2": {limit: -1, target: shop}})
}
