package otdb

import (
	"database/sql"
	"database/sql/driver"
)

type Option interface{ apply() }

func Open(driverName, dsn string, opts ...Option) (*sql.DB, error)      { return sql.Open(driverName, dsn) }
func OpenDB(c driver.Connector, opts ...Option) *sql.DB                 { return sql.OpenDB(c) }
func Register(driverName string, opts ...Option) (string, error)        { return driverName + "-otdb", nil }
func WrapDriver(d driver.Driver, opts ...Option) driver.Driver          { return d }
func WrapConnector(c driver.Connector, opts ...Option) driver.Connector { return c }
func Raw(driverConn any) any                                            { return driverConn }
