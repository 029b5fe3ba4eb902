package otdb_test

import (
	"context"
	"database/sql"
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
	}{
		{"exec, sampled", sdktrace.AlwaysSample(), exec, 0, false},
		{"exec, not sampled", sdktrace.NeverSample(), exec, 0, false},
		{"exec in a task", sdktrace.AlwaysSample(), exec, 0, true},
		{"query, sampled", sdktrace.AlwaysSample(), query, 1, false}, // the rows
		{"query, not sampled", sdktrace.NeverSample(), query, 1, false},
		{"query in a task", sdktrace.AlwaysSample(), query, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracers := sdktrace.NewTracerProvider(sdktrace.WithSampler(tt.sampler))
			meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
			fake := &fakedb.DB{Shape: fakedb.ExecerContext | fakedb.QueryerContext | fakedb.ConnPrepareContext | fakedb.ConnBeginTx, Plain: true}
			raw := sql.OpenDB(fake.Connector())
			defer raw.Close()
			observed := otdb.OpenDB(fake.Connector(), otdb.WithTracerProvider(tracers), otdb.WithMeterProvider(meters))
			defer observed.Close()
			ctx := context.Background() // database/sql starts a goroutine for one that can be done
			if tt.task {
				ctx = ledger.NewContext(ctx, ledger.New(nil, "task"))
			}
			minimum := floor(tracers, meters)

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
