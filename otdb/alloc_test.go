package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
)

// allocQuery has a placeholder, so that it is recorded as it is.
const allocQuery = "SELECT name FROM orders WHERE id = ?"

// floor returns what no instrumentation can do without: a span with the
// attributes of a statement, and a point in a histogram.
func floor(tracer trace.TracerProvider, meters metric.MeterProvider) func(context.Context) {
	kv := []attribute.KeyValue{
		semconv.DBSystemNameOtherSQL, semconv.DBQuerySummary("SELECT orders"), semconv.DBQueryText(allocQuery),
	}
	t := tracer.Tracer("floor")
	h, err := meters.Meter("floor").Float64Histogram("floor", metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10))
	if err != nil {
		panic(err)
	}
	start := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(kv...)}
	record := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(kv[:2]...))}
	return func(ctx context.Context) {
		ctx, span := t.Start(ctx, "SELECT orders", start...)
		span.End()
		h.Record(ctx, 1, record...)
	}
}

// skippingConnector is a connector whose connections skip their fast path, as those of
// go-sql-driver do for every statement with arguments.
type skippingConnector struct{ driver.Connector }

func (c skippingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Connector.Connect(ctx)
	return skippingConn{raw}, err
}

type skippingConn struct{ driver.Conn }

func (skippingConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return nil, driver.ErrSkip
}

func (skippingConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return nil, driver.ErrSkip
}

// TestAllocations guards the budget: what a statement allocates beyond the
// floor and beyond what it allocates without otdb.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	exec := func(ctx context.Context, db *sql.DB) { _, _ = db.ExecContext(ctx, allocQuery, 1) }
	query := func(ctx context.Context, db *sql.DB) {
		rows, err := db.QueryContext(ctx, allocQuery, 1)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
		}
		_ = rows.Close()
	}
	tests := []struct {
		name    string
		sampler sdktrace.Sampler
		run     func(context.Context, *sql.DB)
		budget  float64
		task    bool
		skips   bool
		opts    []otdb.Option
		folded  bool
	}{
		{"exec, sampled", sdktrace.AlwaysSample(), exec, 0, false, false, nil, false},
		{"exec, not sampled", sdktrace.NeverSample(), exec, 0, false, false, nil, false},
		{"exec in a task", sdktrace.AlwaysSample(), exec, 0, true, false, nil, false},
		{"exec, folded", sdktrace.AlwaysSample(), exec, 0, false, false, nil, true},
		{"query, folded", sdktrace.AlwaysSample(), query, 1, false, false, nil, true},
		{"query, sampled", sdktrace.AlwaysSample(), query, 1, false, false, nil, false}, // the rows
		{"query, not sampled", sdktrace.NeverSample(), query, 1, false, false, nil, false},
		{"query in a task", sdktrace.AlwaysSample(), query, 1, true, false, nil, false},
		{"exec that is skipped", sdktrace.AlwaysSample(), exec, 2, false, true, nil, false}, // what is skipped, and the statement
		{"query that is skipped", sdktrace.AlwaysSample(), query, 3, false, true, nil, false},
		{"exec with a comment", sdktrace.AlwaysSample(), exec, 1, false, false, []otdb.Option{otdb.WithCommenter(otdb.CommentStatic, attribute.String("application", "a"))}, false}, // the text
		{"exec with a comment of its own", sdktrace.AlwaysSample(), exec, 7, false, false, []otdb.Option{otdb.WithCommenter(otdb.CommentFull, attribute.String("application", "a"))}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracers := sdktrace.NewTracerProvider(sdktrace.WithSampler(tt.sampler))
			meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
			fake := &fakedb.DB{Shape: fakedb.ExecerContext | fakedb.QueryerContext | fakedb.ConnPrepareContext | fakedb.ConnBeginTx, Plain: true}
			connector := fake.Connector()
			if tt.skips {
				connector = skippingConnector{connector}
			}
			raw := sql.OpenDB(connector)
			defer raw.Close()
			observed := otdb.OpenDB(connector, append(tt.opts, otdb.WithTracerProvider(tracers), otdb.WithMeterProvider(meters))...)
			defer observed.Close()
			ctx := context.Background() // database/sql starts a goroutine for one that can be done
			if tt.task {
				ctx = ledger.NewContext(ctx, ledger.New(nil, "task"))
			}
			minimum := floor(tracers, meters)
			if tt.folded {
				var l ledger.Ledger
				l.Init(nil, ledger.Config{Limits: &ledger.Limits{OperationSpans: 1}})
				ctx = l.Bind(ctx)
				tt.run(ctx, observed)
				tt.run(ctx, observed) // which makes the fold
				minimum = func(context.Context) {}
			}

			least := testing.AllocsPerRun(200, func() { minimum(ctx) })
			bare := testing.AllocsPerRun(200, func() { tt.run(ctx, raw) })
			all := testing.AllocsPerRun(200, func() { tt.run(ctx, observed) })
			t.Logf("floor %v, bare %v, observed %v: %v beyond both", least, bare, all, all-bare-least)
			if beyond := all - bare - least; beyond > tt.budget {
				t.Errorf("%v allocations beyond the floor's %v and the bare %v, want %v at most", beyond, least, bare, tt.budget)
			}
		})
	}
}

// TestTracerAllocations guards the same budget for clients without database/sql.
func TestTracerAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	for _, tt := range []struct {
		name   string
		call   otdb.Call
		budget float64
		task   bool
		folded bool
	}{
		{"statement", otdb.Call{Query: allocQuery, Server: "db.example.com"}, 2, false, false},
		{"statement with arguments", otdb.Call{Query: allocQuery, Args: []any{1}, Session: new(int)}, 2, false, false},
		{"statement in a task", otdb.Call{Query: allocQuery, Args: []any{1}, Session: new(int)}, 2, true, false},
		{"statement, folded", otdb.Call{Query: allocQuery, Args: []any{1}}, 1, false, true}, // the span
	} {
		t.Run(tt.name, func(t *testing.T) {
			tracers := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
			meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
			tracer := must(otdb.NewTracer("other_sql", otdb.WithTracerProvider(tracers), otdb.WithMeterProvider(meters)))
			ctx := t.Context()
			if tt.task {
				ctx = ledger.NewContext(ctx, ledger.New(nil, "task"))
			}
			run := func() {
				_, span := tracer.Start(ctx, tt.call)
				span.End(1, nil)
			}
			minimum := floor(tracers, meters)
			if tt.folded {
				var l ledger.Ledger
				l.Init(nil, ledger.Config{Limits: &ledger.Limits{OperationSpans: 1}})
				ctx = l.Bind(ctx)
				run()
				run() // which makes the fold
				minimum = func(context.Context) {}
			}
			least := testing.AllocsPerRun(200, func() { minimum(ctx) })
			all := testing.AllocsPerRun(200, run)
			t.Logf("floor %v, traced %v", least, all)
			if all > least+tt.budget {
				t.Errorf("%v allocations beyond the floor's %v, want %v at most", all-least, least, tt.budget)
			}
		})
	}
}
