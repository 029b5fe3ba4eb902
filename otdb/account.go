package otdb

import (
	"time"

	"github.com/taskspan/taskspan/internal/ledger"
)

// account is what an operation is in the ledger of its task.
type account struct {
	ledger *ledger.Ledger // nil outside of tasks
	text   *ledger.Text
	place  *ledger.Place       // where it is listed while it is in progress, or nil
	tx     *ledger.Transaction // that it is a part of, if that was begun in a task
	wait   wait
}

// on makes the operation, which has not begun, one on c that lasts as long as one call of
// the driver, of which there is one at a time.
func (o *operation) on(c *conn) {
	o.place, o.tx, o.wait.conn = &c.place, c.tx.tracked(), c.unclaimed()
}

// enter lists the operation as one that is in progress.
func (o *operation) enter() {
	if o.place != nil {
		if o.times != nil {
			o.ledger.Begin(o.place, o.tx, o.text, o.started, 0)
		} else {
			o.ledger.Begin(o.place, o.tx, o.text, o.db.epoch, o.began)
		}
	}
}

// leave takes the operation off the list, in which it has no place any more.
func (o *operation) leave() {
	if o.place != nil {
		o.place.Leave()
		o.place = nil
	}
}

// beganAt returns when the operation began.
func (o *operation) beganAt() time.Time {
	if o.times != nil {
		return o.started
	}
	return o.db.epoch.Add(o.began)
}

// enterLedger enters the operation into the ledger of its task, and folds it there if it is
// to be. It reports whether it was folded.
func (o *operation) enterLedger(out *outcome, folds bool) (folded bool) {
	e := ledger.Entry{
		Text:     o.text,
		Failed:   out.failed(),
		Rows:     out.rows,
		Duration: out.inDriver(),
		Length:   out.length,
	}
	if o.st != nil {
		e.Batch = o.st.batch
	}
	if folds {
		e.Kind, e.Start = o.folded, o.began
	}
	if o.place == nil || out.leaked { // the task has taken it off the list
		return o.ledger.Record(e)
	}
	return o.ledger.End(o.place, e)
}
