package otdb

import (
	"context"
	"database/sql/driver"
	"io"
	"sync"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/target"
)

// connector makes the connections of one database.
type connector struct {
	raw driver.Connector
	db  *database

	lifecycle driver.Connector // otelsql's, around raw
	unclosed  unclosed
	late      *lateOptions // of its driver

	mu   sync.Mutex
	stop []func() error // what ends with the database
}

var (
	_ driver.Connector = (*connector)(nil)
	_ io.Closer        = (*connector)(nil)
)

// newConnector wraps raw. The error is about instruments that could not be
// made; the connector is usable all the same.
func newConnector(raw driver.Connector, cfg *config, inferred target.Target) (*connector, error) {
	db, err := newDatabase(cfg, inferred)
	db.observed = observedPoolsOf(raw.Driver())
	c := &connector{raw: raw, db: db, late: new(lateOptions)}
	lifecycle, errLifecycle := db.throughOtelsql(raw)
	if errLifecycle != nil { // a oneConnector has no error to give
		return nil, errLifecycle
	}
	c.lifecycle = lifecycle
	return c, err
}

// another returns a connector to the same database for one more sql.DB, whose
// end is not that of the first.
func (c *connector) another() *connector {
	return &connector{raw: c.raw, db: c.db, lifecycle: c.lifecycle, late: c.late}
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (_ driver.Conn, err error) {
	call := &lifecycleContext{Context: ctx, op: operation{ctx: ctx}}
	err = instrument.ErrNotReturned
	defer func() { call.op.end(&outcome{err: err}) }()
	conn, err := c.lifecycle.Connect(call)
	if err != nil {
		return nil, err
	}
	return newConn(c.db, &c.unclosed, conn), nil
}

// Driver implements driver.Connector. It returns the raw driver: programs look
// for its own API there.
func (c *connector) Driver() driver.Driver { return c.raw.Driver() }

// Close implements io.Closer, which database/sql looks for in DB.Close. It ends
// what was registered for the database, reports rows that are open, and closes the raw
// connector.
func (c *connector) Close() error {
	c.unclosed.databaseClosed()
	c.mu.Lock()
	stop := c.stop
	c.stop = nil
	c.mu.Unlock()
	for _, f := range stop {
		instrument.Handle(f())
	}
	if closer, ok := c.raw.(io.Closer); ok {
		return remember(nil, closer.Close())
	}
	return nil
}

// onClose arranges for f to be called when the database is closed.
func (c *connector) onClose(f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop = append(c.stop, f)
}

// dsnConnector is the connector of a driver that has none of its own.
type dsnConnector struct {
	driver driver.Driver
	dsn    string
}

// Connect implements driver.Connector.
func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver implements driver.Connector.
func (c dsnConnector) Driver() driver.Driver { return c.driver }
