package integration

import (
	"context"
	"database/sql"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/integration/internal/observe"
	"github.com/taskspan/taskspan/otdb"
)

func onSQLites(t *testing.T, verified string, f func(t *testing.T, e engine)) {
	for name, e := range map[string]engine{"mattn": mattn, "modernc": modernc} {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, verified)
			f(t, e)
		})
	}
}

// Two connections that want to write at once, a statement that is interrupted
// by its context, and constraints of every kind.
func TestSQLiteLocksInterruptsAndConstraints(t *testing.T) {
	onSQLites(t, "locked databases, interrupted statements, every kind of constraint", func(t *testing.T, e engine) {
		same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
			ctx := t.Context()
			first := must[*sql.Conn](t)(db.Conn(ctx))
			second := must[*sql.Conn](t)(db.Conn(ctx))
			for _, c := range []*sql.Conn{first, second} {
				mustExec(t, c, "PRAGMA busy_timeout = 0")
				mustExec(t, c, "PRAGMA foreign_keys = ON")
			}
			j.exec(ctx, first, "CREATE TABLE parents (id INTEGER PRIMARY KEY, age INT CHECK (age > 0))")
			j.exec(ctx, first, "CREATE TABLE children (parent INT NOT NULL REFERENCES parents (id)) STRICT")
			j.exec(ctx, first, "BEGIN IMMEDIATE")
			j.exec(ctx, second, "INSERT INTO parents VALUES (?, ?)", 1, 1)
			j.exec(ctx, first, "COMMIT")
			j.exec(ctx, second, "INSERT INTO parents VALUES (?, ?)", 1, 1)
			j.exec(ctx, second, "INSERT INTO parents VALUES (?, ?)", 2, -1)
			j.exec(ctx, second, "INSERT INTO children VALUES (?)", 99)
			j.exec(ctx, second, "INSERT INTO children VALUES ('not a number')")

			endless := "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
			canceled, cancel := context.WithCancel(ctx)
			rows := must[*sql.Rows](t)(first.QueryContext(canceled, endless))
			rows.Next()
			cancel()
			for rows.Next() {
				continue
			}
			j.failure("interrupted", rows.Err())
			j.failure("close", first.Close())
			j.failure("close", second.Close())
		})
	})
}

// A driver that has a hook, which sql.Open cannot give it.
func TestSQLiteDriverWithAHook(t *testing.T) {
	mattn.verifies(t, "WrapDriver and WrapConnector around a driver with a hook")
	rec := observe.New()
	hooked := 0
	raw := &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		hooked++
		return c.RegisterFunc("double", func(n int64) int64 { return 2 * n }, true)
	}}
	sql.Register("sqlite3-hooked-otdb", otdb.WrapDriver(raw, rec.Options()...))
	db := must[*sql.DB](t)(sql.Open("sqlite3-hooked-otdb", "file:"+t.TempDir()+"/hooked.db"))
	defer db.Close()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT double(?)", 21).Scan(&n); err != nil || n != 42 || hooked != 1 {
		t.Error(n, err, hooked)
	}
	if _, ok := db.Driver().(*sqlite3.SQLiteDriver); !ok {
		t.Errorf("the driver is %T", db.Driver())
	}
	e := mattn
	diff(t, "spans", []string{"CONNECT", `SELECT | db.query.text="SELECT double(?)"`}, rec.Describe(t, e.target("", "hooked.db")...))
}
