package integration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/integration/internal/observe"
	"github.com/taskspan/taskspan/otdb"
)

// counts is what reached the driver.
type counts struct {
	lifecycle  atomic.Int64 // connects, begins, commits, rollbacks, prepares
	statements atomic.Int64
	bad        atomic.Int64 // statements that failed with driver.ErrBadConn
}

// callKey finds the application's call in the context of a driver's call.
type callKey struct{}

// appCall is one call of the application and what became of it in the driver.
type appCall struct{ attempts, bad atomic.Int64 }

func (c *counts) statement(ctx context.Context, err error) {
	c.statements.Add(1)
	call, _ := ctx.Value(callKey{}).(*appCall)
	if call != nil {
		call.attempts.Add(1)
	}
	if errors.Is(err, driver.ErrBadConn) {
		c.bad.Add(1)
		if call != nil {
			call.bad.Add(1)
		}
	}
}

// countingConnector is a raw driver that counts what is asked of it.
type countingConnector struct {
	driver.Connector
	counts *counts
}

// Connect implements driver.Connector.
func (c countingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c.counts.lifecycle.Add(1)
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return countingConn{conn.(*stdlib.Conn), c.counts}, nil
}

type countingConn struct {
	*stdlib.Conn
	counts *counts
}

// BeginTx implements driver.ConnBeginTx.
func (c countingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.counts.lifecycle.Add(1)
	tx, err := c.Conn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return countingTx{tx, c.counts}, nil
}

// PrepareContext implements driver.ConnPrepareContext.
func (c countingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.counts.lifecycle.Add(1)
	stmt, err := c.Conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return countingStmt{stmt.(*stdlib.Stmt), c.counts}, nil
}

// ExecContext implements driver.ExecerContext.
func (c countingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	res, err := c.Conn.ExecContext(ctx, query, args)
	c.counts.statement(ctx, err)
	return res, err
}

// QueryContext implements driver.QueryerContext.
func (c countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.QueryContext(ctx, query, args)
	c.counts.statement(ctx, err)
	return rows, err
}

type countingTx struct {
	driver.Tx
	counts *counts
}

// Commit implements driver.Tx.
func (t countingTx) Commit() error {
	t.counts.lifecycle.Add(1)
	return t.Tx.Commit()
}

// Rollback implements driver.Tx.
func (t countingTx) Rollback() error {
	t.counts.lifecycle.Add(1)
	return t.Tx.Rollback()
}

type countingStmt struct {
	*stdlib.Stmt
	counts *counts
}

// ExecContext implements driver.StmtExecContext.
func (s countingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	res, err := s.Stmt.ExecContext(ctx, args)
	s.counts.statement(ctx, err)
	return res, err
}

// QueryContext implements driver.StmtQueryContext.
func (s countingStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.Stmt.QueryContext(ctx, args)
	s.counts.statement(ctx, err)
	return rows, err
}

// load is the application of the soak.
type load struct {
	db *sql.DB

	calls   atomic.Int64 // statements that it asked for
	refused atomic.Int64 // of these: no driver saw them
	gaveUp  atomic.Int64 // of these: every attempt failed with driver.ErrBadConn
	tasks   atomic.Int64

	inserted atomic.Int64 // rows that the server has acknowledged
	unsure   atomic.Int64 // rows whose insert failed
}

// call is one statement of the application.
func (l *load) call(ctx context.Context, f func(ctx context.Context) error) error {
	l.calls.Add(1)
	var c appCall
	err := f(context.WithValue(ctx, callKey{}, &c))
	switch {
	case c.attempts.Load() == 0:
		l.refused.Add(1)
	case c.attempts.Load() == c.bad.Load():
		l.gaveUp.Add(1)
	}
	return err
}

func (l *load) insert(ctx context.Context, on caller) error {
	return l.call(ctx, func(ctx context.Context) error {
		_, err := on.ExecContext(ctx, "INSERT INTO soak (worker, at) VALUES ($1, now())", rand.IntN(8))
		return err
	})
}

