package otdb

import (
	"context"
	"database/sql/driver"
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
func (t *tx) Commit() (err error) {
	var op operation
	t.end(&op, t.conn.db.commit)
	returned := false
	defer func() { op.finish(err, returned) }()
	err = t.raw.Commit()
	returned = true
	return err
}

// Rollback implements driver.Tx.
func (t *tx) Rollback() (err error) {
	var op operation
	t.end(&op, t.conn.db.rollback)
	returned := false
	defer func() { op.finish(err, returned) }()
	err = t.raw.Rollback()
	returned = true
	return err
}

// end begins the operation that ends the transaction.
func (t *tx) end(op *operation, d *descriptor) {
	t.conn.settle()
	t.conn.tx = nil
	if d != nil {
		op.begin(t.ctx, d, "", d.startOptions)
	}
}
