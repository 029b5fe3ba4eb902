package fakedb

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// conn has every interface of a connection. database/sql gets one of
// the generated types around it.
type conn struct {
	db     *DB
	number int

	// Plain mode hands these out again and again.
	plainStmt driver.Stmt
	plainRows driver.Rows
	plain     *rows
}

func newConn(db *DB) driver.Conn {
	c := &conn{db: db, number: db.number(0)}
	if db.Plain {
		c.plain = &rows{db: db, of: c.number, sets: db.results("")}
		c.plainRows = c.plain.shaped()
		c.plainStmt = (&stmt{db: db, conn: c, inputs: -1}).shaped()
	}
	return c.shaped()
}

// Number is the connection's number, from 1.
func (c *conn) Number() int { return c.number }

func (c *conn) call(ctx context.Context, m Method, detail string) (bool, error) {
	return c.db.call(ctx, Call{Method: m, Object: c.number, Detail: detail})
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.prepare(noContext, ConnPrepare, query)
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.prepare(ctx, ConnPrepareWithContext, query)
}

func (c *conn) prepare(ctx context.Context, m Method, query string) (driver.Stmt, error) {
	if c.db.Plain {
		return c.plainStmt, nil
	}
	if handled, err := c.call(ctx, m, query); handled {
		return nil, err
	}
	s := &stmt{db: c.db, conn: c, number: c.db.number(1), query: query, inputs: c.db.numInput(query)}
	return s.shaped(), nil
}

func (c *conn) Close() error { return c.errorOnly(noContext, ConnClose) }

func (c *conn) Begin() (driver.Tx, error) { return c.begin(noContext, ConnBegin, "") }

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.db.Plain {
		return tx{c}, nil
	}
	return c.begin(ctx, ConnBeginWithContext, fmt.Sprintf("isolation=%d readonly=%v", opts.Isolation, opts.ReadOnly))
}

func (c *conn) begin(ctx context.Context, m Method, detail string) (driver.Tx, error) {
	if c.db.Plain {
		return tx{c}, nil
	}
	if handled, err := c.call(ctx, m, detail); handled {
		return nil, err
	}
	return tx{c}, nil
}

func (c *conn) Ping(ctx context.Context) error { return c.errorOnly(ctx, ConnPing) }

func (c *conn) ResetSession(ctx context.Context) error { return c.errorOnly(ctx, ConnResetSession) }

func (c *conn) IsValid() bool { return c.errorOnly(noContext, ConnIsValid) == nil }

func (c *conn) errorOnly(ctx context.Context, m Method) error {
	if c.db.Plain {
		return nil
	}
	_, err := c.call(ctx, m, "")
	return err
}

func (c *conn) CheckNamedValue(nv *driver.NamedValue) error {
	if c.db.Plain {
		return driver.ErrSkip
	}
	return check(c.db, Call{Method: ConnCheckNamedValue, Object: c.number}, nv, c.db.CheckConn)
}

func check(db *DB, call Call, nv *driver.NamedValue, f func(*driver.NamedValue) error) error {
	call.Detail = describe([]driver.NamedValue{*nv})
	handled, err := db.call(noContext, call)
	switch {
	case handled:
		return err
	case f != nil:
		return f(nv)
	default:
		return driver.ErrSkip
	}
}

func (c *conn) Exec(query string, args []driver.Value) (driver.Result, error) {
	if c.db.Plain {
		return driver.ResultNoRows, nil
	}
	return c.exec(noContext, ConnExec, query+describeLegacy(args))
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.db.Plain {
		return driver.ResultNoRows, nil
	}
	return c.exec(ctx, ConnExecContext, query+describe(args))
}

func (c *conn) exec(ctx context.Context, m Method, detail string) (driver.Result, error) {
	if handled, err := c.call(ctx, m, detail); handled {
		return nil, err
	}
	return result{c}, nil
}

func (c *conn) Query(query string, args []driver.Value) (driver.Rows, error) {
	if c.db.Plain {
		return c.rewound(), nil
	}
	return c.query(noContext, ConnQuery, query, describeLegacy(args))
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.db.Plain {
		return c.rewound(), nil
	}
	return c.query(ctx, ConnQueryContext, query, describe(args))
}

func (c *conn) query(ctx context.Context, m Method, query, args string) (driver.Rows, error) {
	if handled, err := c.call(ctx, m, query+args); handled {
		return nil, err
	}
	return newRows(c, query), nil
}

// rewound returns the rows of plain mode.
func (c *conn) rewound() driver.Rows {
	c.plain.set, c.plain.row = 0, 0
	return c.plainRows
}

// tx is a transaction.
type tx struct{ *conn }

func (t tx) Commit() error { return t.errorOnly(noContext, TxCommit) }

func (t tx) Rollback() error { return t.errorOnly(noContext, TxRollback) }

// result is the result of an exec.
type result struct{ c *conn }

// LastInsertId implements driver.Result.
func (r result) LastInsertId() (int64, error) {
	_, err := r.c.call(noContext, ResultLastInsertID, "")
	return 7, err
}

// RowsAffected implements driver.Result.
func (r result) RowsAffected() (int64, error) {
	_, err := r.c.call(noContext, ResultRowsAffected, "")
	return 2, err
}
