package integration

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/integration/internal/observe"
	"github.com/taskspan/taskspan/otdb"
)

var update = flag.Bool("update", false, "rewrite the expected spans in testdata")

// program is what an application does with its database. It writes all that it
// gets to see to the journal, and runs twice: on the bare driver and through
// otdb.
type program func(t *testing.T, db *sql.DB, j *journal)

// caller is a *sql.DB, a *sql.Conn or a *sql.Tx.
type caller interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// journal is what an application saw.
type journal struct {
	engine  engine
	forget  *strings.Replacer // what differs between two runs
	entries []string
}

func (j *journal) note(format string, args ...any) {
	j.entries = append(j.entries, j.forget.Replace(fmt.Sprintf(format, args...)))
}

// bind writes the placeholders of a query as the engine has them.
func (j *journal) bind(query string) string {
	if j.engine.system != "postgresql" {
		return query
	}
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// failure notes an error with the types of its whole chain and every field that
// a program can see.
func (j *journal) failure(what string, err error) {
	if err == nil {
		j.note("%s: no error", what)
		return
	}
	j.note("%s: %v", what, err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		j.note("\t%T %s", e, fields(e))
	}
}

// fields writes the exported fields of a driver's error.
func fields(err error) string {
	v := reflect.Indirect(reflect.ValueOf(err))
	if v.Kind() != reflect.Struct {
		return ""
	}
	var b strings.Builder
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && f.Type.Kind() != reflect.Interface {
			fmt.Fprintf(&b, "%s=%v ", f.Name, v.Field(i).Interface())
		}
	}
	return b.String()
}

func (j *journal) exec(ctx context.Context, on caller, query string, args ...any) {
	res, err := on.ExecContext(ctx, j.bind(query), args...)
	j.result("exec "+query, res, err)
}

func (j *journal) result(what string, res sql.Result, err error) {
	if err != nil {
		j.failure(what, err)
		return
	}
	id, idErr := res.LastInsertId()
	n, nErr := res.RowsAffected()
	j.note("%s: id %d %v, rows %d %v", what, id, idErr, n, nErr)
}

func (j *journal) query(ctx context.Context, on caller, query string, args ...any) {
	rows, err := on.QueryContext(ctx, j.bind(query), args...)
	if err != nil {
		j.failure("query "+query, err)
		return
	}
	j.rows("query "+query, rows, -1)
}

// rows notes at most limit rows of each result set, and everything that can be
// known of their columns.
func (j *journal) rows(what string, rows *sql.Rows, limit int) {
	defer func() { j.failure(what+": close", rows.Close()) }()
	for {
		types, err := rows.ColumnTypes()
		if err != nil {
			j.failure(what+": column types", err)
		}
		for _, c := range types {
			length, hasLength := c.Length()
			precision, scale, hasScale := c.DecimalSize()
			nullable, knowsNull := c.Nullable()
			j.note("%s: column %s %s %v, length %d %t, decimal %d %d %t, null %t %t", what, c.Name(), c.DatabaseTypeName(), c.ScanType(),
				length, hasLength, precision, scale, hasScale, nullable, knowsNull)
		}
		values := make([]any, len(types))
		for i := range values {
			values[i] = new(any)
		}
		for n := 0; n != limit && rows.Next(); n++ {
			if err := rows.Scan(values...); err != nil {
				j.failure(what+": scan", err)
			}
			for i := range values {
				v := *values[i].(*any)
				j.note("%s: %s = %T %v", what, types[i].Name(), v, v)
			}
		}
		if limit >= 0 || !rows.NextResultSet() {
			break
		}
		j.note("%s: next result set", what)
	}
	if limit < 0 {
		j.failure(what+": end", rows.Err())
	}
}

// verifies enters the test in the table of the README.
func (e engine) verifies(tb testing.TB, what string) {
	tb.Attr("database", e.database)
	tb.Attr("driver", e.driver)
	tb.Attr("verified", what)
}

