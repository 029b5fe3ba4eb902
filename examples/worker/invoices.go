package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/worker"
)

// invoices is what this worker works on.
type invoices struct{ db *sql.DB }

// work sends the invoices that are due, every ten seconds until ctx is done.
func (in *invoices) work(ctx context.Context) error {
	if err := attempt(ctx, "invoices.migrate", in.migrate); err != nil {
		return err
	}
	if os.Getenv("TROUBLE") != "" {
		go in.trouble(ctx)
	}
	ticks := time.NewTicker(10 * time.Second)
	defer ticks.Stop()
	for {
		// The runner has logged a failure, and the next run may succeed.
		if err := attempt(ctx, "invoices.send", in.send); errors.Is(err, worker.ErrDraining) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func (in *invoices) migrate(ctx context.Context) error {
	_, err := in.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS invoices (id INTEGER PRIMARY KEY, sent_at TIMESTAMP)")
	return err
}

// send marks the next hundred invoices as sent, all of them or none.
func (in *invoices) send(ctx context.Context) error {
	tx, err := in.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	const next = "SELECT id FROM invoices WHERE sent_at IS NULL ORDER BY id LIMIT 100"
	if _, err := tx.ExecContext(ctx, "UPDATE invoices SET sent_at = ? WHERE id IN ("+next+")", time.Now().UTC()); err != nil {
		return err
	}
	return tx.Commit()
}
