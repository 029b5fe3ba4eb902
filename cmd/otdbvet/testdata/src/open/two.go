package open

import (
	"context"

	"database/sql" // the database

	"golang.org/x/sync/errgroup"
)

func two(ctx context.Context, dsn string) (a, b any) {
	g, _ := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		a, err = sql.Open("mysql", dsn) // want `sql.Open opens`
		return err
	})
	g.Go(func() (err error) {
		b, err = sql.Open("pgx", dsn) // want `sql.Open opens`
		return err
	})
	return a, b
}
