package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/mattn/go-sqlite3"
)

// postgresVariable names the variable that holds the DSN of a PostgreSQL server.
const postgresVariable = "TASKSPAN_TEST_POSTGRES"

// databases measures statements on databases that do something, to show what
// the overheads are in proportion to.
func databases(r *report) error {
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system clears it up some day
	files := 0
	all := []realDatabase{
		{"SQLite in memory", question, "TABLE", func() (driver.Connector, error) { return sqliteConnector(":memory:"), nil }, false},
		{"SQLite file", question, "TABLE", func() (driver.Connector, error) {
			files++
			return sqliteConnector("file:" + filepath.Join(dir, strconv.Itoa(files)) + "?_journal_mode=WAL&_synchronous=NORMAL"), nil
		}, false},
	}
	if dsn := os.Getenv(postgresVariable); dsn != "" {
		cfg, err := pgx.ParseConfig(dsn)
		if err != nil {
			return fmt.Errorf("%s: %w", postgresVariable, err)
		}
		if reachable(cfg) {
			all = append(all, realDatabase{"PostgreSQL", dollar, "TEMPORARY TABLE", func() (driver.Connector, error) { return stdlib.GetConnector(*cfg), nil }, true})
		} else {
			fmt.Fprintf(r.w, "PostgreSQL: not measured, the server in %s cannot be reached\n\n", postgresVariable)
		}
	} else {
		fmt.Fprintln(r.w, "PostgreSQL: not measured,", postgresVariable, "is not set")
		fmt.Fprintln(r.w)
	}
	for _, d := range all {
		p := r.plan
		if d.remote { // a turn in which the server was never kept waiting must be shorter
			p = plan{5 * p.rounds, p.turn / 5}
		}
		for _, w := range []struct {
			name string
			work work
		}{
			{"exec", exec(d.text("UPDATE orders SET total = ? WHERE id = ?"), 101, 1)},
			{"query, 1 row", read(d.text(query), 8, 100)},
			{"query, 100 rows", read(d.text(query), 7, 100)},
		} {
			g, err := wrapped(sampled.context(), d.name+", "+w.name, sampled.name, p, d.connect, filled(d.table, w.work), 1)
			if err != nil {
				return err
			}
			r.add(g, limits{})
		}
	}
	return nil
}

// reachable reports whether there is a server.
func reachable(cfg *pgx.ConnConfig) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	db := stdlib.OpenDB(*cfg)         //otdbvet:ignore it only sees whether there is a server
	defer func() { _ = db.Close() }() // nothing was written
	return db.PingContext(ctx) == nil
}

type realDatabase struct {
	name    string
	text    func(string) string
	table   string // what is created
	connect func() (driver.Connector, error)
	remote  bool // in another process
}

// question leaves placeholders as they are.
func question(text string) string { return text }

// dollar writes placeholders as PostgreSQL wants them.
func dollar(text string) string {
	for i := 1; strings.Contains(text, "?"); i++ {
		text = strings.Replace(text, "?", "$"+strconv.Itoa(i), 1)
	}
	return text
}

// filled returns work on a table that it fills first: 100 orders of customer 7,
// and one of customer 8. Nothing of it outlives the run.
func filled(table string, w work) work { return filledTable(table, 100, w) }

// filledWith is filled for that many orders of customer 7.
func filledWith(n int, w work) work { return filledTable("TABLE", n, w) }

func filledTable(table string, n int, w work) work {
	return func(ctx context.Context, db *sql.DB) (func() error, error) {
		db.SetMaxOpenConns(1) // a database in memory, and a temporary table, are one connection's
		if _, err := db.ExecContext(ctx, "CREATE "+table+" orders (id INTEGER PRIMARY KEY, customer INTEGER, total INTEGER)"); err != nil {
			return nil, err
		}
		values := []string{"(1, 8, 101)"}
		for id := 2; id <= n+1; id++ {
			values = append(values, fmt.Sprintf("(%d, 7, %d)", id, id+200))
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO orders (id, customer, total) VALUES "+strings.Join(values, ", ")); err != nil {
			return nil, err
		}
		if _, err := db.ExecContext(ctx, "CREATE INDEX orders_customer ON orders (customer)"); err != nil {
			return nil, err
		}
		return w(ctx, db)
	}
}

// sqlite is a connector, which mattn/go-sqlite3 has none of.
type sqlite struct{ dsn string }

func sqliteConnector(dsn string) driver.Connector { return sqlite{dsn} }

func (s sqlite) Connect(context.Context) (driver.Conn, error) { return s.Driver().Open(s.dsn) }

func (s sqlite) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }
