package openlibrarydot

import . "github.com/jmoiron/sqlx"

func again(dsn string) (*DB, error) {
	return Open("pgx", dsn) // want `sqlx.Open opens`
}