// target returns the attributes of every span of the database.
func (e engine) target(address, namespace string) []attribute.KeyValue {
	kv := []attribute.KeyValue{semconv.DBSystemNameKey.String(e.system), semconv.DBNamespace(namespace)}
	if host, port, err := net.SplitHostPort(address); err == nil {
		n, _ := strconv.Atoi(port)
		kv = append(kv, semconv.ServerAddress(host), semconv.ServerPort(n))
	}
	return kv
}

// same runs the program on the bare driver and through otdb, each time on a
// database of its own, and fails the test unless
//
//   - the application saw the same results and errors, to the letter,
//   - the spans are those of testdata/<test>.spans, to the attribute,
//   - the points of the duration histogram are those of the spans,
//   - no goroutine is left.
//
// It returns what was recorded.
func same(t *testing.T, e engine, p program, opts ...otdb.Option) *observe.Recorder {
	t.Helper()
	return compare(t, e, p, true, opts...)
}

// alike is same for programs whose spans depend on time.
func alike(t *testing.T, e engine, p program, opts ...otdb.Option) *observe.Recorder {
	t.Helper()
	return compare(t, e, p, false, opts...)
}

func compare(t *testing.T, e engine, p program, golden bool, opts ...otdb.Option) *observe.Recorder {
	t.Helper()
	run := func(open func(driverName, dsn string) (*sql.DB, error)) (j *journal, address, namespace string) {
		dsn, address, namespace := e.open(t)
		db, err := open(e.driverName, dsn)
		if err != nil {
			t.Fatal(err)
		}
		j = &journal{engine: e, forget: strings.NewReplacer(namespace, "<database>", filepath.Dir(strings.TrimPrefix(dsn, "file:")), "<directory>")}
		defer func() {
			if err := db.Close(); err != nil {
				t.Errorf("closing the database: %v", err)
			}
		}()
		p(t, db, j)
		return j, address, namespace
	}
	bare, _, _ := run(sql.Open)

	before := goleak.IgnoreCurrent()
	rec := observe.New()
	observed, address, namespace := run(func(driverName, dsn string) (*sql.DB, error) {
		return otdb.Open(driverName, dsn, rec.Options(opts...)...)
	})
	if err := leaked(before); err != nil {
		t.Errorf("after the database was closed: %v", err)
	}
	diff(t, "what the application sees", bare.entries, observed.entries)
	spans := rec.Describe(t, e.target(address, namespace)...)
	rec.CheckDurations(t)
	if golden {
		expect(t, strings.Split(strings.ReplaceAll(strings.Join(spans, "\n"), namespace, "<database>"), "\n"))
	}
	return rec
}

// leaked returns an error that lists the goroutines that have come since before
// was taken, but for those of the proxy, and of pgx on a slow machine: where a
// write takes long, it starts to read in the background until the server's next
// word, which the connections that the tests keep to the server wait for too.
func leaked(before goleak.Option) error {
	const proxy = "github.com/Shopify/toxiproxy/v2"
	return goleak.Find(before,
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn/internal/bgreader.(*BGReader).bgRead"),
		goleak.IgnoreAnyFunction(proxy+".(*Proxy).server"),
		goleak.IgnoreAnyFunction(proxy+".(*Proxy).freeBlocker"),
		goleak.IgnoreAnyFunction(proxy+".(*ToxicLink).read"),
		goleak.IgnoreAnyFunction(proxy+".(*ToxicLink).write"),
		goleak.IgnoreAnyFunction(proxy+"/toxics.(*ToxicStub).Run"))
}

// expect compares the spans with those of the test's file.
func expect(t *testing.T, spans []string) {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(strings.ReplaceAll(t.Name(), "/", "."), "_", " ")+".spans")
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(spans, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "spans", strings.Split(strings.TrimSuffix(string(want), "\n"), "\n"), spans)
}

// diff reports the first difference of two texts.
func diff(t *testing.T, what string, want, got []string) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		w, g := "(nothing)", "(nothing)"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			t.Errorf("%s, line %d:\n got %s\nwant %s", what, i+1, g, w)
			return
		}
	}
}
