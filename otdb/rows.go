package otdb

import (
	"database/sql/driver"
	"io"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
)

// rows are the rows of a query. The query's operation lasts as long as they do:
// whoever closes them ends it, then.
//
// Like every driver.Rows they are used by one goroutine at a time. A task that
// ends while they are open ends their operation from another goroutine: it
// takes the operation's end with ended, and reads only what is published.
type rows struct {
	raw driver.Rows
	// query is nil once the operation was ended by a call of these rows:
	// whoever goes on to use them calls the driver alone.
	query  *query
	ended  atomic.Bool // the operation's end is taken; not used outside of tasks
	single bool        // the raw rows know of no further result sets

	// These end the rows, for whoever looks for leaks: the contexts of the query and its
	// transaction.
	done, txDone <-chan struct{}

	ledger *ledger.Ledger // of the task, for the driver's texts after the end
	kind   *operationKind // outside of tasks
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

// query is what is known of rows while their operation lasts. It is the
// larger part of them, and its connection uses it again for its next query; the
// rows themselves may outlive it in the hands of a program that has them from
// sql.Conn.Raw, and so are not used again.
type query struct {
	stopwatch // first, so that what each row needs is in one place in memory

	op   operation
	conn *conn
	tx   *tx // the transaction of the query

	// In a task only.
	listed    bool
	place     ledger.Place
	published published
}

// progress is how far rows are.
type progress struct {
	rows   int64
	driver time.Duration // the time inside it
}

// published is the progress that the task may read. The rows write to the one that is
// not the latest, and then make it that. They do not begin to once the task has taken
// their end, so that at most one more is on its way then: none is written to while the
// task reads it.
type published struct {
	progress [2]progress
	latest   atomic.Uint32
}

// newQuery returns what is known of a query of c.
func (c *conn) newQuery() *query {
	q := c.spare
	if q == nil {
		q = new(query)
	}
	c.spare = nil
	q.conn, q.tx = c, c.tx
	q.op.on(c)
	q.op.place = &q.place // rows outlast the call
	return q
}

// release gives the query back to its connection. It must be called from
// within a call of the driver, which database/sql makes one at a time, and when
// nobody else can know of the query any more.
func (q *query) release() {
	c := q.conn
	// An idle connection holds no span and no context.
	if q.listed {
		*q = query{}
	} else {
		q.op, q.conn, q.tx = operation{}, nil, nil
	}
	c.spare = q
}

// fail ends a query that has no rows.
func (q *query) fail(err error) {
	q.op.end(&outcome{err: err})
	q.release()
}

// open returns the rows of a query that has returned raw.
func (q *query) open(raw driver.Rows) driver.Rows {
	op := &q.op
	if raw == nil { // and no error: database/sql has an answer to that
		q.fail(nil)
		return nil
	}
	if op.ledger == nil && !op.recording && op.db.cfg.slow <= 0 {
		q.stopwatch = stopwatch{due: never} // nobody wants to know
	} else {
		q.start(op.db.now())
	}
	_, further := raw.(driver.RowsNextResultSet)
	r := &rows{raw: raw, query: q, single: !further, ledger: op.ledger, done: op.ctx.Done()}
	if q.tx != nil {
		r.txDone = q.tx.ctx.Done()
	}
	switch {
	case op.ledger != nil && q.place.Listed():
		q.listed = true
		r.publish()
		q.place.Hold(r)
	case q.conn.open.Load() == nil:
		r.kind = op.operationKind
		q.conn.open.Store(r)
	}
	return r.shaped()
}

// Columns implements driver.Rows.
func (r *rows) Columns() (columns []string) {
	err := instrument.ErrNotReturned
	defer r.endUnreturned(&err)
	columns, err = r.raw.Columns(), nil
	return columns
}

// Next implements driver.Rows. A deferred call would cost more than all the rest
// of it, so that a panic of the driver is only marked: the operation ends with
// it when the rows are closed. If nobody closes them they are a leak, like any
// others, for the task that ends.
func (r *rows) Next(dest []driver.Value) error {
	q := r.query
	if q == nil {
		return remember(r.ledger, r.raw.Next(dest))
	}
	if q.enter() {
		q.begin()
	}
	if err := r.raw.Next(dest); err != nil {
		r.exhausted(err)
		return err
	}
	if q.leave() {
		r.look()
	}
	return nil
}

// enter is called before the driver looks for a row, and reports whether the call is
// measured. Like leave it is small enough to be inlined.
func (q *query) enter() bool {
	q.inside = true
	return q.rows == q.due
}

// leave is called when the driver has returned a row, and reports whether the clock
// is to be read.
func (q *query) leave() bool {
	q.inside = false
	q.rows++
	return q.rows >= q.due
}

// look reads the clock behind a row.
func (r *rows) look() {
	q := r.query
	measured := q.timing
	q.row(q.op.db.now())
	if measured && q.listed {
		r.publish()
	}
}

// exhausted is called when the driver has no further row, for whatever reason.
func (r *rows) exhausted(err error) {
	r.query.inside = false
	switch {
	case err != io.EOF: //nolint:errorlint // database/sql compares it so
		r.end(err)
	case r.single:
		r.end(nil)
	}
	// Otherwise database/sql asks HasNextResultSet at once, which is measured with this call.
}

// endUnreturned, deferred, ends the operation of rows whose driver has not returned.
func (r *rows) endUnreturned(err *error) {
	if *err == instrument.ErrNotReturned { //nolint:errorlint // the mark itself
		r.end(*err)
	}
}

// HasNextResultSet implements driver.RowsNextResultSet. Without a raw one there
// is no further result set, which is what database/sql takes its absence for.
func (r *rows) HasNextResultSet() (more bool) {
	if !r.single {
		err := instrument.ErrNotReturned
		defer r.endUnreturned(&err)
		more, err = r.raw.(driver.RowsNextResultSet).HasNextResultSet(), nil
	}
	if !more {
		r.end(nil) // unless it is over, as it mostly is
	} else if q := r.query; q != nil && q.due != never {
		q.returned(q.op.db.now())
	}
	return more
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *rows) NextResultSet() (err error) {
	if r.single {
		r.end(nil)
		return io.EOF
	}
	next := r.raw.(driver.RowsNextResultSet)
	q := r.query
	if q == nil {
		return remember(r.ledger, next.NextResultSet())
	}
	q.begin()
	err = instrument.ErrNotReturned
	defer r.endUnreturned(&err)
	err = next.NextResultSet()
	switch {
	case err == io.EOF: //nolint:errorlint // database/sql compares it so
		r.end(nil)
	case err != nil:
		r.end(err)
	case q.due != never:
		q.returned(q.op.db.now())
	}
	return err
}

// begin is called before a call that is measured.
func (q *query) begin() {
	if q.due != never {
		q.call(q.op.db.now())
	}
}

// Close implements driver.Rows. Rows that are closed before their end because a
// context is done have failed with its error.
func (r *rows) Close() (err error) {
	q := r.query
	if q == nil || r.ended.Load() {
		return remember(r.ledger, r.raw.Close())
	}
	done := q.op.ctx.Err()
	if done == nil && q.tx != nil {
		done = q.tx.ctx.Err()
	}
	q.begin()
	err = instrument.ErrNotReturned
	defer func() {
		if done != nil && err != instrument.ErrNotReturned { //nolint:errorlint // the mark itself
			_ = remember(r.ledger, err)
			r.end(done)
		} else {
			r.end(err)
		}
	}()
	return r.raw.Close()
}

// end ends the operation, unless that is over or the task has ended it, and gives the
// query back.
func (r *rows) end(err error) {
	q := r.query
	if q == nil {
		return
	}
	out := outcome{err: err, hasRows: true, rows: q.rows}
	if q.listed {
		if !r.ended.CompareAndSwap(false, true) {
			return // the task has it, and still reads the query
		}
	} else if q.conn.open.Load() == r {
		q.conn.open.Store(nil)
	}
	r.query = nil
	if q.inside {
		out.err = instrument.ErrNotReturned // of an earlier call
	}
	switch {
	case q.due == never:
	case q.timing:
		out.outside = q.outside(q.called) // which the call that ends now adds nothing to
	default:
		out.at = q.op.db.now()
		out.outside = q.outside(out.at)
	}
	q.op.end(&out)
	q.release()
}

// publish makes the progress of the rows known to the task.
func (r *rows) publish() {
	if r.ended.Load() {
		return
	}
	p := &r.query.published
	next := p.latest.Load() ^ 1
	p.progress[next] = progress{r.query.rows, r.query.driver}
	p.latest.Store(next)
}

// EndLeaked implements ledger.Leaker.
func (r *rows) EndLeaked() (rows int64, leaked bool) {
	if isDone(r.done) || isDone(r.txDone) {
		return 0, false // database/sql closes them
	}
	if !r.ended.CompareAndSwap(false, true) {
		return 0, false
	}
	q := r.query // which the rows keep, now that they cannot end it
	latest := q.published.progress[q.published.latest.Load()]
	now := q.op.db.now()
	q.op.end(&outcome{hasRows: true, rows: latest.rows, leaked: true, at: now, outside: now - q.opened - latest.driver})
	return latest.rows, true
}

// isDone reports whether the context is done whose channel that is.
func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
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