// settle enters what became of rows that were to be inserted.
func (l *load) settle(rows int64, err error) {
	if err == nil {
		l.inserted.Add(rows)
	} else {
		l.unsure.Add(rows)
	}
}

func (l *load) read(ctx context.Context, on caller, limit int) error {
	return l.call(ctx, func(ctx context.Context) error {
		rows, err := on.QueryContext(ctx, "SELECT id, worker FROM soak ORDER BY id DESC LIMIT $1", limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for n := 0; rows.Next(); n++ {
			var id, worker int
			if err := rows.Scan(&id, &worker); err != nil {
				return err
			}
			if n > 50 && rand.IntN(4) == 0 {
				return nil // closed before their end
			}
		}
		return rows.Err()
	})
}

// task is one of the tasks that the workers of the soak run.
func (l *load) task(ctx context.Context) error {
	switch rand.IntN(64) {
	case 63: // more statements than have spans of their own
		for range 400 {
			err := l.insert(ctx, l.db)
			if l.settle(1, err); err != nil {
				return err
			}
		}
		return nil
	}
	switch rand.IntN(8) {
	case 0, 1:
		err := l.insert(ctx, l.db)
		l.settle(1, err)
		return err
	case 2, 3:
		return l.read(ctx, l.db, 100)
	case 4: // a transaction
		tx, err := l.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		for range 3 {
			if err := l.insert(ctx, tx); err != nil {
				l.unsure.Add(3)
				return err
			}
		}
		if rand.IntN(3) == 0 {
			return tx.Rollback()
		}
		err = tx.Commit()
		l.settle(3, err)
		return err
	case 5: // a prepared statement
		stmt, err := l.db.PrepareContext(ctx, "SELECT COUNT(*) FROM soak WHERE worker = $1")
		if err != nil {
			return err
		}
		defer stmt.Close()
		for range 3 {
			err := l.call(ctx, func(ctx context.Context) error {
				var n int
				return stmt.QueryRowContext(ctx, rand.IntN(8)).Scan(&n)
			})
			if err != nil {
				return err
			}
		}
		return nil
	case 6: // a timeout
		ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(5))*time.Millisecond)
		defer cancel()
		return l.call(ctx, func(ctx context.Context) error {
			_, err := l.db.ExecContext(ctx, "SELECT pg_sleep(0.003)")
			return err
		})
	default: // a mistake
		return l.call(ctx, func(ctx context.Context) error {
			_, err := l.db.ExecContext(ctx, "INSERT INTO soak (id, worker, at) VALUES (0, 0, now())")
			return err
		})
	}
}

