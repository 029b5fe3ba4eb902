package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
)

// A world is one run of a script: a fake driver, a database on it, raw or
// observed, and what the script saw. Runs are in a synctest bubble, so that the
// goroutines of database/sql have come to rest after each step and two runs of
// one script can be compared call by call.
type world struct {
	fake   *fakedb.DB
	db     *sql.DB
	ledger *ledger.Ledger
	root   context.Context
	log    []event
}

// event is the outcome of a step, and the state of the pool after it.
type event struct {
	what, outcome string
	pool          sql.DBStats
}

func (e event) String() string { return fmt.Sprintf("%s: %s %+v", e.what, e.outcome, e.pool) }

// An opener opens the database of a fake driver, raw or observed.
type opener struct {
	name     string
	raw      func(fake *fakedb.DB) *sql.DB
	observed func(fake *fakedb.DB, opts ...otdb.Option) *sql.DB
}

var registrations atomic.Int64

// registered registers the fake driver with database/sql.
func registered(d driver.Driver) string {
	name := fmt.Sprintf("fake-%d", registrations.Add(1))
	sql.Register(name, d)
	return name
}

// openDB is the opener of most tests.
var openDB = opener{
	name:     "OpenDB",
	raw:      func(fake *fakedb.DB) *sql.DB { return sql.OpenDB(fake.Connector()) },
	observed: func(fake *fakedb.DB, opts ...otdb.Option) *sql.DB { return otdb.OpenDB(fake.Connector(), opts...) },
}

// openers are all the ways to a database.
var openers = []opener{
	openDB,
	{
		name: "WrapConnector",
		raw:  openDB.raw,
		observed: func(fake *fakedb.DB, opts ...otdb.Option) *sql.DB {
			return sql.OpenDB(otdb.WrapConnector(fake.Connector(), opts...))
		},
	},
	{
		name: "Open",
		raw:  openRegistered,
		observed: func(fake *fakedb.DB, opts ...otdb.Option) *sql.DB {
			return must(otdb.Open(registered(fake.Driver()), "dsn", opts...))
		},
	},
	{
		name: "Register",
		raw:  openRegistered,
		observed: func(fake *fakedb.DB, opts ...otdb.Option) *sql.DB {
			return must(sql.Open(must(otdb.Register(registered(fake.Driver()), opts...)), "dsn"))
		},
	},
	{
		name: "WrapDriver",
		raw:  openRegistered,
		observed: func(fake *fakedb.DB, opts ...otdb.Option) *sql.DB {
			return must(sql.Open(registered(otdb.WrapDriver(fake.Driver(), opts...)), "dsn"))
		},
	},
}

func openRegistered(fake *fakedb.DB) *sql.DB { return must(sql.Open(registered(fake.Driver()), "dsn")) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// result is what is compared of two runs.
type result struct {
	log   []event
	calls []fakedb.Call
	// ledger is the account of the task that the script ran in, which has
	// ended. Until then there were rows that nobody closed.
	ledger *ledger.Ledger
	leaks  []ledger.Leak
}

// script is a program against a database.
type script struct {
	name string
	run  func(*world)
}

// play runs the script on a database of that shape. With a recorder the
// database is observed.
func (s script) play(t *testing.T, o opener, shape fakedb.Shape, rec *recorder, opts ...otdb.Option) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(shape)
		w := &world{fake: fake, ledger: ledger.New(nil, "test")}
		if rec == nil {
			w.db = o.raw(fake)
		} else {
			opts = append([]otdb.Option{otdb.WithTracerProvider(rec), otdb.WithMeterProvider(metricnoop.NewMeterProvider())}, opts...)
			w.db = o.observed(fake, opts...)
		}
		fake.Forget()
		root, cancel := context.WithCancel(ledger.NewContext(context.Background(), w.ledger))
		w.root = root
		s.run(w)
		cancel()
		synctest.Wait()
		w.note("the end", nil)
		w.do("close", func() (any, error) { return nil, w.db.Close() })
		r = result{log: w.log, calls: fake.Calls(), ledger: w.ledger}
		r.leaks = w.ledger.EndTask()
	})
	return r
}

