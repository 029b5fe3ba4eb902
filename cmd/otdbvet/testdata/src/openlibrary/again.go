package openlibrary

import "github.com/jmoiron/sqlx"

func again(dsn string) (*sqlx.DB, error) {
	return sqlx.Open("pgx", dsn) // want `sqlx.Open opens`
}
