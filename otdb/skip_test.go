package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
)

// skippingDB returns a database that skips the fast path of every statement.
func skippingDB() *fakedb.DB {
	fake := &fakedb.DB{Shape: fakedb.Modern}
	fake.On(fakedb.ConnExecContext, 0, fakedb.Fault{Err: driver.ErrSkip})
	fake.On(fakedb.ConnQueryContext, 0, fakedb.Fault{Err: driver.ErrSkip})
	return fake
}

// skipRig calls a connection whose driver skips as database/sql does, in an
// order of the test's own.
type skipRig struct {
	*rig
	task *ledger.Ledger
	ctx  context.Context // of the task
	conn driver.Conn
	seen map[fakedb.Method][]trace.SpanContext // by the driver
}

func newSkipRig(t *testing.T) *skipRig {
	t.Helper()
	r := &skipRig{rig: newRig(t), task: ledger.New(nil, "task"), seen: make(map[fakedb.Method][]trace.SpanContext)}
	r.ctx = ledger.NewContext(context.Background(), r.task)
	fake := skippingDB()
	see := func(m fakedb.Method, err error) {
		fake.On(m, 0, fakedb.Fault{Err: err, Do: func(ctx context.Context) {
			r.seen[m] = append(r.seen[m], trace.SpanContextFromContext(ctx))
		}})
	}
	see(fakedb.ConnExecContext, driver.ErrSkip)
	see(fakedb.ConnPrepareWithContext, nil)
	see(fakedb.StmtExecWithContext, nil)
	c := WrapConnector(fake.Connector(), r.options(WithOperations(DefaultOperations&^OperationConnect))...)
	conn, err := c.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r.conn = conn
	return r
}

var oneArgument = []driver.NamedValue{{Ordinal: 1, Value: int64(1)}}

func (r *skipRig) skip(ctx context.Context, query string) {
	r.t.Helper()
	if _, err := r.conn.(driver.ExecerContext).ExecContext(ctx, query, oneArgument); err != driver.ErrSkip {
		r.t.Fatalf("ExecContext: %v", err)
	}
}

func (r *skipRig) skipQuery(ctx context.Context, query string) {
	r.t.Helper()
	if _, err := r.conn.(driver.QueryerContext).QueryContext(ctx, query, oneArgument); err != driver.ErrSkip {
		r.t.Fatalf("QueryContext: %v", err)
	}
}

func (r *skipRig) prepare(ctx context.Context, query string) driver.Stmt {
	r.t.Helper()
	s, err := r.conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *skipRig) exec(ctx context.Context, s driver.Stmt) {
	r.t.Helper()
	_, err := s.(driver.StmtExecContext).ExecContext(ctx, oneArgument)
	r.no(err)
	r.no(s.Close())
}

// goOn prepares and executes what was skipped.
func (r *skipRig) goOn(ctx context.Context, query string) {
	r.t.Helper()
	r.exec(ctx, r.prepare(ctx, query))
}

func (r *skipRig) query(ctx context.Context, s driver.Stmt) {
	r.t.Helper()
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, oneArgument)
	r.no(err)
	r.no(rows.Close())
	r.no(s.Close())
}

func (r *skipRig) begin() driver.Tx {
	r.t.Helper()
	tx, err := r.conn.(driver.ConnBeginTx).BeginTx(r.ctx, driver.TxOptions{})
	r.no(err)
	return tx
}

