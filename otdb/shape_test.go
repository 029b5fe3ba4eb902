package otdb_test

import (
	"testing"

	"github.com/taskspan/taskspan/internal/fakedb"
)

// TestConnShapes puts connections of every combination of interfaces through
// the scripts. Unless it is to be exhaustive, the scripts take turns, as the
// shapes of statements and rows always do.
func TestConnShapes(t *testing.T) {
	for shape := range fakedb.ConnShapes + 1 {
		for i, s := range scripts {
			turn := uint32(shape)*7 + uint32(i)*5
			if *exhaustive || i == int(shape^shape>>4)%len(scripts) {
				s.compare(t, openDB, shape|stmtShape(turn)|rowsShape(turn))
			}
		}
	}
}

// TestStmtShapes puts statements and rows of every combination of interfaces
// through the scripts about them, with and without a fast path before them.
func TestStmtShapes(t *testing.T) {
	connections := []fakedb.Shape{0, fakedb.ConnChecker, fakedb.Modern & fakedb.ConnShapes, fakedb.Execer | fakedb.Queryer}
	for i := range uint32(16 * 64) {
		shape := stmtShape(i) | rowsShape(i/16) | connections[(i+i/4)%4]
		for n, s := range scripts[:8] {
			if *exhaustive || n == int(i+i/16)%8 {
				s.compare(t, openDB, shape)
			}
		}
	}
}

func stmtShape(i uint32) fakedb.Shape { return fakedb.StmtExecContext * fakedb.Shape(i%16) }

func rowsShape(i uint32) fakedb.Shape { return fakedb.RowsNextResultSet * fakedb.Shape(i%64) }
