package otdb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/taskspan/taskspan/errs"
)

// Open opens a database as [sql.Open] does, with every statement and lifecycle
// operation observed. The driver must be registered with database/sql under
// driverName; the DSN is the driver's own.
//
// Like sql.Open it may just validate its arguments without connecting. It
// returns what sql.Open returns for an unknown driver or a DSN that the driver
// rejects, and mistakes in the options. The driver sees the DSN twice: once
// when database/sql looks the driver up, once for the connections.
//
// The pool's metrics are registered too, until the database is closed. A name
// that [Register] has returned stands for the options given there.
func Open(driverName, dsn string, opts ...Option) (*sql.DB, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	wrapped := registeredDriver(driverName)
	if wrapped != nil {
		ignored("Open", opts)
		cfg, _ = newConfig(wrapped.opts) // Register has returned its mistakes
	} else {
		d, err := lookUp(driverName, dsn)
		if err != nil {
			return nil, err
		}
		wrapped = &wrappedDriver{raw: d, name: driverName, opts: opts}
	}
	c, err := wrapped.openConnector(dsn)
	if err != nil {
		return nil, err
	}
	return openDB(c, cfg), nil
}

// lookUp returns the driver of that name. database/sql tells a driver only
// through a database, so one is opened for the purpose and closed. A driver that
// the application has registered as an observed one is had raw, so that it is
// never observed twice.
func lookUp(driverName, dsn string) (driver.Driver, error) {
	db, err := sql.Open(driverName, dsn)
	if err != nil {
		remember(err)
		return nil, err
	}
	defer func() {
		if err := db.Close(); err != nil {
			// A connector's error may tell of the DSN.
			handle(fmt.Errorf("otdb: closing the database that the driver was looked up with: %s", errs.DriverMessage(err)))
		}
	}()
	return db.Driver(), nil
}

// OpenDB opens a database as [sql.OpenDB] does, with every statement and
// lifecycle operation observed. The pool's metrics are registered too, until
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
	stop, err := c.db.observePool(db, cfg)
	handle(err)
	c.onClose(stop)
	return db
}

// WrapConnector returns a connector whose connections are observed. A connector
// that is wrapped already is returned as it is. Mistakes in the options go to
// the OpenTelemetry error handler.
//
// Use [OpenDB] to have the pool observed as well, or [ObservePool].
func WrapConnector(c driver.Connector, opts ...Option) driver.Connector {
	if c == nil {
		handle(errors.New("otdb: WrapConnector: the connector is nil"))
		return nil
	}
	if w, ok := c.(*connector); ok {
		ignored("WrapConnector", opts)
		return w
	}
	cfg, err := newConfig(opts)
	handle(err)
	w, err := newConnector(c, cfg, targetFromConnector(c))
	handle(err)
	if w == nil {
		return c
	}
	return w
}

// WrapDriver returns a driver whose connections are observed, to be registered
// with [sql.Register]. A driver that is wrapped already is returned as it is.
// Mistakes in the options go to the OpenTelemetry error handler.
func WrapDriver(d driver.Driver, opts ...Option) driver.Driver {
	if d == nil {
		handle(errors.New("otdb: WrapDriver: the driver is nil"))
		return nil
	}
	if w, ok := d.(*wrappedDriver); ok {
		ignored("WrapDriver", opts)
		return w
	}
	_, err := newConfig(opts)
	handle(err)
	return &wrappedDriver{raw: d, opts: opts}
}

// ignored reports options that come too late.
func ignored(function string, opts []Option) {
	if len(opts) == 0 {
		return
	}
	_, err := newConfig(opts)
	handle(errors.Join(fmt.Errorf("otdb: %s: it is observed already, and its options stay as they are; these are ignored", function), err))
}

// registrations are the drivers that Register has registered, by name. database/sql
// does not give them back: it asks the connector for its driver, which is the
// raw one.
var registrations = make(map[string]*wrappedDriver)

// registerMu guards registrations, and makes the choice of a free name and its
// registration one step.
var registerMu sync.Mutex

// Register registers an observed form of a registered driver with database/sql
// and returns its name: driverName with "-otdb" appended, then "-otdb-2" and so
// on. It is for libraries that take the name of a driver. Their pools' metrics
// are to be had with [ObservePool].
//
// It returns an error if there is no such driver, or if an option is mistaken. A
// name that Register has returned is returned as it is, with the options that it
// was registered with.
func Register(driverName string, opts ...Option) (string, error) {
	if _, err := newConfig(opts); err != nil {
		return "", err
	}
	if registeredDriver(driverName) != nil {
		ignored("Register", opts)
		return driverName, nil
	}
	d, err := lookUp(driverName, "")
	if err != nil {
		if slices.Contains(sql.Drivers(), driverName) {
			err = fmt.Errorf("otdb: Register: the driver %q cannot be had without a DSN (%w); give it to WrapDriver and the result to sql.Register", driverName, err)
		}
		return "", err
	}
	wrapped := &wrappedDriver{raw: d, name: driverName, opts: opts}

	registerMu.Lock()
	defer registerMu.Unlock()
	name := driverName + "-otdb"
	for n := 2; slices.Contains(sql.Drivers(), name); n++ {
		name = driverName + "-otdb-" + strconv.Itoa(n)
	}
	sql.Register(name, wrapped)
	registrations[name] = wrapped
	return name, nil
}

// registeredDriver returns the driver that Register has registered under a name.
func registeredDriver(name string) *wrappedDriver {
	registerMu.Lock()
	defer registerMu.Unlock()
	return registrations[name]
}

// Raw returns the driver's own connection when it is given, inside
// [sql.Conn.Raw], the connection of an observed database. Anything else is
// returned as it is.
func Raw(driverConn any) any {
	if c, ok := driverConn.(interface{ unwrap() driver.Conn }); ok {
		return c.unwrap()
	}
	return driverConn
}
