package orders

import (
	"context"
	"errors"
)

// discountOneByOne runs a statement for each order instead of one for all.
func discountOneByOne(ctx context.Context, s *Store) error {
	for id := 1; id <= 3; id++ {
		if _, err := s.db.ExecContext(ctx, "UPDATE orders SET price = price - 1 WHERE id = $1", id); err != nil {
			return err
		}
	}
	return nil
}

// firstWithoutClose reads one row of several, and does not close them.
func firstWithoutClose(ctx context.Context, s *Store) error {
	rows, err := s.db.QueryContext(ctx, "SELECT id FROM orders ORDER BY id")
	if err != nil {
		return err
	}
	if !rows.Next() {
		return errors.Join(rows.Err(), rows.Close())
	}
	var id int
	return rows.Scan(&id)
}

// countElsewhere has lost the context of its task.
func countElsewhere(s *Store) error {
	var n int
	return s.db.QueryRowContext(context.Background(), "SELECT count(*) FROM orders").Scan(&n)
}
