package integration

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/taskspan/taskspan/integration/internal/observe"
	"github.com/taskspan/taskspan/otdb"
)

// The driver skips its fast path for every statement with arguments unless it
// may write them into the text. Either way it is one span, without a PREPARE.
func TestMySQLStatementWithArgumentsIsOneSpan(t *testing.T) {
	for name, e := range map[string]engine{"prepared": goMySQL, "interpolated": goMySQLInt} {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, "one span for a statement that the driver skips (ErrSkip)")
			dsn, address, namespace := e.open(t)
			rec := observe.New()
			db := must[*sql.DB](t)(otdb.Open("mysql", dsn, rec.Options()...))
			defer db.Close()
			mustExec(t, db, "CREATE TABLE people (id INT, name VARCHAR(20))")
			mustExec(t, db, "INSERT INTO people VALUES (?, ?)", 1, "Ada")
			rec.Reset()
			var name string
			if err := db.QueryRowContext(t.Context(), "SELECT name FROM people WHERE id = ?", 1).Scan(&name); err != nil || name != "Ada" {
				t.Fatal(name, err)
			}
			diff(t, "spans", []string{`SELECT people | db.query.text="SELECT name FROM people WHERE id = ?"`},
				rec.Describe(t, e.target(address, namespace)...))
		})
	}
}

func TestMySQLMultiStatements(t *testing.T) {
	e := onMariaDB("go-sql-driver/mysql", func(c *mysql.Config) { c.MultiStatements = true })
	e.verifies(t, "multi-statements, several result sets")
	same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		j.exec(ctx, db, "CREATE TABLE people (id INT, name VARCHAR(20)); INSERT INTO people VALUES (1, 'Ada'), (2, 'Grace')")
		j.query(ctx, db, "SELECT id FROM people; SELECT name FROM people; SELECT COUNT(*) FROM people")
		j.query(ctx, db, "SELECT id FROM people; SELECT nothing FROM people")
		rows := must[*sql.Rows](t)(db.QueryContext(ctx, "SELECT id FROM people; SELECT name FROM people"))
		j.rows("the first result set alone", rows, 2)
		j.exec(ctx, db, "UPDATE people SET name = 'x'; DELETE FROM people")
	})
}

func TestMySQLLoadDataLocal(t *testing.T) {
	goMySQL.verifies(t, "LOAD DATA LOCAL from a reader of the application")
	mysql.RegisterReaderHandler("people", func() io.Reader { return strings.NewReader("1\tAda\n2\tGrace\n3\tEdsger\n") })
	defer mysql.DeregisterReaderHandler("people")
	same(t, goMySQL, func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		j.exec(ctx, db, "CREATE TABLE people (id INT, name VARCHAR(20))")
		j.exec(ctx, db, "LOAD DATA LOCAL INFILE 'Reader::people' INTO TABLE people")
		j.query(ctx, db, "SELECT * FROM people ORDER BY id")
		j.exec(ctx, db, "LOAD DATA LOCAL INFILE 'Reader::nothing' INTO TABLE people")
	})
}

func TestMySQLValuesOfEveryType(t *testing.T) {
	for name, e := range map[string]engine{
		"prepared": goMySQL, "interpolated": goMySQLInt,
		"times": onMariaDB("go-sql-driver/mysql, parseTime", func(c *mysql.Config) { c.ParseTime = true }),
	} {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, "values of every type, JSON")
			same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
				ctx := t.Context()
				j.exec(ctx, db, "CREATE TABLE everything (a TINYINT UNSIGNED, b BIGINT, c DECIMAL(10,3), d DOUBLE, e DATE, f DATETIME(6), g TIME, "+
					"h YEAR, i CHAR(3), j VARCHAR(9), k BLOB, l JSON, m ENUM('x','y'), n BIT(4), o TEXT)")
				j.exec(ctx, db, "INSERT INTO everything VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", 200, -1<<40, "12.345", 1.5,
					"1815-12-10", time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC), "11:12:13", 1999, "abc", "it's", []byte{0, 1, 255}, `{"a": [1]}`, "y", []byte{5}, nil)
				j.query(ctx, db, "SELECT * FROM everything")
				j.query(ctx, db, "SELECT * FROM everything WHERE a = ?", 200)
				j.query(ctx, db, "SELECT JSON_EXTRACT(l, ?) AS a FROM everything", "$.a")
				j.exec(ctx, db, "INSERT INTO everything (a) VALUES (?)", 1000)
				j.exec(ctx, db, "INSERT INTO everything (e) VALUES ('not a date')")
				j.exec(ctx, db, "INSERT INTO everything (i) VALUES (?)", "far too long")
			})
		})
	}
}

