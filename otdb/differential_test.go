package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"flag"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/otdb"
)

// Methods of one purpose, whichever of them the shape has.
var (
	execMethods      = []fakedb.Method{fakedb.ConnExec, fakedb.ConnExecContext}
	queryMethods     = []fakedb.Method{fakedb.ConnQuery, fakedb.ConnQueryContext}
	prepareMethods   = []fakedb.Method{fakedb.ConnPrepare, fakedb.ConnPrepareWithContext}
	beginMethods     = []fakedb.Method{fakedb.ConnBegin, fakedb.ConnBeginWithContext}
	stmtExecMethods  = []fakedb.Method{fakedb.StmtExec, fakedb.StmtExecWithContext}
	stmtQueryMethods = []fakedb.Method{fakedb.StmtQuery, fakedb.StmtQueryWithContext}
	connectMethods   = []fakedb.Method{fakedb.ConnectorConnect, fakedb.DriverOpen}
)

// outDest has one address in all runs.
var outDest int

// scripts are what every shape is put through.
var scripts = []script{
	{name: "use", run: func(w *world) {
		ctx := w.live()
		w.ping(ctx)
		w.exec(ctx, w.db, "INSERT")
		w.exec(w.forever(), w.db, "INSERT ?, ?", 1, 2)
		w.query(ctx, w.db, "SELECT")
		w.query(w.forever(), w.db, "SELECT ?", 1)
		w.query(ctx, w.db, "MULTI")
		w.query(ctx, w.db, "NONE")
		w.queryRow(ctx, w.db, "SELECT ?", 1)
		w.queryRow(ctx, w.db, "NONE")
		rows := w.rows(ctx, w.db, "SELECT")
		w.next(rows, 1)
		w.closeRows(rows)
		rows = w.rows(ctx, w.db, "MULTI")
		w.next(rows, 1)
		w.do("next result set", func() (any, error) { return rows.NextResultSet(), rows.Err() })
		w.do("columns", func() (any, error) { c, err := rows.Columns(); return c, err })
		w.next(rows, 1)
		w.closeRows(rows)
	}},
	{name: "arguments", run: func(w *world) {
		ctx := w.live()
		arguments := [][]any{
			{1, 2},
			{sql.Named("a", 1), sql.Named("b", 2)},
			{sql.Named("1", 1), 2},
			{nil, 2}, // NOT NULL
			{1, nil}, // NULL
			{int64(1 << 40), 1},
			{1, int64(1) << 40}, // overflows
			{valuer{int64(5)}, valuer{nil}},
			{valuer{coin(5)}, 1},
			{broken{}, 1},
			{coin(3), coin(4)},
			{dropped{}, 1, 2},
			{1, dropped{}},
			{refused{}, 1},
			{1},
			{1, 2, 3},
			{struct{}{}, 1},
			{[]byte("a"), time.Unix(1, 0).UTC()},
			{true, 1.5},
			{uint64(1) << 63, 1},
			{(*int)(nil), 1},
			{sql.Out{Dest: &outDest}, 1},
		}
		s := w.prepare(ctx, w.db, "PREPARED ?, ?")
		for _, args := range arguments {
			w.exec(ctx, w.db, "INSERT ?, ?", args...)
			w.query(ctx, w.db, "SELECT ?, ?", args...)
			w.stmtExec(ctx, s, args...)
			w.stmtQuery(ctx, s, args...)
		}
		w.closeStmt(s)
	}},
	{name: "prepared", run: func(w *world) {
		ctx := w.live()
		s := w.prepare(ctx, w.db, "PREPARED ?")
		w.stmtExec(ctx, s, 1)
		w.stmtQuery(w.forever(), s, 1)
		rows := w.rows(ctx, w.db, "SELECT") // takes the statement's connection
		w.stmtExec(ctx, s, 2)               // so that it is prepared again
		w.closeRows(rows)
		tx := w.begin(ctx, nil)
		w.do("tx stmt", func() (any, error) {
			txs := tx.StmtContext(ctx, s)
			defer txs.Close()
			return readResult(txs.ExecContext(ctx, 3))
		})
		own := w.prepare(ctx, tx, "IN TX ?")
		w.stmtQuery(ctx, own, 1)
		w.closeStmt(own)
		w.commit(tx)
		c := w.conn(ctx)
		cs := w.prepare(ctx, c, "ON CONN ?")
		w.stmtExec(ctx, cs, 1)
		w.stmtQuery(ctx, cs, 1)
		w.closeStmt(cs)
		w.closeConn(c)
		w.closeStmt(s)
	}},
	{name: "transactions", run: func(w *world) {
		ctx := w.live()
		for _, opts := range []*sql.TxOptions{nil, {}, {Isolation: sql.LevelSerializable}, {ReadOnly: true}} {
			tx := w.begin(ctx, opts)
			if tx == nil {
				continue
			}
			w.exec(ctx, tx, "INSERT ?", 1)
			w.query(ctx, tx, "SELECT ?", 1)
			w.queryRow(w.forever(), tx, "SELECT")
			w.commit(tx)
			w.rollback(tx)
		}
		tx := w.begin(w.forever(), nil)
		w.exec(ctx, tx, "INSERT")
		w.rollback(tx)
		w.commit(tx)
		// Rows that are open when their transaction ends.
		tx = w.begin(ctx, nil)
		rows := w.rows(w.forever(), tx, "SELECT")
		w.next(rows, 1)
		w.rollback(tx)
		w.next(rows, 1)
		w.closeRows(rows)
		tx = w.begin(ctx, nil)
		rows = w.rows(ctx, tx, "SELECT ?", 1)
		w.commit(tx)
		w.next(rows, 1)
		w.closeRows(rows)
		// A connection's transaction.
		c := w.conn(ctx)
		w.do("conn begin", func() (any, error) {
			tx, err := c.BeginTx(ctx, nil)
			if err != nil {
				return nil, err
			}
			return nil, tx.Rollback()
		})
		w.closeConn(c)
	}},
	{name: "raw connection", run: func(w *world) {
		ctx := w.live()
		c := w.conn(ctx)
		w.exec(ctx, c, "INSERT ?", 1)
		w.query(ctx, c, "SELECT ?", 1)
		w.do("ping conn", func() (any, error) { return nil, c.PingContext(ctx) })
		w.do("raw", func() (out any, err error) {
			err = c.Raw(func(dc any) error {
				out = legacyCalls(dc)
				number := otdb.Raw(dc).(interface{ Number() int }).Number()
				out = fmt.Sprint(out, number)
				return errDriver
			})
			return out, err
		})
		w.do("raw panics", func() (any, error) { return nil, c.Raw(func(any) error { panic(panicValue) }) })
		w.do("raw again", func() (any, error) { return nil, c.Raw(func(any) error { return nil }) })
		w.closeConn(c)
		c = w.conn(ctx)
		w.do("bad", func() (any, error) { return nil, c.Raw(func(any) error { return driver.ErrBadConn }) })
		w.closeConn(c)
	}},
	{name: "cancelled before", run: func(w *world) {
		ctx, cancel := w.newContext("cancelled")
		s := w.prepare(ctx, w.db, "PREPARED ?")
		tx := w.begin(w.live(), nil)
		c := w.conn(ctx)
		cancel()
		w.ping(ctx)
		w.begin(ctx, nil)
		w.conn(ctx)
		for _, r := range []runner{w.db, tx, c} {
			w.exec(ctx, r, "INSERT")
			w.exec(ctx, r, "INSERT ?", 1)
			w.exec(ctx, r, "INSERT ?", sql.Named("a", 1))
			w.query(ctx, r, "SELECT ?", 1)
			w.closeStmt(w.prepare(ctx, r, "PREPARED"))
		}
		w.queryRow(ctx, w.db, "SELECT")
		w.queryRow(ctx, tx, "SELECT")
		w.do("ping conn", func() (any, error) { return nil, c.PingContext(ctx) })
		w.do("conn begin", func() (any, error) { _, err := c.BeginTx(ctx, nil); return nil, err })
		w.stmtExec(ctx, s, 1)
		w.stmtQuery(ctx, s, 1)
		w.rollback(tx)
		w.closeConn(c)
		w.closeStmt(s)
	}},
	{name: "cancelled during", run: func(w *world) {
		all := [][]fakedb.Method{execMethods, queryMethods, prepareMethods, beginMethods, stmtExecMethods, stmtQueryMethods}
		for _, block := range []bool{false, true} {
			for _, methods := range all {
				ctx, cancel := w.newContext("during " + string(methods[0]))
				w.fault(fakedb.Fault{Do: func(context.Context) { cancel() }, Block: block}, methods...)
				w.exec(ctx, w.db, "INSERT ?", 1)
				w.query(ctx, w.db, "SELECT ?", 1)
				s := w.prepare(ctx, w.db, "PREPARED ?")
				if s != nil {
					w.stmtExec(ctx, s, 1)
					w.stmtQuery(ctx, s, 1)
					w.closeStmt(s)
				}
				tx := w.begin(ctx, nil)
				if tx != nil {
					w.exec(ctx, tx, "INSERT ?", 1)
					w.query(ctx, tx, "SELECT")
					w.rollback(tx)
				}
				cancel()
			}
		}
	}},
	{name: "deadlines", run: func(w *world) {
		for _, methods := range [][]fakedb.Method{connectMethods[:1], execMethods, queryMethods, stmtExecMethods, stmtQueryMethods, beginMethods, {fakedb.ConnPing}, {fakedb.ConnResetSession}} {
			ctx, cancel := context.WithTimeout(w.live(), time.Second)
			w.fault(fakedb.Fault{Block: true}, methods...)
			w.exec(ctx, w.db, "INSERT ?", 1)
			w.query(ctx, w.db, "SELECT ?", 1)
			w.rollback(w.begin(ctx, nil))
			w.ping(ctx)
			w.do("wait", func() (any, error) { <-ctx.Done(); return nil, nil })
			cancel()
		}
	}},
	{name: "cancelled between rows", run: func(w *world) {
		for _, query := range []string{"SELECT", "SELECT ?", "MULTI"} {
			ctx, cancel := w.newContext(query)
			var args []any
			if query == "SELECT ?" {
				args = []any{1}
			}
			rows := w.rows(ctx, w.db, query, args...)
			w.next(rows, 2)
			w.do("cancel", func() (any, error) { cancel(); return nil, nil })
			w.next(rows, 1)
			w.closeRows(rows)
			// While the driver advances.
			ctx, cancel = w.newContext("next " + query)
			rows = w.rows(ctx, w.db, query, args...)
			w.fault(fakedb.Fault{Do: func(context.Context) { cancel() }}, fakedb.RowsNext)
			w.next(rows, 2)
			w.closeRows(rows)
			ctx, cancel = w.newContext("fails " + query)
			rows = w.rows(ctx, w.db, query, args...)
			w.fault(fakedb.Fault{Do: func(context.Context) { cancel() }, Err: context.Canceled}, fakedb.RowsNext)
			w.next(rows, 2)
			w.closeRows(rows)
		}
	}},
	{name: "cancelled transactions", run: func(w *world) {
		for _, end := range []func(*sql.Tx){w.commit, w.rollback} {
			ctx, cancel := w.newContext("tx")
			tx := w.begin(ctx, nil)
			rows := w.rows(w.live(), tx, "SELECT ?", 1)
			w.next(rows, 1)
			s := w.prepare(w.live(), tx, "PREPARED ?")
			w.do("cancel", func() (any, error) { cancel(); return nil, nil })
			w.next(rows, 1)
			w.closeRows(rows)
			w.exec(w.live(), tx, "INSERT")
			w.stmtExec(w.live(), s, 1)
			end(tx)
		}
		// The statement's context, and not the transaction's.
		ctx, cancel := w.newContext("statement")
		tx := w.begin(w.live(), nil)
		rows := w.rows(ctx, tx, "SELECT")
		w.next(rows, 1)
		w.do("cancel", func() (any, error) { cancel(); return nil, nil })
		w.closeRows(rows)
		w.exec(w.live(), tx, "INSERT")
		w.commit(tx)
	}},
	{name: "bad connections", run: func(w *world) {
		ctx := w.live()
		for _, bad := range []error{driver.ErrBadConn, errBad} {
			all := [][]fakedb.Method{
				execMethods, queryMethods, prepareMethods, beginMethods, stmtExecMethods, stmtQueryMethods, connectMethods,
				{fakedb.ConnPing}, {fakedb.ConnResetSession}, {fakedb.ConnIsValid},
				{fakedb.TxCommit}, {fakedb.TxRollback}, {fakedb.RowsNext}, {fakedb.RowsClose}, {fakedb.StmtClose}, {fakedb.ConnClose},
			}
			for _, methods := range all {
				w.fault(fakedb.Fault{Err: bad}, methods...)
				w.ping(ctx)
				w.exec(ctx, w.db, "INSERT ?", 1)
				w.query(ctx, w.db, "SELECT ?", 1)
				tx := w.begin(ctx, nil)
				if tx != nil {
					w.exec(ctx, tx, "INSERT")
					w.commit(tx)
				}
				if tx = w.begin(ctx, nil); tx != nil {
					w.rollback(tx)
				}
				s := w.prepare(ctx, w.db, "PREPARED ?")
				if s != nil {
					w.stmtExec(ctx, s, 1)
					w.stmtQuery(ctx, s, 1)
					w.closeStmt(s)
				}
			}
			// Every attempt fails.
			for _, m := range execMethods {
				n := w.fake.Count(m)
				for i := range 3 {
					w.fake.On(m, n+1+i, fakedb.Fault{Err: bad})
				}
			}
			w.exec(ctx, w.db, "INSERT ?", 1)
		}
	}},
	{name: "skipped fast paths", run: func(w *world) {
		ctx := w.live()
		skip := fakedb.Fault{Err: driver.ErrSkip}
		twice := func() {
			w.fault(skip, execMethods...)
			w.exec(ctx, w.db, "INSERT ?", 1)
			w.fault(skip, queryMethods...)
			w.query(ctx, w.db, "SELECT ?", 1)
		}
		twice()
		w.fault(fakedb.Fault{Err: errDriver}, prepareMethods...)
		twice()
		w.fault(fakedb.Fault{Err: driver.ErrBadConn}, prepareMethods...)
		twice()
		w.fault(fakedb.Fault{Err: errDriver}, append(stmtExecMethods, stmtQueryMethods...)...)
		twice()
		w.fault(fakedb.Fault{Err: driver.ErrBadConn}, append(stmtExecMethods, stmtQueryMethods...)...)
		twice()
		w.fault(fakedb.Fault{Err: driver.ErrSkip}, append(stmtExecMethods, stmtQueryMethods...)...)
		twice()
		for _, args := range [][]any{{}, {1, 2}, {sql.Named("a", 1)}, {nil}, {int64(1 << 40)}, {refused{}}} { // refused on the way
			w.fault(skip, execMethods...)
			w.exec(ctx, w.db, "INSERT ?", args...)
			w.fault(skip, queryMethods...)
			w.query(ctx, w.db, "SELECT ?", args...)
		}
		tx := w.begin(ctx, nil)
		w.fault(skip, execMethods...)
		w.exec(ctx, tx, "INSERT ?", 1)
		w.fault(skip, queryMethods...)
		w.query(ctx, tx, "SELECT ?", 1)
		w.commit(tx)
		// Cancelled on the way.
		for _, methods := range [][]fakedb.Method{execMethods, queryMethods, prepareMethods} {
			ctx, cancel := w.newContext("skipped")
			if methods[0] == fakedb.ConnPrepare {
				w.fault(skip, append(execMethods, queryMethods...)...)
				w.fault(fakedb.Fault{Do: func(context.Context) { cancel() }}, methods...)
			} else {
				w.fault(fakedb.Fault{Do: func(context.Context) { cancel() }, Err: driver.ErrSkip}, methods...)
			}
			w.exec(ctx, w.db, "INSERT ?", 1)
			w.query(ctx, w.db, "SELECT ?", 1)
			cancel()
		}
		// Skipped by a program that calls the driver itself, and not gone on with.
		c := w.conn(ctx)
		w.fault(skip, execMethods...)
		w.do("raw", func() (out any, err error) {
			err = c.Raw(func(dc any) error { out = legacyCalls(dc); return nil })
			return out, err
		})
		w.exec(ctx, c, "INSERT ?", 1)
		w.closeConn(c)
	}},
	{name: "session", run: func(w *world) {
		ctx := w.live()
		for _, err := range []error{errDriver, driver.ErrBadConn, errBad} {
			for _, m := range []fakedb.Method{fakedb.ConnResetSession, fakedb.ConnIsValid} {
				w.exec(ctx, w.db, "INSERT")
				w.fault(fakedb.Fault{Err: err}, m)
				w.exec(ctx, w.db, "INSERT")
				w.query(ctx, w.db, "SELECT")
				tx := w.begin(ctx, nil)
				w.rollback(tx)
			}
		}
		w.db.SetMaxIdleConns(0)
		w.exec(ctx, w.db, "INSERT")
		w.query(ctx, w.db, "SELECT")
	}},
	{name: "a full pool", run: func(w *world) {
		w.db.SetMaxOpenConns(1)
		rows := w.rows(w.live(), w.db, "SELECT")
		ctx, cancel := context.WithTimeout(w.live(), time.Second)
		w.exec(ctx, w.db, "INSERT")
		cancel()
		w.fault(fakedb.Fault{Err: driver.ErrBadConn}, fakedb.RowsClose)
		waiting := make(chan struct{})
		go func() { // gets a connection that database/sql opens by itself
			defer close(waiting)
			_, _ = w.db.ExecContext(w.live(), "WAITING")
		}()
		w.do("wait", func() (any, error) { return nil, nil })
		w.closeRows(rows)
		<-waiting
		w.note("waited", nil)
	}},
	{name: "leaked rows", run: func(w *world) {
		var leaked []context.CancelFunc
		for _, query := range []string{"SELECT", "SELECT ?", "MULTI", "PREPARED ?"} {
			ctx, cancel := w.newContext(query)
			leaked = append(leaked, cancel)
			switch query {
			case "PREPARED ?":
				s := w.prepare(ctx, w.db, query)
				w.do("query stmt", func() (any, error) { rows, err := s.QueryContext(ctx, 1); return rows == nil, err })
				w.closeStmt(s)
			case "SELECT ?":
				w.next(w.rows(ctx, w.db, query, 1), 1)
			default:
				w.next(w.rows(ctx, w.db, query), 3)
			}
			w.next(w.rows(w.forever(), w.db, query[:3]), 1)
		}
		for _, cancel := range leaked {
			w.do("cancel", func() (any, error) { cancel(); return nil, nil })
		}
	}},
	{name: "no connection", run: func(w *world) {
		w.fault(fakedb.Fault{Err: errDriver}, connectMethods...)
		w.ping(w.live())
		w.fault(fakedb.Fault{Err: errDriver}, connectMethods...)
		w.exec(w.live(), w.db, "INSERT")
		w.fault(fakedb.Fault{Panic: panicValue}, connectMethods...)
		w.query(w.live(), w.db, "SELECT")
		w.query(w.live(), w.db, "SELECT")
	}},
	{name: "a connection that panics when it is closed", run: func(w *world) {
		w.fault(fakedb.Fault{Err: driver.ErrBadConn}, append(execMethods, stmtExecMethods...)...)
		w.fault(fakedb.Fault{Panic: panicValue}, fakedb.ConnClose)
		w.exec(w.live(), w.db, "INSERT")
		w.exec(w.live(), w.db, "INSERT")
	}},
	{name: "nothing instead of a result", run: func(w *world) {
		none := fakedb.Fault{Nil: true}
		w.fault(none, append(execMethods, stmtExecMethods...)...)
		w.do("exec", func() (any, error) { res, err := w.db.ExecContext(w.live(), "INSERT"); return res == nil, err })
		w.fault(none, append(queryMethods, stmtQueryMethods...)...)
		w.do("query", func() (any, error) {
			rows, err := w.db.QueryContext(w.forever(), "SELECT")
			if err != nil {
				return nil, err
			}
			columns, err := rows.Columns()
			return columns, err
		})
	}},
	{name: "driver", run: func(w *world) {
		w.note("driver", w.db.Driver() == w.fake.Driver())
		w.fault(fakedb.Fault{Err: errDriver}, fakedb.ConnectorClose)
	}},
}

