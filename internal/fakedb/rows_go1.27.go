//go:build go1.27

package fakedb

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
)

// columnScanner is what rows have that scan columns into destinations by
// themselves.
type columnScanner struct{ r *rows }

var _ driver.RowsColumnScanner = struct {
	driver.Rows
	columnScanner
}{}

// NextRow implements driver.RowsColumnScanner.
func (s columnScanner) NextRow() error {
	if !s.r.db.Plain {
		if handled, err := s.r.call(RowsNextRow, ""); handled && err != nil {
			return err
		}
	}
	_, err := s.r.next()
	return err
}

// ScanColumn implements driver.RowsColumnScanner.
func (s columnScanner) ScanColumn(scanCtx driver.ScanContext, i int, dest any) error {
	if !s.r.db.Plain {
		if handled, err := s.r.call(RowsScanColumn, fmt.Sprintf("%d %T", i, dest)); handled {
			return err
		}
	}
	if s.r.row == 0 {
		return sql.ErrNoRows
	}
	return sql.ConvertAssign(scanCtx, dest, s.r.sets[s.r.set].Rows[s.r.row-1][i])
}

// shaped returns the type for the database's shape. The optional interfaces
// besides the scanner are all there or not at all.
func (r *rows) shaped() driver.Rows {
	if !r.db.Shape.Has(RowsColumnScanner) {
		return rowsShapes[r.db.Shape&RowsShapes](r)
	}
	if r.db.Shape.Has(RowsNextResultSet) {
		return struct {
			*rows
			columnScanner
		}{r, columnScanner{r}}
	}
	return struct {
		driver.Rows
		columnScanner
	}{r, columnScanner{r}}
}
