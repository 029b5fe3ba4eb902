package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/taskspan/taskspan/worker"
)

// load is what the program does to its database.
type load struct {
	db     *sql.DB
	queue  *queue
	rounds int
}

func (l *load) schema(ctx context.Context) error {
	_, err := l.db.ExecContext(ctx, "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL)")
	return err
}

// round runs each task once. That some of them fail is what they are for.
func (l *load) round(ctx context.Context) {
	l.rounds++
	due := time.Now().Add(-30 * time.Millisecond)
	_ = worker.Run(ctx, "load.insert", l.insert, worker.WithEnqueuedAt(due), worker.WithAttempt(1))
	_ = worker.Run(ctx, "load.insert_twice", l.insertTwice)
	_ = worker.Run(ctx, "load.row_by_row", l.rowByRow)
	_ = worker.Run(ctx, "load.crowd", l.crowd)
	_ = worker.Run(ctx, "load.retry", l.insertTwice, worker.WithAttempt(1), worker.WithMaxAttempts(2))
	_ = worker.Run(ctx, "load.skip", func(context.Context) error { return worker.Skip(nil) })
	_ = worker.Run(ctx, "load.order", func(ctx context.Context) error { return l.queue.insert(ctx, l.rounds) })
	if l.rounds%5 == 0 {
		l.leak(ctx)
		_ = worker.Run(ctx, "load.panic", func(context.Context) error { panic("as it is meant to") })
		late, stop := context.WithTimeout(ctx, time.Millisecond)
		_ = worker.Run(late, "load.timeout", wait)
		stop()
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_ = worker.Run(gone, "load.cancel", wait)
	}
}

func wait(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// insert adds five orders in a transaction.
func (l *load) insert(ctx context.Context) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO orders (id, customer) VALUES (?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for i := range 5 {
		if _, err := insert.ExecContext(ctx, l.rounds*10+i, i); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// insertTwice breaks the primary key.
func (l *load) insertTwice(ctx context.Context) error {
	_, err := l.db.ExecContext(ctx, "INSERT INTO orders (id, customer) VALUES (?, 1)", l.rounds*10)
	return err
}

// rowByRow asks once for each row.
func (l *load) rowByRow(ctx context.Context) error {
	for i := range 25 {
		var customer int
		err := l.db.QueryRowContext(ctx, "SELECT customer FROM orders WHERE id = ?", i).Scan(&customer)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	return nil
}

// countSlowly takes a few milliseconds.
const countSlowly = "WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?) SELECT count(*) FROM numbers"

// crowd asks for more connections at the same time than there are.
func (l *load) crowd(ctx context.Context) error {
	g, _ := worker.NewGroup(ctx)
	for range 8 {
		g.Go("load.crowd.count", func(ctx context.Context) error {
			var n int
			return l.db.QueryRowContext(ctx, countSlowly, 20_000).Scan(&n)
		})
	}
	return g.Wait()
}

// leak leaves rows open when the task ends, and closes them behind its back.
func (l *load) leak(ctx context.Context) {
	var closeRows func() error
	_ = worker.Run(ctx, "load.leak", func(ctx context.Context) error {
		rows, err := l.db.QueryContext(ctx, "SELECT id FROM orders") //nolint:sqlclosecheck // what this is about
		if err != nil {
			return err
		}
		closeRows = rows.Close
		rows.Next()
		return rows.Err()
	})
	if closeRows != nil {
		_ = closeRows()
	}
}

// batch takes a few seconds.
func (l *load) batch(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Second, errors.New("the batch is done"))
	defer cancel()
	<-ctx.Done()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return 0, nil
	}
	return 0, ctx.Err()
}
