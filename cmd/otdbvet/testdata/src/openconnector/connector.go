// Package openconnector has connectors.
package openconnector

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/jackc/pgx/v5/stdlib"
)

type own struct{ dsn string }

func (own) Connect(context.Context) (driver.Conn, error) { return nil, nil }
func (own) Driver() driver.Driver                        { return nil }

type around struct{ driver.Connector }

func open(config stdlib.Config) []*sql.DB {
	c := stdlib.GetConnector(config)
	return []*sql.DB{
		sql.OpenDB(c),                 // want `sql.OpenDB opens a database that is not traced; use otdb.OpenDB`
		sql.OpenDB(own{}),             // want `sql.OpenDB opens`
		sql.OpenDB(&own{dsn: "x"}),    // want `sql.OpenDB opens`
		sql.OpenDB(around{c}),         // it may be around a traced one
		stdlib.OpenDB(config),         // want `stdlib.OpenDB opens`
		stdlib.OpenDB(config, nil),    // want `stdlib.OpenDB opens`
		stdlib.OpenDBFromPool(config), // want `stdlib.OpenDBFromPool opens`
	}
}

// Given may be given a traced one.
func Given(c driver.Connector) *sql.DB { return sql.OpenDB(c) }

func raw(ctx context.Context, conn *sql.Conn) error {
	return conn.Raw(func(dc any) error {
		if p, ok := dc.(driver.Pinger); ok {
			return p.Ping(ctx)
		}
		switch c := dc.(type) { // want `on a traced database this is not the driver's own connection; use otdb.Raw\(dc\)`
		case *stdlib.Conn:
			_ = c
		}
		_ = dc.(*stdlib.Conn) // want `use otdb.Raw`
		return nil
	})
}
