package otdb

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
)

// tx is a transaction. Its commit and rollback are operations in the context
// that the transaction was begun with.
type tx struct {
	raw  driver.Tx
	conn *conn
	ctx  context.Context

	account ledger.Transaction
	ending  atomic.Bool // somebody commits it or rolls it back
}

var (
	_ driver.Tx     = (*tx)(nil)
	_ ledger.Leaker = (*tx)(nil)
)

// tracked returns what the ledger knows of the transaction, or nil if there is none
// or if it was begun outside of tasks.
func (t *tx) tracked() *ledger.Transaction {
	if t == nil || !t.account.Open() {
		return nil
	}
	return &t.account
}

// begin enters the transaction into the ledger of its task. op is its BEGIN, if there
// is such an operation.
func (t *tx) begin(op *operation, out *outcome) {
	l, text, start := op.ledger, op.text, time.Time{}
	if op.operationKind == nil {
		l, text, start = ledger.FromContext(t.ctx), &t.conn.db.beginText, t.now()
	} else {
		start = op.beganAt()
	}
	l.BeginTransaction(&t.account, text, start, start.Add(out.length), t)
}

// now returns the time.
func (t *tx) now() time.Time {
	db := t.conn.db
	return db.cfg.clock.Time(db.now())
}

// Commit implements driver.Tx.
func (t *tx) Commit() error { return t.end(t.conn.db.commit, t.raw.Commit) }

// Rollback implements driver.Tx.
func (t *tx) Rollback() error { return t.end(t.conn.db.rollback, t.raw.Rollback) }

// end ends the transaction with f, which is the operation k unless that is nil.
func (t *tx) end(k *operationKind, f func() error) (err error) {
	t.ending.Store(true)
	op := operation{ctx: t.ctx, account: t.conn.account()}
	t.conn.tx = nil
	if k != nil {
		op.begin(t.ctx, k, nil)
	}
	err = instrument.ErrNotReturned
	defer func() {
		out := outcome{err: err}
		op.end(&out)
		if t.account.Open() {
			t.endAccount(&op, &out)
		}
	}()
	return f()
}

// endAccount takes the transaction, which ends with op, off the ledger.
func (t *tx) endAccount(op *operation, out *outcome) {
	if op.operationKind == nil {
		t.account.End(t.now())
	} else {
		t.account.End(op.beganAt().Add(out.length))
	}
}

// EndLeaked implements ledger.Leaker. A transaction whose context is done is rolled
// back by database/sql.
func (t *tx) EndLeaked() (rows int64, leaked bool) {
	return 0, !t.ending.Load() && !isDone(t.ctx.Done())
}
