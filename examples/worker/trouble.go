package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/taskspan/taskspan/worker"
)

// trouble runs, for a look at the page of tasks, what goes wrong in workers: a task that
// repeats a statement, a big one, one that fails, and one that is stuck until ctx is done.
// It does nothing but with TROUBLE=1: a worker of yours has no need of it.
func (in *invoices) trouble(ctx context.Context) {
	for _, t := range []struct {
		name string
		fn   func(context.Context) error
	}{
		{"trouble.repeats", in.repeats},
		{"trouble.big", in.big},
		{"trouble.fails", in.fails},
		{"trouble.stuck", in.stuck},
	} {
		if err := worker.Run(ctx, t.name, t.fn); err != nil {
			slog.DebugContext(ctx, "as was to be expected", "task", t.name) // the runner has logged the error
		}
	}
}

// repeats asks for each invoice by itself.
func (in *invoices) repeats(ctx context.Context) error {
	for id := range 200 {
		var n int
		if err := in.db.QueryRowContext(ctx, "SELECT count(*) FROM invoices WHERE id = ?", id+1).Scan(&n); err != nil {
			return err
		}
	}
	return nil
}

// big fills a table of its own.
func (in *invoices) big(ctx context.Context) error {
	const items = 5000
	tx, err := in.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, quantity INTEGER NOT NULL)"); err != nil {
		return err
	}
	for i := range items {
		if _, err := tx.ExecContext(ctx, "REPLACE INTO items (id, quantity) VALUES (?, ?)", i+1, 2); err != nil {
			return err
		}
		worker.Progress(ctx, int64(i+1), items)
	}
	return tx.Commit()
}

// fails adds an item that is there already.
func (in *invoices) fails(ctx context.Context) error {
	if _, err := in.db.ExecContext(ctx, "INSERT INTO items (id, quantity) VALUES (?, ?)", 7, 1); err != nil {
		return fmt.Errorf("add the item %d: %w", 7, err)
	}
	return nil
}

// stuck reads a row, and never the next one.
func (in *invoices) stuck(ctx context.Context) error {
	rows, err := in.db.QueryContext(ctx, "SELECT id FROM items ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	rows.Next()
	<-ctx.Done()
	return errors.Join(ctx.Err(), rows.Err())
}
