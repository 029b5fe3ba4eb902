package otdb

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/oteltest"
)

func TestLedger(t *testing.T) {
	untimed := WithTracerProvider(noop.NewTracerProvider())
	for _, test := range []struct {
		name string
		opts []Option
		// spans says that the time is that of the spans, not of the clock.
		spans bool
	}{
		{"with spans", nil, true},
		{"without spans", []Option{untimed}, false},
		{"filtered", []Option{WithSpanFilter(func(context.Context, SpanInfo) bool { return false })}, false},
		{"row counts", []Option{WithRowCounts(), untimed}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			db, _ := r.openTicking(test.opts...)
			if err := db.PingContext(context.Background()); err != nil { // outside of the task
				t.Fatal(err)
			}
			r.TakeSpans()
			spent := func(ticks time.Duration) (sum time.Duration) {
				if !test.spans {
					return ticks * time.Millisecond
				}
				for _, s := range r.Spans()[1:] {
					sum += s.EndTime().Sub(s.StartTime())
				}
				return sum
			}
			task := ledger.New(nil, "orders.ship")
			inner := ledger.New(task, "orders.label")
			ctx := ledger.NewContext(context.Background(), inner)

			script(t, ctx, db)
			// A tick for each exec, and four for the query and its three reads.
			want := ledger.Totals{Operations: 3, Statements: 3, Errors: 1, Rows: 2, Duration: spent(6)}
			if got := inner.Totals(); got != want {
				t.Errorf("the inner task has %+v, want %+v", got, want)
			}

			ctx = ledger.NewContext(context.Background(), task)
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			st, err := tx.PrepareContext(ctx, "DELETE FROM otdb_users WHERE id = ?")
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				if _, err := st.ExecContext(ctx, i); err != nil {
					t.Fatal(err)
				}
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			// BEGIN, PREPARE, three executions and COMMIT, a tick each.
			want.Operations, want.Statements, want.Duration = 9, 6, spent(12)
			if got := task.Totals(); got != want {
				t.Errorf("the task has %+v, want %+v", got, want)
			}
			var repeated []string
			for _, s := range task.Repeated(2) {
				repeated = append(repeated, fmt.Sprintf("%d× %s: %s", s.Count, s.Summary, s.SQL))
			}
			if want := []string{
				"3× DELETE otdb_users: DELETE FROM otdb_users WHERE id = ?",
				"2× INSERT otdb_users: INSERT INTO otdb_users (id, email) VALUES (?, ?)",
			}; !slices.Equal(repeated, want) {
				t.Errorf("repeated %q, want %q", repeated, want)
			}
		})
	}
}

func TestRowsThatATaskLeaks(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithRowCounts(), withClock(instrument.SystemClock.Now))
	task := ledger.New(nil, "orders.ship")
	ctx := ledger.NewContext(context.Background(), task)
	rows, err := db.QueryContext(ctx, "SELECT id, email FROM otdb_users")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	rows.Next()
	leaks := task.EndTask()
	if len(leaks) != 1 || leaks[0].Transaction || leaks[0].Rows != 1 || leaks[0].Summary != "SELECT otdb_users" ||
		leaks[0].SQL != "SELECT id, email FROM otdb_users" {
		t.Errorf("leaks %v", leaks)
	}
	if got := task.Totals(); got.Operations != 2 || got.Statements != 1 || got.Errors != 0 || got.Rows != 1 {
		t.Errorf("totals %+v", got)
	}
	conn := attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}
	text := attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": "SELECT id, email FROM otdb_users"}
	spans := r.Spans()
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	oteltest.Diff(t, "attributes", oteltest.Lines(oteltest.Without(spans[1].Attributes(), driverDurationKey)), oteltest.Lines(conn.With(text).With(attrs{
		"otdb.rows_leaked": true, "db.response.returned_rows": 1,
	}).Slice()))

	// The rows stay usable, and their end is not told again.
	if !rows.Next() {
		t.Errorf("no second row: %v", rows.Err())
	}
	if rows.Next() || rows.Err() != nil {
		t.Errorf("a third row, or %v", rows.Err())
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	if n := len(r.Spans()); n != 2 {
		t.Errorf("%d spans", n)
	}
	r.wantDurations()
}
