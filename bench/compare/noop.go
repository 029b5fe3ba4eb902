package main

import (
	"context"
	"database/sql/driver"
	"io"
)

// noopConnector leads to a database that answers at once, out of what its
// connections hold ready. They and their statements have the interfaces that
// spare database/sql detours. They have no SessionResetter, which some of the
// peers would record.
func noopConnector(rows int) driver.Connector { return noop{rows} }

type noop struct{ rows int }

func (d noop) Connect(context.Context) (driver.Conn, error) {
	c := &noopConn{}
	c.rows.n = d.rows
	return c, nil
}

func (d noop) Driver() driver.Driver { return noopDriver{d} }

type noopDriver struct{ noop }

func (d noopDriver) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }

// noopConn is a connection with its one statement, transaction and rows.
type noopConn struct{ rows noopRows }

var (
	_ driver.ExecerContext      = (*noopConn)(nil)
	_ driver.QueryerContext     = (*noopConn)(nil)
	_ driver.ConnPrepareContext = (*noopConn)(nil)
	_ driver.ConnBeginTx        = (*noopConn)(nil)
	_ driver.StmtExecContext    = noopStmt{}
	_ driver.StmtQueryContext   = noopStmt{}
)

func (c *noopConn) Close() error                        { return nil }
func (c *noopConn) Begin() (driver.Tx, error)           { return noopTx{}, nil }
func (c *noopConn) Prepare(string) (driver.Stmt, error) { return noopStmt{c}, nil }

func (c *noopConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return noopTx{}, nil
}

func (c *noopConn) PrepareContext(context.Context, string) (driver.Stmt, error) {
	return noopStmt{c}, nil
}

func (c *noopConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}

func (c *noopConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	c.rows.next = 0
	return &c.rows, nil
}

type noopTx struct{}

func (noopTx) Commit() error   { return nil }
func (noopTx) Rollback() error { return nil }

// noopStmt is one pointer, so that no interface that holds it needs memory.
type noopStmt struct{ c *noopConn }

func (noopStmt) Close() error                               { return nil }
func (noopStmt) NumInput() int                              { return -1 }
func (noopStmt) Exec([]driver.Value) (driver.Result, error) { return driver.ResultNoRows, nil }

func (s noopStmt) Query([]driver.Value) (driver.Rows, error) {
	return s.c.QueryContext(context.Background(), "", nil)
}

func (noopStmt) ExecContext(context.Context, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}

func (s noopStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, "", args)
}

var noopColumns = []string{"id"}

// noopRows are rows of one small number, which needs no memory.
type noopRows struct{ n, next int }

func (*noopRows) Columns() []string { return noopColumns }
func (*noopRows) Close() error      { return nil }

func (r *noopRows) Next(dest []driver.Value) error {
	if r.next == r.n {
		return io.EOF
	}
	r.next++
	dest[0] = int64(1)
	return nil
}
