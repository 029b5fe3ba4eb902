package otdb

import (
	"database/sql/driver"
	"io"
	"math"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/ledger"
)

// What the consumer of rows takes between two calls of the driver, a gap, is
// measured exactly before the first exactRows rows, and from the first time on that
// it may have taken slowGap or longer: to such a consumer a reading of the clock
// adds nothing. Otherwise one gap in sampledRows is measured and taken for the
// others, so that a row costs next to nothing. Rows that turn out to have come
// slowly where nobody looked have the next ones of such statements watched: all
// of their gaps are measured.
//
// Rows that something else than their consumer may end (a context, a task) must
// know when the driver was called last, unless all that is told of them was told when
// the query returned: behind each of them the clock is read. In a task all gaps are
// measured: a pause that was missed would be told as a slow statement, and as time
// that the task spent in its databases.
const (
	exactRows   = 2
	sampledRows = 128
	slowGap     = 10 * time.Microsecond
)

// rows are the rows of a query. The query's operation lasts as long as they do.
//
// Like every driver.Rows they are used by one goroutine at a time. A task that
// ends while they are open ends their operation from another goroutine: it
// takes the operation's end with ended, and reads only what is published.
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

// iteration is what is known of rows while their operation lasts. It is the
// larger part of them, and its connection uses it again for its next query; the
// rows themselves may outlive it in the hands of a program that has them from
// sql.Conn.Raw, and so are not used again.
type iteration struct {
	turns

	op   operation
	conn *conn
	tx   *tx // the transaction of the query

	// What there is only in a task.
	place     ledger.OpenRows
	published published
}

// turns are what an iteration knows of the turns that the driver and the consumer of
// the rows take.
type turns struct {
	// What each row needs comes first, so that it is in one place in memory.
	count   int64
	nextRow int64 // the count at which the clock is read next
	gap     bool  // what follows is a gap to be measured
	// inside is set while the driver looks for the next row, and after that if
	// it panicked.
	inside bool

	exact    bool // each further gap is to be measured too
	measured bool // a gap was, since the clock was read behind a call of the driver
	paused   bool // a long gap was seen, or what may have been one
	split    bool // somebody wants to know the consumer's part
	endable  bool // something else than the consumer may end the rows, to somebody's interest
	listed   bool // in the ledger of the task

	last     time.Duration // reading after the last call of the driver, where the clock was read
	lastRow  int64         // the count at that reading
	consumer time.Duration // the gaps until gapRow
	gapRow   int64         // the row behind the last gap that was measured
	gapEnd   time.Duration // reading at the end of that gap
}

// progress is how far rows are.
type progress struct {
	count    int64
	last     time.Duration
	consumer time.Duration
}

// published is the progress that the task may read. The rows write to the one that is
// not the latest, and then make it that. They do not begin to once the task has taken
// their end, so that at most one more is on its way then: none is written to while the
// task reads it.
type published struct {
	progress [2]progress
	latest   atomic.Uint32
	ended    *atomic.Bool // of the rows
}

// newIteration returns an iteration for a query of c.
func (c *conn) newIteration() *iteration {
	it := c.spare
	if it == nil {
		it = new(iteration)
	}
	c.spare = nil
	it.conn, it.tx = c, c.tx
	return it
}

// release gives the iteration back to its connection. It must be called from
// within a call of the driver, which database/sql makes one at a time, and when
// nobody else can know of the iteration any more.
func (it *iteration) release() {
	c := it.conn
	// An idle connection holds no span and no context.
	if it.listed {
		*it = iteration{}
	} else {
		it.turns, it.op, it.conn, it.tx = turns{}, operation{}, nil, nil
	}
	c.spare = it
}

// failed is called when the query has returned an error, or not at all.
func (it *iteration) failed(err error, returned bool) {
	it.op.finish(err, returned)
	it.release()
}

