package bench

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"testing"
)

// connector is a database that answers every statement at once: an exec affects
// one row, a query returns rows of one integer.
type connector struct {
	rows int
}

var (
	_ driver.Connector      = connector{}
	_ driver.ExecerContext  = (*conn)(nil)
	_ driver.QueryerContext = (*conn)(nil)
	_ driver.ConnBeginTx    = (*conn)(nil)
)

func (c connector) Connect(context.Context) (driver.Conn, error) { return &conn{rows: c.rows}, nil }
func (c connector) Driver() driver.Driver                        { return noop{} }

// noop is the driver of a connector, which needs none.
type noop struct{}

func (noop) Open(string) (driver.Conn, error) { return nil, driver.ErrBadConn }

type conn struct {
	rows int
}

func (*conn) Close() error                        { return nil }
func (*conn) Begin() (driver.Tx, error)           { return tx{}, nil }
func (*conn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }

func (*conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return tx{}, nil }

func (*conn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

func (c *conn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &rows{left: c.rows}, nil
}

type tx struct{}

func (tx) Commit() error   { return nil }
func (tx) Rollback() error { return nil }

type rows struct {
	left int
}

var columns = []string{"n"}

func (*rows) Columns() []string { return columns }
func (*rows) Close() error      { return nil }

func (r *rows) Next(dest []driver.Value) error {
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	dest[0] = int64(r.left)
	return nil
}

// count reads all rows of a query and returns how many there were.
func count(ctx context.Context, db *sql.DB) (int, error) {
	rows, err := db.QueryContext(ctx, query, 1)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}

// TestConnector shows that the driver does what the benchmarks take it to do.
func TestConnector(t *testing.T) {
	for name, db := range map[string]*sql.DB{"bare": open(3, bare), "sampled": open(3, sampled), "unsampled": open(3, unsampled)} {
		t.Run(name, func(t *testing.T) {
			defer db.Close()
			if n, err := count(t.Context(), db); err != nil || n != 3 {
				t.Errorf("count = %d, %v, want 3", n, err)
			}
			result, err := db.ExecContext(t.Context(), statement, 1, 2)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := result.RowsAffected(); err != nil || n != 1 {
				t.Errorf("rows affected = %d, %v, want 1", n, err)
			}
			if err := transaction(t.Context(), db); err != nil {
				t.Error(err)
			}
		})
	}
}
