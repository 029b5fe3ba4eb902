package fakedb

import (
	"context"
	"database/sql/driver"
	"io"
)

// Driver returns the database's driver: the same one every time. Its DSN may
// be anything.
func (db *DB) Driver() driver.Driver {
	if db.Shape.Has(DriverContext) {
		return contextDriver{fakeDriver{db}}
	}
	return fakeDriver{db}
}

// Connector returns a connector of the database.
func (db *DB) Connector() driver.Connector {
	if db.Shape.Has(ConnectorCloser) {
		return closingConnector{connector{db}}
	}
	return connector{db}
}

type fakeDriver struct{ db *DB }

// Open implements driver.Driver.
func (d fakeDriver) Open(dsn string) (driver.Conn, error) {
	if handled, err := d.db.call(noContext, Call{Method: DriverOpen, Detail: dsn}); handled {
		return nil, err
	}
	return newConn(d.db), nil
}

type contextDriver struct{ fakeDriver }

// OpenConnector implements driver.DriverContext.
func (d contextDriver) OpenConnector(dsn string) (driver.Connector, error) {
	if handled, err := d.db.call(noContext, Call{Method: DriverOpenConnector, Detail: dsn}); handled {
		return nil, err
	}
	return d.db.Connector(), nil
}

type connector struct{ db *DB }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.db.Plain {
		return newConn(c.db), nil
	}
	if handled, err := c.db.call(ctx, Call{Method: ConnectorConnect}); handled {
		return nil, err
	}
	return newConn(c.db), nil
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.db.Driver() }

type closingConnector struct{ connector }

// Close implements io.Closer.
func (c closingConnector) Close() error {
	_, err := c.db.call(noContext, Call{Method: ConnectorClose})
	return err
}

var (
	_ driver.Driver        = fakeDriver{}
	_ driver.DriverContext = contextDriver{}
	_ driver.Connector     = connector{}
	_ io.Closer            = closingConnector{}
)
