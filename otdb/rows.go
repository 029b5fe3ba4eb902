package otdb

import (
	"database/sql/driver"
	"io"
	"math"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/internal/ledger"
)

// What the consumer of rows takes between two calls of the driver, a gap, is
// measured exactly until exactRows rows were read, and from the first time on
// that it may have taken slowGap or longer: to such a consumer a reading of the
// clock adds nothing. Otherwise one gap in sampledRows is measured and taken for
// the others, so that a row costs next to nothing.
//
// Rows that something else than their consumer may end (a context, a task) must
// know when the driver was called last: behind each of them the clock is read.
const (
	exactRows   = 2
	sampledRows = 128
	slowGap     = 10 * time.Microsecond
)

// rows are the rows of a query. The query's operation lasts as long as they do.
//
// Like every driver.Rows they are used by one goroutine at a time. A task that
// ends while they are open ends their operation from another goroutine: it
// takes the operation's end with ended, and reads only what is published
// atomically.
type rows struct {
	raw  driver.Rows
	op   operation
	tx   *tx       // the transaction of the query
	leak *openRows // nil outside of tasks

	count    int64
	nextRow  int64         // the count at which the clock is read next
	last     time.Duration // reading after the last call of the driver, where the clock was read
	lastRow  int64         // the count at that reading
	consumer time.Duration // the gaps until gapRow
	gapRow   int64         // the row behind the last gap that was measured
	gapEnd   time.Duration // reading at the end of that gap

	ended   atomic.Bool // the operation's end is taken
	gap     bool        // what follows is a gap to be measured
	exact   bool        // so is each further one
	split   bool        // somebody wants to know the consumer's part
	endable bool        // something else than the consumer may end the rows
	// inside is set while the driver looks for the next row, and after that if
	// it panicked.
	inside bool
}

var (
	_ driver.Rows                           = (*rows)(nil)
	_ driver.RowsNextResultSet              = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeLength           = (*rows)(nil)
	_ driver.RowsColumnTypeNullable         = (*rows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*rows)(nil)
)

// opened is called when the query has returned raw.
func (r *rows) opened(raw driver.Rows) driver.Rows {
	if raw == nil { // and no error: database/sql has an answer to that
		r.op.finish(nil, true)
		return nil
	}
	r.raw = raw
	r.split = r.op.recording || r.op.ledger != nil || r.op.db.cfg.slow > 0
	r.endable = r.op.ledger != nil || r.op.ctx.Done() != nil || r.tx != nil && r.tx.Done() != nil
	if r.split || r.endable {
		r.last = r.op.db.now()
		r.gap = r.split
		r.nextRow = 1
	} else {
		r.nextRow = math.MaxInt64
	}
	if r.op.db.cfg.untilReturn {
		r.op.report(&outcome{returned: unknown, affected: unknown})
		r.op.reported = true
	}
	if r.op.ledger != nil {
		r.leak = &openRows{rows: r}
		r.leak.publish()
		r.op.ledger.Open(&r.leak.place, r.leak)
	}
	return r.shaped()
}

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
// it when the rows are closed, or when their task ends.
func (r *rows) Next(dest []driver.Value) error {
	if r.gap {
		r.closeGap()
	}
	r.inside = true
	err := r.raw.Next(dest)
	r.inside = false
	if err != nil {
		r.exhausted(err)
		return err
	}
	r.count++
	if r.count >= r.nextRow {
		r.readClock()
	}
	if r.leak != nil {
		r.leak.publish()
	}
	return nil
}

// readClock is called after a call of the driver.
func (r *rows) readClock() {
	now := r.op.db.now()
	passed := r.count - r.lastRow
	if measured := passed == 1 && r.gapRow == r.lastRow; !measured && now-r.last >= slowGap*time.Duration(max(1, passed)) {
		r.exact = true // the consumer may have been slow
	}
	r.last, r.lastRow = now, r.count
	r.gap = r.split && (r.exact || r.count <= exactRows || r.count-r.gapRow >= sampledRows)
	if r.endable || r.exact || r.count < exactRows {
		r.nextRow = r.count + 1
	} else {
		r.nextRow = r.count + sampledRows
	}
}

