package drivers

import (
	"context"
	"database/sql"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/taskspan/taskspan/integration/internal/oteltest"
	"github.com/taskspan/taskspan/otdb"
)

func TestReturnedRows(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx := context.Background()
		rows, err := db.QueryContext(ctx, s.query, 3)
		if err != nil {
			t.Fatal(err)
		}
		readUsers(t, rows)
		var email string
		if err := db.QueryRowContext(ctx, s.none, 404).Scan(&email); err != sql.ErrNoRows {
			t.Fatal(err)
		}
		if rows, err = db.QueryContext(ctx, s.query, 3); err != nil {
			t.Fatal(err)
		}
		rows.Next()
		rows.Close()
		rows, err = db.QueryContext(ctx, s.midway)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
		}
		midway := rows.Err()
		rows.Close()
		if _, err := db.ExecContext(ctx, s.update); err != nil {
			t.Fatal(err)
		}
		start := conn.With(attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": s.query})
		r.wantSpans(
			span{name: "SELECT otdb_users", start: start, end: attrs{"db.response.returned_rows": 2}},
			span{name: "SELECT otdb_users", start: start.With(attrs{"db.query.text": s.none}), end: attrs{"db.response.returned_rows": 0}},
			span{name: "SELECT otdb_users", start: start, end: attrs{"db.response.returned_rows": 1}},
			span{
				name: s.midwaySummary, start: conn.With(attrs{"db.query.summary": s.midwaySummary, "db.query.text": s.midwayText}),
				end: attrs{"db.response.returned_rows": 2, "error.type": s.midwayCode, "db.response.status_code": s.midwayCode}, err: midway,
			},
			span{
				name:  "UPDATE otdb_users",
				start: conn.With(attrs{"db.query.summary": "UPDATE otdb_users", "db.query.text": s.updateText}),
				end:   attrs{"otdb.rows_affected": 2},
			},
		)
		r.wantDurations()
		bounds := []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}
		summary := func(s string, more attrs) attribute.Set {
			return attribute.NewSet(conn.With(more).With(attrs{"db.query.summary": s}).Slice()...)
		}
		r.WantMetric(metricdata.Metrics{
			Name:        "db.client.response.returned_rows",
			Description: "The actual number of records returned by the database operation.",
			Unit:        "{row}",
			Data: oteltest.Whole(histogram(bounds, []observation{
				{summary("SELECT otdb_users", nil), 2},
				{summary("SELECT otdb_users", nil), 0},
				{summary("SELECT otdb_users", nil), 1},
				{summary(s.midwaySummary, attrs{"error.type": s.midwayCode, "db.response.status_code": s.midwayCode}), 2},
			})),
		})
	}, otdb.WithRowCounts())
}
