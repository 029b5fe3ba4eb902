package otdb

import (
	"database/sql/driver"
	"math"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/ledger"
)

// Rows are read in turns of their consumer and of the driver. Two things are to be
// known of that: what the consumer's turns take of the operation's length, and, where
// something else than the consumer may end the rows (a context, a task), when the
// driver's last turn ended. To read the clock around a row costs more than the row
// itself where its driver has it at hand. So it is read
//
//   - around the first rows: in a task, firstRows; elsewhere exactRows, and behind
//     further ones up to firstRows where something else may end them;
//   - then when a ticker says that time has passed, and around the two rows that
//     follow. By then it is known what each turn takes at least, and what the time
//     since the last reading was longer is the turn's in which the tick was seen. So
//     turns that are shorter than its period are told as a profiler tells them, by
//     chance and in proportion, and longer ones as the clock does, to within a period;
//   - around all rows that take slowGap and more on average: to them it adds nothing.
//
// Where nobody but the consumer may end the rows, all that is at stake is an attribute,
// for which a query of few rows must cost no tick: nobody looks at those behind
// exactRows and up to blindRows.
//
// Rows that turn out to have come slowly where the consumer's turns are not told from
// the driver's have the next rows of such statements watched, which is to be looked at
// as in a task.
const (
	exactRows = 2
	firstRows = 16
	blindRows = 128
	slowGap   = 10 * time.Microsecond
)

// phase is how rows are looked at.
type phase uint8

const (
	unobserved phase = iota // nobody wants to know
	exact                   // at the end of each turn of the driver
	blind                   // not at all until blindRows
	ticking                 // by the ticker
)

// iteration is what is known of rows while their operation lasts. It is the
// larger part of them, and its connection uses it again for its next query; the
// rows themselves may outlive it in the hands of a program that has them from
// sql.Conn.Raw, and so are not used again.
type iteration struct {
	// What each row needs comes first, so that it is in one place in memory.
	count  int64
	until  int64   // the count at which the phase ends
	ticker *ticker // of the process
	seen   uint32  // the ticker's count until which there is nothing to look at
	// inside is set while the driver looks for the next row, and after that if
	// it panicked.
	inside bool
	listed bool // in the ledger of the task

	phase   phase
	turns   bool // where the clock is read, it is at the end of the consumer's turns too
	brief   bool // until exactRows only
	split   bool // somebody wants to know the consumer's part
	endable bool // something else than the consumer may end the rows

	calling  bool          // the last reading was before a call of the driver
	last     time.Duration // that reading
	lastRow  int64         // the count at it
	consumer time.Duration // the consumer's turns until then
	setRow   int64         // the count at which the result set began
	least    struct{ consumer, driver turn }
	exactAt  time.Duration // the reading at which the phase exact began
	exactRow int64         // the count at it

	op   operation
	conn *conn
	tx   *tx // the transaction of the query

	place ledger.OpenRows
	// published is what the task may read that ends while rows are open. Behind
	// lastRow there are no readings, and each row took pace, and of that its
	// consumer gap; before that pace is 0.
	published struct {
		count, consumer, last, lastRow, pace, gap atomic.Int64
	}
}

// turn is the shortest of the turns that were measured, plus one: 0 is for none.
type turn time.Duration

func (t *turn) measured(took time.Duration) {
	if *t == 0 || took < time.Duration(*t-1) {
		*t = turn(took) + 1
	}
}

