package main

import (
	"context"
	"database/sql"

	"go.opentelemetry.io/otel/trace"
)

// query is the text of every statement, and summary its db.query.summary.
const (
	query   = "SELECT id, customer, total FROM orders WHERE customer = ? AND total > ?"
	summary = "SELECT orders"
)

// benchCase is one kind of work.
type benchCase struct {
	name    string
	rows    int
	parents string // the only parent to measure with, or all
	spans   int    // how many floors its floor is
	// prepare returns the work on a database.
	prepare func(ctx context.Context, db *sql.DB) (func() error, error)

	floorLimit, peerLimit float64 // budgets, 0 for none
}

func cases() []benchCase {
	return []benchCase{
		{name: "exec", rows: 1, spans: 1, prepare: exec, floorLimit: 1.15, peerLimit: 0.75},
		{name: "query, 1 row", rows: 1, spans: 1, prepare: read, floorLimit: 1.15, peerLimit: 0.75},
		{name: "query, 100 rows", rows: 100, spans: 1, prepare: read, peerLimit: 1.0},
		{name: "prepared query, 1 row", rows: 1, spans: 1, prepare: prepared},
		{name: "transaction of 3", rows: 1, spans: 5, prepare: transaction, peerLimit: 0.8},
	}
}

func exec(ctx context.Context, db *sql.DB) (func() error, error) {
	return func() error {
		_, err := db.ExecContext(ctx, query, 7, 100)
		return err
	}, nil
}

func drain(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

func read(ctx context.Context, db *sql.DB) (func() error, error) {
	return func() error { return drain(db.QueryContext(ctx, query, 7, 100)) }, nil
}

func prepared(ctx context.Context, db *sql.DB) (func() error, error) {
	st, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return func() error { return drain(st.QueryContext(ctx, 7, 100)) }, nil
}

func transaction(ctx context.Context, db *sql.DB) (func() error, error) {
	return func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for range 3 {
			if _, err := tx.ExecContext(ctx, query, 7, 100); err != nil {
				_ = tx.Rollback()
				return err
			}
		}
		return tx.Commit()
	}, nil
}

// parent is the context that the work is done in.
type parent struct {
	name    string
	sampled bool
	span    bool
}

func parents() []parent {
	return []parent{
		{name: "sampled", sampled: true, span: true},
		{name: "unsampled", span: true},
		{name: "no parent", sampled: true},
	}
}

func (p parent) context() context.Context {
	if !p.span {
		return context.Background()
	}
	cfg := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}
	if p.sampled {
		cfg.TraceFlags = trace.FlagsSampled
	}
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(cfg))
}
