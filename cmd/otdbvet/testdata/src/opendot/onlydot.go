package opendot

import . "database/sql"

func onlyDot(dsn string) error {
	db, err := Open("mysql", dsn) // want `sql.Open opens`
	if err != nil {
		return err
	}
	return db.Close()
}
