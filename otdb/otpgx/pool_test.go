package otpgx_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/taskspan/taskspan/otdb/otpgx"
)

// A task waits for a connection, and not for one that is being made.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Ignore = nil
		cfg := r.config(t, r.tracer)
		dial := cfg.ConnConfig.DialFunc
		cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(5 * time.Second)
			return dial(ctx, network, addr)
		}
		pool := newPool(t, cfg)
		if err := r.task(t, func(ctx context.Context) error {
			first, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			second, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			time.AfterFunc(2*time.Second, first.Release)
			if _, err := pool.Exec(ctx, "DELETE FROM users"); err != nil {
				return err
			}
			second.Release()
			third, err := pool.Acquire(ctx) // is there at once
			if err != nil {
				return err
			}
			third.Release()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		pool.Close()
		deleted := statement("DELETE users", "DELETE FROM users")
		deleted.End = attrs{"otdb.connection.wait": 2.0}
		r.WantSpans(lifecycle("CONNECT"), lifecycle("CONNECT"), deleted)
		if got := r.report.DB.Wait; got != 2*time.Second {
			t.Errorf("the task waited for %v", got)
		}
		if f := r.report.Findings; len(f) != 1 || f[0].Pool != "db.example.com:6432/shop" {
			t.Errorf("findings: %v", f)
		}
	})
}

// One that gives up has waited too.
func TestWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		cfg := r.config(t, r.tracer)
		cfg.MaxConns = 1
		pool := newPool(t, cfg)
		if err := r.task(t, func(ctx context.Context) error {
			return pool.AcquireFunc(ctx, func(*pgxpool.Conn) error {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				if _, err := pool.Exec(ctx, "DELETE FROM users"); err == nil {
					t.Error("there was a connection")
				}
				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
		pool.Close()
		if got := r.report.DB.Wait; got != time.Second {
			t.Errorf("the task waited for %v", got)
		}
	})
}

func TestPoolMetrics(t *testing.T) {
	r := newRig(t)
	pool := r.pool(t, r.tracer)
	stop, err := otpgx.ObservePool(pool, r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	pools := at.With(attrs{"db.client.connection.pool.name": "db.example.com:6432/shop"})
	point := func(v int64, more attrs) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Attributes: attribute.NewSet(pools.With(more).Slice()...), Value: v}
	}
	r.WantMetric(metricdata.Metrics{
		Name: "db.client.connection.count", Unit: "{connection}",
		Description: "The number of connections that are currently in state described by the state attribute.",
		Data: metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.DataPoint[int64]{
			point(0, attrs{"db.client.connection.state": "idle"}), point(1, attrs{"db.client.connection.state": "used"}),
		}},
	})
	r.WantMetric(metricdata.Metrics{
		Name: "db.client.connection.max", Unit: "{connection}", Description: "The maximum number of open connections allowed.",
		Data: metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.DataPoint[int64]{point(2, nil)}},
	})
	got := r.Collect()
	for _, name := range []string{"otdb.connection.waits", "otdb.connection.wait.duration", "otdb.connection.closed"} {
		if _, ok := got[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
	stop()
	if _, ok := r.Collect()["otdb.connection.waits"]; ok {
		t.Error("the metrics are still there")
	}
}

func newPool(t *testing.T, cfg *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}
