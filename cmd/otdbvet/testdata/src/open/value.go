package open

import "database/sql"

var sqlOpen = sql.Open // want `sql.Open opens databases that are not traced; use otdb.Open`

func value(dsn string) error {
	db, err := sqlOpen("postgres", dsn)
	if err != nil {
		return err
	}
	return db.Close()
}

func unknownValue(use func(func(string, string) (*sql.DB, error))) { use(sql.Open) }
