package worker_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/oteltest"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// contended is a database whose statements take their time, and the tasks on it.
type contended struct {
	*testing.T
	db     *sql.DB
	runner *worker.Runner
	rig    *oteltest.Rig

	mu      sync.Mutex
	reports map[string]worker.Report // the last one of each name
	waited  time.Duration            // by all outermost tasks
}

const work = 10 * time.Millisecond

func newContended(t *testing.T, work time.Duration, shape fakedb.Shape, open func(fake *fakedb.DB, opts ...otdb.Option) *sql.DB, opts ...otdb.Option) *contended {
	c := &contended{T: t, rig: oteltest.New(t, oteltest.Scope{}), reports: make(map[string]worker.Report)}
	fake := &fakedb.DB{Shape: shape}
	for i := range 2000 {
		fake.On(fakedb.ConnExecContext, i+1, fakedb.Fault{Do: func(context.Context) { time.Sleep(work) }})
	}
	c.db = open(fake, append(opts, otdb.WithTracerProvider(c.rig.TracerProvider), otdb.WithPoolName("pool"))...)
	var err error
	if c.runner, err = worker.New(worker.WithTracerProvider(c.rig.TracerProvider), worker.WithLogger(slog.New(slog.DiscardHandler))); err != nil {
		t.Fatal(err)
	}
	c.runner.Watch(func(_ context.Context, r worker.Report) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reports[r.Name] = r
		c.waited += r.DB.Wait
	})
	return c
}

func (c *contended) close() {
	c.Helper()
	if err := c.db.Close(); err != nil {
		c.Error(err)
	}
}

func (c *contended) exec(ctx context.Context, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}) {
	if _, err := db.ExecContext(ctx, "UPDATE a SET b = 1"); err != nil {
		c.Error(err)
	}
}

// wantSum checks that the tasks have waited for as long as the pool says, with
// what has been claimed outside of them.
func (c *contended) wantSum() {
	c.Helper()
	want := c.db.Stats().WaitDuration
	if want == 0 {
		c.Error("nobody has waited")
	}
	if c.waited < want*99/100 || c.waited > want*101/100 {
		c.Errorf("tasks waited %v, the pool says %v", c.waited, want)
	}
}

var shapes = map[string]fakedb.Shape{
	"with session reset":    fakedb.Modern,
	"without session reset": fakedb.Modern &^ (fakedb.SessionResetter | fakedb.Validator),
}

func openDB(fake *fakedb.DB, opts ...otdb.Option) *sql.DB {
	return otdb.OpenDB(fake.Connector(), opts...)
}

// What tasks waited for is, in sum, what the pool says, with twenty goroutines on two
// connections: in statements, transactions that are traced or not, and connections of
// their own, by whatever driver and however the limit came about.
func TestSumOfWaits(t *testing.T) {
	const allOperations = otdb.OperationConnect | otdb.OperationPing | otdb.OperationBegin | otdb.OperationCommit |
		otdb.OperationRollback | otdb.OperationPrepare | otdb.OperationResetSession
	for name, shape := range shapes {
		for kind, opts := range map[string][]otdb.Option{
			"all traced":      nil,
			"BEGIN is not":    {otdb.WithOperations(otdb.OperationConnect)},
			"resets are, too": {otdb.WithOperations(allOperations)},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { sumOfWaits(t, work, shape, opts) })
				sumOfWaits(t, 50*time.Microsecond, shape, opts) // by the clock, and with preemption
			})
		}
	}
}

