package otpgx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/integration/internal/oteltest"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is in arguments, rows, and errors of the server, and never in telemetry.
const canary = "canary-7f3a@example.com"

// rig runs tasks, and keeps what is exported of them.
type rig struct {
	*oteltest.Rig
	runner  *worker.Runner
	reports []worker.Report
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{Rig: oteltest.New(t, oteltest.Scope{Name: "github.com/taskspan/taskspan/otdb", Version: otdb.Version, SchemaURL: semconv.SchemaURL})}
	// They depend on the clock, and the first is not known of pgx.
	r.Ignore = []attribute.Key{"otdb.driver.duration", "otdb.connection.wait"}
	var err error
	r.runner, err = worker.New(worker.WithTracerProvider(r.TracerProvider), worker.WithMeterProvider(r.MeterProvider),
		worker.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.runner.Watch(func(_ context.Context, report worker.Report) { r.reports = append(r.reports, report) }))
	return r
}

func (r *rig) options(more ...otdb.Option) []otdb.Option {
	return append([]otdb.Option{otdb.WithTracerProvider(r.TracerProvider), otdb.WithMeterProvider(r.MeterProvider), otdb.WithPoolName("shop")}, more...)
}

// account is all that does not depend on the clock, a line each. How many rows there were
// before an error, pgx does not say.
func (r *rig) account() (lines []string) {
	for _, report := range r.reports {
		db := report.DB
		if report.Error != "" {
			db.Rows = 0
		}
		lines = append(lines, fmt.Sprintf("%s: %s %s %s: %d operations, %d errors, %d rows",
			report.Name, report.Result, report.ErrorType, report.Error, db.Operations, db.Errors, db.Rows))
		var statements []string
		for _, s := range db.Statements {
			if s.Errors > 0 {
				s.Rows = 0
			}
			statements = append(statements, fmt.Sprintf("  %s ×%d, %d errors, %d rows: %s", s.Summary, s.Count, s.Errors, s.Rows, s.Text))
		}
		slices.Sort(statements)
		lines = append(lines, statements...)
		for _, f := range report.Findings {
			lines = append(lines, fmt.Sprintf("  finding %s ×%d %s: %s", f.Kind, f.Count, f.Summary, f.Text))
		}
	}
	for _, s := range r.Spans() {
		lines = append(lines, r.Text(s))
	}
	var points []string
	for _, p := range r.Collect()["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		points = append(points, fmt.Sprintf("%s ×%d", p.Attributes.Encoded(attribute.DefaultEncoder()), p.Count))
	}
	for _, p := range r.Collect()["otdb.transaction.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		points = append(points, fmt.Sprintf("transactions %s ×%d", p.Attributes.Encoded(attribute.DefaultEncoder()), p.Count))
	}
	slices.Sort(points)
	return append(lines, points...)
}

var errOwn = errors.New("the application's own failure")

