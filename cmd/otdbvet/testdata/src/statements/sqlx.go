package statements

import (
	"context"

	"github.com/jmoiron/sqlx"
)

func extended(ctx context.Context, db *sqlx.DB) error {
	var n int
	if err := db.Get(&n, "SELECT 1"); err != nil { // want `use GetContext\(ctx, …\)`
		return err
	}
	_, _ = db.Exec("DELETE")            // want `use ExecContext`
	_, _ = db.NamedQuery("SELECT 1", n) // want `use NamedQueryContext`
	tx, err := db.Beginx()              // want `use BeginTxx\(ctx, nil\)`
	if err != nil {
		return err
	}
	_, _ = tx.NamedQuery("SELECT 1", n)
	return tx.Commit()
}