// compare plays the script raw and observed, and reports differences.
func (s script) compare(t *testing.T, o opener, shape fakedb.Shape, opts ...otdb.Option) {
	t.Helper()
	rec := &recorder{}
	want := s.play(t, o, shape, nil)
	got := s.play(t, o, shape, rec, opts...)
	what := fmt.Sprintf("%s, %s, %v", s.name, o.name, shape)
	differ(t, what, want, got)
	rec.check(t, what)
}

// differ reports the first difference between a raw and an observed run.
func differ(t *testing.T, what string, want, got result) {
	t.Helper()
	if i, ok := difference(want.log, got.log); ok {
		t.Errorf("%s: the application sees a difference in step %d\nraw:      %s\nobserved: %s", what, i, at(want.log, i), at(got.log, i))
	}
	if i, ok := difference(want.calls, got.calls); ok {
		t.Errorf("%s: the driver sees a difference in call %d\nraw:      %v\nobserved: %v\nbefore:   %v", what, i, at(want.calls, i), at(got.calls, i), want.calls[max(0, i-4):i])
	}
}

func difference[T comparable](a, b []T) (int, bool) {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i, true
		}
	}
	return 0, false
}

func at[T any](s []T, i int) any {
	if i < len(s) {
		return s[i]
	}
	return "(nothing)"
}

// The identities that must come through unchanged. Errors that database/sql
// makes itself are compared by their text.
type (
	plainError struct{ text string }
	listError  []string // not comparable
)

func (e *plainError) Error() string { return e.text }
func (e listError) Error() string   { return strings.Join(e, ",") }

var (
	errDriver  = &plainError{"the driver's own"}
	errRefused = &plainError{"refused"}
	errBad     = fmt.Errorf("gone: %w", driver.ErrBadConn)
	panicValue = &plainError{"panic: secret value"}

	identities = map[string]any{
		"errDriver": errDriver, "errRefused": errRefused, "errBad": errBad, "panicValue": panicValue,
		"ErrBadConn": driver.ErrBadConn, "ErrSkip": driver.ErrSkip, "ErrRemoveArgument": driver.ErrRemoveArgument,
		"EOF": io.EOF, "Canceled": context.Canceled, "DeadlineExceeded": context.DeadlineExceeded,
		"ErrNoRows": sql.ErrNoRows, "ErrTxDone": sql.ErrTxDone, "ErrConnDone": sql.ErrConnDone,
	}
)

// identity names v if it is one of the known values.
func identity(v any) string {
	if v == nil || !reflect.TypeOf(v).Comparable() {
		return ""
	}
	for name, known := range identities {
		if v == known {
			return name
		}
	}
	return ""
}

// describeError tells an error by its type, text, and the identity of all in its chain.
func describeError(err error) string {
	if err == nil {
		return "nil"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%q", err)
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, " %T=%s", err, identity(err))
	}
	return b.String()
}

// note adds to the log, together with the pool's state.
func (w *world) note(what string, v any) {
	w.log = append(w.log, event{what, fmt.Sprint(v), w.db.Stats()})
}

// do runs a step. A panic or a Goexit ends the step alone.
func (w *world) do(what string, f func() (any, error)) {
	outcome := "Goexit"
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				outcome = fmt.Sprintf("panic %T %v %s", p, p, identity(p))
			}
		}()
		v, err := f()
		outcome = fmt.Sprintf("%v, %s", v, describeError(err))
	}()
	<-done
	synctest.Wait()
	w.note(what, outcome)
}

// fault makes the next call of each method end in f.
func (w *world) fault(f fakedb.Fault, methods ...fakedb.Method) {
	for _, m := range methods {
		w.fake.On(m, w.fake.Count(m)+1, f)
	}
}

// newContext returns a context that is told apart in the driver's log.
func (w *world) newContext(name string) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithValue(w.root, fakedb.ValueKey{}, name))
}

