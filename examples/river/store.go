package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/otdb/otpgx"
)

// store is the database of what is not River's.
type store struct {
	exec     func(ctx context.Context, query string, args ...any) error
	queryRow func(ctx context.Context, query string, args ...any) row
	close    func() error
}

// row is the only one that a query returns.
type row interface{ Scan(dest ...any) error }

// openStore opens a database. Statements outside of tasks, such as waiting for jobs, are not
// traced.
func openStore(ctx context.Context, d dsn) (*store, error) {
	if d.driver == "pgx" {
		return openPool(ctx, d)
	}
	db, err := otdb.Open(d.driver, d.source, otdb.WithRequireParent())
	if err != nil {
		return nil, err
	}
	return &store{
		exec: func(ctx context.Context, query string, args ...any) error {
			_, err := db.ExecContext(ctx, query, args...)
			return err
		},
		queryRow: func(ctx context.Context, query string, args ...any) row {
			return db.QueryRowContext(ctx, query, args...)
		},
		close: db.Close,
	}, nil
}

// openPool opens a database of PostgreSQL with pgx alone.
func openPool(ctx context.Context, d dsn) (*store, error) {
	cfg, err := pgxpool.ParseConfig(d.source)
	if err != nil {
		return nil, err
	}
	tracer, err := otpgx.NewTracer(otdb.WithRequireParent())
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	stop, err := otpgx.ObservePool(pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &store{
		exec: func(ctx context.Context, query string, args ...any) error {
			_, err := pool.Exec(ctx, query, args...)
			return err
		},
		queryRow: func(ctx context.Context, query string, args ...any) row { return pool.QueryRow(ctx, query, args...) },
		close:    func() error { stop(); pool.Close(); return nil },
	}, nil
}
