package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
)

// endless are rows enough for whoever reads some.
func endless(string) []fakedb.ResultSet {
	rows := make([][]driver.Value, 1000)
	for i := range rows {
		rows[i] = []driver.Value{"canary"}
	}
	return []fakedb.ResultSet{{Columns: []string{"id"}, Rows: rows}}
}

// unclosedIn returns what went to otel.Handle about rows that nobody closed.
func unclosedIn(r *rig) (reports []string) {
	for _, err := range r.TakeHandled() {
		reports = append(reports, err.Error())
	}
	return reports
}

// Rows that are open when their database is closed are reported, unless a task or a
// context ends them.
func TestUnclosedRows(t *testing.T) {
	opened := map[string]func(t *testing.T, r *rig, c driver.Connector) *sql.DB{
		"OpenDB": func(_ *testing.T, r *rig, c driver.Connector) *sql.DB { return OpenDB(c, r.options()...) },
		"a wrapped connector, opened twice": func(_ *testing.T, r *rig, c driver.Connector) *sql.DB {
			w := WrapConnector(c, r.options()...)
			other := OpenDB(w)
			t.Cleanup(func() { _ = other.Close() })
			rows, err := other.QueryContext(context.Background(), "SELECT a FROM of_another_database")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = rows.Close() })
			return OpenDB(w)
		},
		"WrapConnector": func(_ *testing.T, r *rig, c driver.Connector) *sql.DB {
			return sql.OpenDB(WrapConnector(c, r.options()...))
		},
		"WrapDriver": func(t *testing.T, r *rig, c driver.Connector) *sql.DB {
			name := freshName()
			sql.Register(name, WrapDriver(driverOf{c}, r.options()...))
			db, err := sql.Open(name, "")
			if err != nil {
				t.Fatal(err)
			}
			return db
		},
	}
	for name, open := range opened {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			db := open(t, r, (&fakedb.DB{Shape: fakedb.Modern, Results: endless}).Connector())
			query := func(ctx context.Context, q interface {
				QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
			}, text string, args ...any) *sql.Rows {
				t.Helper()
				rows, err := q.QueryContext(ctx, text, args...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = rows.Close() })
				rows.Next()
				return rows
			}
			ctx := t.Context()

			// Those of nobody.
			query(ctx, db, "SELECT a FROM orders WHERE id = ?", "canary")
			query(ctx, db, "SELECT b FROM orders WHERE id = 'canary'")
			query(ctx, db, "SELECT c FROM customers")
			query(ctx, db, "")
			stmt, err := db.PrepareContext(ctx, "SELECT d FROM parcels")
			if err != nil {
				t.Fatal(err)
			}
			if rows, err := stmt.QueryContext(ctx); err != nil || !rows.Next() {
				t.Fatal(err)
			} else {
				t.Cleanup(func() { _ = rows.Close() })
			}
			t.Cleanup(func() { _ = stmt.Close() })
			// A task that has ended has no leaks any more.
			over := ledger.New(nil, "over")
			over.EndTask()
			query(ledger.NewContext(ctx, over), db, "SELECT m FROM late")
			_ = query(ledger.NewContext(ctx, over), db, "SELECT n FROM closed").Close()
			// Of one connection, the rows that have been open for longer.
			conn, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			query(ctx, conn, "SELECT e FROM events")
			_ = query(ctx, conn, "SELECT f FROM closed").Close()
			query(ctx, conn, "SELECT g FROM events_of_users")

			// And those that somebody closes.
			_ = query(ctx, db, "SELECT h FROM closed").Close()
			for all := query(ctx, db, "SELECT i FROM closed"); all.Next(); {
			}
			task := ledger.New(nil, "task")
			query(ledger.NewContext(ctx, task), db, "SELECT j FROM task")
			done, cancel := context.WithCancel(ctx)
			query(done, db, "SELECT k FROM cancelled")
			tx, err := db.BeginTx(done, nil)
			if err != nil {
				t.Fatal(err)
			}
			query(ctx, tx, "SELECT l FROM cancelled")
			cancel()

			if err := db.Close(); err != nil {
				t.Error(err)
			}
			r.WantHandled("otdb: rows were open when their database was closed: " +
				"SELECT orders (2), SELECT customers (1), SELECT events (1), SELECT late (1), SELECT parcels (1), other_sql (1); close rows, or cancel their context")
			if leaks := task.EndTask(); len(leaks) != 1 {
				t.Errorf("the task has leaked %v", leaks)
			}
		})
	}
}

