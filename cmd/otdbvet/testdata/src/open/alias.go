package open

import (
	db "database/sql"
	traced "github.com/taskspan/taskspan/otdb"
)

type store struct{ pool *db.DB }

func (s *store) open(dsn string) (err error) {
	s.pool, err = db.Open("mysql", dsn) // want `sql.Open opens`
	if err != nil {
		return err
	}
	var traced = traced.Raw
	_ = traced
	other, err := db.Open("pgx", dsn) // want `sql.Open opens`
	_ = other
	return err
}
