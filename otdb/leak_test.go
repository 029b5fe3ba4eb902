package otdb

import (
	"context"
	"database/sql/driver"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskspan/taskspan/internal/ledger"
)

// hourly is a database whose clock its rows and their consumer move: a second for
// each row that the driver looks for, and an hour for each that is consumed.
type hourly struct{ now atomic.Int64 }

func (h *hourly) pass(d time.Duration) { h.now.Add(int64(d)) }
func (h *hourly) clock() time.Duration { return time.Duration(h.now.Load()) }

func (h *hourly) Connect(context.Context) (driver.Conn, error) { return hourlyConn{h}, nil }
func (h *hourly) Driver() driver.Driver                        { return nil }

type hourlyConn struct{ *hourly }

func (hourlyConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("no statements") }
func (hourlyConn) Begin() (driver.Tx, error)           { return nil, errors.New("no transactions") }
func (hourlyConn) Close() error                        { return nil }

func (c hourlyConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return hourlyRows(c), nil
}

type hourlyRows struct{ *hourly }

func (hourlyRows) Columns() []string { return []string{"id"} }
func (hourlyRows) Close() error      { return nil }

func (r hourlyRows) Next(dest []driver.Value) error {
	r.pass(time.Second)
	dest[0] = int64(1)
	return nil
}

// A task that ends while another goroutine reads its rows is told what the driver took
// for the rows that it is told of, whatever the goroutine is at.
func TestLeakOfRowsThatAreBeingRead(t *testing.T) {
	h := new(hourly)
	db := OpenDB(h, WithOperations(0), withClock(h.clock))
	defer db.Close()
	for try := range 500 {
		task := ledger.New(nil, "orders.ship")
		rows, err := db.QueryContext(ledger.NewContext(context.Background(), task), "SELECT")
		if err != nil {
			t.Fatal(err)
		}
		var consumer sync.WaitGroup
		var read, over atomic.Int64
		consumer.Go(func() {
			for over.Load() == 0 && rows.Next() {
				h.pass(time.Hour)
				read.Add(1)
			}
		})
		for read.Load() < int64(try%50) {
			runtime.Gosched()
		}
		task.EndTask()
		over.Store(1)
		consumer.Wait()
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		got := task.Totals()
		if got.Duration != time.Duration(got.Rows)*time.Second {
			t.Fatalf("try %d: %v in the driver for %d rows of a second each", try, got.Duration, got.Rows)
		}
	}
}
