package fakedb

import (
	"database/sql/driver"
	"maps"
	"slices"
	"strings"
)

// Shape is a set of optional interfaces of database/sql/driver. Not every set has
// a type: see Conns, Stmts and Rows. With another one a connection panics.
type Shape uint32

// The optional interfaces. The order is known to the generator.
const (
	ExecerContext Shape = 1 << iota
	Execer
	QueryerContext
	Queryer
	ConnPrepareContext
	ConnBeginTx
	Pinger
	SessionResetter
	Validator
	ConnChecker // driver.NamedValueChecker on connections

	StmtExecContext
	StmtQueryContext
	StmtChecker // driver.NamedValueChecker on statements
	ColumnConverter

	RowsNextResultSet
	ColumnTypeScanType
	ColumnTypeDatabaseTypeName
	ColumnTypeLength
	ColumnTypeNullable
	ColumnTypePrecisionScale
	RowsColumnScanner // from Go 1.27 on, ignored before

	DriverContext
	ConnectorCloser // io.Closer on connectors

	end
)

// Sets of interfaces.
const (
	ConnShapes = StmtExecContext - 1
	StmtShapes = RowsNextResultSet - StmtExecContext
	RowsShapes = RowsColumnScanner - RowsNextResultSet
	// Modern is what a driver with everything that database/sql offers has.
	Modern = (ConnShapes | StmtShapes | RowsShapes | DriverContext | ConnectorCloser) &^ (Execer | Queryer | ColumnConverter)
)

var shapeNames = [...]string{
	"ExecerContext", "Execer", "QueryerContext", "Queryer", "ConnPrepareContext", "ConnBeginTx", "Pinger",
	"SessionResetter", "Validator", "ConnChecker",
	"StmtExecContext", "StmtQueryContext", "StmtChecker", "ColumnConverter",
	"RowsNextResultSet", "ScanType", "DatabaseTypeName", "Length", "Nullable", "PrecisionScale", "RowsColumnScanner",
	"DriverContext", "ConnectorCloser",
}

// String implements fmt.Stringer.
func (s Shape) String() string {
	if s&(end-1) == 0 {
		return "bare"
	}
	var names []string
	for i, name := range shapeNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// Has reports whether all of t is in s.
func (s Shape) Has(t Shape) bool { return s&t == t }

// baseConn is what every connection has.
type baseConn interface {
	driver.Conn
	// Number is the connection's number, from 1.
	Number() int
}

// columnConverter has another name than its method: a struct that embeds
// driver.ColumnConverter itself does not implement it.
type columnConverter interface {
	driver.ColumnConverter //nolint:staticcheck // what legacy drivers have
}

// Conns, Stmts and Rows are the shapes that there are of connections, statements
// and rows. A database has one of each.
var (
	Conns = slices.Sorted(maps.Keys(connShapes))
	Stmts = slices.Sorted(maps.Keys(stmtShapes))
	Rows  = slices.Sorted(maps.Keys(rowsShapes))
)

func (c *conn) shaped() driver.Conn { return connShapes[c.db.Shape&ConnShapes](c) }
func (s *stmt) shaped() driver.Stmt { return stmtShapes[s.db.Shape&StmtShapes](s) }
