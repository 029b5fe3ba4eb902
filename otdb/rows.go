package otdb

import (
	"database/sql/driver"
	"io"
	"reflect"
	"sync/atomic"

	"github.com/taskspan/taskspan/internal/ledger"
)

// rows are the rows of a query. The query's operation lasts as long as they do.
//
// Like every driver.Rows they are used by one goroutine at a time. A task that
// ends while they are open ends their operation from another goroutine: it
// takes the operation's end with ended, and reads only what is published
// atomically.
type rows struct {
	raw driver.Rows
	// iteration is nil once the operation was ended by a call of these rows:
	// whoever goes on to use them speaks to the driver alone.
	iteration *iteration
	ended     atomic.Bool // the operation's end is taken; not used outside of tasks
	single    bool        // the raw rows know of no further result sets
}

var (
	_ driver.Rows                           = (*rows)(nil)
	_ driver.RowsNextResultSet              = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeLength           = (*rows)(nil)
	_ driver.RowsColumnTypeNullable         = (*rows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*rows)(nil)

	_ ledger.Leaker = (*rows)(nil)
)

// Columns implements driver.Rows.
func (r *rows) Columns() []string {
	returned := false
	defer r.didNotReturn(&returned)
	columns := r.raw.Columns()
	returned = true
	return columns
}

// Next implements driver.Rows. A deferred call would cost more than all the rest
// of it, so that a panic of the driver is only marked: the operation ends with
// it when the rows are closed. If nobody closes them they are a leak, like any
// others, for the task that ends.
func (r *rows) Next(dest []driver.Value) error {
	it := r.iteration
	if it == nil {
		return r.raw.Next(dest)
	}
	it.enter()
	it.inside = true
	err := r.raw.Next(dest)
	it.inside = false
	if err != nil {
		r.exhausted(err)
		return err
	}
	if it.leave() {
		it.endOfDriversTurn()
	}
	return nil
}

// exhausted is called when raw has no further row, for whatever reason.
func (r *rows) exhausted(err error) {
	if err != io.EOF { //nolint:errorlint // database/sql compares it so
		r.finish(&outcome{err: err})
		return
	}
	// There may be a further result set: then database/sql asks HasNextResultSet.
	if r.single {
		r.finish(&outcome{})
	}
}

// didNotReturn, deferred, ends the operation of rows whose driver panicked.
func (r *rows) didNotReturn(returned *bool) {
	if !*returned && r.iteration != nil {
		r.take(&outcome{class: unwinding()})
	}
}

// HasNextResultSet implements driver.RowsNextResultSet. Without a raw one there
// is no further result set, which is what database/sql takes its absence for.
func (r *rows) HasNextResultSet() bool {
	if r.single {
		r.finish(&outcome{}) // unless it is over, as it mostly is
		return false
	}
	returned := false
	defer r.didNotReturn(&returned)
	more := r.raw.(driver.RowsNextResultSet).HasNextResultSet()
	returned = true
	if !more {
		r.finish(&outcome{})
	} else if it := r.iteration; it != nil {
		it.endOfSet()
	}
	return more
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *rows) NextResultSet() error {
	if r.single {
		r.finish(&outcome{})
		return io.EOF
	}
	next := r.raw.(driver.RowsNextResultSet)
	it := r.iteration
	if it == nil {
		return next.NextResultSet()
	}
	if it.split {
		it.consumed(it.op.db.now())
	}
	returned := false
	defer r.didNotReturn(&returned)
	err := next.NextResultSet()
	returned = true
	switch err {
	case nil:
		it.endOfSet()
		it.begin()
	case io.EOF: //nolint:errorlint // database/sql compares it so
		r.finish(&outcome{})
	default:
		r.finish(&outcome{err: err})
	}
	return err
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	it := r.iteration
	if it == nil || r.ended.Load() {
		return r.raw.Close()
	}
	// Rows that are closed before their end because a context is done have
	// failed with its error, at the time of the last call of the driver that
	// their consumer made: how long the clean-up waits tells nothing.
	done := it.op.ctx.Err()
	if done == nil && it.tx != nil {
		done = it.tx.ctx.Err()
	}
	if done == nil {
		it.enter()
	}
	returned := false
	defer r.didNotReturn(&returned)
	err := r.raw.Close()
	returned = true
	if done != nil {
		r.finish(&outcome{err: done, at: it.lastTurn(), late: true})
	} else {
		r.finish(&outcome{err: err})
	}
	return err
}

// finish ends the operation, unless it is over, and with it the iteration.
func (r *rows) finish(out *outcome) {
	if r.iteration == nil {
		return
	}
	if it := r.take(out); it != nil {
		it.release()
	}
}

// take ends the operation, unless the task has, and returns the iteration, which
// the rows have no more. They must have one.
func (r *rows) take(out *outcome) *iteration {
	it := r.iteration
	if it.listed {
		if !r.ended.CompareAndSwap(false, true) {
			return nil // the task has it, and still reads the iteration
		}
		out.rows = &it.place
	}
	r.iteration = nil
	if it.inside {
		out.err, out.class = nil, unwinding()
	}
	it.account(out)
	if length := it.end(out); it.split && !out.late {
		it.watch(length)
	}
	return it
}

// EndLeaked implements ledger.Leaker.
func (r *rows) EndLeaked() (ledger.Leak, bool) {
	if !r.ended.CompareAndSwap(false, true) {
		return ledger.Leak{}, false
	}
	it := r.iteration // which the rows keep, now that they cannot take it
	out := outcome{late: true, leaked: true}
	it.accountLeaked(&out)
	it.end(&out)
	return ledger.Leak{Summary: it.op.info.Summary, Rows: out.returned}, true
}

// ColumnTypeScanType implements driver.RowsColumnTypeScanType. Like the other
// column types it falls back to what database/sql takes for its absence.
func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	if raw, ok := r.raw.(driver.RowsColumnTypeScanType); ok {
		return raw.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	if raw, ok := r.raw.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return raw.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeLength implements driver.RowsColumnTypeLength.
func (r *rows) ColumnTypeLength(i int) (length int64, ok bool) {
	if raw, has := r.raw.(driver.RowsColumnTypeLength); has {
		return raw.ColumnTypeLength(i)
	}
	return 0, false
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *rows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if raw, has := r.raw.(driver.RowsColumnTypeNullable); has {
		return raw.ColumnTypeNullable(i)
	}
	return false, false
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *rows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if raw, has := r.raw.(driver.RowsColumnTypePrecisionScale); has {
		return raw.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}
