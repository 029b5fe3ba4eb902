// Package orders is the program of docs/testing.md, with the tests that its author
// would write: on SQLite, on PostgreSQL in a container, and over drivers. The page
// shows these files, and the messages of assertions that fail; a test compares them.
package orders

import (
	"context"
	"database/sql"
)

// Store keeps orders and invoices.
type Store struct{ db *sql.DB }

// Invoice makes one invoice of a customer's orders.
func (s *Store) Invoice(ctx context.Context, customer string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, query := range []string{
		"INSERT INTO invoices (customer, total) SELECT customer, SUM(price) FROM orders WHERE customer = $1 GROUP BY customer",
		"UPDATE orders SET invoiced = 1 WHERE customer = $1",
	} {
		if _, err := tx.ExecContext(ctx, query, customer); err != nil {
			return err
		}
	}
	return tx.Commit()
}