func sumOfWaits(t *testing.T, work time.Duration, shape fakedb.Shape, opts []otdb.Option) {
	c := newContended(t, work, shape, openDB, opts...)
	defer c.close()
	c.exec(t.Context(), c.db) // while there is no limit
	c.db.SetMaxOpenConns(2)
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := range 5 {
				if err := c.runner.Run(t.Context(), "load", func(ctx context.Context) error {
					return c.use(ctx, (g+i)%4)
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c.wantSum()
}

// use uses a connection in one of four ways.
func (c *contended) use(ctx context.Context, way int) error {
	switch way {
	case 2:
		tx, err := c.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		c.exec(ctx, tx)
		c.exec(ctx, tx)
		return tx.Commit()
	case 3:
		conn, err := c.db.Conn(ctx)
		if err != nil {
			return err
		}
		c.exec(ctx, conn)
		return conn.Close()
	default:
		c.exec(ctx, c.db)
		return nil
	}
}

// A lone victim has its own wait, on its span and on its task's, and nobody else does.
func TestLoneVictim(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newContended(t, work, shape, openDB)
				defer c.close()
				c.db.SetMaxOpenConns(1)
				var wg sync.WaitGroup
				held := make(chan struct{})
				wg.Go(func() {
					_ = c.runner.Run(t.Context(), "holder", func(ctx context.Context) error {
						tx, err := c.db.BeginTx(ctx, nil)
						if err != nil {
							return err
						}
						close(held)
						time.Sleep(2 * time.Second)
						c.exec(ctx, tx)
						return tx.Commit()
					})
				})
				<-held
				wg.Go(func() {
					_ = c.runner.Run(t.Context(), "victim", func(ctx context.Context) error {
						c.exec(ctx, c.db)
						c.exec(ctx, c.db)
						return nil
					})
				})
				wg.Wait()
				const want = 2*time.Second + work
				if got := c.reports["victim"].DB.Wait; got != want {
					t.Errorf("the victim waited %v, want %v", got, want)
				}
				if got := c.reports["holder"].DB.Wait; got != 0 {
					t.Errorf("the holder waited %v", got)
				}
				f := c.reports["victim"].Findings
				if len(f) != 1 || f[0].Kind != worker.FindingConnectionWait || f[0].Pool != "pool" || f[0].Slowest != want || f[0].Location.File == "" {
					t.Errorf("%v", f)
				}
				waits := make(map[string]string)
				for _, s := range c.rig.Ended() {
					for _, kv := range s.Attributes() {
						if kv.Key == "otdb.connection.wait" || kv.Key == "worker.task.db.wait" {
							waits[s.Name()] += fmt.Sprint(kv.Key, " ", kv.Value.AsFloat64())
						}
					}
				}
				if got := fmt.Sprint(waits); got != "map[UPDATE a:otdb.connection.wait 2.01 victim:worker.task.db.wait 2.01]" {
					t.Error(got)
				}
			})
		})
	}
}

// A task that gives up while it waits has that wait, and nobody else does: neither the
// next task, nor the one around it, twice.
func TestGiveUp(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newContended(t, work, shape, openDB)
				defer c.close()
				c.db.SetMaxOpenConns(1)
				conn, err := c.db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				c.exec(t.Context(), conn) // finds the limit
				_ = c.runner.Run(t.Context(), "around", func(ctx context.Context) error {
					// A shorter timeout than the task's own makes it a failure.
					return c.runner.Run(ctx, "gives up", func(ctx context.Context) error {
						ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
						defer cancel()
						_, err := c.db.ExecContext(ctx, "UPDATE a SET b = 1")
						return fmt.Errorf("updating: %w", err)
					})
				})
				if err := conn.Close(); err != nil {
					t.Fatal(err)
				}
				_ = c.runner.Run(t.Context(), "next", func(ctx context.Context) error {
					c.exec(ctx, c.db)
					return nil
				})
				_ = c.runner.Run(t.Context(), "fails", func(context.Context) error { return errors.New("otherwise") })
				for name, want := range map[string]time.Duration{"gives up": 300 * time.Millisecond, "around": 300 * time.Millisecond, "next": 0, "fails": 0} {
					if got := c.reports[name].DB.Wait; got != want {
						t.Errorf("%s waited %v, want %v", name, got, want)
					}
				}
				if got := c.reports["gives up"].Result; got != worker.ResultFailure {
					t.Error(got)
				}
			})
		})
	}
}

// Statements outside of tasks claim their own waits, so that the next task does not
// pay for them.
func TestWaitsOutsideOfTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContended(t, work, fakedb.Modern, openDB)
		defer c.close()
		c.db.SetMaxOpenConns(1)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { c.exec(t.Context(), c.db) })
		}
		wg.Wait()
		_ = c.runner.Run(t.Context(), "next", func(ctx context.Context) error {
			c.exec(ctx, c.db)
			return nil
		})
		if got := c.reports["next"].DB.Wait; got != 0 || c.db.Stats().WaitDuration == 0 {
			t.Errorf("waited %v", got)
		}
	})
}

// A pool that is observed has its waits claimed, until it is not any more, and so has
// one whose limit comes late, from a tenth of a second after that on.
func TestWaitsOfObservedPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContended(t, work, fakedb.Modern, func(fake *fakedb.DB, opts ...otdb.Option) *sql.DB {
			return sql.OpenDB(otdb.WrapConnector(fake.Connector(), opts...))
		})
		defer c.close()
		stop, err := otdb.ObservePool(c.db, otdb.WithPoolName("observed"))
		if err != nil {
			t.Fatal(err)
		}
		two := func() {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					_ = c.runner.Run(t.Context(), "load", func(ctx context.Context) error {
						c.exec(ctx, c.db)
						return nil
					})
				})
			}
			wg.Wait()
		}
		two()
		c.db.SetMaxOpenConns(1)
		time.Sleep(100 * time.Millisecond)
		two()
		if c.waited != work || c.waited != c.db.Stats().WaitDuration {
			t.Errorf("tasks waited %v", c.waited)
		}
		stop()
		two()
		if c.waited != work || c.db.Stats().WaitDuration != 2*work {
			t.Errorf("tasks waited %v for a pool that is not observed any more", c.waited)
		}
	})
}