// program is the one that runs twice. Its tasks leave rows and a transaction open, which
// it closes in the end.
func program(t *testing.T, r *rig, db database) {
	t.Helper()
	var leftovers []func()
	run := func(name string, f func(context.Context) error) {
		if err := r.runner.Run(t.Context(), name, f); err != nil && r.reports[len(r.reports)-1].Result == worker.ResultPanic {
			t.Fatal(err)
		}
	}
	run("prepare", func(ctx context.Context) error {
		return errors.Join(
			db.exec(ctx, "DROP TABLE IF EXISTS otpgx_users"),
			db.exec(ctx, "CREATE TABLE otpgx_users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE)"))
	})
	run("fill", func(ctx context.Context) error {
		for i := range 4 {
			if err := db.exec(ctx, "INSERT INTO otpgx_users VALUES ($1, $2)", i, fmt.Sprint(i, canary)); err != nil {
				return err
			}
		}
		if err := db.exec(ctx, "INSERT INTO otpgx_users VALUES (4, '4"+canary+"')"); err != nil {
			return err
		}
		return db.exec(ctx, "UPDATE otpgx_users SET email = lower(email) WHERE id > $1", 2)
	})
	run("read", func(ctx context.Context) error {
		for _, q := range []struct {
			text string
			args []any
			want int
		}{
			{"SELECT id, email FROM otpgx_users ORDER BY id", nil, 5},
			{"SELECT email FROM otpgx_users WHERE id < $1", []any{3}, 3},
			{"SELECT email FROM otpgx_users WHERE id = $1", []any{99}, 0},
			{"DELETE FROM otpgx_users WHERE id > $1 RETURNING email", []any{2}, 2},
			{"-- name: CountUsers :one\nSELECT count(*) FROM otpgx_users", nil, 1},
		} {
			if n, err := db.query(ctx, q.text, q.args...); err != nil || n != q.want {
				return fmt.Errorf("%s: %d rows: %w", q.text, n, err)
			}
		}
		if n, err := db.query(otdb.NameQuery(ctx, "users.all"), "SELECT * FROM otpgx_users"); err != nil || n != 3 {
			return fmt.Errorf("%d rows: %w", n, err)
		}
		n, err := db.prepared(ctx, "SELECT id FROM otpgx_users WHERE email <> $1", canary)
		if err == nil && n != 3 {
			err = errOwn
		}
		return err
	})
	for _, text := range []string{
		"INSERT INTO otpgx_users VALUES (1, '" + canary + "')",
		"SELECT * FROM otpgx_nothing",
		"SELECT FROM WHERE",
		"SELECT 10 / (3 - n) FROM generate_series(1, 5) AS n",
	} {
		run("errors", func(ctx context.Context) error { return db.exec(ctx, text) })
	}
	run("errors in rows", func(ctx context.Context) error {
		_, err := db.query(ctx, "SELECT 10 / (3 - n) FROM generate_series(1, 5) AS n")
		return err
	})
	run("transactions", func(ctx context.Context) error {
		for i, end := range []func(transaction) error{
			func(tx transaction) error { return tx.commit(ctx) },
			func(tx transaction) error { return tx.rollback(ctx) },
		} {
			tx, err := db.begin(ctx)
			if err != nil {
				return err
			}
			if err := tx.exec(ctx, "INSERT INTO otpgx_users VALUES ($1, $2)", 10+i, fmt.Sprint(10+i)); err != nil {
				return err
			}
			if n, err := tx.query(ctx, "SELECT id FROM otpgx_users"); err != nil || n == 0 {
				return fmt.Errorf("%d rows: %w", n, err)
			}
			if err := end(tx); err != nil {
				return err
			}
		}
		tx, err := db.begin(ctx)
		if err != nil {
			return err
		}
		err = tx.exec(ctx, "INSERT INTO otpgx_users VALUES (1, 'again')")
		return errors.Join(err, tx.rollback(ctx))
	})
	run("repeats", func(ctx context.Context) error {
		for i := range 25 {
			if _, err := db.query(ctx, "SELECT email FROM otpgx_users WHERE id = $1", i); err != nil {
				return err
			}
		}
		return nil
	})
	run("leaks", func(ctx context.Context) error {
		closeRows, err := db.open(ctx, "SELECT id FROM otpgx_users ORDER BY id")
		if err != nil {
			return err
		}
		leftovers = append(leftovers, closeRows)
		tx, err := db.begin(ctx)
		if err != nil {
			return err
		}
		leftovers = append(leftovers, func() { _ = tx.rollback(ctx) })
		return tx.exec(ctx, "DELETE FROM otpgx_users WHERE id = 1")
	})
	for _, end := range leftovers {
		end()
	}
	run("timeout", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		return db.exec(ctx, "SELECT pg_sleep($1)", 10)
	})
	run("clean up", func(ctx context.Context) error { return db.exec(ctx, "DROP TABLE otpgx_users") })
}

