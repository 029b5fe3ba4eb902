// Package pgx has errors of the shape of those of jackc/pgx/v5, for tests: the
// module does not depend on it.
package pgx

import (
	"database/sql"
	"fmt"
)

// ErrNoRows stands for that of database/sql.
var ErrNoRows error = &proxyError{sql.ErrNoRows, "no rows in result set"}

type proxyError struct {
	background error
	msg        string
}

func (e *proxyError) Error() string { return e.msg }

func (e *proxyError) Unwrap() error { return e.background }

// ScanArgError is a value that does not fit what it is scanned into.
type ScanArgError struct {
	ColumnIndex int
	FieldName   string
	Err         error
}

func (e ScanArgError) Error() string {
	if e.FieldName == "?column?" {
		return fmt.Sprintf("can't scan into dest[%d]: %v", e.ColumnIndex, e.Err)
	}
	return fmt.Sprintf("can't scan into dest[%d] (col: %s): %v", e.ColumnIndex, e.FieldName, e.Err)
}

func (e ScanArgError) Unwrap() error { return e.Err }
