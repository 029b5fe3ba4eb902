package opendot

import . "database/sql"

var otdb = "taken"

func dot(dsn string) (*DB, error) {
	return Open("mysql", dsn) // want `sql.Open opens`
}