// TestTwice: through database/sql with otdb and through pgxpool with otpgx, one program has
// the same summaries, texts, rows, errors, findings, spans and points.
func TestTwice(t *testing.T) {
	t.Attr("database", "PostgreSQL")
	t.Attr("driver", "pgx")
	t.Attr("verified", "otpgx: pgxpool is recorded as database/sql is")
	bySQL, byPgx := newRig(t), newRig(t)
	program(t, bySQL, openSQL(t, bySQL.options()...))
	program(t, byPgx, openPgx(t, byPgx.options()...))
	want, got := bySQL.account(), byPgx.account()
	for i := range max(len(want), len(got)) {
		w, g := at(want, i), at(got, i)
		if w != g {
			t.Fatalf("line %d of the account differs\ndatabase/sql: %s\npgxpool:      %s\nbefore: %s", i, w, g, strings.Join(want[max(0, i-3):i], "\n"))
		}
	}
	t.Logf("%d lines are the same, beginning with\n%s", len(want), strings.Join(want[:min(40, len(want))], "\n"))
	for _, r := range []*rig{bySQL, byPgx} {
		r.WantNothingOf(canary)
	}
	for _, kind := range []string{"repeated_statement", "rows_leaked", "transaction_leaked"} {
		if !strings.Contains(strings.Join(got, "\n"), "finding "+kind) {
			t.Errorf("there is no %s", kind)
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// TestBatchAndCopy: what only pgx has is in the account too.
func TestBatchAndCopy(t *testing.T) {
	t.Attr("database", "PostgreSQL")
	t.Attr("driver", "pgx")
	t.Attr("verified", "otpgx: batches and COPY are in the account")
	r := newRig(t)
	db := openPgx(t, r.options()...)
	if err := r.runner.Run(t.Context(), "load", func(ctx context.Context) error {
		return db.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			if _, err := c.Exec(ctx, "CREATE TEMPORARY TABLE otpgx_items (id INTEGER PRIMARY KEY, name TEXT)"); err != nil {
				return err
			}
			var b pgx.Batch
			for i := range 30 {
				b.Queue("INSERT INTO otpgx_items VALUES ($1, $2)", i, canary)
			}
			b.Queue("SELECT name FROM otpgx_items").Query(func(rows pgx.Rows) error {
				_, err := pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
			if err := c.SendBatch(ctx, &b).Close(); err != nil {
				return err
			}
			var rows [][]any
			for i := range 1000 {
				rows = append(rows, []any{1000 + i, canary})
			}
			_, err := c.CopyFrom(ctx, pgx.Identifier{"otpgx_items"}, []string{"id", "name"}, pgx.CopyFromRows(rows))
			if err != nil {
				return err
			}
			// A batch fails as a whole, and so does a COPY.
			var again pgx.Batch
			again.Queue("DELETE FROM otpgx_items WHERE id = $1", 7)
			again.Queue("INSERT INTO otpgx_items VALUES ($1, $2)", 8, canary)
			if err := c.SendBatch(ctx, &again).Close(); err == nil {
				return errOwn
			}
			if _, err := c.CopyFrom(ctx, pgx.Identifier{"otpgx_items"}, []string{"id", "name"}, pgx.CopyFromRows(rows)); err == nil {
				return errOwn
			}
			_, err = c.CopyFrom(ctx, pgx.Identifier{"otpgx_nothing"}, []string{"id"}, pgx.CopyFromRows(rows))
			if err == nil {
				return errOwn
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	report := r.reports[0]
	var got []string
	for _, s := range report.DB.Statements {
		got = append(got, fmt.Sprintf("%s ×%d, %d errors, %d rows", s.Summary, s.Count, s.Errors, s.Rows))
	}
	slices.Sort(got)
	want := []string{
		"BATCH ×1, 0 errors, 30 rows",
		"BATCH ×1, 1 errors, 0 rows",
		"COPY otpgx_items ×2, 1 errors, 0 rows",
		"COPY otpgx_nothing ×1, 1 errors, 0 rows",
		"CREATE TABLE otpgx_items ×1, 0 errors, 0 rows",
		"DELETE otpgx_items ×1, 0 errors, 0 rows",
		"INSERT otpgx_items ×31, 0 errors, 0 rows",
		"SELECT otpgx_items ×1, 0 errors, 0 rows",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the account has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if db := report.DB; db.Operations != 7 || db.Errors != 3 || db.Rows != 30 || len(report.Findings) != 0 {
		t.Errorf("%d operations, %d errors, %d rows, findings %v", db.Operations, db.Errors, db.Rows, report.Findings)
	}
	r.WantNothingOf(canary)
}
