package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	pgxv5 "github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	pqdriver "github.com/lib/pq"

	"github.com/taskspan/taskspan/otdb"
)

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func mustExec(t *testing.T, on caller, query string, args ...any) {
	t.Helper()
	must[sql.Result](t)(on.ExecContext(t.Context(), query, args...))
}

// Each way in which pgx sends a statement is one span, with the same text.
func TestPgxExecModesAreOneSpanEach(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			e := onPostgres("pgx", "pgx", "default_query_exec_mode="+mode)
			e.verifies(t, "every exec mode, statement cache")
			same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
				ctx := t.Context()
				db.SetMaxOpenConns(1)
				j.exec(ctx, db, "CREATE TABLE items (id INT PRIMARY KEY, label TEXT)")
				for id := range 3 { // the second time it comes out of the cache
					j.exec(ctx, db, "INSERT INTO items (id, label) VALUES (?, ?)", id, fmt.Sprint("item ", id))
					j.query(ctx, db, "SELECT label FROM items WHERE id = ?", id)
				}
				// A cached statement that the schema has overtaken.
				j.exec(ctx, db, "ALTER TABLE items ALTER COLUMN label TYPE VARCHAR(99)")
				j.query(ctx, db, "SELECT label FROM items WHERE id = ?", 1)
				j.query(ctx, db, "SELECT label FROM items WHERE id = ?", 1)
				if mode == "simple_protocol" {
					j.exec(ctx, db, "INSERT INTO items VALUES (7, 'seven'); DELETE FROM items WHERE id = 7")
				}
			})
		})
	}
}

// A cache of no and of one statement.
func TestPgxStatementCacheLimits(t *testing.T) {
	for _, capacity := range []string{"0", "1"} {
		t.Run(capacity, func(t *testing.T) {
			e := onPostgres("pgx", "pgx", "statement_cache_capacity="+capacity)
			e.verifies(t, "every exec mode, statement cache")
			same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
				db.SetMaxOpenConns(1)
				for n := range 4 {
					j.query(t.Context(), db, "SELECT ?::int AS one", n)
					j.query(t.Context(), db, "SELECT ?::text AS two", "x")
				}
			})
		})
	}
}

// rawPgx runs f with pgx's own connection.
func rawPgx(t *testing.T, db *sql.DB, f func(c *pgxv5.Conn) error) error {
	t.Helper()
	conn := must[*sql.Conn](t)(db.Conn(t.Context()))
	defer conn.Close()
	return conn.Raw(func(c any) error { return f(otdb.Raw(c).(*stdlib.Conn).Conn()) })
}

// What pgx alone can do is reached through otdb.Raw, on the same connection.
func TestPgxCopyBatchNotifyAndLargeObjectsThroughRaw(t *testing.T) {
	pgx.verifies(t, "COPY, batches, LISTEN/NOTIFY, large objects through otdb.Raw")
	same(t, pgx, func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		j.exec(ctx, db, "CREATE TABLE points (x INT, y INT)")
		j.failure("raw", rawPgx(t, db, func(c *pgxv5.Conn) error {
			n, err := c.CopyFrom(ctx, pgxv5.Identifier{"points"}, []string{"x", "y"},
				pgxv5.CopyFromRows([][]any{{1, 2}, {3, 4}, {5, 6}}))
			j.note("copied %d %v", n, err)

			batch := &pgxv5.Batch{}
			batch.Queue("INSERT INTO points VALUES ($1, $2)", 7, 8)
			batch.Queue("SELECT SUM(x) FROM points")
			results := c.SendBatch(ctx, batch)
			tag, err := results.Exec()
			j.note("%s %v", tag, err)
			var sum int
			j.note("sum %v %d", results.QueryRow().Scan(&sum), sum)
			if err := results.Close(); err != nil {
				return err
			}

			if _, err := c.Exec(ctx, "LISTEN news"); err != nil {
				return err
			}
			if _, err := c.Exec(ctx, "NOTIFY news, 'hello'"); err != nil {
				return err
			}
			news, err := c.WaitForNotification(ctx)
			if err != nil {
				return err
			}
			j.note("%s: %s", news.Channel, news.Payload)

			tx, err := c.Begin(ctx)
			if err != nil {
				return err
			}
			defer tx.Rollback(ctx)
			objects := tx.LargeObjects()
			id, err := objects.Create(ctx, 0)
			if err != nil {
				return err
			}
			object, err := objects.Open(ctx, id, pgxv5.LargeObjectModeRead|pgxv5.LargeObjectModeWrite)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(object, "a large object"); err != nil {
				return err
			}
			if _, err := object.Seek(2, io.SeekStart); err != nil {
				return err
			}
			content, err := io.ReadAll(object)
			j.note("%q %v", content, err)
			return err
		}))
		j.query(ctx, db, "SELECT x, y FROM points ORDER BY x")
		j.query(ctx, db, "SELECT lo_from_bytea(?::int, ?) AS id", 4711, []byte("large"))
		j.query(ctx, db, "SELECT lo_get(?::int) AS content", 4711)
	})
}