// legacyCalls calls the forms of Exec and Query without a context, which
// programs look for inside sql.Conn.Raw, and tells what else they may find
// there that changes what database/sql does.
func legacyCalls(dc any) string {
	out := ""
	if e, ok := dc.(driver.Execer); ok {
		res, err := e.Exec("RAW INSERT", []driver.Value{int64(1)})
		out += fmt.Sprint(res != nil, describeError(err))
	}
	if q, ok := dc.(driver.Queryer); ok {
		rows, err := q.Query("RAW SELECT", nil)
		out += fmt.Sprint(rows != nil, describeError(err))
		if err == nil {
			err = rows.Close()
			out += describeError(err)
		}
	}
	_, resetter := dc.(driver.SessionResetter)
	_, validator := dc.(driver.Validator)
	return out + fmt.Sprint(resetter, validator)
}

// workload calls every method of the driver. Without transactions it is safe
// for drivers that panic: database/sql holds a transaction's lock across some
// panics for good.
func workload(w *world, transactions bool) {
	ctx := w.forever()
	w.ping(ctx)
	w.exec(ctx, w.db, "INSERT ?", 1)
	w.query(ctx, w.db, "SELECT ?", 1)
	w.query(ctx, w.db, "MULTI")
	s := w.prepare(ctx, w.db, "PREPARED ?")
	if s != nil {
		w.stmtExec(ctx, s, 1)
		w.stmtQuery(ctx, s, 1)
		w.closeStmt(s)
	}
	for _, end := range []func(*sql.Tx){w.commit, w.rollback} {
		tx := w.begin(ctx, nil)
		if tx == nil {
			continue
		}
		if transactions {
			w.exec(ctx, tx, "INSERT ?", 1)
			w.query(ctx, tx, "SELECT ?", 1)
		}
		end(tx)
	}
	w.exec(ctx, w.db, "INSERT ?", 1)
	w.query(ctx, w.db, "SELECT ?", 1)
}

