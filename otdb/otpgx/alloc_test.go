package otpgx_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/otdb/otpgx"
)

// TestAllocations guards the budget: what a query allocates beyond a span of the SDK with
// its attributes and a point in a histogram.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	tracer, err := otpgx.NewTracer(otdb.WithTracerProvider(traces), otdb.WithMeterProvider(meters))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), newServer(t).config(t, nil).ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const query = "SELECT name FROM users WHERE id = $1"
	start := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(append(at.Slice(),
		semconv.DBQuerySummary("SELECT users"), semconv.DBQueryText(query))...)}
	histogram, err := meters.Meter("floor").Float64Histogram("floor")
	if err != nil {
		t.Fatal(err)
	}
	record := metric.WithAttributeSet(attribute.NewSet(at.Slice()...))
	options := []metric.RecordOption{record}
	floor := testing.AllocsPerRun(200, func() {
		ctx, span := traces.Tracer("floor").Start(t.Context(), "SELECT users", start...)
		span.End()
		histogram.Record(ctx, 1, options...)
	})
	args := []any{"1"}
	run := func(ctx context.Context) {
		ctx = tracer.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: query, Args: args})
		tracer.TraceQueryEnd(ctx, conn, pgx.TraceQueryEndData{CommandTag: pgconn.NewCommandTag("SELECT 1")})
	}
	traced := testing.AllocsPerRun(200, func() { run(t.Context()) })
	t.Logf("floor %v, traced %v", floor, traced)
	if traced > floor+2 {
		t.Errorf("%v allocations beyond the floor's %v, want 2 at most", traced-floor, floor)
	}
}