// Values of every kind come back as they do without otdb.
func TestPgxArraysJSONAndNamedArguments(t *testing.T) {
	pgx.verifies(t, "arrays, JSON, named arguments, driver options as arguments")
	same(t, pgx, func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		types := pgtype.NewMap()
		var numbers []int32
		var words []string
		j.failure("arrays", db.QueryRowContext(ctx, "SELECT $1::int[], $2::text[]", []int32{1, 2, 3}, []string{"a", "b'c"}).
			Scan(types.SQLScanner(&numbers), types.SQLScanner(&words)))
		j.note("%v %q", numbers, words)
		j.query(ctx, db, "SELECT ?::jsonb->'name' AS name", map[string]any{"name": "Ada", "age": 36})
		j.query(ctx, db, "SELECT ?::json AS document", `{"a": [1, 2]}`)
		j.query(ctx, db, "SELECT @name::text || @name::text AS twice, @age::int AS age", pgxv5.NamedArgs{"name": "Ada", "age": 36})
		j.query(ctx, db, "SELECT ?::int AS n", pgxv5.QueryExecModeExec, 1)
		j.query(ctx, db, "SELECT ?::text AS word", sql.Named("word", "Ada"))
		j.query(ctx, db, "SELECT NULL::text AS a, true AS b, 1.5::numeric AS c, '\\x01'::bytea AS d, 'NaN'::float8 AS e, "+
			"'2001-02-03 04:05:06+00'::timestamptz AS f, '1 day'::interval AS g, '{1,2}'::int[] AS h, "+
			"'1815-12-10'::date AS i, 'a8098c1a-f86e-11da-bd1a-00112444be1e'::uuid AS j, 7::smallint AS k, 8::bigint AS l, "+
			"'10.1.2.3'::inet AS m, ROW(1, 'x') AS n, '[1,5)'::int4range AS o")
		j.query(ctx, db, "SELECT ?::int AS n", "not a number")
		j.query(ctx, db, "SELECT CAST(? AS int) AS n", "not a number")
		j.query(ctx, db, "SELECT 'not a number'::int AS n")
	})
}

func TestPqCopyAndArrays(t *testing.T) {
	pq.verifies(t, "COPY as a prepared statement, arrays, LISTEN/NOTIFY")
	same(t, pq, func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		db.SetMaxOpenConns(1)
		j.exec(ctx, db, "CREATE TABLE points (x INT, y INT)")
		tx := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
		stmt := must[*sql.Stmt](t)(tx.PrepareContext(ctx, "COPY points (x, y) FROM STDIN"))
		for x := range 3 {
			res, err := stmt.ExecContext(ctx, x, 2*x)
			j.result("copy", res, err)
		}
		res, err := stmt.ExecContext(ctx)
		j.result("copy ends", res, err)
		j.failure("close", stmt.Close())
		j.failure("commit", tx.Commit())
		j.query(ctx, db, "SELECT x, y FROM points ORDER BY x")
		var words []string
		j.failure("array", db.QueryRowContext(ctx, "SELECT $1::text[]", pqdriver.Array([]string{"a", "b'c"})).Scan(pqdriver.Array(&words)))
		j.note("%q", words)
		j.exec(ctx, db, "INSERT INTO points VALUES (7, 7); DELETE FROM points WHERE x = 7")
		j.exec(ctx, db, "LISTEN news")
		j.exec(ctx, db, "NOTIFY news, 'hello'")
		j.exec(ctx, db, "DO $$ BEGIN RAISE NOTICE 'by the way'; END $$")
	})
}

