package fakedb

import (
	"context"
	"database/sql/driver"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Method names a method of the driver.
type Method string

// The methods of the driver.
const (
	DriverOpen          Method = "Driver.Open"
	DriverOpenConnector Method = "Driver.OpenConnector"
	ConnectorConnect    Method = "Connector.Connect"
	ConnectorClose      Method = "Connector.Close"

	ConnPrepare            Method = "Conn.Prepare"
	ConnPrepareWithContext Method = "Conn.PrepareContext"
	ConnClose              Method = "Conn.Close"
	ConnBegin              Method = "Conn.Begin"
	ConnBeginWithContext   Method = "Conn.BeginTx"
	ConnPing               Method = "Conn.Ping"
	ConnExec               Method = "Conn.Exec"
	ConnExecContext        Method = "Conn.ExecContext"
	ConnQuery              Method = "Conn.Query"
	ConnQueryContext       Method = "Conn.QueryContext"
	ConnCheckNamedValue    Method = "Conn.CheckNamedValue"
	ConnResetSession       Method = "Conn.ResetSession"
	ConnIsValid            Method = "Conn.IsValid"

	StmtClose            Method = "Stmt.Close"
	StmtNumInput         Method = "Stmt.NumInput"
	StmtExec             Method = "Stmt.Exec"
	StmtExecWithContext  Method = "Stmt.ExecContext"
	StmtQuery            Method = "Stmt.Query"
	StmtQueryWithContext Method = "Stmt.QueryContext"
	StmtCheckNamedValue  Method = "Stmt.CheckNamedValue"
	StmtColumnConverter  Method = "Stmt.ColumnConverter"

	RowsColumns          Method = "Rows.Columns"
	RowsClose            Method = "Rows.Close"
	RowsNext             Method = "Rows.Next"
	RowsHasNextResultSet Method = "Rows.HasNextResultSet"
	RowsToNextResultSet  Method = "Rows.NextResultSet"
	RowsColumnType       Method = "Rows.ColumnType" // all five
	RowsNextRow          Method = "Rows.NextRow"
	RowsScanColumn       Method = "Rows.ScanColumn"

	TxCommit           Method = "Tx.Commit"
	TxRollback         Method = "Tx.Rollback"
	ResultLastInsertID Method = "Result.LastInsertId"
	ResultRowsAffected Method = "Result.RowsAffected"
)

// Fault is what a call does instead of its work. The fields apply in their order.
type Fault struct {
	// Do is called first, with the call's context if it has one. A test may
	// cancel something here, or sleep on a fake clock.
	Do func(context.Context)
	// Block waits for the call's context. Its error is returned unless Err is set.
	Block bool
	// Panic is the value to panic with.
	Panic any
	// Goexit ends the goroutine.
	Goexit bool
	// Nil returns no error and no result, as no driver should.
	Nil bool
	// Err is returned. Methods without an error return false for it.
	Err error
}

// ResultSet is what a query returns.
type ResultSet struct {
	Columns []string
	Rows    [][]driver.Value
}

// DB is a fake database. The exported fields must be set before it is used.
// It may be used concurrently.
type DB struct {
	// Shape is the set of optional interfaces of its objects.
	Shape Shape
	// Plain makes every call return at once, without a log.
	Plain bool
	// Results returns what a query returns. The default is one result set of
	// two columns and three rows. In plain mode it is asked once per connection.
	Results func(query string) []ResultSet
	// NumInput returns a statement's number of placeholders. By default
	// these are its question marks.
	NumInput func(query string) int
	// CheckConn and CheckStmt are the named value checkers. By default they
	// return ErrSkip.
	CheckConn, CheckStmt func(*driver.NamedValue) error
	// Converter returns a column's converter. By default the first column is
	// NOT NULL, and all are 32-bit integers.
	Converter func(column int) driver.ValueConverter

	mu      sync.Mutex
	calls   []Call
	counts  map[Method]int
	faults  map[faultKey]Fault
	objects [3]int // connections, statements, rows made so far
}

type faultKey struct {
	method Method
	nth    int
}

// Call is a call that the driver saw. Two calls are equal by ==.
type Call struct {
	Method Method
	// Object is the number of the connection, statement or rows, from 1 in
	// the order in which they were made.
	Object int
	// Of is the number of the connection of a statement, transaction or rows.
	Of     int
	Detail string // the arguments
	Ctx    string // the state and the value of its context, if it has one
	// Outcome is how the script had the call end, "" if it did its work.
	Outcome string
}

// String implements fmt.Stringer.
func (c Call) String() string {
	s := fmt.Sprintf("%s#%d@%d(%s)", c.Method, c.Object, c.Of, c.Detail)
	if c.Ctx != "" {
		s += " ctx=" + c.Ctx
	}
	if c.Outcome != "" {
		s += " -> " + c.Outcome
	}
	return s
}

// ValueKey is the key of the context value that the log shows.
type ValueKey struct{}

// On makes the nth call of the method, from 1, end in f. The 0th is every call
// that has no fault of its own.
func (db *DB) On(m Method, nth int, f Fault) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.faults == nil {
		db.faults = make(map[faultKey]Fault)
	}
	db.faults[faultKey{m, nth}] = f
}

