package openlibrary

import (
	"database/sql"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/golang-migrate/migrate/v4"
	_ "github.com/golang-migrate/migrate/v4/database/postgres"
	"github.com/pressly/goose/v3"
)

func other(dsn, url string) (db *sql.DB) {
	db, _ = goose.OpenDBWithDriver("pgx", dsn)     // want `goose.OpenDBWithDriver opens`
	db, _ = goose.OpenDBWithDriver("sqlite3", dsn) // want `goose.OpenDBWithDriver opens`
	_, _ = migrate.New("file://m", url)            // want `migrate.New opens`
	_, _ = migrate.New("file://m", "mongodb://db") // no database/sql
	_, _ = entsql.Open("mysql", dsn)               // want `ent's sql.Open opens`
	return db
}
