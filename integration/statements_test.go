package integration

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/taskspan/taskspan/otdb"
)

// statements is what every application does: it runs on every engine.
func statements(t *testing.T, db *sql.DB, j *journal) {
	ctx := t.Context()
	db.SetMaxOpenConns(1)
	text := "TEXT"
	if j.engine.system == "mysql" {
		text = "VARCHAR(200)"
	}
	j.failure("ping", db.PingContext(ctx))
	j.exec(ctx, db, "CREATE TABLE people (id INTEGER PRIMARY KEY, name "+text+" NOT NULL UNIQUE, born DATE, weight DECIMAL(6,2))")

	// Arguments, and literals.
	j.exec(ctx, db, "INSERT INTO people (id, name, born, weight) VALUES (?, ?, ?, ?)", 1, "Ada", "1815-12-10", 58.25)
	j.exec(ctx, db, "INSERT INTO people (id, name) VALUES (2, 'Grace'), (3, 'Edsger')")
	j.query(ctx, db, "SELECT * FROM people WHERE id <= ? ORDER BY id", 2)
	j.query(ctx, db, "SELECT name FROM people WHERE name = 'Edsger' /* whoever that is */")
	j.query(ctx, db, "SELECT name FROM people WHERE id IN (1, 2, 3) ORDER BY name")

	// Rows that are closed before their end.
	rows, err := db.QueryContext(ctx, "SELECT id FROM people ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	j.rows("closed early", rows, 1)
	var name string
	j.failure("row", db.QueryRowContext(ctx, j.bind("SELECT name FROM people WHERE id = ?"), 1).Scan(&name))
	j.failure("no row", db.QueryRowContext(ctx, j.bind("SELECT name FROM people WHERE id = ?"), 99).Scan(&name))
	j.note("%s", name)

	// Prepared statements.
	stmt, err := db.PrepareContext(ctx, j.bind("UPDATE people SET name = ? WHERE id = ?"))
	if err != nil {
		t.Fatal(err)
	}
	for id, name := range map[int]string{1: "Ada Lovelace"} {
		res, err := stmt.ExecContext(ctx, name, id)
		j.result("prepared", res, err)
	}
	j.failure("closing the statement", stmt.Close())
	stmt, err = db.PrepareContext(ctx, j.bind("SELECT name FROM people WHERE id = ?"))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int{1, 2} {
		j.failure("prepared row", stmt.QueryRowContext(ctx, id).Scan(&name))
		j.note("%s", name)
	}
	j.failure("closing the statement", stmt.Close())

	// Transactions.
	for _, commit := range []bool{true, false} {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		j.exec(ctx, tx, "UPDATE people SET weight = ? WHERE id = ?", 60, 1)
		j.query(ctx, tx, "SELECT weight FROM people WHERE id = ?", 1)
		if commit {
			j.failure("commit", tx.Commit())
		} else {
			j.failure("rollback", tx.Rollback())
		}
		j.failure("done", tx.Rollback())
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
	j.failure("begin serializable, read only", err)
	if err == nil {
		j.exec(ctx, tx, "DELETE FROM people")
		j.failure("rollback", tx.Rollback())
	}

	// Errors.
	j.exec(ctx, db, "INSERT INTO people (id, name) VALUES (?, ?)", 1, "somebody else")
	j.exec(ctx, db, "INSERT INTO people (id, name) VALUES (9, 'Edsger')")
	j.exec(ctx, db, "INSERT INTO people (id, name) VALUES (?, ?)", 10, nil)
	j.exec(ctx, db, "SELEC name FROM people")
	j.query(ctx, db, "SELECT name FROM nobody WHERE id = ?", 1)
	_, err = db.PrepareContext(ctx, "SELECT nothing FROM people")
	j.failure("prepare", err)
	j.exec(ctx, db, "INSERT INTO people (id) VALUES (?)", 1, 2, 3)
	j.exec(ctx, db, "INSERT INTO people (id) VALUES (?)", struct{}{})

	// Contexts that are over.
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	j.exec(canceled, db, "DELETE FROM people")
	expired, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer cancel()
	j.query(expired, db, "SELECT name FROM people")

	// One connection of one's own.
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	j.exec(ctx, conn, "CREATE TEMPORARY TABLE mine (id INTEGER)")
	j.exec(ctx, conn, "INSERT INTO mine VALUES (?)", 1)
	j.query(ctx, conn, "SELECT COUNT(*) AS n FROM mine")
	j.failure("raw", conn.Raw(func(c any) error {
		j.note("%T", otdb.Raw(c))
		return errFailed
	}))
	j.failure("closing the connection", conn.Close())
	j.query(ctx, db, "WITH elders AS (SELECT id FROM people WHERE born IS NOT NULL) SELECT p.name FROM people p JOIN elders e ON p.id = e.id")
	j.exec(ctx, db, "DELETE FROM people WHERE id > ?", 1)
}

func TestStatements(t *testing.T) {
	for name, e := range map[string]engine{
		"pgx": pgx, "pq": pq, "mysql": goMySQL, "mysql_interpolated": goMySQLInt, "mattn": mattn, "modernc": modernc,
	} {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, "statements, prepared statements, transactions, errors, cancellation")
			same(t, e, statements)
		})
	}
}
