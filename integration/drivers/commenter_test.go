package drivers

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/integration/internal/oteltest"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// pgx prepares and caches the texts of all queries, and of execs with
// arguments: a text that is never the same twice would fill its cache.
func TestCommenterSparesTheCacheOfPgx(t *testing.T) {
	b := newBackend(t)
	r := newRig(t)
	db := r.open("pgx", b.dsn(""), otdb.WithCommenter(otdb.CommentFull, attribute.String("application", "shop")), otdb.WithPropagator(propagation.TraceContext{}))
	db.SetMaxOpenConns(1)
	// A task of a runner without telemetry has a name, and no span.
	runner, err := worker.New(worker.WithTracerProvider(noop.NewTracerProvider()), worker.WithMeterProvider(metricnoop.NewMeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Run(context.Background(), "orders", func(task context.Context) error {
		sparesTheCache(t, task, b, r, db)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func sparesTheCache(t *testing.T, task context.Context, b *backend, r *rig, db *sql.DB) {
	t.Helper()
	if err := db.PingContext(task); err != nil {
		t.Fatal(err)
	}
	b.takeTexts()
	r.TakeSpans()
	for range 3 {
		if _, err := db.ExecContext(task, pgUpdate); err != nil {
			t.Fatal(err)
		}
	}
	const static = " /*application='shop',task='orders'*/"
	var want []string
	for _, s := range r.TakeSpans() {
		want = append(want, "query: "+pgUpdate+" /*application='shop',task='orders',"+traceparent(s.SpanContext())+"*/")
	}
	wantTexts(t, b.takeTexts(), want...)

	for i := range 3 {
		if _, err := db.ExecContext(task, pgInsert, i, fmt.Sprint("canary", i)); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRowContext(task, pgCount).Scan(&n); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		rows, err := db.QueryContext(task, pgSelect, 3)
		if err != nil {
			t.Fatal(err)
		}
		readUsers(t, rows)
	}
	wantTexts(t, b.takeTexts(), "parse: "+pgInsert+static, "parse: "+pgCount+static, "parse: "+pgSelect+static) // once each

	st, err := db.PrepareContext(task, pgNone)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var email string
	for range 2 {
		if err := st.QueryRowContext(task, 404).Scan(&email); err != sql.ErrNoRows {
			t.Fatal(err)
		}
	}
	wantTexts(t, b.takeTexts(), "parse: "+pgNone+static)
	for _, s := range r.Spans() {
		for _, kv := range s.Attributes() {
			if strings.Contains(kv.Value.String(), "/*") {
				t.Errorf("the comment is recorded: %s", oteltest.KeyValue(kv))
			}
		}
	}
	r.wantDurations()
}

var shop = []attribute.KeyValue{attribute.String("route", "/orders/:id"), attribute.String("application", "shop & co"), attribute.Int("shard", 7)}

func wantTexts(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the driver got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// traceparent is what a span is called in comments.
func traceparent(s trace.SpanContext) string {
	return fmt.Sprintf("traceparent='00-%v-%v-01'", s.TraceID(), s.SpanID())
}

// On a real server the comments are comments.
func TestCommenterOnRealSystems(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.Start("task")
		defer task.End()
		res, err := db.ExecContext(ctx, s.update)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); n != 2 || err != nil {
			t.Errorf("%d rows affected, %v", n, err)
		}
		rows, err := db.QueryContext(ctx, s.query+";", 3)
		if err != nil {
			t.Fatal(err)
		}
		if users := readUsers(t, rows); len(users) != 2 {
			t.Errorf("read %v", users)
		}
		r.wantSpans(
			span{name: "UPDATE otdb_users", parent: "task", start: conn.With(attrs{"db.query.summary": "UPDATE otdb_users", "db.query.text": s.updateText})},
			span{name: "SELECT otdb_users", parent: "task", start: conn.With(attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": s.query + ";"})},
		)
	}, otdb.WithCommenter(otdb.CommentFull, shop...), otdb.WithPropagator(propagation.TraceContext{}))
}

// SQLite has the texts of its columns and of its schema from the statement, and
// its drivers run a text statement by statement: none of it may change.
func TestSQLiteDoesNotNoticeComments(t *testing.T) {
	for _, query := range []string{
		"SELECT 1+1", "SELECT 1+1;", "SELECT id, id+1 FROM t", "SELECT 1 -- all;\n;", "SELECT id FROM t -- all;\n", "SELECT id FROM t -- all",
		"SELECT id FROM t;\f", "SELECT id FROM t;\v\n", "SELECT id FROM t;\u00a0", "SELECT id /* all", "SELECT id+1 /* all */ FROM t",
		"\ufeffSELECT id+1 FROM t", " \n\tSELECT id+1 FROM t", "-- x\nSELECT id+1 FROM t", "/* x */ SELECT id+1 FROM t",
		"SELECT 1; SELECT 2+2", "; SELECT 1+1", ";;SELECT id+1 FROM t;;", "INSERT INTO t VALUES (9); SELECT id+0 FROM t",
		"INSERT INTO t VALUES (9) RETURNING id+1", "VALUES (1), (2)", "WITH a AS (SELECT 1+1) SELECT * FROM a",
		"PRAGMA user_version", "PRAGMA table_info(t)", "PRAGMA user_version = 4", "PRAGMA nothing",
		"EXPLAIN SELECT 1", "EXPLAIN QUERY PLAN SELECT * FROM t", "BEGIN; INSERT INTO t VALUES (5); COMMIT", "SAVEPOINT a; RELEASE a",
		"CREATE VIEW v AS SELECT 1+1 FROM t", "CREATE TABLE s (a INT, b TEXT) STRICT", "CREATE TABLE q AS SELECT 1+1",
		"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END", "CREATE INDEX i ON t (id)", "ALTER TABLE t ADD COLUMN z INT DEFAULT 3",
		"DROP TABLE t; CREATE TABLE t (id INTEGER); SELECT 1+1", "VACUUM", "ANALYZE", "REINDEX",
		"SELEC 1", "SELECT 'x", `SELECT "x`, "SELECT nothing FROM t", "SELECT (", "SELECT 1 'a' 2", "SELECT id\x00 FROM t", "SELECT '\xff'",
	} {
		bare, err := sql.Open("sqlite3", ":memory:")
		if err != nil {
			t.Fatal(err)
		}
		want := sqliteOutcome(t, bare, query)
		for _, mode := range []otdb.Comment{otdb.CommentStatic, otdb.CommentFull} {
			db, err := otdb.Open("sqlite3", ":memory:", newRig(t).options(otdb.WithCommenter(mode, attribute.String("a", "b")))...)
			if err != nil {
				t.Fatal(err)
			}
			if got := sqliteOutcome(t, db, query); !reflect.DeepEqual(got, want) {
				t.Errorf("%q\n%s\non the bare driver\n%s", query, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// sqliteOutcome runs query in an SQLite database in memory, as an exec, as a query and
// prepared, and returns all that came of it. It closes the database.
func sqliteOutcome(t *testing.T, db *sql.DB, query string) (lines []string) {
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1), (2)"); err != nil {
		t.Fatal(err)
	}
	note := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	read := func(how string, rows *sql.Rows, err error) {
		note("%s: %v", how, err)
		if err != nil {
			return
		}
		defer rows.Close()
		columns, err := rows.Columns()
		note("columns %q, %v", columns, err)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			err := rows.Scan(values...)
			line := fmt.Sprint("row ", err)
			for _, v := range values {
				line += fmt.Sprintf(" %v", *v.(*any))
			}
			note("%s", line)
		}
		note("end %v", rows.Err())
	}

	ctx := context.Background()
	rows, err := db.QueryContext(ctx, query)
	read("query", rows, err)
	if st, err := db.PrepareContext(ctx, query); err != nil {
		note("prepare: %v", err)
	} else {
		rows, err := st.QueryContext(ctx)
		read("prepared", rows, err)
		if err := st.Close(); err != nil {
			note("close: %v", err)
		}
	}
	res, err := db.ExecContext(ctx, query)
	note("exec: %v", err)
	if err == nil {
		n, err := res.RowsAffected()
		id, idErr := res.LastInsertId()
		note("%d rows, %v; id %d, %v", n, err, id, idErr)
	}
	rows, err = db.QueryContext(ctx, "SELECT name AS name, sql AS sql FROM sqlite_master")
	read("schema", rows, err)
	return lines
}
