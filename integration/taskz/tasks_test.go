package taskz

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tasks are those of a program that has all that the page has to show.
type tasks struct {
	*testing.T
	runner *worker.Runner
	db     *sql.DB
}

func newTasks(t *testing.T) *tasks {
	t.Helper()
	tracer := sdktrace.NewTracerProvider()
	runner, err := worker.New(worker.WithLogger(slog.New(slog.DiscardHandler)), worker.WithTracerProvider(tracer))
	check(t, err)
	db, err := otdb.Open("sqlite3", filepath.Join(t.TempDir(), "shop.db")+"?_journal_mode=WAL&_txlock=deferred", otdb.WithTracerProvider(tracer))
	check(t, err)
	t.Cleanup(func() { check(t, errors.Join(runner.Drain(context.Background()), db.Close())) })
	for _, query := range []string{
		"CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL UNIQUE)",
		"CREATE TABLE items (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, quantity INTEGER NOT NULL)",
		"INSERT INTO orders SELECT value, 'customer ' || value FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 300) SELECT value FROM n)",
		"INSERT INTO items SELECT id, id, 2 FROM orders",
	} {
		_, err := db.ExecContext(t.Context(), query)
		check(t, err)
	}
	return &tasks{t, runner, db}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plain is a task that reads one row.
func (s *tasks) plain(ctx context.Context) error {
	var n int
	return s.db.QueryRowContext(ctx, "SELECT count(*) FROM orders").Scan(&n)
}

// ship runs a statement for each order instead of one for all.
func (s *tasks) ship(ctx context.Context) error {
	for id := range 200 {
		var n int
		if err := s.db.QueryRowContext(ctx, "SELECT quantity FROM items WHERE order_id = ?", id+1).Scan(&n); err != nil {
			return err
		}
	}
	_, err := s.db.ExecContext(ctx, "UPDATE items SET quantity = quantity + 1 WHERE order_id = ?", 1)
	return err
}

// register fails: the customer is there already.
func (s *tasks) register(ctx context.Context) error {
	if err := s.plain(ctx); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, "INSERT INTO orders (customer) VALUES (?)", "customer 7")
	if err != nil {
		return fmt.Errorf("register the customer %q: %w", "customer 7", err)
	}
	return nil
}

// stuck begins a transaction, reads, and does nothing until ctx is done.
func (s *tasks) stuck(ctx context.Context, began chan<- struct{}) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	rows, err := tx.QueryContext(ctx, "SELECT id FROM orders ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	rows.Next()
	close(began)
	<-ctx.Done()
	return errors.Join(context.Cause(ctx), rows.Err())
}

// big makes progress, and is in the middle of a long statement.
func (s *tasks) big(ctx context.Context, began chan<- struct{}) error {
	for i := range 124 {
		if _, err := s.db.ExecContext(ctx, "UPDATE items SET quantity = 2 WHERE id = ?", i+1); err != nil {
			return err
		}
		worker.Progress(ctx, int64(i+1), 200)
	}
	close(began)
	var n int
	err := s.db.QueryRowContext(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0").Scan(&n)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// run runs all of them: what has ended, has when it returns.
func (s *tasks) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	for i := range 24 {
		check(s.T, s.runner.Run(ctx, "orders.count", s.plain, worker.WithID(fmt.Sprintf("#%d", i+1))))
	}
	check(s.T, s.runner.Run(ctx, "orders.ship", s.ship, worker.WithID("#2026-11")))
	for attempt := range 3 {
		err := s.runner.Run(ctx, "customers.register", s.register, worker.WithAttempt(attempt+1), worker.WithMaxAttempts(3))
		if err == nil {
			s.Fatal("a customer was registered twice")
		}
	}
	check(s.T, s.runner.Run(ctx, "search.reindex", func(context.Context) error { return nil }))
	ended := make(chan error, 2)
	for name, f := range map[string]func(context.Context, chan<- struct{}) error{"search.reindex": s.stuck, "invoices.close": s.big} {
		began := make(chan struct{})
		go func() {
			ended <- s.runner.Run(ctx, name, func(ctx context.Context) error { return f(ctx, began) },
				worker.WithID("#"+name[:1]), worker.WithAttempt(1), worker.WithMaxAttempts(3))
		}()
		select {
		case <-began:
		case <-time.After(time.Minute):
			s.Fatalf("%s does not begin", name)
		}
	}
	return func() {
		cancel()
		for range 2 {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				s.Error(err)
			}
		}
	}
}
