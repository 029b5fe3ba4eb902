package otdb

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/taskspan/taskspan/internal/instrument"
)

// skipped is the operation of a statement whose fast path raw has skipped with
// ErrSkip. database/sql goes on by preparing and executing the same statement
// on the same connection, in which the operation goes on too.
//
// It does so whatever happens, but in between it gives the connection free:
// goroutines that share a transaction or a single connection may use it for
// anything, such as statements that are skipped too, pings and transactions.
// None of that shows that nobody goes on with a statement. Only a program that
// calls the driver itself comes to that.
type skipped struct {
	operation
	ctx   context.Context // that database/sql called with
	query string
}

// maxSkipped is how many statements a connection keeps: far more than there are
// goroutines to share it.
const maxSkipped = 256

// keepSkipped keeps a statement until it is prepared.
func (c *conn) keepSkipped(sk *skipped) {
	if len(c.skipped) == maxSkipped {
		c.skipped[0].abandon()
		c.skipped = slices.Delete(c.skipped, 0, 1)
	}
	c.skipped = append(c.skipped, sk)
}

// takeSkipped returns the oldest statement that a call of PrepareContext goes on
// with, or nil.
func (c *conn) takeSkipped(ctx context.Context, query string) *skipped {
	for i, sk := range c.skipped {
		if sk.query == query && sameContext(sk.ctx, ctx) {
			c.skipped = slices.Delete(c.skipped, i, i+1)
			return sk
		}
	}
	return nil
}

// abandonSkipped ends the operations of the statements that nobody went on with.
// It is called when nobody can any more: the connection is closed, or comes from
// the pool and is reset.
func (c *conn) abandonSkipped() {
	for _, sk := range c.skipped {
		sk.abandon()
	}
	clear(c.skipped)
	c.skipped = c.skipped[:0] // for the next one without an allocation
}

func (s *skipped) abandon() {
	s.end(&outcome{class: abandoned})
}

// sameContext reports whether a and b are the same. Contexts need not be
// comparable: two of one type that cannot be compared count as the same if they
// end together. To ask reflect beforehand would allocate for context.Background.
func sameContext(a, b context.Context) (same bool) {
	defer func() {
		if recover() != nil { // they are of one type, and not comparable
			same = a.Done() == b.Done()
		}
	}()
	return a == b
}

// prepareSkipped is PrepareContext for a statement that raw has skipped.
func (c *conn) prepareSkipped(ctx context.Context, sk *skipped) (_ driver.Stmt, err error) {
	st := c.statement(sk.query)
	sk.place = &c.place
	sk.enter()
	err = instrument.ErrNotReturned
	defer func() {
		if err != nil {
			sk.end(&outcome{err: err})
		} else {
			sk.leave()
		}
	}()
	raw, err := c.prepare(sk.operation.ctx, c.db.comment.prepared(ctx, st, sk.query))
	if err != nil {
		return nil, err
	}
	return newStmt(c, raw, st, sk), nil
}