// live is a context that is never done before the end.
func (w *world) live() context.Context { return context.WithValue(w.root, fakedb.ValueKey{}, "live") }

// forever is a context that cannot be done.
func (w *world) forever() context.Context {
	return context.WithValue(ledger.NewContext(context.Background(), w.ledger), fakedb.ValueKey{}, "forever")
}

// runner is what *sql.DB, *sql.Tx and *sql.Conn have in common.
type runner interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
	PrepareContext(context.Context, string) (*sql.Stmt, error)
}

var (
	_ runner = (*sql.DB)(nil)
	_ runner = (*sql.Tx)(nil)
	_ runner = (*sql.Conn)(nil)
)

func (w *world) exec(ctx context.Context, r runner, query string, args ...any) {
	w.do("exec "+query, func() (any, error) { return readResult(r.ExecContext(ctx, query, args...)) })
}

func (w *world) stmtExec(ctx context.Context, s *sql.Stmt, args ...any) {
	w.do("stmt exec", func() (any, error) { return readResult(s.ExecContext(ctx, args...)) })
}

func readResult(res sql.Result, err error) (any, error) {
	if err != nil {
		return res, err
	}
	id, err1 := res.LastInsertId()
	n, err2 := res.RowsAffected()
	return fmt.Sprint(id, describeError(err1), n, describeError(err2)), nil
}

// query reads all rows of all result sets.
func (w *world) query(ctx context.Context, r runner, query string, args ...any) {
	w.do("query "+query, func() (any, error) { return readAll(r.QueryContext(ctx, query, args...)) })
}

func (w *world) stmtQuery(ctx context.Context, s *sql.Stmt, args ...any) {
	w.do("stmt query", func() (any, error) { return readAll(s.QueryContext(ctx, args...)) })
}

func readAll(rows *sql.Rows, err error) (any, error) {
	if err != nil {
		return rows == nil, err
	}
	defer rows.Close()
	synctest.Wait() // a context that was cancelled on the way closes the rows
	var out []string
	for more := true; more; more = rows.NextResultSet() {
		out = append(out, describeColumns(rows))
		for rows.Next() {
			out = append(out, scan(rows))
		}
		out = append(out, describeError(rows.Err()))
	}
	out = append(out, describeError(rows.Close()))
	return out, rows.Err()
}

func scan(rows *sql.Rows) string {
	var a, b any
	err := rows.Scan(&a, &b)
	return fmt.Sprintf("%T(%v) %T(%v) %s", a, a, b, b, describeError(err))
}

func describeColumns(rows *sql.Rows) string {
	types, err := rows.ColumnTypes()
	if err != nil {
		return describeError(err)
	}
	var b strings.Builder
	for _, c := range types {
		length, hasLength := c.Length()
		nullable, hasNullable := c.Nullable()
		precision, scale, hasDecimal := c.DecimalSize()
		fmt.Fprint(&b, c.Name(), c.ScanType(), c.DatabaseTypeName(), length, hasLength, nullable, hasNullable, precision, scale, hasDecimal, ";")
	}
	return b.String()
}

func (w *world) queryRow(ctx context.Context, r runner, query string, args ...any) {
	w.do("query row "+query, func() (any, error) {
		var a, b any
		err := r.QueryRowContext(ctx, query, args...).Scan(&a, &b)
		return fmt.Sprintf("%T(%v) %T(%v)", a, a, b, b), err
	})
}

// rows is a query whose rows the script goes through by itself.
func (w *world) rows(ctx context.Context, r runner, query string, args ...any) (rows *sql.Rows) {
	w.do("rows "+query, func() (any, error) {
		var err error
		rows, err = r.QueryContext(ctx, query, args...)
		return rows == nil, err
	})
	return rows
}

// next advances rows and scans, n times.
func (w *world) next(rows *sql.Rows, n int) {
	for range n {
		w.do("next", func() (any, error) {
			if rows == nil || !rows.Next() {
				return false, rowsErr(rows)
			}
			synctest.Wait() // see readAll
			return scan(rows), rows.Err()
		})
	}
}

