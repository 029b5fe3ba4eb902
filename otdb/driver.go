package otdb

import (
	"context"
	"database/sql/driver"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/target"
)

// wrappedDriver is a driver whose connections are wrapped. It always has a
// connector, so that connecting has a context.
type wrappedDriver struct {
	raw  driver.Driver
	name string // under which raw is registered, if known
	opts []Option
	late lateOptions
}

var _ driver.DriverContext = (*wrappedDriver)(nil)

// Open implements driver.Driver.
func (d *wrappedDriver) Open(dsn string) (driver.Conn, error) {
	c, err := d.connector(dsnConnector{d.raw, dsn}, dsn)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// OpenConnector implements driver.DriverContext.
func (d *wrappedDriver) OpenConnector(dsn string) (driver.Connector, error) {
	if beingLookedUp() {
		return nil, &wrappedError{d}
	}
	c, err := d.openConnector(dsn)
	if err != nil {
		return nil, err // not a nil *connector in a driver.Connector
	}
	return c, nil
}

func (d *wrappedDriver) openConnector(dsn string) (*connector, error) {
	raw := driver.Connector(dsnConnector{d.raw, dsn})
	if dc, ok := d.raw.(driver.DriverContext); ok {
		var err error
		if raw, err = dc.OpenConnector(dsn); err != nil {
			errs.LookDriver(err, nil)
			return nil, err
		}
	}
	return d.connector(raw, dsn)
}

func (d *wrappedDriver) connector(raw driver.Connector, dsn string) (*connector, error) {
	cfg, _ := newConfig(d.opts) // its mistakes were reported when the driver was wrapped
	c, err := newConnector(raw, cfg, target.FromDSN(d.name, d.raw, dsn))
	if c == nil {
		return nil, err
	}
	instrument.Handle(err)
	c.late = &d.late
	return c, nil
}
