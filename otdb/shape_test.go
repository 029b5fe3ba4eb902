package otdb_test

import (
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/otdb"
)

// TestConnShapes puts connections of every shape through the scripts. Unless it
// is to be exhaustive, the scripts take turns, as the shapes of statements and
// rows always do.
func TestConnShapes(t *testing.T) {
	for n, shape := range fakedb.Conns {
		for i, s := range scripts {
			turn := n*7 + i*5
			if *exhaustive || (i+n)%4 == 0 {
				s.compare(t, openDB, shape|stmtShape(turn)|rowsShape(turn))
			}
		}
	}
}

// TestStmtShapes puts statements and rows of every shape through the scripts
// about them, with and without a fast path before them.
func TestStmtShapes(t *testing.T) {
	connections := []fakedb.Shape{0, fakedb.ConnChecker, fakedb.Modern & fakedb.ConnShapes, fakedb.Execer | fakedb.Queryer}
	for i := range len(fakedb.Stmts) * len(fakedb.Rows) {
		shape := stmtShape(i) | rowsShape(i/len(fakedb.Stmts)) | connections[(i+i/4)%4]
		for n, s := range scripts[:8] {
			if *exhaustive || n%4 == (i+i/16)%4 {
				s.compare(t, openDB, shape)
			}
		}
	}
}

func stmtShape(i int) fakedb.Shape { return fakedb.Stmts[i%len(fakedb.Stmts)] }

func rowsShape(i int) fakedb.Shape { return fakedb.Rows[i%len(fakedb.Rows)] }

// TestConnClaims shows that a wrapped connection has what the raw one has, of each
// optional interface. Exceptions are those that make no difference to
// database/sql: with a context where there is none, and a checker that skips.
func TestConnClaims(t *testing.T) {
	for _, shape := range fakedb.Conns {
		db := otdb.OpenDB((&fakedb.DB{Shape: shape}).Connector(), otdb.WithOperations(0))
		conn := must(db.Conn(t.Context()))
		if err := conn.Raw(func(c any) error {
			for _, claim := range []struct {
				name      string
				got, want bool
			}{
				{"ExecerContext", is[driver.ExecerContext](c), shape.Has(fakedb.ExecerContext) || shape.Has(fakedb.Execer)},
				{"Execer", is[driver.Execer](c), shape.Has(fakedb.Execer)},
				{"QueryerContext", is[driver.QueryerContext](c), shape.Has(fakedb.QueryerContext) || shape.Has(fakedb.Queryer)},
				{"Queryer", is[driver.Queryer](c), shape.Has(fakedb.Queryer)},
				{"SessionResetter", is[driver.SessionResetter](c), shape.Has(fakedb.SessionResetter)},
				{"Validator", is[driver.Validator](c), shape.Has(fakedb.Validator)},
				{"ConnPrepareContext", is[driver.ConnPrepareContext](c), true},
				{"ConnBeginTx", is[driver.ConnBeginTx](c), true},
				{"Pinger", is[driver.Pinger](c), true},
				{"NamedValueChecker", is[driver.NamedValueChecker](c), true},
			} {
				if claim.got != claim.want {
					t.Errorf("%v: the connection is a %s: %t", shape, claim.name, claim.got)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}