// Calls returns the log.
func (db *DB) Calls() []Call {
	db.mu.Lock()
	defer db.mu.Unlock()
	return append([]Call(nil), db.calls...)
}

// Count returns how often the method was called.
func (db *DB) Count(m Method) int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.counts[m]
}

// Forget empties the log. Faults still count from the start.
func (db *DB) Forget() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.calls = nil
}

// noContext is the context of methods that have none.
var noContext context.Context

func (db *DB) number(kind int) int {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.objects[kind]++
	return db.objects[kind]
}

// call logs a call and does what the script has for it. With handled, the
// caller must return err (which may be nil) and no result.
func (db *DB) call(ctx context.Context, c Call) (handled bool, err error) {
	f, ok := db.log(ctx, c)
	if !ok {
		return false, nil
	}
	if f.Do != nil {
		f.Do(ctx)
	}
	if f.Block && ctx != nil {
		<-ctx.Done()
		if f.Err == nil {
			f.Err = ctx.Err()
		}
	}
	if f.Panic != nil {
		panic(f.Panic)
	}
	if f.Goexit {
		runtime.Goexit()
	}
	return f.Nil || f.Err != nil, f.Err
}

func (db *DB) log(ctx context.Context, c Call) (Fault, bool) {
	if ctx != nil {
		c.Ctx = "live"
		if err := ctx.Err(); err != nil {
			c.Ctx = err.Error()
		}
		if v := ctx.Value(ValueKey{}); v != nil {
			c.Ctx += fmt.Sprintf(" %v", v)
		}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.counts == nil {
		db.counts = make(map[Method]int)
	}
	db.counts[c.Method]++
	f, ok := db.faults[faultKey{c.Method, db.counts[c.Method]}]
	if !ok {
		f, ok = db.faults[faultKey{c.Method, 0}]
	}
	switch {
	case f.Panic != nil:
		c.Outcome = "panic"
	case f.Goexit:
		c.Outcome = "Goexit"
	case f.Err != nil:
		c.Outcome = f.Err.Error()
	case f.Block:
		c.Outcome = "block"
	case f.Nil:
		c.Outcome = "nil"
	}
	db.calls = append(db.calls, c)
	return f, ok
}

func (db *DB) results(query string) []ResultSet {
	if db.Results != nil {
		return db.Results(query)
	}
	return []ResultSet{{
		Columns: []string{"id", "name"},
		Rows: [][]driver.Value{
			{int64(1), "one"},
			{int64(2), []byte("two")},
			{int64(3), time.Unix(3, 0).UTC()},
		},
	}}
}

func (db *DB) numInput(query string) int {
	if db.NumInput != nil {
		return db.NumInput(query)
	}
	return strings.Count(query, "?")
}

func (db *DB) converter(column int) driver.ValueConverter {
	switch {
	case db.Converter != nil:
		return db.Converter(column)
	case column == 0:
		return driver.NotNull{Converter: driver.Int32}
	default:
		return driver.Null{Converter: driver.Int32}
	}
}

// describe formats arguments with their types, so that the log distinguishes int64(1)
// from "1".
func describe(args []driver.NamedValue) string {
	var b strings.Builder
	for _, a := range args {
		fmt.Fprintf(&b, " %d:%s=%s", a.Ordinal, a.Name, value(a.Value))
	}
	return b.String()
}

func describeLegacy(args []driver.Value) string {
	var b strings.Builder
	for _, a := range args {
		fmt.Fprintf(&b, " %s", value(a))
	}
	return b.String()
}

func value(v any) string {
	if k := reflect.ValueOf(v).Kind(); k == reflect.Pointer || k == reflect.Struct && !driver.IsValue(v) {
		return fmt.Sprintf("%T", v) // an address differs between runs
	}
	return fmt.Sprintf("%T(%v)", v, v)
}
