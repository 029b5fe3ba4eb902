// Package opentraced opens what is traced already.
package opentraced

import (
	"database/sql"
	"database/sql/driver"

	"github.com/XSAM/otelsql"
	"github.com/taskspan/taskspan/otdb"
)

func registered(dsn string) (*sql.DB, error) {
	name, err := otdb.Register("pgx")
	if err != nil {
		return nil, err
	}
	return sql.Open(name, dsn)
}

func sometimes(dsn string, traced bool) (*sql.DB, error) {
	name := "pgx"
	if traced {
		name, _ = otelsql.Register("pgx")
	}
	return sql.Open(name, dsn)
}

var global = register()

func register() string {
	name, _ := otdb.Register("pgx")
	return name
}

func fromGlobal(dsn string) (*sql.DB, error) { return sql.Open(global, dsn) }

func passed(dsn string) {
	name, _ := otdb.Register("mysql")
	_, _ = open(name, dsn)
	_, _ = open("mysql", dsn)
}

func open(name, dsn string) (*sql.DB, error) { return sql.Open(name, dsn) }

type d struct{}

func (d) Open(string) (driver.Conn, error) { return nil, nil }

func init() {
	sql.Register("mysql", otdb.WrapDriver(d{}))
	sql.Register("sqlite3", d{})
}

func wrapped(dsn string) {
	_, _ = sql.Open("mysql", dsn)
	_, _ = sql.Open("postgres", dsn) // want `sql.Open opens`
}

func connector(c driver.Connector) *sql.DB { return sql.OpenDB(c) }

func wrappedConnector(c driver.Connector) *sql.DB { return sql.OpenDB(otdb.WrapConnector(c)) }
