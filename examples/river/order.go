package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/worker"
)

// SQL that both databases take. The tables have names of their own, since the
// database of -dsn may hold others.
const (
	createOrders = `CREATE TABLE IF NOT EXISTS riverdemo_orders (
	id TEXT PRIMARY KEY,
	customer TEXT NOT NULL,
	cents INTEGER NOT NULL
)`
	createInvoices = `CREATE TABLE IF NOT EXISTS riverdemo_invoices (
	order_id TEXT PRIMARY KEY REFERENCES riverdemo_orders (id),
	cents INTEGER NOT NULL
)`
	insertOrder = `INSERT INTO riverdemo_orders (id, customer, cents) VALUES ($1, $2, $3)`
	selectOrder = `SELECT cents FROM riverdemo_orders WHERE id = $1`
	// A job may be done twice, if its process is killed before it could report it.
	insertInvoice = `INSERT INTO riverdemo_invoices (order_id, cents) VALUES ($1, $2) ON CONFLICT (order_id) DO NOTHING`
)

// confidential stands for a value that telemetry must not let out.
const confidential = "customer-4711-confidential"

// Two kinds of work: River allows none to take longer than rescueAfter.
const (
	shortWork = 150 * time.Millisecond
	longWork  = 2 * time.Second
)

// invoice is the job of writing the invoice for an order.
type invoice struct {
	Order string        `json:"order"`
	Work  time.Duration `json:"work"` // how long the printer takes
}

// Kind is the name of the task.
func (invoice) Kind() string { return "invoice" }

// placed is an order and its job.
type placed struct {
	job   int64
	trace trace.TraceID
}

// createTables creates the tables that are not there yet.
func createTables(ctx context.Context, db *store) error {
	return worker.Run(ctx, "migrate", func(ctx context.Context) error {
		for _, statement := range []string{createOrders, createInvoices} {
			if err := db.exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// place takes an order, and leaves its invoice to others.
func place(ctx context.Context, db *store, c client, work time.Duration) (placed, error) {
	return worker.Do(ctx, "order", func(ctx context.Context) (placed, error) {
		p := placed{trace: trace.SpanContextFromContext(ctx).TraceID()}
		id := strings.ToLower(rand.Text()[:12])
		if err := db.exec(ctx, insertOrder, id, confidential, 4999); err != nil {
			return p, err
		}
		result, err := c.Insert(ctx, invoice{Order: id, Work: work}, nil)
		if err != nil {
			return p, err
		}
		p.job = result.Job.ID
		return p, nil
	})
}

// invoicer writes invoices.
type invoicer struct {
	river.WorkerDefaults[invoice]
	db *store
}

// Work implements river.Worker.
func (w *invoicer) Work(ctx context.Context, job *river.Job[invoice]) error {
	var cents int
	if err := w.db.queryRow(ctx, selectOrder, job.Args.Order).Scan(&cents); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	printer := time.NewTimer(job.Args.Work)
	defer printer.Stop()
	select {
	case <-printer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return w.db.exec(ctx, insertInvoice, job.Args.Order, cents)
}
