package main

import (
	"context"
	"database/sql/driver"
	"io"
)

// connector leads to a database that answers at once. Its connections have
// every optional interface that the drivers in wide use have.
type connector struct{ rows int }

func (c connector) Connect(context.Context) (driver.Conn, error) { return &conn{rows: c.rows}, nil }
func (c connector) Driver() driver.Driver                        { return c }
func (c connector) Open(string) (driver.Conn, error)             { return &conn{rows: c.rows}, nil }

type conn struct{ rows int }

var (
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
)

func (c *conn) Close() error              { return nil }
func (c *conn) Commit() error             { return nil }
func (c *conn) Rollback() error           { return nil }
func (c *conn) Begin() (driver.Tx, error) { return c, nil }
func (c *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return c, nil
}
func (c *conn) Prepare(string) (driver.Stmt, error) { return &stmt{c}, nil }
func (c *conn) PrepareContext(context.Context, string) (driver.Stmt, error) {
	return &stmt{c}, nil
}

func (c *conn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

func (c *conn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &rows{left: c.rows}, nil
}

type stmt struct{ c *conn }

var (
	_ driver.StmtExecContext  = (*stmt)(nil)
	_ driver.StmtQueryContext = (*stmt)(nil)
)

func (s *stmt) Close() error                               { return nil }
func (s *stmt) NumInput() int                              { return -1 }
func (s *stmt) Exec([]driver.Value) (driver.Result, error) { return driver.RowsAffected(1), nil }
func (s *stmt) Query([]driver.Value) (driver.Rows, error)  { return &rows{left: s.c.rows}, nil }
func (s *stmt) ExecContext(context.Context, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

func (s *stmt) QueryContext(context.Context, []driver.NamedValue) (driver.Rows, error) {
	return &rows{left: s.c.rows}, nil
}

type rows struct{ left int }

var columns = []string{"id"}

func (r *rows) Columns() []string { return columns }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(dest []driver.Value) error {
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	dest[0] = int64(r.left & 127) // a small one, which needs no allocation
	return nil
}
