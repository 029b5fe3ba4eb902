package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mattn/go-sqlite3"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
)

// tickingDriver is SQLite's driver, each of whose calls takes a millisecond on
// a clock that moves with nothing else.
type tickingDriver struct {
	sqlite3.SQLiteDriver
	now time.Duration
}

func (d *tickingDriver) tick() { d.now += time.Millisecond }

func (d *tickingDriver) Open(dsn string) (driver.Conn, error) {
	d.tick()
	c, err := d.SQLiteDriver.Open(dsn)
	if err != nil {
		return nil, err
	}
	return &tickingConn{c.(*sqlite3.SQLiteConn), d}, nil
}

type tickingConn struct {
	*sqlite3.SQLiteConn
	d *tickingDriver
}

func (c *tickingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.d.tick()
	return c.SQLiteConn.ExecContext(ctx, query, args)
}

func (c *tickingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.d.tick()
	rows, err := c.SQLiteConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return &tickingRows{rows, c.d}, nil
}

func (c *tickingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.d.tick()
	s, err := c.SQLiteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &tickingStmt{s.(*sqlite3.SQLiteStmt), c.d}, nil
}

func (c *tickingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.d.tick()
	tx, err := c.SQLiteConn.BeginTx(ctx, opts)
	return tickingTx{tx, c.d}, err
}

type tickingStmt struct {
	*sqlite3.SQLiteStmt
	d *tickingDriver
}

func (s *tickingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.d.tick()
	return s.SQLiteStmt.ExecContext(ctx, args)
}

type tickingTx struct {
	driver.Tx
	d *tickingDriver
}

func (t tickingTx) Commit() error {
	t.d.tick()
	return t.Tx.Commit()
}

type tickingRows struct {
	driver.Rows
	d *tickingDriver
}

func (r *tickingRows) Next(dest []driver.Value) error {
	r.d.tick()
	return r.Rows.Next(dest)
}

// openTicking opens the tests' database on a ticking driver.
func (r *rig) openTicking(opts ...Option) (*sql.DB, *tickingDriver) {
	r.t.Helper()
	d := &tickingDriver{now: time.Hour}
	opts = append([]Option{withClock(func() time.Duration { return d.now }), WithSystem("sqlite"), WithNamespace("shop.db")}, opts...)
	db := OpenDB(dsnConnector{d, sqliteFile(r.t)}, r.options(opts...)...)
	r.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			r.t.Errorf("close: %v", err)
		}
	})
	return db, d
}

// The consumer's time is told from the driver's where there is enough of it.
func TestTimeInsideTheDriver(t *testing.T) {
	for _, test := range []struct {
		consumer time.Duration // after each of the two rows
		want     attrs
	}{
		{0, nil},
		{499 * time.Microsecond, nil},
		{500 * time.Microsecond, attrs{"otdb.driver.duration": .004}},
		{2 * time.Second, attrs{"otdb.driver.duration": .004}},
	} {
		r := newRig(t)
		db, d := r.openTicking(WithTracerProvider(foreignProvider{tp: r.tp}))
		rows, err := db.QueryContext(context.Background(), "SELECT id FROM otdb_users")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			d.now += test.consumer
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		// Each call of the driver takes a millisecond: the query, and two rows
		// and their end.
		r.wantSpans(
			span{name: "CONNECT", start: attrs{"db.system.name": "sqlite", "db.namespace": "shop.db", "db.operation.name": "CONNECT"}},
			span{name: "SELECT otdb_users", end: test.want, start: attrs{
				"db.system.name": "sqlite", "db.namespace": "shop.db",
				"db.query.summary": "SELECT otdb_users", "db.query.text": "SELECT id FROM otdb_users",
			}},
		)
	}
}

// The end of an operation that lies in the past is told by the reading that was
// taken then. With a second one its goroutine may be preempted in between, and
// the span would end before it starts.
func TestLateEndTakesNoReading(t *testing.T) {
	cfg, err := newConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	o := operation{descriptor: &descriptor{db: &database{cfg: cfg}}, started: time.Now()}
	late := outcome{late: true, at: monotonic()}
	first := o.sinceStart(&late)
	if again := o.sinceStart(&late); again != first || first < 0 {
		t.Errorf("%v, then %v", first, again)
	}
	if before := o.sinceStart(&outcome{late: true}); before != 0 {
		t.Errorf("an end before the start is %v after it", before)
	}
}

// A row costs next to nothing: the clock is read for the call and the first rows,
// and then once in a sample. Only rows that something else than their consumer may
// end are followed one by one, and in a task their consumer's pauses too.
func TestReadingsOfTheClock(t *testing.T) {
	plain := func(t *testing.T) context.Context { return context.Background() }
	cancelable := func(t *testing.T) context.Context { return t.Context() }
	inTask := func(t *testing.T) context.Context {
		return ledger.NewContext(context.Background(), ledger.New(nil, "task"))
	}
	unsampled := func(t *testing.T) context.Context {
		return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1},
		}))
	}
	const one, several = fakedb.Modern &^ fakedb.RowsNextResultSet, fakedb.Modern | fakedb.RowsNextResultSet
	for _, test := range []struct {
		name  string
		ctx   func(*testing.T) context.Context
		shape fakedb.Shape
		want  map[int]int // readings by the number of rows
	}{
		// The span reads it as well, when it starts and when it ends. Without
		// one that does, two readings tell the length.
		{"nobody else ends the rows", plain, one, map[int]int{0: 2, 1: 4, 2: 4, 128: 4, 129: 6, 256: 6, 257: 8}},
		{"result sets", plain, several, map[int]int{0: 3, 1: 5, 2: 5, 128: 5, 129: 7}},
		{"cancelable", cancelable, one, map[int]int{0: 2, 1: 4, 2: 5, 100: 103}},
		{"task", inTask, one, map[int]int{0: 2, 1: 4, 2: 6, 100: 202}},
		{"unsampled", unsampled, one, map[int]int{0: 2, 1: 2, 100: 2, 1000: 2}},
	} {
		for rows, want := range test.want {
			// In a bubble no query is long, however busy the machine is.
			synctest.Test(t, func(t *testing.T) {
				readings := 0
				set := fakedb.ResultSet{Columns: []string{"id"}, Rows: slices.Repeat([][]driver.Value{{int64(1)}}, rows)}
				fake := &fakedb.DB{Shape: test.shape, Results: func(string) []fakedb.ResultSet { return []fakedb.ResultSet{set} }}
				provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
				db := OpenDB(fake.Connector(), WithOperations(0), WithTracerProvider(provider), withClock(func() time.Duration {
					readings++
					return monotonic()
				}))
				got, err := db.QueryContext(test.ctx(t), "SELECT")
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for got.Next() {
					n++
				}
				if err := got.Close(); err != nil || n != rows {
					t.Errorf("%d rows, %v", n, err)
				}
				if readings != want {
					t.Errorf("%s, %d rows: %d readings, want %d", test.name, rows, readings, want)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
