//go:build go1.27

package otdb

import "database/sql/driver"

// scanningRows are rows whose raw ones scan columns into destinations by
// themselves. database/sql then advances them with NextRow.
type scanningRows struct {
	*rows
	scanner driver.RowsColumnScanner
}

var _ driver.RowsColumnScanner = scanningRows{}

// NextRow implements driver.RowsColumnScanner.
func (r scanningRows) NextRow() error {
	q := r.query
	if q == nil {
		return r.scanner.NextRow()
	}
	if q.enter() {
		q.begin()
	}
	if err := r.scanner.NextRow(); err != nil {
		r.exhausted(err)
		return err
	}
	if q.leave() {
		r.look()
	}
	return nil
}

// ScanColumn implements driver.RowsColumnScanner.
func (r scanningRows) ScanColumn(ctx driver.ScanContext, index int, dest any) error {
	return r.scanner.ScanColumn(ctx, index, dest)
}

// shaped returns r with the optional interfaces of the raw rows that change
// what database/sql does.
func (r *rows) shaped() driver.Rows {
	if s, ok := r.raw.(driver.RowsColumnScanner); ok {
		return scanningRows{r, s}
	}
	return r
}