// closeGap is called before a call of the driver. Gaps that were not measured
// are taken to have been like this one.
func (r *rows) closeGap() {
	r.gap = false
	now := r.op.db.now()
	took := now - r.last
	if took >= slowGap {
		r.exact = true
	}
	if skipped := r.count - r.gapRow - 1; skipped > 0 {
		r.consumer += min(r.last-r.gapEnd, took*time.Duration(skipped))
	}
	r.consumer += took
	r.gapRow, r.gapEnd = r.count, now
}

// exhausted is called when raw has no further row, for whatever reason.
func (r *rows) exhausted(err error) {
	if err != io.EOF { //nolint:errorlint // database/sql compares it so
		r.finish(&outcome{err: err})
		return
	}
	// There may be a further result set: then database/sql asks HasNextResultSet.
	if _, ok := r.raw.(driver.RowsNextResultSet); !ok {
		r.finish(&outcome{})
	} else if r.split || r.endable {
		r.readClock()
	}
}

// didNotReturn, deferred, ends the operation of rows whose driver panicked.
func (r *rows) didNotReturn(returned *bool) {
	if !*returned {
		r.finish(&outcome{class: unwinding()})
	}
}

// HasNextResultSet implements driver.RowsNextResultSet. Without a raw one there
// is no further result set, which is what database/sql takes its absence for.
func (r *rows) HasNextResultSet() bool {
	if next, ok := r.raw.(driver.RowsNextResultSet); ok {
		returned := false
		defer r.didNotReturn(&returned)
		more := next.HasNextResultSet()
		returned = true
		if more {
			return true
		}
	}
	r.finish(&outcome{})
	return false
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *rows) NextResultSet() error {
	next, ok := r.raw.(driver.RowsNextResultSet)
	if !ok {
		r.finish(&outcome{})
		return io.EOF
	}
	if r.gap {
		r.closeGap()
	}
	returned := false
	defer r.didNotReturn(&returned)
	err := next.NextResultSet()
	returned = true
	switch err {
	case nil:
		if r.split || r.endable {
			r.readClock()
		}
	case io.EOF: //nolint:errorlint // database/sql compares it so
		r.finish(&outcome{})
	default:
		r.finish(&outcome{err: err})
	}
	return err
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	if r.ended.Load() {
		return r.raw.Close()
	}
	// Rows that are closed before their end because a context is done have
	// failed with its error, at the time of the last call of the driver that
	// their consumer made: how long the clean-up waits tells nothing.
	done := r.op.ctx.Err()
	if done == nil && r.tx != nil {
		done = r.tx.Err()
	}
	if r.gap && done == nil {
		r.closeGap()
	}
	returned := false
	defer r.didNotReturn(&returned)
	err := r.raw.Close()
	returned = true
	if done != nil {
		r.finish(&outcome{err: done, at: r.last, late: true})
	} else {
		r.finish(&outcome{err: err})
	}
	return err
}

// finish ends the operation, unless something else has.
func (r *rows) finish(out *outcome) {
	if !r.ended.CompareAndSwap(false, true) {
		return
	}
	if r.leak != nil {
		r.op.ledger.Close(&r.leak.place)
	}
	if r.inside {
		out.err, out.class = nil, panicked
	}
	out.consumer, out.returned = r.consumer, r.count
	r.end(out)
}

// end is called once, by whoever has taken the operation's end.
func (r *rows) end(out *outcome) {
	out.affected = unknown
	if !r.op.reported {
		r.op.end(out)
		return
	}
	r.op.account(out, r.op.length(out))
}

// openRows are rows as the ledger of their task sees them.
type openRows struct {
	rows      *rows
	place     ledger.OpenRows
	published struct{ count, consumer, last atomic.Int64 }
}

var _ ledger.Leaker = (*openRows)(nil)

func (o *openRows) publish() {
	o.published.count.Store(o.rows.count)
	o.published.consumer.Store(int64(o.rows.consumer))
	o.published.last.Store(int64(o.rows.last))
}

// EndLeaked implements ledger.Leaker.
func (o *openRows) EndLeaked() (ledger.Leak, bool) {
	r := o.rows
	if !r.ended.CompareAndSwap(false, true) {
		return ledger.Leak{}, false
	}
	out := outcome{
		late:     true,
		at:       time.Duration(o.published.last.Load()),
		consumer: time.Duration(o.published.consumer.Load()),
		returned: o.published.count.Load(),
		leaked:   true,
	}
	r.end(&out)
	return ledger.Leak{Summary: r.op.info.Summary, Rows: out.returned}, true
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
