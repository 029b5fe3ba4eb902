package otdb

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
)

// txOutcome is how a transaction ended.
type txOutcome uint8

const (
	txCommit txOutcome = iota
	txRollback
	txLost // nobody knows, or nobody has asked the database
)

var txOutcomes = [...]string{txCommit: "commit", txRollback: "rollback", txLost: "lost"}

const txOutcomeKey = attribute.Key("otdb.transaction.outcome")

// transactionBuckets are those of the durations of tasks.
var transactionBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}

// tx is a transaction of database/sql. Its commit and rollback are operations in the
// context that the transaction was begun with.
type tx struct {
	transaction
	raw  driver.Tx
	conn *conn
}

var _ driver.Tx = (*tx)(nil)

// transaction is what is known of a transaction, whoever runs it.
type transaction struct {
	db  *database
	ctx context.Context // that it was begun with

	account ledger.Transaction
	began   time.Time
	ending  atomic.Bool // somebody commits it or rolls it back
}

var _ ledger.Leaker = (*transaction)(nil)

// tracked returns what the ledger knows of the transaction, or nil if there is none
// or if it was begun outside of tasks.
func (t *transaction) tracked() *ledger.Transaction {
	if t == nil || !t.account.Open() {
		return nil
	}
	return &t.account
}

// tracked is that of the transaction, which may be nil.
func (t *tx) tracked() *ledger.Transaction {
	if t == nil {
		return nil
	}
	return t.transaction.tracked()
}

// begin enters the transaction into the ledger of its task. op is its BEGIN or, if
// there is no such operation, not begun, and began is when that was called.
func (t *transaction) begin(op *operation, out *outcome, began time.Time) {
	db := t.db
	if op.operationKind == nil {
		t.began = began
		ledger.FromContext(t.ctx).BeginTransaction(&t.account, &db.beginText, began, db.time(), t)
	} else {
		t.began = op.beganAt()
		op.ledger.BeginTransaction(&t.account, op.text, t.began, t.began.Add(out.length), t)
	}
}

// Commit implements driver.Tx.
func (t *tx) Commit() error { return t.end(t.conn.db.commit, txCommit, t.raw.Commit) }

// Rollback implements driver.Tx.
func (t *tx) Rollback() error { return t.end(t.conn.db.rollback, txRollback, t.raw.Rollback) }

// end ends the transaction with f, which is the operation k unless that is nil, and
// whose success has that outcome.
func (t *tx) end(k *operationKind, success txOutcome, f func() error) (err error) {
	first := !t.ending.Swap(true)
	op := operation{ctx: t.ctx}
	op.on(t.conn)
	t.conn.tx = nil
	if k != nil {
		op.begin(t.ctx, k, nil)
	}
	err = instrument.ErrNotReturned
	defer func() {
		out := outcome{err: err}
		op.end(&out)
		if !first {
			return
		}
		t.endedBy(&op, &out, success)
	}()
	return f()
}

// endedBy takes the transaction off the ledger that op, or a call that is no operation,
// has ended so. Its success has that outcome.
func (t *transaction) endedBy(op *operation, out *outcome, success txOutcome) {
	if op.operationKind == nil {
		t.ended(t.ctx, t.db.time(), out.transaction(success))
	} else {
		t.ended(op.ctx, op.beganAt().Add(out.length), out.transaction(success))
	}
}

// transaction returns the outcome of a transaction that a call has ended so. An expected
// error is one here as well: what was not committed is not there.
func (out *outcome) transaction(success txOutcome) txOutcome {
	switch {
	case out.class == nil:
		return success
	case success == txCommit && out.class.Code != "":
		return txRollback // the database refused
	default:
		return txLost
	}
}

// ended takes the transaction, which ended at that time, off the ledger, and records
// its duration.
func (t *transaction) ended(ctx context.Context, at time.Time, o txOutcome) {
	t.account.End(at)
	db := t.db
	defer scope.Guard("the meter")
	db.transaction.Record(ctx, max(0, at.Sub(t.began)).Seconds(), db.transactions[o]...)
}

// loseTx ends a transaction that nobody can end any more, as its connection is used
// for something else, or closed.
func (c *conn) loseTx() {
	t := c.tx
	c.tx = nil
	if t != nil {
		t.endNow(txLost)
	}
}

// endNow ends a transaction that no operation is known to end, unless one has ended it.
func (t *transaction) endNow(o txOutcome) {
	if !t.ending.Swap(true) {
		t.ended(t.ctx, t.db.time(), o)
	}
}

// EndLeaked implements ledger.Leaker. A transaction whose context is done is rolled
// back by database/sql.
func (t *transaction) EndLeaked() (rows int64, leaked bool) {
	return 0, !t.ending.Load() && !isDone(t.ctx.Done())
}