// times returns what n turns take at least.
func (t turn) times(n int64) time.Duration {
	return time.Duration(max(0, t-1)) * time.Duration(max(0, n))
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
	*it = iteration{} // an idle connection holds no span and no context
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
	it.ticker = op.db.cfg.ticker
	it.split = op.recording || op.ledger != nil || op.db.cfg.slow > 0
	it.endable = op.ledger != nil || op.ctx.Done() != nil || it.tx != nil && it.tx.ctx.Done() != nil
	if it.split || it.endable {
		it.last = op.db.now()
		it.begin()
	} else {
		it.until = math.MaxInt64
		it.seen = it.ticker.count.Load()
	}
	if op.db.cfg.untilReturn {
		op.report(&outcome{returned: unknown, affected: unknown})
		op.reported = true
	}
	_, further := raw.(driver.RowsNextResultSet)
	r := &rows{raw: raw, iteration: it, single: !further}
	if op.ledger != nil {
		it.listed = true
		it.publish()
		op.ledger.Open(&it.place, r)
	}
	return r.shaped()
}

// begin begins with a result set, at the last reading.
func (it *iteration) begin() {
	it.setRow, it.least.consumer, it.least.driver = it.count, 0, 0
	it.measure(firstRows)
	it.brief = it.op.ledger == nil && !it.op.watched.Load()
}

// measure has the clock read for the next n rows, from the last reading on.
func (it *iteration) measure(n int64) {
	it.phase, it.turns, it.brief = exact, it.split, false
	it.exactAt, it.exactRow = it.last, it.count
	it.until = it.count + n
	it.seen = it.ticker.count.Load() ^ 1<<31 // which the ticker does not reach in weeks
}

// rely has the clock read when the ticker says so, from the last reading on.
func (it *iteration) rely() {
	if isBubbled(it.last) {
		it.measure(firstRows)
		return
	}
	it.phase, it.turns = ticking, it.split
	it.until = math.MaxInt64
	it.seen = it.ticker.count.Load()
	it.ticker.want()
}

// ticked reports whether there is something to look at.
func (it *iteration) ticked() bool { return it.ticker.count.Load() != it.seen }

// enter is called before the driver is called for the next row or to close the rows.
func (it *iteration) enter() {
	if it.ticked() {
		it.endOfConsumersTurn()
	}
}

// leave is called when the driver has given a row, and returns whether
// endOfDriversTurn is to be called, which would not be inlined from here.
func (it *iteration) leave() bool {
	it.count++
	return it.listed || it.count == it.until || it.ticked()
}

func (it *iteration) endOfConsumersTurn() {
	if !it.turns {
		return // a tick is left to the end of the driver's turn
	}
	now := it.op.db.now()
	calls := it.count - it.lastRow
	if calls == 0 && it.count > it.setRow { // before that it has no row to work on
		it.least.consumer.measured(now - it.last)
	}
	switch took := it.consumed(now); {
	case it.phase == ticking:
		it.measure(exactRows)
	case took >= slowGap:
		it.measure(firstRows)
	case it.brief && it.count-it.exactRow+1 >= exactRows:
		it.turns, it.brief = false, false
		if !it.endable {
			it.phase, it.until = blind, it.exactRow+blindRows
			it.seen = it.ticker.count.Load()
		}
	}
}

func (it *iteration) endOfDriversTurn() {
	if it.listed {
		it.published.count.Store(it.count)
		if it.count != it.until && !it.ticked() {
			return
		}
	}
	if it.phase == unobserved || it.phase == blind && it.count < it.until {
		it.seen = it.ticker.count.Load()
		return
	}
	now := it.op.db.now()
	rows, took := it.count-it.lastRow, now-it.last
	if it.gaps() == 0 || !it.split && rows == 1 && it.lastRow > it.setRow {
		it.least.driver.measured(took) // which is the consumer's too where nobody asks
	}
	it.served(now)
	switch {
	case it.phase == ticking:
		it.measure(exactRows)
	case it.phase == exact && it.split && !it.turns && took >= slowGap:
		it.measure(firstRows) // which may be the consumer's doing
	case it.count < it.until:
	case it.phase == exact && now-it.exactAt >= slowGap*time.Duration(it.count-it.exactRow):
		it.measure(firstRows)
	default:
		it.rely()
	}
	if it.listed {
		it.publish()
	}
}

