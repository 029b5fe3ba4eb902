// Package openlibrary opens databases through libraries.
package openlibrary

import (
	"context"

	"github.com/jmoiron/sqlx"
)

func sqlxAll(ctx context.Context, dsn string) (dbs []*sqlx.DB) {
	db, _ := sqlx.Open("pgx", dsn)                         // want `sqlx.Open opens a database that is not traced; use otdb.Open and sqlx.NewDb`
	dbs = append(dbs, db, sqlx.MustOpen("pgx", dsn))       // want `sqlx.MustOpen opens`
	if db, err := sqlx.Connect("mysql", dsn); err == nil { // want `sqlx.Connect opens`
		dbs = append(dbs, db)
	}
	db, _ = sqlx.ConnectContext(ctx, "pgx", dsn) // want `sqlx.ConnectContext opens`
	sqlxOpen := 1                                // the name of a function to be
	_ = sqlxOpen
	return append(dbs, db, sqlx.MustConnect("pgx", dsn)) // want `sqlx.MustConnect opens`
}

// Connect may be given a traced one.
func Connect(name, dsn string) (*sqlx.DB, error) { return sqlx.Connect(name, dsn) }
