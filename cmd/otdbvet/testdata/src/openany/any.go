package openany

import "database/sql"

func Open(name, dsn string) (*sql.DB, error) {
	return sql.Open(name, dsn) // want `sql.Open opens`
}

var Opener = sql.Open // want `sql.Open opens databases`

var known = sql.OpenDB // want `sql.OpenDB opens databases`
