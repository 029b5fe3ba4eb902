package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/taskspan/taskspan/errs"
)

// sqliteConnector returns a bare connector of SQLite's driver.
func sqliteConnector(t *testing.T, dsn string) driver.Connector {
	t.Helper()
	return dsnConnector{&shopDriver{}, dsn}
}

var registered atomic.Int64

// freshName returns the name of a driver that nobody has registered.
func freshName() string { return fmt.Sprintf("otdbtest%d", registered.Add(1)) }

func TestRegisterNames(t *testing.T) {
	raw := freshName() + "-sqlite3"
	sql.Register(raw, &shopDriver{})
	r := newRig(t)
	for _, want := range []string{raw + "-otdb", raw + "-otdb-2", raw + "-otdb-3"} {
		name, err := Register(raw, r.options()...)
		if err != nil || name != want {
			t.Errorf("Register: %q, %v, want %q", name, err, want)
		}
		if !slices.Contains(sql.Drivers(), name) {
			t.Errorf("%q is not registered", name)
		}
	}
	db, err := sql.Open(raw+"-otdb", sqliteFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PingContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.wantSpans(span{name: "CONNECT", start: attrs{"db.system.name": "sqlite", "db.namespace": "shop.db", "db.operation.name": "CONNECT"}})
	if _, ok := db.Driver().(*shopDriver); !ok {
		t.Errorf("Driver() is a %T", db.Driver())
	}

	// An observed driver is observed once, whatever is done with its name.
	for _, open := range []func() (*sql.DB, error){
		func() (*sql.DB, error) {
			db, err := Open(raw+"-otdb", ":memory:", WithQueryText(QueryTextOff))
			r.WantHandled("otdb: Open: the driver " + raw + "-otdb is wrapped already, and keeps its options; these are ignored")
			return db, err
		},
		func() (*sql.DB, error) { return Open(raw+"-otdb", ":memory:", WithQueryText(QueryTextOff)) }, // reported once
		func() (*sql.DB, error) { return Open(raw+"-otdb", ":memory:") },
		func() (*sql.DB, error) {
			name, err := Register(raw + "-otdb")
			if name != raw+"-otdb" {
				t.Errorf("Register has registered it again, as %q", name)
			}
			if err != nil {
				return nil, err
			}
			return sql.Open(name, ":memory:")
		},
	} {
		db, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if err := db.PingContext(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := len(r.TakeSpans()); n != 1 {
			t.Errorf("%d spans for one connect", n)
		}
		_ = db.Close()
	}
}

func TestUnknownDriver(t *testing.T) {
	_, want := sql.Open("otdb-unknown", "")
	if _, err := Open("otdb-unknown", ""); err == nil || err.Error() != want.Error() {
		t.Errorf("Open: %v, want %v", err, want)
	}
	if name, err := Register("otdb-unknown"); name != "" || err == nil || err.Error() != want.Error() {
		t.Errorf("Register: %q, %v, want %v", name, err, want)
	}
}

// pickyDriver rejects all DSNs but one.
type pickyDriver struct{ closed atomic.Int64 }

type pickyError struct{ dsn string }

func (e *pickyError) Error() string { return "bad DSN " + e.dsn }

func (d *pickyDriver) Open(string) (driver.Conn, error) { return nil, driver.ErrBadConn }

func (d *pickyDriver) OpenConnector(dsn string) (driver.Connector, error) {
	if dsn != "good" {
		return nil, &pickyError{dsn}
	}
	return &pickyConnector{d}, nil
}

type pickyConnector struct{ d *pickyDriver }

func (c *pickyConnector) Connect(context.Context) (driver.Conn, error) {
	return (&shopDriver{}).Open(":memory:")
}
func (c *pickyConnector) Driver() driver.Driver { return c.d }
func (c *pickyConnector) Close() error {
	c.d.closed.Add(1)
	return io.ErrClosedPipe
}

func TestDriverThatRejectsTheDSN(t *testing.T) {
	raw := &pickyDriver{}
	name := freshName()
	sql.Register(name, raw)
	r := newRig(t)
	_, err := Open(name, "canary", r.options()...)
	if e, ok := err.(*pickyError); !ok || e.dsn != "canary" {
		t.Errorf("Open: %v", err)
	}
	_, err = Register(name, r.options()...)
	want := `otdb: Register: the driver "` + name + `" cannot be looked up without a DSN (bad DSN ); give it to WrapDriver and the result to sql.Register`
	if err == nil || err.Error() != want {
		t.Errorf("Register: %v, want %s", err, want)
	}

	// As the error says.
	wrapped := freshName()
	sql.Register(wrapped, WrapDriver(raw, r.options()...))
	if _, err = sql.Open(wrapped, "canary"); err == nil || err.(*pickyError).dsn != "canary" {
		t.Errorf("sql.Open: %v", err)
	}
	db, err := sql.Open(wrapped, "good")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	if db.Driver() != driver.Driver(raw) {
		t.Errorf("Driver() is a %T", db.Driver())
	}
	if err := db.Close(); err != io.ErrClosedPipe || raw.closed.Load() != 1 {
		t.Errorf("Close: %v, the connector was closed %d times", err, raw.closed.Load())
	}
	r.wantSpans(span{name: "CONNECT", start: attrs{"db.system.name": "other_sql", "db.operation.name": "CONNECT"}})
	r.WantNothingOf("canary")

	// Open has looked the driver up through a connector that it closed.
	raw.closed.Store(0)
	if db, err = Open(name, "good", r.options()...); err != nil {
		t.Fatal(err)
	}
	r.WantHandled("otdb: closing the database that the driver was looked up with: io: read/write on closed pipe")
	if err := db.Close(); err != io.ErrClosedPipe || raw.closed.Load() != 2 {
		t.Errorf("Close: %v, connectors were closed %d times", err, raw.closed.Load())
	}
}

func TestWrapTwiceIsOnce(t *testing.T) {
	r := newRig(t)
	d := WrapDriver(&shopDriver{}, r.options()...)
	if again := WrapDriver(d, WithMaxSummaries(1)); again != d {
		t.Errorf("WrapDriver has wrapped twice: %T", again)
	}
	c, err := d.(driver.DriverContext).OpenConnector(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	if again := WrapConnector(c); again != c {
		t.Errorf("WrapConnector has wrapped twice: %T", again)
	}
	const late = "the driver *otdb.shopDriver is wrapped already, and keeps its options; these are ignored"
	r.WantHandled("otdb: WrapDriver: " + late)
	db := OpenDB(c, WithPoolName("ignored"))
	r.WantHandled() // its driver was reported
	own := WrapConnector(sqliteConnector(t, ":memory:"), r.options()...)
	for range 3 {
		_ = WrapConnector(own, WithPoolName("ignored"), WithMaxSummaries(-1))
	}
	handled := r.TakeHandled()
	if len(handled) != 1 || !strings.HasPrefix(handled[0].Error(), "otdb: WrapConnector: "+late+"\n") {
		t.Errorf("reported %q", handled)
	}
	defer db.Close()
	if err := db.PingContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Spans()); n != 1 {
		t.Errorf("%d spans for one connect", n)
	}
	// A connector of one that was wrapped, in the way of another library.
	if again := WrapConnector(dsnConnector{d, ":memory:"}, r.options()...); again == c {
		t.Error("it is another connector")
	}
}

func TestNilDriversAndConnectors(t *testing.T) {
	r := newRig(t)
	if d := WrapDriver(nil); d != nil {
		t.Errorf("WrapDriver: %v", d)
	}
	if c := WrapConnector(nil); c != nil {
		t.Errorf("WrapConnector: %v", c)
	}
	if stop, err := ObservePool(nil); err == nil || stop == nil || err.Error() != "otdb: ObservePool: the database is nil" {
		t.Errorf("ObservePool: %v", err)
	}
	r.WantHandled("otdb: WrapDriver: the driver is nil", "otdb: WrapConnector: the connector is nil")
}

// The methods that a program may look for on a driver's connector.
func TestWrappedDriverOpens(t *testing.T) {
	r := newRig(t)
	c, err := WrapDriver(&shopDriver{}, r.options(WithSystem("sqlite"), WithNamespace("shop.db"))...).Open(sqliteFile(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := Raw(c).(*shopConn); !ok {
		t.Errorf("Raw returns a %T", Raw(c))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	r.wantSpans(span{name: "CONNECT", start: attrs{"db.system.name": "sqlite", "db.namespace": "shop.db", "db.operation.name": "CONNECT"}})

	_, err = WrapDriver(brokenDriver{io.ErrNoProgress}, r.options()...).Open("canary")
	if err != io.ErrNoProgress {
		t.Errorf("err = %v", err)
	}
	if got := r.TakeSpans(); len(got) != 1 || !strings.Contains(r.Text(got[0]), "status Error") {
		t.Errorf("spans %v", got)
	}
	r.WantNothingOf("canary")
}

// TestOpenWrapped opens the name of a driver that the application has wrapped.
func TestOpenWrapped(t *testing.T) {
	r := newRig(t)
	other := newRig(t)
	raw := &shopDriver{}
	bare, wrapped := freshName()+"-sqlite3", ""
	sql.Register(bare, raw)
	target := attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}
	conn := target.With(attrs{"db.client.connection.pool.name": "first"})
	connect := span{name: "CONNECT", start: conn.With(attrs{"db.operation.name": "CONNECT"})}
	query := span{name: "SELECT", start: conn.With(attrs{"db.query.summary": "SELECT"})}

	for name, open := range map[string]func() (*sql.DB, error){
		"Open":              func() (*sql.DB, error) { return Open(wrapped, sqliteFile(t)) },
		"Open with options": func() (*sql.DB, error) { return Open(wrapped, sqliteFile(t), other.options(WithPoolName("second"))...) },
		"Register": func() (*sql.DB, error) {
			name, err := Register(wrapped, other.options()...)
			if err != nil {
				return nil, err
			}
			if name != wrapped {
				t.Errorf("Register has registered it again, as %q", name)
			}
			return sql.Open(name, sqliteFile(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			wrapped = freshName()
			sql.Register(wrapped, WrapDriver(raw, r.options(
				WithSystem("sqlite"), WithNamespace("shop.db"), WithQueryText(QueryTextOff), WithPoolName("first"))...))
			db, err := open()
			if err != nil {
				t.Fatal(err)
			}
			late := ": the driver " + wrapped + " is wrapped already, and keeps its options; these are ignored"
			switch name {
			case "Open with options":
				other.WantHandled("otdb: Open" + late)
			case "Register":
				other.WantHandled("otdb: Register" + late)
			}
			if name != "Register" {
				if text := fmt.Sprint(r.Collect()["db.client.connection.count"]); !strings.Contains(text, "first") {
					t.Errorf("the pool's metrics are %s", text)
				}
			}
			if db.Driver() != driver.Driver(raw) {
				t.Errorf("Driver() is a %T", db.Driver())
			}
			var n int
			if err := db.QueryRowContext(context.Background(), "SELECT 1").Scan(&n); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			r.wantSpans(connect, query)
			other.wantSpans()
		})
	}

	// What its name tells is lost on WrapDriver, and not on Open.
	named := wrapped + "-mysql"
	sql.Register(named, WrapDriver(&pickyDriver{}, r.options()...))
	picky, err := Open(named, "good")
	if err != nil {
		t.Fatal(err)
	}
	if err := picky.PingContext(context.Background()); err != nil {
		t.Error(err)
	}
	_ = picky.Close()
	r.wantSpans(span{name: "CONNECT", start: attrs{"db.system.name": "mysql", "db.operation.name": "CONNECT"}})

	// The same driver under a name of its own is not the wrapped one.
	db := other.open(bare, sqliteFile(t))
	if _, err := db.ExecContext(context.Background(), "SELECT 1"); err != nil {
		t.Error(err)
	}
	other.wantSpans(
		span{name: "CONNECT", start: target.With(attrs{"db.operation.name": "CONNECT"})},
		span{name: "SELECT", start: target.With(attrs{"db.query.summary": "SELECT", "db.query.text": "SELECT ?"})})
	r.wantSpans()
}

// TestOpenWrappedConcurrently opens one driver under two names, at a time and
// with the same DSN.
func TestOpenWrappedConcurrently(t *testing.T) {
	r, other := newRig(t), newRig(t)
	raw := &shopDriver{}
	bare, wrapped := freshName(), freshName()
	sql.Register(bare, raw)
	sql.Register(wrapped, WrapDriver(raw, r.options(WithQueryText(QueryTextOff))...))
	const goroutines, each = 4, 25
	var wg sync.WaitGroup
	for g := range goroutines {
		for _, open := range []func() (*sql.DB, error){
			func() (*sql.DB, error) { return Open(wrapped, ":memory:") },
			func() (*sql.DB, error) { return sql.Open(wrapped, ":memory:") },
			func() (*sql.DB, error) { return Open(bare, ":memory:", other.options()...) },
		} {
			wg.Go(func() {
				for range each {
					db, err := open()
					if err != nil {
						t.Error(g, err)
						return
					}
					if err := db.PingContext(context.Background()); err != nil {
						t.Error(g, err)
					}
					_ = db.Close()
				}
			})
		}
	}
	wg.Wait()
	if n := len(r.Spans()); n != 2*goroutines*each {
		t.Errorf("%d spans of the wrapped driver, want %d", n, 2*goroutines*each)
	}
	if n := len(other.Spans()); n != goroutines*each {
		t.Errorf("%d spans of the bare driver, want %d", n, goroutines*each)
	}
}

// openingDriver opens a database to make a connector, and cannot be compared.
type openingDriver struct {
	shopDriver
	name string
	opts []Option
}

func (d openingDriver) Open(dsn string) (driver.Conn, error) { return d.shopDriver.Open(dsn) }

func (d openingDriver) OpenConnector(dsn string) (driver.Connector, error) {
	db, err := Open(d.name, dsn, d.opts...)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(db.PingContext(context.Background()), db.Close()); err != nil {
		return nil, err
	}
	return openingConnector{dsnConnector{&d.shopDriver, dsn}, d}, nil
}

type openingConnector struct {
	dsnConnector
	d openingDriver
}

func (c openingConnector) Driver() driver.Driver { return c.d }

// TestOpenInsideOfOpen has drivers open a database of another name, which may be
// the wrapped one, while they are looked up.
func TestOpenInsideOfOpen(t *testing.T) {
	inner, outer := newRig(t), newRig(t)
	wrappedInside, opening, wrappedOutside := freshName(), freshName(), freshName()
	sql.Register(wrappedInside, WrapDriver(&shopDriver{}, inner.options()...))
	d := openingDriver{name: wrappedInside}
	sql.Register(opening, d)
	sql.Register(wrappedOutside, WrapDriver(d, outer.options()...))
	for _, test := range []struct {
		name string
		open func() (*sql.DB, error)
		// looks is how often the driver makes a connector.
		looks int
	}{
		{"raw outside", func() (*sql.DB, error) { return Open(opening, ":memory:", outer.options()...) }, 2},
		{"wrapped outside", func() (*sql.DB, error) { return Open(wrappedOutside, ":memory:") }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			db, err := test.open()
			if err != nil {
				t.Fatal(err)
			}
			if err := db.PingContext(context.Background()); err != nil {
				t.Error(err)
			}
			_ = db.Close()
			if n := len(inner.TakeSpans()); n != test.looks {
				t.Errorf("%d spans of the database inside, want %d", n, test.looks)
			}
			if n := len(outer.TakeSpans()); n != 1 {
				t.Errorf("%d spans of the database outside, want 1", n)
			}
		})
	}
}

// The error that comes back is the driver's own, and not a copy of it; what is
// exported of it holds neither the host nor the user.
func TestErrorsAreTheDriversOwn(t *testing.T) {
	for _, want := range []error{
		&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "canary-host", Server: "canary-server:53", IsNotFound: true}},
		&postgresError{Severity: "FATAL", Code: "28000", Message: `no pg_hba.conf entry for host "canary-host", user "canary-user"`},
		driver.ErrBadConn,
		io.ErrUnexpectedEOF,
	} {
		r := newRig(t)
		db := OpenDB(brokenConnector{want}, r.options()...)
		if err := db.PingContext(context.Background()); err != want {
			t.Errorf("err = %v", err)
		}
		class := errs.Classify(want)
		failed := span{
			name: "CONNECT", start: attrs{"db.system.name": "other_sql", "db.operation.name": "CONNECT"},
			end: attrs{"error.type": class.Type}, err: want,
		}
		if class.Code != "" {
			failed.end["db.response.status_code"] = class.Code
		}
		attempts := 1
		if want == driver.ErrBadConn {
			attempts = 3 // which database/sql makes: each is a span
		}
		r.wantSpans(slices.Repeat([]span{failed}, attempts)...)
		r.wantDurations()
		r.WantNothingOf("canary")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

type brokenConnector struct{ err error }

func (c brokenConnector) Connect(context.Context) (driver.Conn, error) { return nil, c.err }
func (c brokenConnector) Driver() driver.Driver                        { return brokenDriver(c) }

type brokenDriver struct{ err error }

func (d brokenDriver) Open(string) (driver.Conn, error) { return nil, d.err }

// postgresError has the shape of pgx's.
type postgresError struct{ Severity, Code, Message string }

func (e *postgresError) Error() string {
	return e.Severity + ": " + e.Message + " (SQLSTATE " + e.Code + ")"
}

func (e *postgresError) SQLState() string { return e.Code }
