//go:build go1.27

package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
)

// scanning are shapes whose rows scan columns into destinations by themselves.
var scanning = []fakedb.Shape{
	fakedb.Modern | fakedb.RowsColumnScanner,
	fakedb.Modern&^fakedb.RowsShapes | fakedb.RowsColumnScanner,
	fakedb.Execer | fakedb.Queryer | fakedb.RowsColumnScanner,
}

func init() {
	representative = append(representative, scanning...)
	methods = append(methods, fakedb.RowsNextRow)
}

// TestScanningRows runs every script on them, and what can fail in ScanColumn. A panic
// there cannot be compared: database/sql is left with a lock that nobody gives back.
func TestScanningRows(t *testing.T) {
	all := slices.Clone(scripts)
	for _, err := range []error{errDriver, driver.ErrBadConn, io.EOF} {
		all = append(all, script{
			name: fmt.Sprintf("%v in ScanColumn", err),
			run: func(w *world) {
				w.fake.On(fakedb.RowsScanColumn, 2, fakedb.Fault{Err: err})
				workload(w, true)
			},
		})
	}
	for _, s := range all {
		for _, shape := range scanning {
			s.compare(t, openDB, shape)
		}
	}
}

// The rows claim to scan exactly if the raw ones do.
func TestScanningIsClaimed(t *testing.T) {
	for _, shape := range append(representative, fakedb.Modern) {
		fake := fakeOf(shape)
		fake.Results = manyRows(1)
		db := otdb.OpenDB(fake.Connector())
		conn := must(db.Conn(t.Context()))
		err := conn.Raw(func(dc any) error {
			q, ok := dc.(driver.QueryerContext)
			if !ok {
				return nil
			}
			rows, err := q.QueryContext(t.Context(), "SELECT", nil)
			if err != nil {
				return err
			}
			if _, scans := rows.(driver.RowsColumnScanner); scans != shape.Has(fakedb.RowsColumnScanner) {
				t.Errorf("%s: scans: %t", shape, scans)
			}
			return rows.Close()
		})
		if err := errors.Join(err, conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// They end their statement's span as other rows do.
func TestSpanEndsWithItsScanningRows(t *testing.T) {
	const shape = fakedb.Modern | fakedb.RowsColumnScanner
	for _, test := range []struct {
		name    string
		use     func(t *testing.T, fake *fakedb.DB, db *sql.DB, ctx context.Context)
		length  time.Duration
		outcome string
		rows    int64
	}{
		{"to the end", func(t *testing.T, _ *fakedb.DB, db *sql.DB, ctx context.Context) {
			rows := must(db.QueryContext(ctx, "SELECT"))
			read(t, rows, 3, time.Second)
			if rows.Next() {
				t.Error("a row too many")
			}
			_ = rows.Close()
		}, 3 * time.Second, "", 3},
		{"scanned", func(t *testing.T, _ *fakedb.DB, db *sql.DB, ctx context.Context) {
			var id string
			if err := db.QueryRowContext(ctx, "SELECT").Scan(&id); err != nil || id != "1" {
				t.Error(id, err)
			}
		}, 0, "", 1},
		{"an error in the middle", func(t *testing.T, fake *fakedb.DB, db *sql.DB, ctx context.Context) {
			fake.On(fakedb.RowsNextRow, 3, fakedb.Fault{Err: driver.ErrBadConn, Do: func(context.Context) { time.Sleep(time.Second) }})
			rows := must(db.QueryContext(ctx, "SELECT"))
			for rows.Next() {
			}
			if !errors.Is(rows.Err(), driver.ErrBadConn) {
				t.Error(rows.Err())
			}
		}, time.Second, "driver.ErrBadConn", 2},
		{"a panic", func(t *testing.T, fake *fakedb.DB, db *sql.DB, ctx context.Context) {
			fake.On(fakedb.RowsNextRow, 2, fakedb.Fault{Panic: "canary"})
			rows := must(db.QueryContext(ctx, "SELECT"))
			rows.Next()
			func() {
				defer func() {
					if p := recover(); p != "canary" {
						t.Errorf("panicked with %v", p)
					}
				}()
				rows.Next()
			}()
			_ = rows.Close()
		}, 0, "panic", 1},
		{"the context", func(t *testing.T, fake *fakedb.DB, db *sql.DB, ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			fake.On(fakedb.RowsNextRow, 2, slow(time.Second))
			rows := must(db.QueryContext(ctx, "SELECT"))
			read(t, rows, 2, 0)
			time.Sleep(time.Hour)
			cancel()
			synctest.Wait()
			_ = rows.Close()
		}, time.Second, "context.Canceled", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(shape)
				fake.Results = func(string) []fakedb.ResultSet {
					return []fakedb.ResultSet{{Columns: []string{"id"}, Rows: [][]driver.Value{{int64(1)}, {int64(2)}, {int64(3)}}}}
				}
				db, spans := observe(t, fake)
				task := ledger.New(nil, "task")
				test.use(t, fake, db, ledger.NewContext(t.Context(), task))
				ends(t, only(t, spans), test.length, test.outcome)
				if got := task.Totals(); got.Rows != test.rows || got.Operations != 1 {
					t.Errorf("the ledger has %+v, want %d rows", got, test.rows)
				}
			})
		})
	}
}
