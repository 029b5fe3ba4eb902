package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
)

// A strangeTracer's spans are not the SDK's: they know when they started and may
// not know when they ended, and their context may be one that can be done.
type strangeTracer struct {
	embedded.Tracer
	start     func() time.Time
	recording bool
	done      context.Context
	set       *int // how often a span was described
}

type strangeProvider struct {
	embedded.TracerProvider
	tracer strangeTracer
}

func (p strangeProvider) Tracer(string, ...trace.TracerOption) trace.Tracer { return p.tracer }

func (p strangeTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	if p.done != nil {
		ctx = p.done
	}
	return ctx, strangeSpan{start: p.start(), tracer: p}
}

type strangeSpan struct {
	noop.Span
	start  time.Time
	tracer strangeTracer
}

func (s strangeSpan) IsRecording() bool                   { return s.tracer.recording }
func (s strangeSpan) StartTime() time.Time                { return s.start }
func (s strangeSpan) EndTime() time.Time                  { return time.Time{} }
func (s strangeSpan) SetAttributes(...attribute.KeyValue) { *s.tracer.set++ }

// points returns the sum of the operations' durations, and their number.
func points(t *testing.T, reader sdkmetric.Reader) (sum float64, n uint64) {
	t.Helper()
	var got metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &got); err != nil {
		t.Fatal(err)
	}
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "db.client.operation.duration" {
				for _, p := range h.DataPoints {
					sum, n = sum+p.Sum, n+p.Count
				}
			}
		}
	}
	return sum, n
}

func TestSpansThatKnowLittleOfTheirTimes(t *testing.T) {
	zero := func() time.Time { return time.Time{} }
	for name, tracer := range map[string]strangeTracer{
		"no end, recording":       {start: time.Now, recording: true},
		"no end, not recording":   {start: time.Now},
		"no times, recording":     {start: zero, recording: true},
		"no times, not recording": {start: zero},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				described := 0
				tracer.set = &described
				reader := sdkmetric.NewManualReader()
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(3)
				fake.On(fakedb.ConnQueryContext, 1, slow(time.Second))
				fake.On(fakedb.ConnExecContext, 1, fakedb.Fault{Err: errors.New("no such table")})
				db := otdb.OpenDB(fake.Connector(), otdb.WithTracerProvider(strangeProvider{tracer: tracer}), otdb.WithOperations(0),
					otdb.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
				defer db.Close()
				rows := must(db.QueryContext(context.Background(), "SELECT"))
				read(t, rows, 1, time.Second)
				_ = rows.Close()
				if _, err := db.ExecContext(context.Background(), "DELETE"); err == nil {
					t.Error("no error")
				}
				if sum, n := points(t, reader); sum != 2 || n != 2 {
					t.Errorf("%d points, %v s in all; want 2, 2 s", n, sum)
				}
				if (described > 0) != tracer.recording {
					t.Errorf("described %d times", described)
				}
			})
		})
	}
}

// Rows whose tracer's context is done end when they are closed, as all others do.
func TestRowsAfterTheTracersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done, cancel := context.WithCancel(context.Background())
		reader := sdkmetric.NewManualReader()
		fake := fakeOf(fakedb.Modern)
		fake.Results = manyRows(3)
		fake.On(fakedb.ConnQueryContext, 1, slow(time.Second))
		db := otdb.OpenDB(fake.Connector(), otdb.WithOperations(0),
			otdb.WithTracerProvider(strangeProvider{tracer: strangeTracer{start: func() time.Time { return time.Time{} }, done: done, set: new(int)}}),
			otdb.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
		defer db.Close()
		rows := must(db.QueryContext(context.Background(), "SELECT"))
		read(t, rows, 1, time.Hour)
		cancel()
		_ = rows.Close()
		if sum, n := points(t, reader); sum != 3601 || n != 1 {
			t.Errorf("%d points, %v s in all; want 1, 3601 s", n, sum)
		}
	})
}

// Errors of the rows count in their task's ledger, whether or not the span has
// ended by then.
func TestErrorsOfRowsInTheLedger(t *testing.T) {
	for name, opts := range map[string][]otdb.Option{"rows": nil} {
		for how, fail := range map[string]func(*fakedb.DB, context.CancelFunc, *sql.Rows){
			"next": func(fake *fakedb.DB, _ context.CancelFunc, rows *sql.Rows) {
				fake.On(fakedb.RowsNext, 2, fakedb.Fault{Err: driver.ErrBadConn})
				for rows.Next() {
				}
			},
			"close": func(fake *fakedb.DB, _ context.CancelFunc, rows *sql.Rows) {
				fake.On(fakedb.RowsClose, 1, fakedb.Fault{Err: driver.ErrBadConn})
			},
			"context": func(_ *fakedb.DB, cancel context.CancelFunc, _ *sql.Rows) { cancel() },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fake := fakeOf(fakedb.Modern)
					fake.Results = manyRows(3)
					db, _ := observe(t, fake, opts...)
					defer db.Close()
					task := ledger.New(nil, "task")
					ctx, cancel := context.WithCancel(ledger.NewContext(t.Context(), task))
					defer cancel()
					rows := must(db.QueryContext(ctx, "SELECT"))
					rows.Next()
					fail(fake, cancel, rows)
					synctest.Wait()
					_ = rows.Close()
					if got := task.Totals(); got.Operations != 1 || got.Errors != 1 {
						t.Errorf("the ledger has %+v, want one operation that failed", got)
					}
				})
			})
		}
	}
}
