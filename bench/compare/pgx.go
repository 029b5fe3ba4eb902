package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/otdb/otpgx"
)

const pgxQuery = "SELECT id, customer, total FROM orders WHERE customer = $1 AND total > $2"

// throughPgx measures queries of pgx without database/sql: on a server, and what a tracer
// takes by itself, which is exact. otelpgx exports the same attributes, and its own name of
// the operation and number of rows, which it cannot do without.
func throughPgx(r *report) error {
	dsn := os.Getenv(postgresVariable)
	if dsn == "" {
		fmt.Fprintf(r.w, "pgx: not measured, %s is not set\n\n", postgresVariable)
		return nil
	}
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("%s: %w", postgresVariable, err)
	}
	if !reachable(cfg) {
		fmt.Fprintf(r.w, "pgx: not measured, the server in %s cannot be reached\n\n", postgresVariable)
		return nil
	}
	for _, c := range []struct {
		name   string
		plan   plan
		work   func(context.Context, *pgx.Conn, pgx.QueryTracer) func() error
		limits limits
	}{
		{"pgx, tracer alone", r.plan, tracerAlone, limits{peer: 1, allocs: 2}},
		// Longer turns: the first queries behind a collection of garbage are slow.
		{"pgx, query of 1 row", plan{3 * r.plan.rounds, 4 * r.plan.turn}, pgxRead(8), limits{peer: 1}},
		{"pgx, query of 100 rows", plan{3 * r.plan.rounds, 4 * r.plan.turn}, pgxRead(7), limits{peer: 1}},
	} {
		g, err := pgxGroup(c.name, cfg, c.plan, c.work)
		if err != nil {
			return err
		}
		r.add(g, c.limits)
	}
	return nil
}

// pgxTarget are the attributes of the server.
func pgxTarget(cfg *pgx.ConnConfig) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.DBNamespace(cfg.Database), semconv.ServerAddress(cfg.Host), semconv.ServerPort(int(cfg.Port)), summaryAttribute,
	}
}

func pgxGroup(name string, cfg *pgx.ConnConfig, p plan, work func(context.Context, *pgx.Conn, pgx.QueryTracer) func() error) (*group, error) {
	var s subjects
	defer s.close()
	target := pgxTarget(cfg)
	least, err := pgxFloor(sdkProviders(), target)
	if err != nil {
		return nil, err
	}
	// All share a connection: the processes of a server differ by more than tracers do.
	cfg = cfg.Copy()
	cfg.Tracer = new(switchedTracer)
	conn, err := pgx.ConnectConfig(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { return conn.Close(context.Background()) })
	if err := fillPgx(context.Background(), conn); err != nil {
		return nil, err
	}
	for _, way := range []struct {
		role   role
		name   string
		tracer func(providers) (pgx.QueryTracer, error)
	}{
		{bare, "bare", nil},
		{floor, "floor", nil},
		{own, "otpgx", func(p providers) (pgx.QueryTracer, error) {
			return otpgx.NewTracer(otdb.WithTracerProvider(p.traces), otdb.WithMeterProvider(p.meters))
		}},
		{other, "otelpgx", func(p providers) (pgx.QueryTracer, error) {
			return otelpgx.NewTracer(
				otelpgx.WithTracerProvider(p.traces), otelpgx.WithMeterProvider(p.meters),
				otelpgx.WithDisableConnectionDetailsInAttributes(), // which it would copy for each query
				otelpgx.WithTracerAttributes(target...), otelpgx.WithMeterAttributes(target...),
				otelpgx.WithSpanNameFunc(func(string) string { return summary })), nil
		}},
	} {
		providers := sdkProviders()
		// otelpgx traces below a span that records alone.
		ctx, parent := providers.traces.Tracer("parent").Start(context.Background(), "parent")
		s.closers = append(s.closers, func() error { parent.End(); return nil })
		var tracer pgx.QueryTracer
		if way.tracer != nil {
			if tracer, err = way.tracer(providers); err != nil {
				return nil, err
			}
		}
		do := work(ctx, conn, tracer)
		if way.role == floor {
			bareDo := do
			do = func() error { least(ctx); return bareDo() }
		}
		s.add(way.role, way.name, do)
	}
	return s.measure(name, sampled.name, p)
}

func fillPgx(ctx context.Context, conn *pgx.Conn) error {
	for _, text := range []string{
		"CREATE TEMPORARY TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total INTEGER)",
		"INSERT INTO orders SELECT n, CASE WHEN n = 1 THEN 8 ELSE 7 END, 100 + n FROM generate_series(1, 101) AS n",
		"CREATE INDEX orders_customer ON orders (customer)",
	} {
		if _, err := conn.Exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// switchedTracer is one tracer or another, or none.
type switchedTracer struct{ to pgx.QueryTracer }

// TraceQueryStart implements pgx.QueryTracer.
func (t *switchedTracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if t.to == nil {
		return ctx
	}
	return t.to.TraceQueryStart(ctx, conn, data)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (t *switchedTracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if t.to != nil {
		t.to.TraceQueryEnd(ctx, conn, data)
	}
}

// pgxRead reads the orders of a customer.
func pgxRead(customer int) func(context.Context, *pgx.Conn, pgx.QueryTracer) func() error {
	return func(ctx context.Context, conn *pgx.Conn, tracer pgx.QueryTracer) func() error {
		switched := conn.Config().Tracer.(*switchedTracer)
		return func() error {
			switched.to = tracer
			rows, err := conn.Query(ctx, pgxQuery, customer, 100)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		}
	}
}

// tracerAlone calls a tracer as pgx does for a query.
func tracerAlone(ctx context.Context, conn *pgx.Conn, tracer pgx.QueryTracer) func() error {
	args, tag := []any{8, 100}, pgconn.NewCommandTag("SELECT 1")
	return func() error {
		if tracer != nil {
			ctx := tracer.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: pgxQuery, Args: args})
			tracer.TraceQueryEnd(ctx, conn, pgx.TraceQueryEndData{CommandTag: tag})
		}
		return nil
	}
}

// pgxFloor is statementFloor with the attributes of a server.
func pgxFloor(p providers, target []attribute.KeyValue) (func(context.Context), error) {
	tracer := p.traces.Tracer("floor")
	histogram, err := p.meters.Meter("floor").Float64Histogram("db.client.operation.duration",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10))
	if err != nil {
		return nil, err
	}
	kv := append([]attribute.KeyValue{systemAttribute}, target...)
	start := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(append(kv[:len(kv):len(kv)], semconv.DBQueryText(pgxQuery))...),
	}
	record := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(kv...))}
	return func(ctx context.Context) {
		began := time.Now()
		ctx, span := tracer.Start(ctx, summary, start...)
		span.End()
		histogram.Record(ctx, time.Since(began).Seconds(), record...)
	}, nil
}
