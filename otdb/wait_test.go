package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
)

// serializationFailure is what a database says that has rolled a transaction back.
type serializationFailure struct{}

func (serializationFailure) Error() string    { return "could not serialize access" }
func (serializationFailure) SQLState() string { return "40001" }

// A transaction is recorded once, from its BEGIN on, with how it ended.
func TestTransactionDurations(t *testing.T) {
	for name, opts := range map[string][]Option{
		"traced":     nil,
		"not traced": {WithOperations(0)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				fake := &fakedb.DB{Shape: fakedb.Modern}
				for i := range 7 {
					fake.On(fakedb.ConnBeginWithContext, i+1, fakedb.Fault{Do: func(context.Context) { time.Sleep(time.Second) }})
				}
				fake.On(fakedb.TxCommit, 2, fakedb.Fault{Err: serializationFailure{}})
				fake.On(fakedb.TxCommit, 3, fakedb.Fault{Err: errors.New("broken pipe")})
				fake.On(fakedb.TxRollback, 2, fakedb.Fault{Err: errors.New("broken pipe")})
				db := OpenDB(fake.Connector(), r.options(opts...)...)
				begin := func() *sql.Tx {
					tx, err := db.BeginTx(t.Context(), nil)
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					return tx
				}
				for i, failed := range []bool{false, true, true} {
					if err := begin().Commit(); (err != nil) != failed {
						t.Errorf("commit %d: %v", i, err)
					}
				}
				for i, failed := range []bool{false, true} {
					if err := begin().Rollback(); (err != nil) != failed {
						t.Errorf("rollback %d: %v", i, err)
					}
				}
				// A connection that is closed, or used for something else, while the
				// transaction is open; only a program that calls the driver does so.
				conn, err := db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := conn.Raw(func(c any) error {
					for range 2 {
						if _, err := c.(driver.ConnBeginTx).BeginTx(t.Context(), driver.TxOptions{}); err != nil {
							return err
						}
						if err := c.(driver.SessionResetter).ResetSession(t.Context()); err != nil {
							return err
						}
						time.Sleep(time.Hour)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(conn.Close(), db.Close()); err != nil {
					t.Error(err)
				}
				got := make(map[string]string)
				for _, p := range r.Collect()["otdb.transaction.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
					outcome, _ := p.Attributes.Value(txOutcomeKey)
					got[outcome.AsString()] = fmt.Sprint(p.Count, " in ", p.Sum, " s, ", p.Attributes.Len(), " attributes, ", len(p.Bounds), " bounds")
				}
				want := map[string]string{
					"commit":   "1 in 2 s, 2 attributes, 18 bounds",
					"rollback": "2 in 4 s, 2 attributes, 18 bounds",
					"lost":     "4 in 6 s, 2 attributes, 18 bounds",
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
			})
		})
	}
}

// BenchmarkWait is what a statement costs more for the waits of its pool.
func BenchmarkWait(b *testing.B) {
	for name, limit := range map[string]int{"limited": 2, "unlimited": 0} {
		b.Run(name, func(b *testing.B) {
			db := OpenDB((&fakedb.DB{Shape: fakedb.Modern, Plain: true}).Connector())
			defer db.Close()
			db.SetMaxOpenConns(limit)
			c := &conn{db: &database{cfg: new(config)}}
			c.db.pools.add(newWaitedPool("pool", db))
			op := operation{times: atOnce{}, started: time.Now(), account: account{ledger: ledger.New(nil, "task"), wait: wait{conn: c}}}
			for b.Loop() {
				op.claimWait()
				if op.wait.look {
					op.lookForLimits()
				}
			}
		})
	}
}

type atOnce struct{}

func (atOnce) StartTime() time.Time { return time.Time{} }
func (atOnce) EndTime() time.Time   { return time.Time{} }
