package otdb

import (
	"context"
	"database/sql/driver"

	"github.com/taskspan/taskspan/internal/instrument"
)

// tx is a transaction. Its commit and rollback are operations in the context
// that the transaction was begun with.
type tx struct {
	raw  driver.Tx
	conn *conn
	ctx  context.Context
}

var _ driver.Tx = (*tx)(nil)

// Commit implements driver.Tx.
func (t *tx) Commit() error { return t.end(t.conn.db.commit, t.raw.Commit) }

// Rollback implements driver.Tx.
func (t *tx) Rollback() error { return t.end(t.conn.db.rollback, t.raw.Rollback) }

// end ends the transaction with f, which is the operation k unless that is nil.
func (t *tx) end(k *operationKind, f func() error) (err error) {
	t.conn.tx = nil
	op := operation{ctx: t.ctx}
	if k != nil {
		op.begin(t.ctx, k, nil)
	}
	err = instrument.ErrNotReturned
	defer func() { op.end(&outcome{err: err}) }()
	return f()
}