// methods are all that a fault can be put on.
var methods = []fakedb.Method{
	fakedb.ConnectorConnect, fakedb.DriverOpen, fakedb.ConnectorClose,
	fakedb.ConnPrepare, fakedb.ConnPrepareWithContext, fakedb.ConnClose, fakedb.ConnBegin, fakedb.ConnBeginWithContext,
	fakedb.ConnPing, fakedb.ConnExec, fakedb.ConnExecContext, fakedb.ConnQuery, fakedb.ConnQueryContext,
	fakedb.ConnCheckNamedValue, fakedb.ConnResetSession, fakedb.ConnIsValid,
	fakedb.StmtClose, fakedb.StmtNumInput, fakedb.StmtExec, fakedb.StmtExecWithContext, fakedb.StmtQuery, fakedb.StmtQueryWithContext,
	fakedb.StmtCheckNamedValue, fakedb.StmtColumnConverter,
	fakedb.RowsColumns, fakedb.RowsClose, fakedb.RowsNext, fakedb.RowsHasNextResultSet, fakedb.RowsToNextResultSet, fakedb.RowsColumnType,
	fakedb.TxCommit, fakedb.TxRollback, fakedb.ResultLastInsertID, fakedb.ResultRowsAffected,
}

// faulty returns the scripts that put each fault on the first or second call of
// each method.
func faulty() (all []script) {
	faults := []fakedb.Fault{
		{Err: errDriver}, {Err: errBad}, {Err: driver.ErrBadConn}, {Err: driver.ErrSkip}, {Err: driver.ErrRemoveArgument},
		{Err: io.EOF}, {Err: listError{"a", "b"}}, {Panic: panicValue}, {Goexit: true},
	}
	for _, f := range faults {
		returns := f.Panic == nil && !f.Goexit
		for _, m := range methods {
			if m == fakedb.ConnClose && !returns {
				continue // DB.Close leaves a goroutine behind then; there is a script for this
			}
			for nth := 1; nth <= 2; nth++ {
				all = append(all, script{
					name: fmt.Sprintf("%+v in call %d of %s", f, nth, m),
					run: func(w *world) {
						w.fake.On(m, nth, f)
						if m != fakedb.ConnExec && m != fakedb.ConnExecContext && m != fakedb.ConnQuery && m != fakedb.ConnQueryContext {
							// What comes after a skipped fast path can fail too.
							for _, fast := range append(execMethods, queryMethods...) {
								w.fake.On(fast, 1, fakedb.Fault{Err: driver.ErrSkip})
							}
						}
						workload(w, returns)
					},
				})
			}
		}
	}
	return all
}