// driverOf is the driver of a connector.
type driverOf struct{ driver.Connector }

func (d driverOf) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }

// Of many statements the first ones are named.
func TestUnclosedRowsOfManyStatements(t *testing.T) {
	r := newRig(t)
	db := OpenDB((&fakedb.DB{Shape: fakedb.Modern, Results: endless}).Connector(), r.options()...)
	for i := range 25 {
		rows, err := db.QueryContext(t.Context(), fmt.Sprintf("SELECT a FROM t%02d", i))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	r.WantHandled("otdb: rows were open when their database was closed: SELECT t00 (1), SELECT t01 (1), SELECT t02 (1), " +
		"SELECT t03 (1), SELECT t04 (1), SELECT t05 (1), SELECT t06 (1), SELECT t07 (1), SELECT t08 (1), SELECT t09 (1) " +
		"and those of 15 other summaries; close rows, or cancel their context")
}

// A program that calls the driver's own methods can close a connection with open rows:
// each summary is reported once.
func TestUnclosedRowsOfAConnection(t *testing.T) {
	r := newRig(t)
	c := WrapConnector((&fakedb.DB{Shape: fakedb.Modern, Results: endless}).Connector(), r.options()...)
	var reports []string
	for i := range 400 {
		conn, err := c.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rows, err := conn.(driver.QueryerContext).QueryContext(t.Context(), fmt.Sprintf("SELECT a FROM t%03d", i/2), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		reports = append(reports, unclosedIn(r)...)
	}
	if want := "otdb: rows were open when their connection was closed: SELECT t000; close rows, or cancel their context"; len(reports) != maxUnclosed || reports[0] != want {
		t.Errorf("%d reports of 200 summaries, the first %q, want %d and %q", len(reports), reports, maxUnclosed, want)
	}
}

// Goroutines that read rows while their database is closed go on, and end their spans
// themselves. Whether they are reported depends on how far they are.
func TestUnclosedRowsThatAreBeingRead(t *testing.T) {
	for range 50 {
		r := newRig(t)
		db := OpenDB((&fakedb.DB{Shape: fakedb.Modern, Results: endless}).Connector(), r.options(WithRowCounts(), WithOperations(0))...)
		const readers = 4
		var ready, over sync.WaitGroup
		ready.Add(readers)
		for range readers {
			over.Go(func() {
				rows, err := db.QueryContext(context.Background(), "SELECT a FROM t")
				ready.Done()
				if err != nil {
					t.Error(err)
					return
				}
				for rows.Next() {
				}
				if err := errors.Join(rows.Err(), rows.Close()); err != nil {
					t.Error(err)
				}
			})
		}
		ready.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		over.Wait()
		reports := unclosedIn(r)
		if len(reports) > 1 || len(reports) == 1 && !strings.HasPrefix(reports[0], "otdb: rows were open when their database was closed: SELECT t (") {
			t.Errorf("reports %q", reports)
		}
		if spans := r.TakeSpans(); len(spans) != readers {
			t.Errorf("%d spans of %d readers", len(spans), readers)
		} else {
			for _, s := range spans {
				if got := fmt.Sprint(s.Attributes()); !strings.Contains(got, "returned_rows") || !strings.Contains(got, "1000") {
					t.Errorf("attributes %v", got)
				}
			}
		}
	}
}