func (r *skipRig) no(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// wantEnded checks the spans by name and error.type, in the order of their ends,
// and that the metrics and the ledger say the same.
func (r *skipRig) wantEnded(want ...string) {
	r.t.Helper()
	var got []string
	failed := 0
	for _, s := range r.Spans() {
		line := s.Name()
		for _, kv := range s.Attributes() {
			if kv.Key == "error.type" {
				line += " " + kv.Value.AsString()
				failed++
			}
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("spans:\n got %q\nwant %q", got, want)
	}
	if len(got) > 0 {
		r.wantDurations()
	}
	if have := r.task.Totals(); int(have.Operations) != len(got) || int(have.Errors) != failed {
		r.t.Errorf("the ledger has %d operations and %d errors, the trace %d and %d", have.Operations, have.Errors, len(got), failed)
	}
}

// wantSeen checks that the driver has seen its calls of the method in the spans
// of these fast paths, counted from 0.
func (r *skipRig) wantSeen(m fakedb.Method, fast ...int) {
	r.t.Helper()
	var want []trace.SpanContext
	for _, i := range fast {
		want = append(want, r.seen[fakedb.ConnExecContext][i])
	}
	if got := r.seen[m]; !slices.EqualFunc(got, want, trace.SpanContext.Equal) {
		r.t.Errorf("%s was called in\n%v, want\n%v", m, got, want)
	}
}

// uncomparable is a context that == panics for.
type uncomparable struct {
	context.Context
	_ []int
}

// TestSkippedInterleaved calls a connection in the orders that database/sql
// comes to when goroutines share a transaction or a single connection: it gives
// the connection free between the fast path and the prepare.
func TestSkippedInterleaved(t *testing.T) {
	type key struct{}
	other := func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "other") }
	t.Run("different texts", func(t *testing.T) {
		r := newSkipRig(t)
		r.skip(r.ctx, "INSERT INTO a VALUES (?)")
		r.skip(r.ctx, "INSERT INTO b VALUES (?)")
		b := r.prepare(r.ctx, "INSERT INTO b VALUES (?)")
		a := r.prepare(r.ctx, "INSERT INTO a VALUES (?)")
		r.exec(r.ctx, a)
		r.exec(r.ctx, b)
		r.wantEnded("INSERT a", "INSERT b")
		r.wantSeen(fakedb.ConnPrepareWithContext, 1, 0)
		r.wantSeen(fakedb.StmtExecWithContext, 0, 1)
	})
	t.Run("different contexts", func(t *testing.T) {
		r := newSkipRig(t)
		ctx := other(r.ctx)
		r.skip(r.ctx, "INSERT INTO a VALUES (?)")
		r.skip(ctx, "INSERT INTO a VALUES (?)")
		second := r.prepare(ctx, "INSERT INTO a VALUES (?)")
		first := r.prepare(r.ctx, "INSERT INTO a VALUES (?)")
		r.exec(r.ctx, first)
		r.exec(ctx, second)
		r.wantEnded("INSERT a", "INSERT a")
		r.wantSeen(fakedb.ConnPrepareWithContext, 1, 0)
		r.wantSeen(fakedb.StmtExecWithContext, 0, 1)
	})
	t.Run("contexts that cannot be compared", func(t *testing.T) {
		r := newSkipRig(t)
		one, cancelOne := context.WithCancel(r.ctx)
		defer cancelOne()
		two, cancelTwo := context.WithCancel(r.ctx)
		defer cancelTwo()
		r.skip(uncomparable{Context: one}, "INSERT INTO a VALUES (?)")
		r.skip(uncomparable{Context: two}, "INSERT INTO a VALUES (?)")
		r.goOn(uncomparable{Context: two}, "INSERT INTO a VALUES (?)")
		r.goOn(uncomparable{Context: one}, "INSERT INTO a VALUES (?)")
		r.wantEnded("INSERT a", "INSERT a")
		r.wantSeen(fakedb.ConnPrepareWithContext, 1, 0)
	})
	t.Run("the same statement", func(t *testing.T) {
		r := newSkipRig(t)
		for range 3 {
			r.skip(r.ctx, "INSERT INTO a VALUES (?)")
		}
		for range 3 {
			r.goOn(r.ctx, "INSERT INTO a VALUES (?)")
		}
		r.wantEnded("INSERT a", "INSERT a", "INSERT a")
		r.wantSeen(fakedb.ConnPrepareWithContext, 0, 1, 2)
		r.wantSeen(fakedb.StmtExecWithContext, 0, 1, 2)
	})
	t.Run("exec and query", func(t *testing.T) {
		r := newSkipRig(t)
		r.skip(r.ctx, "INSERT INTO a VALUES (?)")
		r.skipQuery(r.ctx, "SELECT * FROM b WHERE c = ?")
		s := r.prepare(r.ctx, "INSERT INTO a VALUES (?)")
		r.query(r.ctx, r.prepare(r.ctx, "SELECT * FROM b WHERE c = ?"))
		r.exec(r.ctx, s)
		r.wantEnded("SELECT b", "INSERT a")
	})
	for name, use := range map[string]func(r *skipRig) (ended []string){
		"a prepare": func(r *skipRig) []string {
			r.no(r.prepare(r.ctx, "INSERT INTO b VALUES (?)").Close())
			return []string{"PREPARE"}
		},
		"a prepared execution": func(r *skipRig) []string {
			r.exec(r.ctx, r.prepare(r.ctx, "INSERT INTO b VALUES (?)"))
			return []string{"PREPARE", "INSERT b"}
		},
		"a prepared query": func(r *skipRig) []string {
			r.query(r.ctx, r.prepare(r.ctx, "SELECT * FROM b WHERE c = ?"))
			return []string{"PREPARE", "SELECT b"}
		},
		"a ping": func(r *skipRig) []string {
			r.no(r.conn.(driver.Pinger).Ping(r.ctx))
			return nil
		},
		"a commit": func(r *skipRig) []string {
			r.no(r.begin().Commit())
			return []string{"BEGIN", "COMMIT"}
		},
		"a rollback": func(r *skipRig) []string {
			r.no(r.begin().Rollback())
			return []string{"BEGIN", "ROLLBACK"}
		},
	} {
		t.Run(name+" in between", func(t *testing.T) {
			r := newSkipRig(t)
			r.skip(r.ctx, "INSERT INTO a VALUES (?)")
			ended := use(r)
			r.goOn(r.ctx, "INSERT INTO a VALUES (?)")
			r.wantEnded(append(ended, "INSERT a")...)
		})
	}
}