// others are what connections have all of, or nothing.
const others = fakedb.ConnPrepareContext | fakedb.ConnBeginTx | fakedb.Pinger | fakedb.ConnChecker

// representative are shapes that differ in what matters most to a statement.
var representative = []fakedb.Shape{
	0,
	fakedb.Modern,
	fakedb.Execer | fakedb.Queryer | fakedb.ColumnConverter,
	fakedb.ExecerContext | fakedb.Execer | fakedb.QueryerContext | fakedb.Queryer | fakedb.SessionResetter | fakedb.RowsNextResultSet | fakedb.ConnChecker,
	fakedb.ExecerContext | fakedb.Queryer | others | fakedb.Validator | fakedb.StmtChecker | fakedb.ColumnConverter | fakedb.StmtExecContext,
	fakedb.StmtChecker | fakedb.ConnBeginTx | fakedb.ConnPrepareContext | fakedb.StmtQueryContext | fakedb.DriverContext,
}

// exhaustive multiplies what can be multiplied. It takes minutes.
var exhaustive = flag.Bool("exhaustive", false, "run every script and every fault on every shape")

// TestOpeners runs every script through every way to a database.
func TestOpeners(t *testing.T) {
	for n, o := range openers {
		t.Run(o.name, func(t *testing.T) {
			for i, s := range scripts {
				s.compare(t, o, fakedb.Modern)
				s.compare(t, o, representative[(i+n)%len(representative)])
			}
		})
	}
}

// TestFaults puts every fault on every method. Unless it is to be exhaustive,
// the shapes take turns.
func TestFaults(t *testing.T) {
	for i, s := range faulty() {
		for n, shape := range representative {
			if *exhaustive || n == (i+i/len(representative))%len(representative) {
				s.compare(t, openDB, shape)
			}
		}
	}
}