// gaps returns how many turns the consumer has had since the last reading, if the
// driver's is the one that ends.
func (it *iteration) gaps() int64 {
	n := it.count - it.lastRow
	if it.calling {
		n--
	}
	return max(0, n)
}

// consumed enters the time since the last reading where the consumer's turn ends now,
// and returns how much of it is the consumer's.
func (it *iteration) consumed(now time.Duration) (took time.Duration) {
	took = max(0, now-it.last-it.least.driver.times(it.count-it.lastRow))
	it.consumer += took
	it.calling, it.last, it.lastRow = true, now, it.count
	return took
}

// served enters the time since the last reading where the driver's turn ends now.
func (it *iteration) served(now time.Duration) {
	took, rows := now-it.last, it.count-it.lastRow
	if it.split {
		it.consumer += min(took, it.least.consumer.times(it.gaps()))
	}
	if it.split && !it.turns && rows > 0 && slowly(took, rows) {
		it.op.watched.Store(true)
	}
	it.calling, it.last, it.lastRow = false, now, it.count
}

// endOfSet is called when the driver has said that there is another result set, and
// when it has begun with it.
func (it *iteration) endOfSet() {
	if it.split || it.endable {
		it.served(it.op.db.now())
		if it.listed {
			it.publish()
		}
	}
}

// lastTurn returns when the driver's last turn ended.
func (it *iteration) lastTurn() time.Duration {
	if rows := it.count - it.lastRow; rows > 0 {
		return it.last + min(tickPeriod, it.pace().times(rows), it.op.db.now()-it.last)
	}
	return it.last
}

// pace is what a row takes at least.
func (it *iteration) pace() turn { return it.least.driver + max(0, it.least.consumer-1) }

// publish tells the task how far the rows are.
func (it *iteration) publish() {
	p := &it.published
	publish(&p.consumer, int64(it.consumer))
	publish(&p.last, int64(it.last))
	if it.phase != ticking {
		publish(&p.pace, 0)
		return
	}
	publish(&p.lastRow, it.lastRow)
	publish(&p.gap, int64(it.least.consumer))
	publish(&p.pace, int64(it.pace()))
}

// publish stores v, which costs more than to look whether it is there.
func publish(p *atomic.Int64, v int64) {
	if p.Load() != v {
		p.Store(v)
	}
}

// account completes the outcome by what is known of the rows.
func (it *iteration) account(out *outcome) {
	out.returned, out.consumer = it.count, it.consumer
	if rest := it.least.consumer.times(it.gaps()); it.split && rest > 0 {
		if out.late {
			rest = min(rest, out.at-it.last)
		} else if rest >= slowGap {
			rest = min(rest, it.op.db.now()-it.last)
		}
		out.consumer += rest
	}
}

// accountLeaked is account for the task: it reads what is published alone.
func (it *iteration) accountLeaked(out *outcome) {
	p := &it.published
	out.returned, out.consumer, out.at = p.count.Load(), time.Duration(p.consumer.Load()), time.Duration(p.last.Load())
	if pace := turn(p.pace.Load()); pace > 0 {
		rows := out.returned - p.lastRow.Load()
		rest := min(tickPeriod, pace.times(rows), it.op.db.now()-out.at)
		out.consumer += min(rest, turn(p.gap.Load()).times(rows))
		out.at += rest
	}
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
// nobody looked, and no longer if they came quickly.
func (it *iteration) watch(length time.Duration) {
	watched := &it.op.watched
	switch {
	case it.split && !it.turns && it.count > it.lastRow && length >= consumerThreshold:
		if slowly(it.op.db.now()-it.last, it.count-it.lastRow) {
			watched.Store(true)
		}
	case watched.Load() && !slowly(length, it.count):
		watched.Store(false)
	}
}

// slowly reports whether rows took so long that their consumer may have made the
// operation longer than a span tells without a word.
func slowly(took time.Duration, rows int64) bool {
	return took >= consumerThreshold && took >= slowGap*time.Duration(rows)
}