func TestMySQLDeadlocksLockTimeoutsAndKilledStatements(t *testing.T) {
	for name, e := range map[string]engine{"prepared": goMySQL, "interpolated": goMySQLInt} {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, "deadlocks, lock timeouts, statements that somebody kills")
			same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
				ctx := t.Context()
				j.exec(ctx, db, "CREATE TABLE accounts (id INT PRIMARY KEY, balance INT) ENGINE=InnoDB")
				j.exec(ctx, db, "INSERT INTO accounts VALUES (1, 100), (2, 100), (3, 100)")

				// The transaction that has changed less is the victim.
				big := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
				small := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
				j.exec(ctx, big, "UPDATE accounts SET balance = 0 WHERE id IN (?, ?)", 1, 3)
				j.exec(ctx, small, "UPDATE accounts SET balance = 0 WHERE id = ?", 2)
				id := connectionID(t, small)
				failed := make(chan error)
				go func() {
					_, err := small.ExecContext(ctx, "UPDATE accounts SET balance = 1 WHERE id = ?", 1)
					failed <- err
				}()
				untilLockWait(t, id)
				res, err := big.ExecContext(ctx, "UPDATE accounts SET balance = 1 WHERE id = ?", 2)
				victim := <-failed
				j.failure("the victim", victim)
				j.result("the other", res, err)
				j.failure("rollback", small.Rollback())
				j.failure("commit", big.Commit())

				holder := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
				j.exec(ctx, holder, "UPDATE accounts SET balance = 2 WHERE id = ?", 1)
				waiter := must[*sql.Conn](t)(db.Conn(ctx))
				j.exec(ctx, waiter, "SET innodb_lock_wait_timeout = 0")
				j.exec(ctx, waiter, "UPDATE accounts SET balance = 3 WHERE id = ?", 1)

				mustExec(t, waiter, "SET innodb_lock_wait_timeout = 600")
				id = connectionID(t, waiter)
				done := make(chan struct{})
				go func() {
					defer close(done)
					untilLockWait(t, id)
					mustExec(t, mariadbServer.db, fmt.Sprint("KILL QUERY ", id))
				}()
				j.exec(ctx, waiter, "UPDATE accounts SET balance = ? WHERE id = 1", 4)
				<-done
				j.failure("rollback", holder.Rollback())
				j.failure("close", waiter.Close())
			})
		})
	}
}

// untilLockWait waits until the connection waits for a lock.
func untilLockWait(t *testing.T, id int64) {
	t.Helper()
	// What InnoDB told a moment ago it tells again: of a lock that the connection
	// had waited for before.
	<-time.After(150 * time.Millisecond)
	until(t, mariadbServer.db, "SELECT COUNT(*) > 0 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = ?", id)
}

func connectionID(t *testing.T, on caller) (id int64) {
	t.Helper()
	rows := must[*sql.Rows](t)(on.QueryContext(t.Context(), "SELECT CONNECTION_ID()"))
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func TestMySQLCancellationByTheContext(t *testing.T) {
	goMySQL.verifies(t, "cancellation by the context")
	same(t, goMySQL, func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		conn := must[*sql.Conn](t)(db.Conn(ctx))
		id := connectionID(t, conn)
		canceled, cancel := context.WithCancel(ctx)
		go func() {
			until(t, mariadbServer.db, "SELECT COUNT(*) > 0 FROM information_schema.processlist WHERE id = ? AND state = 'User sleep'", id)
			cancel()
		}()
		j.exec(canceled, conn, "DO SLEEP(600)")
		j.failure("close", conn.Close())

		conn = must[*sql.Conn](t)(db.Conn(ctx))
		id = connectionID(t, conn)
		expiring, expire := newDeadline(ctx)
		go func() {
			until(t, mariadbServer.db, "SELECT COUNT(*) > 0 FROM information_schema.processlist WHERE id = ? AND state = 'User sleep'", id)
			expire()
		}()
		j.exec(expiring, conn, "DO SLEEP(600)")
		j.failure("close", conn.Close())
		j.query(ctx, db, "SELECT 1 AS one")
	})
}

func TestMySQLFailedConnects(t *testing.T) {
	e := onMariaDB("go-sql-driver/mysql", func(c *mysql.Config) { c.Passwd = "wrong-" + password })
	e.verifies(t, "failed connects")
	same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
		j.failure("ping", hideNetwork(db.PingContext(t.Context())))
	})
}

// Told what the server is, spans say so.
func TestMySQLDriverOnMariaDBCanBeToldSo(t *testing.T) {
	e := goMySQL
	e.system = "mariadb"
	e.verifies(t, "statements under the name of MariaDB")
	same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
		j.query(t.Context(), db, "SELECT `id` FROM (SELECT 1 AS `id`) `t` WHERE `id` = \"1\"")
	}, otdb.WithSystem("mariadb"))
}