// opened is called when the query has returned raw.
func (it *iteration) opened(raw driver.Rows) driver.Rows {
	op := &it.op
	if raw == nil { // and no error: database/sql has an answer to that
		op.finish(nil, true)
		it.release()
		return nil
	}
	it.split, it.endable = op.ledger != nil, op.ledger != nil
	if !op.db.cfg.untilReturn { // otherwise the span and the metrics are over
		it.split = it.split || op.recording || op.db.cfg.slow > 0
		it.endable = it.endable || op.ctx.Done() != nil || it.tx != nil && it.tx.ctx.Done() != nil
	}
	if it.split || it.endable {
		it.last = op.db.now()
		it.gap = it.split
		it.exact = it.split && (op.ledger != nil || op.watched.Load())
		it.nextRow = 1
	} else {
		it.nextRow = math.MaxInt64
	}
	if op.db.cfg.untilReturn {
		op.report(&outcome{returned: unknown, affected: unknown})
		op.reported = true
	}
	_, further := raw.(driver.RowsNextResultSet)
	r := &rows{raw: raw, iteration: it, single: !further}
	if op.ledger != nil {
		it.listed = true
		it.published.ended = &r.ended
		it.publish()
		op.ledger.Open(&it.place, r)
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
// it when the rows are closed. If nobody closes them they are a leak, like any
// others, for the task that ends.
func (r *rows) Next(dest []driver.Value) error {
	it := r.iteration
	if it == nil {
		return r.raw.Next(dest)
	}
	it.enter()
	err := r.raw.Next(dest)
	if err != nil {
		r.exhausted(err)
		return err
	}
	it.leave()
	return nil
}

// enter is called before the driver is asked for the next row.
func (it *iteration) enter() {
	if it.gap {
		it.closeGap()
	}
	it.inside = true
}

// leave is called when the driver has given a row.
func (it *iteration) leave() {
	it.inside = false
	it.count++
	if it.count >= it.nextRow {
		it.readClock()
	}
}

// readClock is called after a call of the driver.
func (it *iteration) readClock() {
	now := it.op.db.now()
	passed := it.count - it.lastRow
	if !(it.measured && passed <= 1) && now-it.last >= slowGap*time.Duration(max(1, passed)) {
		it.exact = true // the consumer may have been slow
		if it.split && slowly(now-it.last, passed) {
			it.paused = true
			it.op.watched.Store(true) // and what it took is the driver's now
		}
	}
	it.measured = false
	it.last, it.lastRow = now, it.count
	it.gap = it.split && (it.exact || it.count < exactRows || it.count-it.gapRow >= sampledRows)
	if it.endable || it.exact || it.count+1 < exactRows {
		it.nextRow = it.count + 1
	} else {
		it.nextRow = it.count + sampledRows
	}
	if it.listed { // and so endable: the clock is read behind every row
		it.publish()
	}
}

// closeGap is called before a call of the driver. Gaps that were not measured
// are taken to have been like this one.
func (it *iteration) closeGap() {
	it.gap, it.measured = false, true
	now := it.op.db.now()
	took := now - it.last
	if took >= consumerThreshold {
		it.paused = true
	}
	if took >= slowGap {
		it.exact = true
		it.nextRow = it.count + 1 // and not at the end of the sample
	}
	if skipped := it.count - it.gapRow - 1; skipped > 0 {
		it.consumer += min(it.last-it.gapEnd, took*time.Duration(skipped))
	}
	it.consumer += took
	it.gapRow, it.gapEnd = it.count, now
}

// exhausted is called when raw has no further row, for whatever reason.
func (r *rows) exhausted(err error) {
	it := r.iteration
	it.inside = false
	if err != io.EOF { //nolint:errorlint // database/sql compares it so
		r.finish(&outcome{err: err})
		return
	}
	// There may be a further result set: then database/sql asks HasNextResultSet.
	if r.single {
		r.finish(&outcome{})
	} else if it.split || it.endable {
		it.readClock()
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
	if it.gap {
		it.closeGap()
	}
	returned := false
	defer r.didNotReturn(&returned)
	err := next.NextResultSet()
	returned = true
	switch err {
	case nil:
		if it.split || it.endable {
			it.readClock()
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
	if it.gap && done == nil {
		it.closeGap()
	}
	returned := false
	defer r.didNotReturn(&returned)
	err := r.raw.Close()
	returned = true
	if done != nil {
		r.finish(&outcome{err: done, at: it.last, late: true})
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
	out.consumer, out.returned = it.consumer, it.count
	if length := it.end(out); it.split && !out.late {
		it.watch(length)
	}
	return it
}

// end is called once, by whoever has taken the operation's end. It returns the
// length of the operation.
func (it *iteration) end(out *outcome) (length time.Duration) {
	out.affected = unknown
	if !it.op.reported {
		return it.op.end(out)
	}
	if it.op.ledger != nil {
		length = it.op.length(out)
		it.op.account(out, length)
	}
	if out.err != nil {
		errs.Remember(out.err)
	}
	return length
}

// watch has the next rows of such statements watched if these came slowly where
// nobody looked, and no longer if their consumer was quick while they were.
func (it *iteration) watch(length time.Duration) {
	watched := &it.op.watched
	switch {
	case length >= consumerThreshold && it.count > it.gapRow:
		if slowly(it.op.db.now()-it.gapEnd, it.count-it.gapRow) {
			watched.Store(true)
		}
	case it.exact && watched.Load() && !it.paused && !slowly(it.consumer, it.count):
		watched.Store(false)
	}
}

// slowly reports whether rows came so slowly that their consumer may have made the
// operation longer than a span tells without a word.
func slowly(took time.Duration, rows int64) bool {
	return took >= consumerThreshold && took >= slowGap*time.Duration(rows)
}

// publish tells the task how far the rows are.
func (it *iteration) publish() {
	p := &it.published
	if p.ended.Load() {
		return
	}
	next := p.latest.Load() ^ 1
	p.progress[next] = progress{it.count, it.last, it.consumer}
	p.latest.Store(next)
}

// EndLeaked implements ledger.Leaker.
func (r *rows) EndLeaked() (ledger.Leak, bool) {
	if !r.ended.CompareAndSwap(false, true) {
		return ledger.Leak{}, false
	}
	it := r.iteration // which the rows keep, now that they cannot take it
	latest := it.published.progress[it.published.latest.Load()]
	out := outcome{late: true, at: latest.last, consumer: latest.consumer, returned: latest.count, leaked: true}
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
