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
// measured before the first exactRows rows, and from the first time on that it may
// have taken slowGap or longer: to such a consumer a reading of the clock adds
// nothing. Otherwise one gap in sampledRows is measured and taken for the others,
// so that a row costs next to nothing. Rows that turn out to have come slowly where
// nobody looked have the next ones of such statements watched: all of their gaps are
// measured.
//
// Rows that something else than their consumer may end (a context, a task) must
// know when the driver was called last. The clock is read again when there are a
// quarter more of them, and at least every followedRows; what came since then is
// taken to have come at the pace of the rows before.
//
// In a task a gap is measured behind each of these readings. If the rows between two
// of them come slowly for the first time, nobody can know whose time that was. It is
// charged to the database only as far as the driver is seen to be slow later on: a
// consumer that pauses would be told as a slow statement.
const (
	exactRows    = 2
	sampledRows  = 128
	followedRows = 16
	slowGap      = 10 * time.Microsecond
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

// iteration is what is known of rows while their operation lasts. It is the
// larger part of them, and its connection uses it again for its next query; the
// rows themselves may outlive it in the hands of a program that has them from
// sql.Conn.Raw, and so are not used again.
type iteration struct {
	progress
	listing
}

// progress is how far the rows are.
type progress struct {
	// What each row needs comes first, so that it is in one place in memory.
	count   int64
	nextRow int64 // the count from which on a row is more than counted
	gap     bool  // what follows is a gap to be measured
	// inside is set while the driver looks for the next row, and after that if
	// it panicked.
	inside bool

	exact   bool // each further gap is to be measured too
	split   bool // somebody wants to know the consumer's part
	endable bool // something else than the consumer may end the rows
	listed  bool // in the ledger of the task

	nextReading int64         // the count at which the clock is read next
	last        time.Duration // reading after the last call of the driver, where the clock was read
	lastRow     int64         // the count at that reading
	pace        time.Duration // of the rows before that reading, for each
	consumer    time.Duration // the gaps until gapRow
	gapRow      int64         // the row before the last gap that was measured
	gapEnd      time.Duration // reading at the end of that gap
	parted      bool          // that gap is the one behind the last reading
	slowRow     bool          // the driver took long for the last row that it alone took time for
	doubt       time.Duration // what may be the consumer's and is not counted as that

	op   operation
	conn *conn
	tx   *tx // the transaction of the query
}

// listing is the rows' place in the ledger of their task, and what it is told of
// their progress. Without a task it stays zero.
type listing struct {
	place     ledger.OpenRows
	published struct{ count, last, lastRow, pace, consumer, doubt atomic.Int64 }
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
	if it.listed {
		it.listing = listing{}
	}
	it.progress = progress{} // an idle connection holds no span and no context
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
	it.split = op.recording || op.ledger != nil || op.db.cfg.slow > 0
	it.endable = op.ledger != nil || op.ctx.Done() != nil || it.tx != nil && it.tx.ctx.Done() != nil
	if it.split || it.endable {
		it.last = op.db.now()
		it.exact = it.split && op.watched.Load()
		it.listed = op.ledger != nil
		it.schedule()
	} else {
		it.nextRow = math.MaxInt64
	}
	if op.db.cfg.untilReturn {
		op.report(&outcome{returned: unknown, affected: unknown})
		op.reported = true
	}
	_, further := raw.(driver.RowsNextResultSet)
	r := &rows{raw: raw, iteration: it, single: !further}
	if it.listed {
		it.published.last.Store(int64(it.last))
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
		it.gave()
	}
}

// gave is called for the rows that are more than counted. Inlined it would keep leave
// from being so, which each row would pay for.
//
//go:noinline
func (it *iteration) gave() {
	if it.listed {
		it.published.count.Store(it.count)
	}
	if it.count >= it.nextReading {
		it.readClock(0)
	}
}

// readClock is called after a call of the driver. Calls are those since the last
// reading that gave no row.
func (it *iteration) readClock(calls int64) {
	now := it.op.db.now()
	it.judge(now, calls)
	switch passed := it.count - it.lastRow; {
	case passed == 1: // mostly, and a division takes time
		it.pace = now - it.last
	case passed > 1:
		it.pace = (now - it.last) / time.Duration(passed)
	}
	it.last, it.lastRow, it.parted = now, it.count, false
	it.schedule()
	if it.slowRow { // and the next one may be
		it.readBehind(it.count + 1)
		it.gap = it.split
	}
	if it.listed {
		it.publish()
	}
}

// judge looks at the time from the last gap that was measured, or the last reading
// behind it, until now. If it is long, the consumer may have been slow.
func (it *iteration) judge(now time.Duration, calls int64) {
	since, gaps := it.last, it.count-it.lastRow+calls
	if it.parted {
		since, gaps = it.gapEnd, gaps-1
	}
	slow := now-since >= slowGap*time.Duration(max(1, gaps))
	switch {
	case gaps == 0: // all of it is the driver's
		it.slowRow = slow
		if slow {
			it.doubt = max(0, it.doubt-(now-since)) // so much of it may have been
		}
	case slow:
		it.exact = true
		it.doubt += now - since
	}
}

// schedule says what of the next rows is to be measured.
func (it *iteration) schedule() {
	step := int64(sampledRows)
	if it.exact || it.count+1 < exactRows {
		step = 1
	} else if it.endable {
		step = max(1, min(followedRows, it.count/4))
	}
	it.readBehind(it.count + step)
	it.gap = it.split && (it.exact || it.listed || it.count < exactRows || it.count-it.gapRow >= sampledRows-1)
}

// readBehind has the clock read next behind that row. A task is told of each row.
func (it *iteration) readBehind(row int64) {
	it.nextReading = row
	if !it.listed {
		it.nextRow = row
	}
}

// closeGap is called before a call of the driver. Gaps that were not measured
// are taken to have been like this one.
func (it *iteration) closeGap() {
	it.gap = false
	now := it.op.db.now()
	took := now - it.last
	if took >= slowGap {
		it.exact = true
		it.readBehind(it.count + 1) // and not at the end of the sample
	}
	if skipped := it.count - it.gapRow - 1; skipped > 0 {
		like := min(it.last-it.gapEnd, took*time.Duration(skipped))
		it.consumer += like
		it.doubt = max(0, it.doubt-like)
	}
	it.consumer += took
	it.gapRow, it.gapEnd, it.parted = it.count, now, true
}

// lastCall returns when the driver was called last, by the pace of the rows where
// the clock was not read since.
func (it *iteration) lastCall() time.Duration {
	return lastCall(it.op.db.now, it.last, it.pace, it.count-it.lastRow)
}

func lastCall(clock func() time.Duration, last, pace time.Duration, rows int64) time.Duration {
	if rows <= 0 {
		return last
	}
	return min(clock(), last+pace*time.Duration(rows))
}

// exhausted is called when raw has no further row, for whatever reason.
func (r *rows) exhausted(err error) {
	it := r.iteration
	it.inside = false
	if err != io.EOF { //nolint:errorlint // database/sql compares it so
		r.finish(&outcome{err: err})
		return
	}
	// There may be a further result set: database/sql asks HasNextResultSet at once,
	// behind which the clock is read if there is.
	if r.single {
		r.finish(&outcome{})
	} else if it.endable {
		it.readClock(1)
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
		if r.iteration != nil { // mostly it is over
			r.finish(&outcome{})
		}
		return false
	}
	returned := false
	defer r.didNotReturn(&returned)
	more := r.raw.(driver.RowsNextResultSet).HasNextResultSet()
	returned = true
	if !more {
		r.finish(&outcome{})
	} else if it := r.iteration; it != nil && (it.split || it.endable) {
		it.readClock(1)
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
			it.readClock(1)
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
		r.finish(&outcome{err: done, at: it.lastCall(), late: true})
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
	if it.listed && !out.late && it.count > it.lastRow {
		it.judge(it.op.db.now(), 1)
	}
	out.consumer, out.doubt, out.returned = it.consumer, it.doubt, it.count
	if length := it.end(out); it.split && !out.late && (it.exact || length >= consumerThreshold) {
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
	length = it.op.length(out)
	if it.op.ledger != nil {
		it.op.account(out, length)
	}
	if out.err != nil {
		errs.Remember(out.err)
	}
	return length
}

// watch has the next rows of such statements watched if these came slowly where
// nobody looked, and no longer if they came quickly while they were.
func (it *iteration) watch(length time.Duration) {
	d := it.op.descriptor
	slow := func(d time.Duration, rows int64) bool {
		return d >= consumerThreshold && d >= slowGap*time.Duration(rows)
	}
	switch {
	case length >= consumerThreshold && it.count > it.gapRow:
		if slow(it.op.db.now()-it.gapEnd, it.count-it.gapRow) {
			d.watched.Store(true)
		}
	case it.exact && d.watched.Load() && !slow(length, it.count):
		d.watched.Store(false)
	}
}

// publish tells the task how far the rows are.
func (it *iteration) publish() {
	p := &it.published
	p.last.Store(int64(it.last))
	// A store costs more than a look.
	for _, v := range [...]struct {
		to   *atomic.Int64
		from int64
	}{{&p.lastRow, it.lastRow}, {&p.pace, int64(it.pace)}, {&p.consumer, int64(it.consumer)}, {&p.doubt, int64(it.doubt)}} {
		if v.to.Load() != v.from {
			v.to.Store(v.from)
		}
	}
}

// EndLeaked implements ledger.Leaker.
func (r *rows) EndLeaked() (ledger.Leak, bool) {
	if !r.ended.CompareAndSwap(false, true) {
		return ledger.Leak{}, false
	}
	it := r.iteration // which the rows keep, now that they cannot take it
	p := &it.published
	out := outcome{
		late:     true,
		consumer: time.Duration(p.consumer.Load()),
		doubt:    time.Duration(p.doubt.Load()),
		returned: p.count.Load(),
		leaked:   true,
	}
	out.at = lastCall(it.op.db.now, time.Duration(p.last.Load()), time.Duration(p.pace.Load()), out.returned-p.lastRow.Load())
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
