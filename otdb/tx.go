package otdb

import "database/sql/driver"

// tx is a transaction. Its commit and rollback are lifecycle operations in the
// context that the transaction was begun with.
type tx struct {
	call // is the context of otelsql's transaction
	conn *conn
	life driver.Tx
}

var _ driver.Tx = (*tx)(nil)

// Commit implements driver.Tx.
func (t *tx) Commit() error { return t.finish(t.life.Commit) }

// Rollback implements driver.Tx.
func (t *tx) Rollback() error { return t.finish(t.life.Rollback) }

func (t *tx) finish(f func() error) (err error) {
	t.conn.settle()
	t.conn.tx = nil
	returned := false
	defer t.done(&returned)
	err = f()
	returned = true
	return err
}
