package main

import (
	"context"
	"database/sql"
	"runtime"
)

// executor is what statements run on: a *sql.DB, or one connection of it.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// work is what is done again and again. It returns a function for a database.
type work func(ctx context.Context, db *sql.DB) (func() error, error)

var arguments = []any{7, 100}

func exec(text string, args ...any) work {
	return func(ctx context.Context, db *sql.DB) (func() error, error) {
		return execOn(ctx, db, text, args...), nil
	}
}

func execOn(ctx context.Context, db executor, text string, args ...any) func() error {
	return func() error {
		_, err := db.ExecContext(ctx, text, args...)
		return err
	}
}

func read(text string, args ...any) work {
	return func(ctx context.Context, db *sql.DB) (func() error, error) {
		return readOn(ctx, db, text, args...), nil
	}
}

func readOn(ctx context.Context, db executor, text string, args ...any) func() error {
	return func() error {
		rows, err := db.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		return drain(rows)
	}
}

// drain reads all rows.
func drain(rows *sql.Rows) error {
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// prepared is a query that was prepared beforehand.
func prepared(text string, args ...any) work {
	return func(ctx context.Context, db *sql.DB) (func() error, error) {
		st, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // closed with the database
		if err != nil {
			return nil, err
		}
		return func() error {
			rows, err := st.QueryContext(ctx, args...)
			if err != nil {
				return err
			}
			return drain(rows)
		}, nil
	}
}

// transaction is one of n execs.
func transaction(n int, text string, args ...any) work {
	return func(ctx context.Context, db *sql.DB) (func() error, error) {
		return func() error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			for range n {
				if _, err := tx.ExecContext(ctx, text, args...); err != nil {
					_ = tx.Rollback()
					return err
				}
			}
			err = tx.Commit()
			runtime.Gosched() // to the goroutine that waited for the transaction's end
			return err
		}, nil
	}
}