// TestSkippedAndNeverPrepared checks statements that nobody goes on with, which
// takes a program that calls the driver itself.
func TestSkippedAndNeverPrepared(t *testing.T) {
	for name, end := range map[string]func(r *skipRig) error{
		"reset": func(r *skipRig) error { return r.conn.(driver.SessionResetter).ResetSession(r.ctx) },
		"close": func(r *skipRig) error { return r.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newSkipRig(t)
			r.skip(r.ctx, "INSERT INTO a VALUES (?)")
			r.skip(r.ctx, "INSERT INTO b VALUES (?)")
			r.wantEnded()
			r.no(end(r))
			r.wantEnded("INSERT a _OTHER", "INSERT b _OTHER")

			// They are forgotten.
			r.goOn(r.ctx, "INSERT INTO a VALUES (?)")
			r.wantEnded("INSERT a _OTHER", "INSERT b _OTHER", "PREPARE", "INSERT a")
		})
	}
	t.Run("too many", func(t *testing.T) {
		r := newSkipRig(t)
		r.skip(r.ctx, "INSERT INTO a VALUES (?)")
		want := []string{"INSERT a _OTHER"}
		for range maxSkipped {
			r.skip(r.ctx, "INSERT INTO b VALUES (?)")
		}
		r.wantEnded(want...)
		for range maxSkipped {
			r.goOn(r.ctx, "INSERT INTO b VALUES (?)")
			want = append(want, "INSERT b")
		}
		r.wantEnded(want...)
	})
}

// TestSkippedConcurrently has goroutines share what database/sql lets them share.
func TestSkippedConcurrently(t *testing.T) {
	const goroutines, each = 8, 100
	type execer interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}
	share := func(t *testing.T, r *rig, ctx context.Context, e execer) {
		task := ledger.New(nil, "task")
		ctx = ledger.NewContext(ctx, task)
		var wg sync.WaitGroup
		for g := range goroutines {
			query := fmt.Sprintf("INSERT INTO t%d VALUES (?)", g%3) // some share one
			wg.Go(func() {
				for range each {
					if _, err := e.ExecContext(ctx, query, 1); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got := make(map[string]int)
		for _, s := range r.Spans() {
			got[fmt.Sprint(s.Name(), " ", s.Status().Code)]++
		}
		want := map[string]int{"INSERT t0 Unset": 3 * each, "INSERT t1 Unset": 3 * each, "INSERT t2 Unset": 2 * each}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("spans %v, want %v", got, want)
		}
		r.wantDurations()
		if have := task.Totals(); have.Operations != goroutines*each || have.Statements != goroutines*each || have.Errors != 0 {
			t.Errorf("the ledger has %+v", have)
		}
	}
	open := func(t *testing.T) (*rig, *sql.DB) {
		r := newRig(t)
		db := OpenDB(skippingDB().Connector(), r.options(WithOperations(OperationPrepare))...)
		t.Cleanup(func() { _ = db.Close() })
		return r, db
	}
	t.Run("transaction", func(t *testing.T) {
		r, db := open(t)
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		share(t, r, t.Context(), tx)
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
	})
	t.Run("connection", func(t *testing.T) {
		r, db := open(t)
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				tx, err := conn.BeginTx(t.Context(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if err := conn.PingContext(t.Context()); err != nil {
					t.Error(err)
				}
				if err := tx.Commit(); err != nil {
					t.Error(err)
				}
			}
		})
		share(t, r, t.Context(), conn)
		close(done)
		others.Wait()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
}