func rowsErr(rows *sql.Rows) error {
	if rows == nil {
		return nil
	}
	return rows.Err()
}

func (w *world) closeRows(rows *sql.Rows) {
	if rows != nil {
		w.do("close rows", func() (any, error) { return nil, rows.Close() })
		w.note("rows.Err", describeError(rows.Err()))
	}
}

func (w *world) prepare(ctx context.Context, r runner, query string) (s *sql.Stmt) {
	w.do("prepare "+query, func() (any, error) {
		var err error
		s, err = r.PrepareContext(ctx, query)
		return s == nil, err
	})
	return s
}

func (w *world) closeStmt(s *sql.Stmt) {
	if s != nil {
		w.do("close stmt", func() (any, error) { return nil, s.Close() })
	}
}

func (w *world) begin(ctx context.Context, opts *sql.TxOptions) (tx *sql.Tx) {
	w.do("begin", func() (any, error) {
		var err error
		tx, err = w.db.BeginTx(ctx, opts)
		return tx == nil, err
	})
	return tx
}

func (w *world) commit(tx *sql.Tx) {
	if tx != nil {
		w.do("commit", func() (any, error) { return nil, tx.Commit() })
	}
}

func (w *world) rollback(tx *sql.Tx) {
	if tx != nil {
		w.do("rollback", func() (any, error) { return nil, tx.Rollback() })
	}
}

func (w *world) conn(ctx context.Context) (c *sql.Conn) {
	w.do("conn", func() (any, error) {
		var err error
		c, err = w.db.Conn(ctx)
		return c == nil, err
	})
	return c
}

func (w *world) closeConn(c *sql.Conn) {
	if c != nil {
		w.do("close conn", func() (any, error) { return nil, c.Close() })
	}
}

func (w *world) ping(ctx context.Context) {
	w.do("ping", func() (any, error) { return nil, w.db.PingContext(ctx) })
}

// Arguments of scripts.
type (
	coin    int                 // for named value checkers
	dropped struct{}            // that checkers remove
	refused struct{}            // that checkers refuse
	valuer  struct{ value any } // a driver.Valuer
	broken  struct{}            // one that fails
)

func (v valuer) Value() (driver.Value, error) { return v.value, nil }
func (broken) Value() (driver.Value, error)   { return nil, errRefused }

func checker(who string) func(*driver.NamedValue) error {
	return func(nv *driver.NamedValue) error {
		switch v := nv.Value.(type) {
		case coin:
			nv.Value = fmt.Sprintf("%s minted %d", who, v)
			return nil
		case dropped:
			return driver.ErrRemoveArgument
		case refused:
			return errRefused
		default:
			return driver.ErrSkip
		}
	}
}

// newFake returns a fake driver whose queries have the results that their first
// word says.
func newFake(shape fakedb.Shape) *fakedb.DB {
	row := func(n int64) []driver.Value { return []driver.Value{n, fmt.Sprint(n)} }
	columns := []string{"id", "name"}
	return &fakedb.DB{
		Shape: shape,
		Results: func(query string) []fakedb.ResultSet {
			first, _, _ := strings.Cut(query, " ")
			switch first {
			case "NONE":
				return []fakedb.ResultSet{{Columns: columns}}
			case "MULTI":
				return []fakedb.ResultSet{
					{Columns: columns, Rows: [][]driver.Value{row(1), row(2)}},
					{Columns: columns},
					{Columns: columns, Rows: [][]driver.Value{row(3)}},
				}
			default:
				return []fakedb.ResultSet{{
					Columns: columns,
					Rows:    [][]driver.Value{{int64(1), "one"}, {nil, []byte("two")}, {3.5, time.Unix(3, 0).UTC()}},
				}}
			}
		},
		CheckConn: checker("connection"),
		CheckStmt: checker("statement"),
	}
}