// Under load and with a network that fails, nothing is lost and nothing is
// counted twice: attempts of the driver = spans and what is folded in them = points in
// the metric.
func TestSoakCountsAgree(t *testing.T) {
	pgx.verifies(t, "soak: attempts = spans = points under faults")
	duration := must[time.Duration](t)(time.ParseDuration(env("TASKSPAN_SOAK", "2m")))
	if testing.Short() && os.Getenv("TASKSPAN_SOAK") == "" {
		duration = 10 * time.Second
	}
	dsn, address, name := pgx.open(t)
	admin := must[*sql.DB](t)(sql.Open("pgx", dsn))
	defer admin.Close()
	mustExec(t, admin, "CREATE TABLE soak (id BIGSERIAL PRIMARY KEY, worker INT, at TIMESTAMPTZ)")
	mustExec(t, admin, "INSERT INTO soak VALUES (0, 0, now())")
	w := newWire(t, address)

	before := goleak.IgnoreCurrent()
	rec := observe.NewCounter()
	runner := rec.Runner(t)
	raw := must[driver.Connector](t)(stdlib.GetDefaultDriver().(driver.DriverContext).OpenConnector(postgresDSN(w.address(), name)))
	var driven counts
	l := &load{db: otdb.OpenDB(countingConnector{raw, &driven}, rec.Options()...)}
	l.db.SetMaxOpenConns(8)
	l.db.SetConnMaxLifetime(5 * time.Second)

	deadline := time.Now().Add(duration)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for time.Now().Before(deadline) {
				l.tasks.Add(1)
				_ = runner.Run(t.Context(), "soak", l.task)
			}
		})
	}
	faults := disturb(t, w, admin, deadline)
	group.Wait()
	if err := l.db.Close(); err != nil {
		t.Error(err)
	}
	if err := runner.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	// A connect that the pool has begun by itself may outlive the pool for a moment.
	if err := leaked(before); err != nil {
		t.Error(err)
	}

	attempts := driven.lifecycle.Load() + driven.statements.Load()
	folds, folded := rec.Folded()
	own := rec.Count(observe.ScopeDatabase) - folds
	spans := int64(own + folded)
	var points int64
	for _, p := range rec.DurationPoints(t) {
		points += int64(p.Count)
	}
	rec.CheckDurations(t)
	application := driven.statements.Load() - driven.bad.Load() + l.gaveUp.Load() + l.refused.Load()
	tasks, taskPoints := int64(rec.Count(observe.ScopeWorker)), taskCount(t, rec)
	unexplained := abs(attempts-spans) + abs(attempts-points) + abs(l.calls.Load()-application) + abs(l.tasks.Load()-tasks) + abs(l.tasks.Load()-taskPoints)

	var rows int64
	if err := admin.QueryRowContext(t.Context(), "SELECT COUNT(*) - 1 FROM soak").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	report := fmt.Sprintf(`soak of %v with %d faults
driver:      %d attempts: %d statements, %d other operations
spans:       %d operations = %d spans of their own + %d folded into %d
metric:      %d points
application: %d statements = %d attempts - %d that failed with driver.ErrBadConn + %d calls of which every attempt did + %d calls refused before a driver saw them
tasks:       %d run, %d spans, %d points
server:      %d rows; %d inserts acknowledged, %d failed
unexplained difference: %d
`, duration, faults, attempts, driven.statements.Load(), driven.lifecycle.Load(), spans, own, folded, folds, points,
		l.calls.Load(), driven.statements.Load(), driven.bad.Load(), l.gaveUp.Load(), l.refused.Load(),
		l.tasks.Load(), tasks, taskPoints, rows, l.inserted.Load(), l.unsure.Load(), unexplained)
	t.Log("\n" + report)
	if unexplained != 0 {
		t.Error("the counts do not agree")
	}
	if rows < l.inserted.Load() || rows > l.inserted.Load()+l.unsure.Load() {
		t.Error("the server has other rows than the application")
	}
	if faults == 0 || driven.bad.Load() == 0 || l.refused.Load() == 0 || folded == 0 {
		t.Error("the soak was too gentle to show anything")
	}
}

// disturb disturbs the network and the server until the deadline.
func disturb(t *testing.T, w *wire, admin *sql.DB, deadline time.Time) (faults int) {
	t.Helper()
	tick := time.NewTicker(700 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if time.Until(deadline) < time.Second {
			return faults
		}
		switch faults++; faults % 3 {
		case 0:
			w.cut()
			w.mend(t)
		case 1:
			mustExec(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		case 2:
			w.poison(t, "latency", `"latency": 20, "jitter": 20`)
			<-tick.C
			w.heal()
		}
	}
	return faults
}

// taskCount returns the points of the histogram of tasks, and fails the test if
// a task still counts as running.
func taskCount(t *testing.T, rec *observe.Recorder) (n int64) {
	t.Helper()
	all := rec.Collect(t)
	h, ok := all["worker.task.duration"].Data.(metricdata.Histogram[float64])
	if !ok {
		t.Fatalf("worker.task.duration is %T", all["worker.task.duration"].Data)
	}
	for _, p := range h.DataPoints {
		n += int64(p.Count)
	}
	// A runner that is drained observes nothing any more.
	active, _ := all["worker.task.active"].Data.(metricdata.Sum[int64])
	for _, p := range active.DataPoints {
		if p.Value != 0 {
			t.Errorf("%d tasks still count as running", p.Value)
		}
	}
	return n
}

func abs(n int64) int64 { return max(n, -n) }
