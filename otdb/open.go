package otdb

import (
	"cmp"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/target"
)

// Open opens a database as [sql.Open] does, with every statement and lifecycle
// operation traced. The driver must be registered with database/sql under
// driverName; the DSN is the driver's own.
//
// Like sql.Open it may just validate its arguments without connecting. It
// returns what sql.Open returns for an unknown driver or a DSN that the driver
// rejects, and mistakes in the options. A driver that is not wrapped yet sees the
// DSN twice: once when database/sql looks it up, once for the connections.
//
// The pool's metrics are registered too, until the database is closed. The name
// of a wrapped driver, from [Register] or of a result of [WrapDriver], stands
// for the options given there; those given to Open are ignored, and reported to the
// OpenTelemetry error handler once a driver.
func Open(driverName, dsn string, opts ...Option) (*sql.DB, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	d, err := lookUp(driverName, dsn)
	if err != nil {
		return nil, err
	}
	wrapped := &wrappedDriver{raw: d, name: driverName, opts: opts}
	if w, ok := d.(*wrappedDriver); ok {
		w.late.report("Open", driverName, opts)
		cfg, _ = newConfig(w.opts) // its mistakes were reported when the driver was wrapped
		wrapped = &wrappedDriver{raw: w.raw, name: cmp.Or(w.name, driverName), opts: w.opts}
	}
	c, err := wrapped.openConnector(dsn)
	if err != nil {
		return nil, err
	}
	return openDB(c, cfg), nil
}

// lookUp returns the driver of that name, which is a *wrappedDriver if it is
// wrapped already. database/sql shows a driver only through a database, so one
// is opened for the purpose and closed. The databases of a wrapped driver show
// the raw one, so it makes itself known by an error instead.
func lookUp(driverName, dsn string) (driver.Driver, error) {
	db, err := sql.Open(driverName, dsn)
	if err != nil {
		if found, ok := err.(*wrappedError); ok { //nolint:errorlint // sql.Open returns it as it is
			return found.driver, nil
		}
		errs.LookDriver(err, nil)
		return nil, err
	}
	defer func() {
		if err := db.Close(); err != nil {
			// A connector's error may hold parts of the DSN.
			instrument.Handle(fmt.Errorf("otdb: closing the database that the driver was looked up with: %s", errs.DriverMessage(err)))
		}
	}()
	return db.Driver(), nil
}

// OpenDB opens a database as [sql.OpenDB] does, with every statement and
// lifecycle operation traced. The pool's metrics are registered too, until
// the database is closed. Mistakes in the options go to the OpenTelemetry error
// handler.
func OpenDB(c driver.Connector, opts ...Option) *sql.DB {
	w, ok := WrapConnector(c, opts...).(*connector)
	if !ok {
		return sql.OpenDB(c)
	}
	if w == c {
		w = w.another()
	}
	return openDB(w, w.db.cfg)
}

func openDB(c *connector, cfg *config) *sql.DB {
	db := sql.OpenDB(c)
	stop, err := c.db.observePool(db, cfg, &c.db.pools)
	instrument.Handle(err)
	c.onClose(stop)
	return db
}

// WrapConnector returns a connector whose connections are wrapped. A connector
// that is wrapped already is returned as it is. Mistakes in the options go to
// the OpenTelemetry error handler.
//
// Use [OpenDB] for the pool's metrics as well, or [ObservePool].
func WrapConnector(c driver.Connector, opts ...Option) driver.Connector {
	if c == nil {
		instrument.Handle(errors.New("otdb: WrapConnector: the connector is nil"))
		return nil
	}
	if w, ok := c.(*connector); ok {
		w.late.report("WrapConnector", fmt.Sprintf("%T", w.raw.Driver()), opts)
		return w
	}
	cfg, err := newConfig(opts)
	instrument.Handle(err)
	w, err := newConnector(c, cfg, target.FromConnector(c))
	instrument.Handle(err)
	if w == nil {
		return c
	}
	return w
}

