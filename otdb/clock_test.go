package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/oteltest"
)

// tickingDriver is SQLite's driver, each of whose calls takes a millisecond on
// a clock that moves with nothing else.
type tickingDriver struct {
	shopDriver
	now time.Duration
}

func (d *tickingDriver) tick() { d.now += time.Millisecond }

func (d *tickingDriver) Open(dsn string) (driver.Conn, error) {
	d.tick()
	c, err := d.shopDriver.Open(dsn)
	if err != nil {
		return nil, err
	}
	return &tickingConn{c.(*shopConn), d}, nil
}

type tickingConn struct {
	*shopConn
	d *tickingDriver
}

func (c *tickingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.d.tick()
	return c.shopConn.ExecContext(ctx, query, args)
}

func (c *tickingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.d.tick()
	rows, err := c.shopConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return &tickingRows{rows, c.d}, nil
}

func (c *tickingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.d.tick()
	s, err := c.shopConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &tickingStmt{s.(*shopStmt), c.d}, nil
}

func (c *tickingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.d.tick()
	tx, err := c.shopConn.BeginTx(ctx, opts)
	return tickingTx{tx, c.d}, err
}

type tickingStmt struct {
	*shopStmt
	d *tickingDriver
}

func (s *tickingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.d.tick()
	return s.shopStmt.ExecContext(ctx, args)
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
		db, d := r.openTicking(WithTracerProvider(foreignProvider{tp: r.TracerProvider}))
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

// A row costs next to nothing: the clock is read for the call and around some rows, in all
// contexts alike, and for nobody not at all.
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
	// Behind the call, and around each of the rows 1, 2, 3, 4, 6, 9, 13, 19, 28, 42, 63, 94, 126,
	// …, of which those that do not follow another have a reading before their pause. The end
	// is read before a call that is measured, and otherwise behind it.
	quick := map[int]int{0: 2, 1: 4, 2: 6, 3: 8, 4: 10, 5: 11, 100: 1 + 4*2 + 8*3 + 1, 1000: 34 + 3*28}
	for _, test := range []struct {
		name  string
		ctx   func(*testing.T) context.Context
		shape fakedb.Shape
		want  map[int]int // readings by the number of rows
	}{
		// The span reads it as well, when it starts and when it ends. Without
		// one that does, two readings tell the length.
		{"background", plain, one, quick},
		{"result sets", plain, several, quick},
		{"cancelable", cancelable, one, quick},
		{"task", inTask, one, quick},
		{"unsampled", unsampled, one, map[int]int{0: 2, 1: 2, 100: 2, 1000: 2}},
	} {
		for rows, want := range test.want {
			// In a bubble no query is long, however busy the machine is.
			synctest.Test(t, func(t *testing.T) {
				readings := 0
				set := fakedb.ResultSet{Columns: []string{"id"}, Rows: slices.Repeat([][]driver.Value{{int64(1)}}, rows)}
				fake := &fakedb.DB{Shape: test.shape, Results: func(string) []fakedb.ResultSet { return []fakedb.ResultSet{set} }}
				provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
				db := OpenDB(fake.Connector(), WithOperations(0), WithTracerProvider(provider), optionFunc(func(c *config) {
					c.clock.Now = func() time.Duration {
						readings++
						return instrument.SystemClock.Now()
					}
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

// A context that is done ends the rows: database/sql closes them then.
func TestSpanOfRowsThatAContextEnds(t *testing.T) {
	for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
		t.Run(want.Error(), func(t *testing.T) {
			r := newRig(t)
			db, err := Open("sqlite3", sqliteFile(t), WithTracerProvider(r.TracerProvider), WithMeterProvider(r.MeterProvider))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			base, cancel := context.WithCancel(context.Background())
			defer cancel()
			rows, err := db.QueryContext(doneContext{base, want}, "SELECT id FROM otdb_users")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			rows.Next()
			read := time.Now()
			cancel()
			ended := r.WaitSpans(2)[1] // the first is that of CONNECT
			if end := ended.EndTime(); end.Before(read) {
				t.Errorf("the span ends %v before its context", read.Sub(end))
			}
			_ = rows.Close()
			if err := rows.Err(); err != want {
				t.Errorf("err = %v", err)
			}
			if ended.Status().Description != errs.Message(want) {
				t.Errorf("status %v", ended.Status())
			}
			oteltest.Diff(t, "attributes", oteltest.Lines(oteltest.Without(ended.Attributes(), driverDurationKey)), oteltest.Lines(attrs{
				"db.system.name": "sqlite", "db.namespace": "shop.db", "db.query.summary": "SELECT otdb_users",
				"db.query.text": "SELECT id FROM otdb_users", "error.type": errs.Classify(want).Type,
			}.Slice()))
			r.wantDurations()
		})
	}
}

// doneContext is a context with an error of its choice.
type doneContext struct {
	context.Context
	err error
}

func (c doneContext) Err() error {
	if c.Context.Err() == nil {
		return nil
	}
	return c.err
}