// The drivers of PostgreSQL, for what has nothing to do with the driver.
var postgresEngines = map[string]engine{"pgx": pgx, "pq": pq}

func onBoth(t *testing.T, verified string, f func(t *testing.T, e engine)) {
	for name, e := range postgresEngines {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, verified)
			f(t, e)
		})
	}
}

// An error in the middle of the rows is the error of the statement's span.
func TestPostgresFailureInTheMiddleOfTheRows(t *testing.T) {
	onBoth(t, "errors in the middle of the rows, several result sets", func(t *testing.T, e engine) {
		same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
			ctx := t.Context()
			j.query(ctx, db, "SELECT 10 / (3 - n) AS quotient FROM generate_series(1, 5) n")
			j.query(ctx, db, "SELECT 10 / (? - n) AS quotient FROM generate_series(1, 5) n", 3)
			j.query(ctx, db, "SELECT n FROM generate_series(1, 3) n")
		})
	})
}

// until waits for a query that returns a truth to do so. It may be called on any
// goroutine: after a minute it gives up, and the test has failed.
func until(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	// InnoDB refreshes what it tells of transactions only if nobody has asked
	// for a tenth of a second.
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for range 400 {
		var ok bool
		if err := db.QueryRowContext(context.Background(), query, args...).Scan(&ok); err != nil {
			t.Errorf("%s: %v", query, err)
			return
		}
		if ok {
			return
		}
		<-tick.C
	}
	t.Errorf("never true: %s", query)
}

// Statements are cancelled by the application's context, by a timeout of the
// server, and by another session.
func TestPostgresCancellationBySomebody(t *testing.T) {
	onBoth(t, "cancellation by the context, by a timeout of the server and by another session", func(t *testing.T, e engine) {
		same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
			ctx := t.Context()
			conn := must[*sql.Conn](t)(db.Conn(ctx))
			mustExec(t, conn, "SET application_name = 'the sleeper'")
			sleeping := "SELECT COUNT(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'the sleeper' AND wait_event = 'PgSleep'"
			admin := must[*sql.DB](t)(sql.Open("pgx", postgresDSN(postgresServer.address, databaseOf(t, conn))))
			defer admin.Close()

			mustExec(t, conn, "SET statement_timeout = '500ms'")
			j.exec(ctx, conn, "SELECT pg_sleep(600)")
			mustExec(t, conn, "SET statement_timeout = 0")

			done := make(chan struct{})
			go func() {
				defer close(done)
				until(t, admin, sleeping)
				mustExec(t, admin, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'the sleeper'")
			}()
			j.query(ctx, conn, "SELECT pg_sleep(?)", 600)
			<-done

			canceled, cancel := context.WithCancel(ctx)
			go func() {
				until(t, admin, sleeping)
				cancel()
			}()
			_, err := conn.ExecContext(canceled, "SELECT pg_sleep(600)")
			j.failure("canceled", hideNetwork(err))
			j.failure("close", conn.Close())

			conn = must[*sql.Conn](t)(db.Conn(ctx))
			mustExec(t, conn, "SET application_name = 'the sleeper'")
			expiring, expire := newDeadline(ctx)
			go func() {
				until(t, admin, sleeping)
				expire()
			}()
			_, err = conn.ExecContext(expiring, "SELECT pg_sleep(600)")
			j.failure("expired", hideNetwork(err))
			j.failure("close", conn.Close())
			j.query(ctx, db, "SELECT 1 AS one")
		})
	})
}

// deadline is a context whose deadline is exceeded when the test says so.
type deadline struct{ context.Context }

func newDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	return deadline{ctx}, cancel
}

// Err implements context.Context.
func (d deadline) Err() error {
	if d.Context.Err() == nil {
		return nil
	}
	return context.DeadlineExceeded
}

