package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
)

// A task that cancels the context of its rows and of its transaction as it returns
// leaks neither, however far database/sql has come with closing them. One that does
// not leaks both.
func TestClosingIsNoLeak(t *testing.T) {
	r := newRig(t)
	fake := &fakedb.DB{Shape: fakedb.Modern, Plain: true}
	db := OpenDB(fake.Connector(), r.options()...)
	defer db.Close()
	run := func(cancelled bool) (leaks []ledger.Leak) {
		outer := ledger.New(nil, "outer")
		task := ledger.New(outer, "inner")
		var rows, inside *sql.Rows
		var tx *sql.Tx
		func() {
			ctx := ledger.NewContext(t.Context(), task)
			if cancelled {
				var cancel context.CancelFunc
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
			}
			var err error
			if rows, err = db.QueryContext(ctx, "SELECT a"); err != nil {
				t.Fatal(err)
			}
			rows.Next()
			if tx, err = db.BeginTx(ctx, nil); err != nil {
				t.Fatal(err)
			}
			// The context of the transaction ends these.
			if inside, err = tx.QueryContext(ledger.NewContext(t.Context(), task), "SELECT b"); err != nil {
				t.Fatal(err)
			}
		}()
		if got := task.EndTask(); got != nil {
			t.Errorf("leaks of an inner task: %v", got)
		}
		leaks = outer.EndTask()
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		if err := inside.Close(); err != nil {
			t.Error(err)
		}
		_ = tx.Rollback() // sql.ErrTxDone if it was
		return leaks
	}
	for range 1000 {
		if leaks := run(true); leaks != nil {
			t.Fatalf("%d leaks: %v", len(leaks), leaks[0])
		}
	}
	if leaks := run(false); len(leaks) != 3 {
		t.Errorf("leaks %v", leaks)
	}
	for db.Stats().InUse > 0 {
		time.Sleep(time.Microsecond) // until database/sql has rolled the last transaction back
	}
}

// What a driver is at, and what is held, is known while it is.
func TestInProgress(t *testing.T) {
	r := newRig(t)
	task := ledger.New(nil, "load")
	ctx := ledger.NewContext(t.Context(), task)
	var seen []string
	look := func(context.Context) {
		s := task.Snapshot(time.Now())
		var open []string
		for _, a := range s.InProgress {
			open = append(open, a.Summary)
		}
		for _, h := range s.Held {
			kind := "rows"
			if h.Transaction {
				kind = "tx"
			}
			open = append(open, kind+" "+h.Summary)
		}
		seen = append(seen, fmt.Sprint(open))
	}
	fake := &fakedb.DB{Shape: fakedb.Modern}
	for _, m := range []fakedb.Method{
		fakedb.ConnectorConnect, fakedb.ConnExecContext, fakedb.ConnQueryContext, fakedb.ConnPrepareWithContext, fakedb.StmtExecWithContext,
		fakedb.StmtQueryWithContext, fakedb.ConnBeginWithContext, fakedb.RowsNext, fakedb.TxCommit,
	} {
		for i := range 9 {
			fake.On(m, i+1, fakedb.Fault{Do: look})
		}
	}
	db := OpenDB(fake.Connector(), r.options()...)
	defer db.Close()
	want := func(what string, want ...string) {
		t.Helper()
		look(ctx)
		want = append(want, "[]")
		if !reflect.DeepEqual(seen, want) {
			t.Errorf("%s: %q, want %q", what, seen, want)
		}
		seen = nil
	}
	exec := func(db interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}) {
		t.Helper()
		if _, err := db.ExecContext(ctx, "INSERT INTO a VALUES (1)"); err != nil {
			t.Fatal(err)
		}
	}
	exec(db)
	want("exec", "[CONNECT]", "[INSERT a]")

	var id, name any
	if err := db.QueryRowContext(ctx, "SELECT * FROM a").Scan(&id, &name); err != nil {
		t.Fatal(err)
	}
	want("query", "[SELECT a]", "[rows SELECT a]")

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	exec(tx)
	st, err := tx.PrepareContext(ctx, "UPDATE a SET b = 1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.ExecContext(ctx); err != nil {
		t.Fatal(err)
	}
	rows, err := st.QueryContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	exec(tx)
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	want("transaction", "[BEGIN]", "[INSERT a tx INSERT a]", "[PREPARE tx INSERT a]", "[UPDATE a tx UPDATE a]", "[UPDATE a tx UPDATE a]",
		"[INSERT a tx INSERT a rows UPDATE a]", "[COMMIT tx INSERT a]")
}

// A statement that the driver skips is in progress again while it is prepared and
// executed, and between that nothing is.
func TestInProgressSkipped(t *testing.T) {
	r := newRig(t)
	task := ledger.New(nil, "load")
	ctx := ledger.NewContext(t.Context(), task)
	var seen []string
	look := func(context.Context) {
		for _, a := range task.Snapshot(time.Now()).InProgress {
			seen = append(seen, a.Summary)
		}
		seen = append(seen, ".")
	}
	fake := &fakedb.DB{Shape: fakedb.Modern}
	fake.On(fakedb.ConnExecContext, 1, fakedb.Fault{Do: look, Err: driver.ErrSkip})
	fake.On(fakedb.ConnQueryContext, 1, fakedb.Fault{Do: look, Err: driver.ErrSkip})
	for i := range 2 {
		fake.On(fakedb.ConnPrepareWithContext, i+1, fakedb.Fault{Do: look})
		fake.On(fakedb.StmtNumInput, i+1, fakedb.Fault{Do: look})
	}
	fake.On(fakedb.StmtExecWithContext, 1, fakedb.Fault{Do: look})
	fake.On(fakedb.StmtQueryWithContext, 1, fakedb.Fault{Do: look})
	db := OpenDB(fake.Connector(), r.options()...)
	defer db.Close()
	if _, err := db.ExecContext(ctx, "INSERT INTO a VALUES (?)", 1); err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(ctx, "SELECT a FROM b WHERE c = ?", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	look(ctx)
	if got, want := fmt.Sprint(seen), "[INSERT a . INSERT a . . INSERT a . SELECT b . SELECT b . . SELECT b . .]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := task.Totals().Statements; got != 2 {
		t.Errorf("%d statements", got)
	}
}