// WrapDriver returns a driver whose connections are wrapped, to be registered
// with [sql.Register]. A driver that is wrapped already is returned as it is.
// Mistakes in the options go to the OpenTelemetry error handler.
func WrapDriver(d driver.Driver, opts ...Option) driver.Driver {
	if d == nil {
		instrument.Handle(errors.New("otdb: WrapDriver: the driver is nil"))
		return nil
	}
	if w, ok := d.(*wrappedDriver); ok {
		w.late.report("WrapDriver", cmp.Or(w.name, fmt.Sprintf("%T", w.raw)), opts)
		return w
	}
	_, err := newConfig(opts)
	instrument.Handle(err)
	return &wrappedDriver{raw: d, opts: opts}
}

// lateOptions reports options that come too late, once for each driver.
type lateOptions struct{ reported atomic.Bool }

// report is called by that function, for a driver of that name.
func (l *lateOptions) report(function, driverName string, opts []Option) {
	if len(opts) == 0 || l.reported.Swap(true) {
		return
	}
	_, err := newConfig(opts)
	instrument.Handle(errors.Join(fmt.Errorf("otdb: %s: the driver %s is wrapped already, and keeps its options; these are ignored", function, driverName), err))
}

// wrappedError is what a wrapped driver returns to lookUp.
type wrappedError struct{ driver *wrappedDriver }

// Error implements error.
func (e *wrappedError) Error() string { return "otdb: the driver is wrapped already" }

// The names of the two functions on the stack between a wrapped driver and
// the program that has it looked up.
var (
	sqlOpenName = functionName(sql.Open)
	lookUpName  = functionName(lookUp)
)

func functionName(f any) string { return runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name() }

// beingLookedUp reports whether its caller was called by database/sql for lookUp.
// Only the stack distinguishes this call of sql.Open from those that other
// goroutines, and other drivers under this one, make at the same time.
func beingLookedUp() bool {
	var pcs [2]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	open, more := frames.Next()
	if !more || open.Function != sqlOpenName {
		return false
	}
	caller, _ := frames.Next()
	return caller.Function == lookUpName
}

// registerMu makes the choice of a free name and its registration one step.
var registerMu sync.Mutex

// Register registers a wrapped form of a registered driver with database/sql
// and returns its name: driverName with "-otdb" appended, then "-otdb-2" and so
// on. It is for libraries that take the name of a driver. Their pools' metrics
// come from [ObservePool].
//
// It returns an error if there is no such driver, or if an option is mistaken.
// The name of a wrapped driver is returned as it is, with the options that it
// has.
func Register(driverName string, opts ...Option) (string, error) {
	if _, err := newConfig(opts); err != nil {
		return "", err
	}
	d, err := lookUp(driverName, "")
	if err != nil {
		if slices.Contains(sql.Drivers(), driverName) {
			err = fmt.Errorf("otdb: Register: the driver %q cannot be looked up without a DSN (%w); give it to WrapDriver and the result to sql.Register", driverName, err)
		}
		return "", err
	}
	if w, ok := d.(*wrappedDriver); ok {
		w.late.report("Register", driverName, opts)
		return driverName, nil
	}

	registerMu.Lock()
	defer registerMu.Unlock()
	name := driverName + "-otdb"
	for n := 2; slices.Contains(sql.Drivers(), name); n++ {
		name = driverName + "-otdb-" + strconv.Itoa(n)
	}
	sql.Register(name, &wrappedDriver{raw: d, name: driverName, opts: opts})
	return name, nil
}

// Raw returns the driver's own connection when it is given, inside
// [sql.Conn.Raw], the connection of a wrapped database. Anything else is
// returned as it is.
func Raw(driverConn any) any {
	if c, ok := driverConn.(interface{ unwrap() driver.Conn }); ok {
		return c.unwrap()
	}
	return driverConn
}