func databaseOf(t *testing.T, on caller) (name string) {
	t.Helper()
	rows := must[*sql.Rows](t)(on.QueryContext(t.Context(), "SELECT current_database()"))
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// hideNetwork replaces what differs between two runs: the addresses of a
// connection that was cut.
func hideNetwork(err error) error {
	if err == nil {
		return nil
	}
	var kinds []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		kinds = append(kinds, fmt.Sprintf("%T", e))
	}
	return fmt.Errorf("%s: is canceled %t, is deadline %t", strings.Join(kinds, " "),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded))
}

// Transactions that get into each other's way, for real.
func TestPostgresSerializationFailuresAndDeadlocks(t *testing.T) {
	onBoth(t, "serialization failures, deadlocks, lock timeouts", func(t *testing.T, e engine) {
		same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
			ctx := t.Context()
			j.exec(ctx, db, "CREATE TABLE accounts (id INT PRIMARY KEY, balance INT)")
			j.exec(ctx, db, "INSERT INTO accounts VALUES (1, 100), (2, 100)")

			options := &sql.TxOptions{Isolation: sql.LevelSerializable}
			first := must[*sql.Tx](t)(db.BeginTx(ctx, options))
			second := must[*sql.Tx](t)(db.BeginTx(ctx, options))
			for _, tx := range []*sql.Tx{first, second} {
				j.query(ctx, tx, "SELECT SUM(balance) AS total FROM accounts")
			}
			j.exec(ctx, first, "UPDATE accounts SET balance = balance - ? WHERE id = ?", 150, 1)
			j.exec(ctx, second, "UPDATE accounts SET balance = balance - ? WHERE id = ?", 150, 2)
			j.failure("commit", first.Commit())
			j.failure("commit", second.Commit())

			patient := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
			hasty := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
			mustExec(t, patient, "SET LOCAL deadlock_timeout = '600s'")
			mustExec(t, hasty, "SET LOCAL deadlock_timeout = '10ms'")
			j.exec(ctx, patient, "UPDATE accounts SET balance = 0 WHERE id = ?", 1)
			j.exec(ctx, hasty, "UPDATE accounts SET balance = 0 WHERE id = ?", 2)
			admin := must[*sql.DB](t)(sql.Open("pgx", postgresDSN(postgresServer.address, databaseOf(t, hasty))))
			defer admin.Close()
			done := make(chan error)
			go func() {
				_, err := patient.ExecContext(ctx, "UPDATE accounts SET balance = 1 WHERE id = 2")
				done <- err
			}()
			until(t, admin, "SELECT COUNT(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT granted AND datname = current_database()")
			_, err := hasty.ExecContext(ctx, "UPDATE accounts SET balance = 1 WHERE id = 1")
			// Its detail names the processes.
			j.failure("deadlock", errors.New(sqlState(err)))
			j.failure("rollback", hasty.Rollback())
			j.failure("the other", <-done)
			j.failure("commit", patient.Commit())

			holder := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
			j.exec(ctx, holder, "UPDATE accounts SET balance = 2 WHERE id = ?", 1)
			waiter := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
			j.exec(ctx, waiter, "SET LOCAL lock_timeout = '10ms'")
			j.exec(ctx, waiter, "UPDATE accounts SET balance = 3 WHERE id = 1")
			j.exec(ctx, waiter, "SELECT 1")
			j.failure("commit", waiter.Commit())
			j.failure("rollback", holder.Rollback())
		})
	})
}

func sqlState(err error) string {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return fmt.Sprint("no SQLSTATE: ", err)
}

// Connects that fail are spans of their own, without any part of the DSN but
// the address and the database.
func TestPostgresFailedConnects(t *testing.T) {
	onBoth(t, "failed connects", func(t *testing.T, e engine) {
		for name, change := range map[string]func(dsn string) string{
			"password": func(dsn string) string { return strings.Replace(dsn, "canary", "wrong", 1) },
			"user":     func(dsn string) string { return strings.Replace(dsn, user, "nobody", 1) },
		} {
			t.Run(name, func(t *testing.T) {
				wrong := e
				wrong.open = func(tb testing.TB) (string, string, string) {
					dsn, address, namespace := e.open(tb)
					return change(dsn), address, namespace
				}
				same(t, wrong, func(t *testing.T, db *sql.DB, j *journal) {
					j.failure("ping", hideNetwork(db.PingContext(t.Context())))
				})
			})
		}
	})
}
