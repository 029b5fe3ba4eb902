package otpgx

import (
	"context"
	"database/sql"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/otdb/otpgx"
)

const environment = "TASKSPAN_TEST_POSTGRES"

// dsn returns that of the server. Without one the test is skipped, and fails on a build
// server.
func dsn(t *testing.T) string {
	t.Helper()
	text := os.Getenv(environment)
	switch {
	case text != "":
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not set", environment)
	default:
		t.Skipf("%s is not set", environment)
	}
	return text
}

// database is what a program needs of one, whatever the client.
type database interface {
	executor
	begin(context.Context) (transaction, error)
	prepared(ctx context.Context, query string, args ...any) (rows int, err error)
}

type executor interface {
	exec(ctx context.Context, query string, args ...any) error
	// query reads all rows.
	query(ctx context.Context, query string, args ...any) (rows int, err error)
	// open leaves the rows open.
	open(ctx context.Context, query string, args ...any) (closeRows func(), err error)
}

type transaction interface {
	executor
	commit(context.Context) error
	rollback(context.Context) error
}

// throughSQL is a database by database/sql.
type throughSQL struct {
	db *sql.DB
	sqlExecutor
}

func openSQL(t *testing.T, opts ...otdb.Option) database {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	db := otdb.OpenDB(stdlib.GetConnector(*cfg), opts...)
	t.Cleanup(func() { _ = db.Close() })
	return throughSQL{db, sqlExecutor{db}}
}

func (d throughSQL) begin(ctx context.Context) (transaction, error) {
	tx, err := d.db.BeginTx(ctx, nil)
	return sqlTx{sqlExecutor{tx}, tx}, err
}

func (d throughSQL) prepared(ctx context.Context, query string, args ...any) (int, error) {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stmt, err := conn.PrepareContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	return readSQL(stmt.QueryContext(ctx, args...))
}

type sqlExecutor struct {
	on interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

func (e sqlExecutor) exec(ctx context.Context, query string, args ...any) error {
	_, err := e.on.ExecContext(ctx, query, args...)
	return err
}

func (e sqlExecutor) query(ctx context.Context, query string, args ...any) (int, error) {
	return readSQL(e.on.QueryContext(ctx, query, args...))
}

func readSQL(rows *sql.Rows, err error) (n int, _ error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

func (e sqlExecutor) open(ctx context.Context, query string, args ...any) (func(), error) {
	rows, err := e.on.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return func() { _ = rows.Close() }, nil
}

type sqlTx struct {
	sqlExecutor
	tx *sql.Tx
}

func (t sqlTx) commit(context.Context) error   { return t.tx.Commit() }
func (t sqlTx) rollback(context.Context) error { return t.tx.Rollback() }

// throughPgx is a database by pgxpool.
type throughPgx struct {
	pool *pgxpool.Pool
	pgxExecutor
}

func openPgx(t *testing.T, opts ...otdb.Option) *throughPgx {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	tracer, err := otpgx.NewTracer(opts...)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &throughPgx{pool, pgxExecutor{pool}}
}

func (d *throughPgx) begin(ctx context.Context) (transaction, error) {
	tx, err := d.pool.Begin(ctx)
	return pgxTx{pgxExecutor{tx}, tx}, err
}

func (d *throughPgx) prepared(ctx context.Context, query string, args ...any) (n int, err error) {
	err = d.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		if _, err := c.Conn().Prepare(ctx, "q", query); err != nil {
			return err
		}
		n, err = readPgx(c.Query(ctx, "q", args...))
		return err
	})
	return n, err
}

type pgxExecutor struct {
	on interface {
		Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error)
		Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	}
}

func (e pgxExecutor) exec(ctx context.Context, query string, args ...any) error {
	_, err := e.on.Exec(ctx, query, args...)
	return err
}

func (e pgxExecutor) query(ctx context.Context, query string, args ...any) (int, error) {
	return readPgx(e.on.Query(ctx, query, args...))
}

func readPgx(rows pgx.Rows, err error) (n int, _ error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

func (e pgxExecutor) open(ctx context.Context, query string, args ...any) (func(), error) {
	rows, err := e.on.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return rows.Close, nil
}

type pgxTx struct {
	pgxExecutor
	tx pgx.Tx
}

func (t pgxTx) commit(ctx context.Context) error   { return t.tx.Commit(ctx) }
func (t pgxTx) rollback(ctx context.Context) error { return t.tx.Rollback(ctx) }
