package integration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/go-sql-driver/mysql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/testcontainers/testcontainers-go"

	"github.com/taskspan/taskspan/integration/internal/observe"
	"github.com/taskspan/taskspan/otdb"
)

// wire is a network between an application and its server that can be disturbed.
type wire struct {
	proxy *toxiproxy.Proxy
}

func newWire(tb testing.TB, upstream string) *wire {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	w := &wire{toxiproxy.NewProxy(server, tb.Name(), "127.0.0.1:0", upstream)}
	if err := w.proxy.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.proxy.Stop)
	return w
}

func (w *wire) address() string { return w.proxy.Listen }

// poison adds a toxic to what the server sends.
func (w *wire) poison(tb testing.TB, kind string, attributes string) {
	tb.Helper()
	_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(
		fmt.Sprintf(`{"name": %q, "type": %q, "stream": "downstream", "attributes": {%s}}`, kind, kind, attributes)))
	if err != nil {
		tb.Fatal(err)
	}
}

func (w *wire) heal() { w.proxy.Toxics.ResetToxics(context.Background()) }

// cut closes every connection and refuses new ones; mend takes them again.
func (w *wire) cut() { w.proxy.Stop() }

func (w *wire) mend(tb testing.TB) {
	tb.Helper()
	if err := w.proxy.Start(); err != nil {
		tb.Fatal(err)
	}
}

// wired returns the engine with a wire of its own for each run of a program.
func wired(e engine, use func(*wire)) engine {
	open := e.open
	e.open = func(tb testing.TB) (dsn, address, namespace string) {
		dsn, address, namespace = open(tb)
		w := newWire(tb, address)
		use(w)
		return strings.Replace(dsn, address, w.address(), 1), w.address(), namespace
	}
	return e
}

// kind says what an application can tell of an error whose text names addresses.
func kind(err error) string {
	if err == nil {
		return "no error"
	}
	var network net.Error
	return fmt.Sprintf("bad connection %t, network %t, canceled %t, deadline %t, invalid %t",
		errors.Is(err, driver.ErrBadConn), errors.As(err, &network), errors.Is(err, context.Canceled),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, mysql.ErrInvalidConn))
}

var networkEngines = map[string]engine{"pgx": pgx, "pq": pq, "mysql": goMySQL}

// A slow network makes statements slow and nothing else.
func TestFaultLatency(t *testing.T) {
	for name, e := range networkEngines {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, "faults: latency")
			var w *wire
			rec := alike(t, wired(e, func(used *wire) { w = used }), func(t *testing.T, db *sql.DB, j *journal) {
				ctx := t.Context()
				j.query(ctx, db, "SELECT 1 AS one")
				w.poison(t, "latency", `"latency": 100`)
				j.query(ctx, db, "SELECT 2 AS two")
				w.heal()
			})
			spans := rec.Spans(observe.ScopeDatabase)
			last := spans[len(spans)-1]
			if took := last.EndTime().Sub(last.StartTime()); took < 100*time.Millisecond {
				t.Errorf("the statement took %v over a network that takes 100 ms", took)
			}
		})
	}
}

// The connection is cut while a statement runs, and while its rows are read.
func TestFaultConnectionIsCut(t *testing.T) {
	for name, e := range networkEngines {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, "faults: connection cut in a statement, in the rows, while idle")
			var w *wire
			rec := alike(t, wired(e, func(used *wire) { w = used }), func(t *testing.T, db *sql.DB, j *journal) {
				ctx := t.Context()
				sleep, sleeping, many := "SELECT pg_sleep(600)", "SELECT COUNT(*) > 0 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'",
					"SELECT REPEAT('x', 1000) AS x FROM generate_series(1, 100000)"
				server, id := &postgresServer, "SELECT pg_backend_pid()"
				if e.system == "mysql" {
					sleep, sleeping, many = "DO SLEEP(600)", "SELECT COUNT(*) > 0 FROM information_schema.processlist WHERE id = ? AND state = 'User sleep'",
						"SELECT REPEAT('x', 1000) AS x FROM seq_1_to_100000"
					server, id = &mariadbServer, "SELECT CONNECTION_ID()"
				}
				conn := must[*sql.Conn](t)(db.Conn(ctx))
				var pid int64
				if err := conn.QueryRowContext(ctx, id).Scan(&pid); err != nil {
					t.Fatal(err)
				}
				go func() {
					until(t, server.db, sleeping, pid)
					w.cut()
				}()
				_, err := conn.ExecContext(ctx, sleep)
				j.note("in a statement: %s", kind(err))
				_, err = conn.ExecContext(ctx, "SELECT 1")
				j.note("after that: %s", kind(err))
				j.note("close: %s", kind(conn.Close()))
				j.note("refused: %s", kind(db.PingContext(ctx)))
				w.mend(t)

				rows := must[*sql.Rows](t)(db.QueryContext(ctx, many))
				for range 5 {
					j.note("row %t", rows.Next())
				}
				w.cut()
				for rows.Next() {
					continue // what is in the buffers
				}
				j.note("in the rows: %s", kind(rows.Err()))
				j.note("close: %s", kind(rows.Close()))
				w.mend(t)

				j.query(ctx, db, "SELECT 1 AS one")
				w.cut()
				w.mend(t)
				// The pool finds its idle connection dead, and another one.
				_, err = db.ExecContext(ctx, "DELETE FROM nothing")
				if e.driver == "lib/pq" {
					// It does not look before it writes: what it gets then is the network's to decide.
					err = nil
				}
				j.note("after an idle connection was cut: %s", kind(err))
			})
			checkEnded(t, rec)
		})
	}
}

// checkEnded fails the test if a span that failed for the network has no error.
func checkEnded(t *testing.T, rec *observe.Recorder) {
	t.Helper()
	for _, s := range rec.Describe(t) {
		t.Log(s)
		if strings.Contains(s, "sleep") && !strings.Contains(s, "| !") && !strings.Contains(s, "pg_stat") {
			t.Errorf("%s: no error", s)
		}
	}
}

// The server goes away under an application and comes back.
func TestFaultServerRestarts(t *testing.T) {
	needDocker(t)
	pgx.verifies(t, "faults: server restart")
	ctx := t.Context()
	container, err := runPostgres(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := testcontainers.TerminateContainer(container, testcontainers.StopTimeout(0)); err != nil {
			t.Error(err)
		}
	}()
	endpoint := func() string { return must[string](t)(container.PortEndpoint(ctx, "5432/tcp", "")) }
	rec := observe.New()
	w := newWire(t, endpoint())
	db := must[*sql.DB](t)(otdb.Open("pgx", postgresDSN(w.address(), "postgres"), rec.Options()...))
	defer db.Close()

	mustExec(t, db, "CREATE TABLE jobs (id INT)")
	tx := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
	mustExec(t, tx, "INSERT INTO jobs VALUES (1)")
	grace := 30 * time.Second
	if err := container.Stop(ctx, &grace); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("a transaction was committed on a server that is gone")
	}
	if err := db.PingContext(ctx); err == nil {
		t.Error("a server that is gone was reached")
	}
	if err := container.Start(ctx); err != nil {
		t.Fatal(err)
	}
	w.proxy.Stop()
	w.proxy.Upstream = endpoint() // Docker gives the container another port
	w.mend(t)
	for db.PingContext(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("the server did not come back")
		}
	}
	var n int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM jobs").Scan(&n); err != nil || n != 0 {
		t.Error(n, err)
	}
	rec.CheckDurations(t)
	failed := 0
	for _, s := range rec.Describe(t) {
		if strings.Contains(s, "| !") {
			failed++
		}
	}
	if failed < 2 {
		t.Errorf("%d operations failed, want the commit and a connect at least", failed)
	}
}

// A server that takes no more connections.
func TestFaultConnectionLimitReached(t *testing.T) {
	limited := map[string]engine{}
	for name, e := range postgresEngines {
		open := e.open
		e.open = func(tb testing.TB) (string, string, string) {
			dsn, address, namespace := open(tb)
			role := "limited_" + namespace
			must[sql.Result](t)(postgresServer.db.ExecContext(tb.Context(), "CREATE ROLE "+role+" LOGIN CONNECTION LIMIT 1 PASSWORD '"+password+"'"))
			tb.Cleanup(func() { must[sql.Result](t)(postgresServer.db.ExecContext(context.Background(), "DROP ROLE "+role)) })
			return strings.Replace(dsn, user, role, 1), address, namespace
		}
		limited[name] = e
	}
	e := goMySQL
	open := e.open
	e.open = func(tb testing.TB) (string, string, string) {
		dsn, address, namespace := open(tb)
		role := "limited_" + namespace
		for _, q := range []string{
			"CREATE USER " + role + " IDENTIFIED BY '" + password + "' WITH MAX_USER_CONNECTIONS 1", "GRANT ALL ON *.* TO " + role,
		} {
			must[sql.Result](t)(mariadbServer.db.ExecContext(tb.Context(), q))
		}
		tb.Cleanup(func() { must[sql.Result](t)(mariadbServer.db.ExecContext(context.Background(), "DROP USER "+role)) })
		return strings.Replace(dsn, "root", role, 1), address, namespace
	}
	limited["mysql"] = e
	for name, e := range limited {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, "faults: connection limit of the server")
			same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
				ctx := t.Context()
				conn := must[*sql.Conn](t)(db.Conn(ctx))
				_, err := db.ExecContext(ctx, "SELECT 1")
				j.note("beyond the limit: %t, %s", err != nil, kind(err))
				j.query(ctx, conn, "SELECT 2 AS two")
				j.failure("close", conn.Close())
				j.query(ctx, db, "SELECT 3 AS three")
			})
		})
	}
}

// A disk that is full.
func TestFaultDiskFull(t *testing.T) {
	onSQLites(t, "faults: disk full", func(t *testing.T, e engine) {
		same(t, e, func(t *testing.T, db *sql.DB, j *journal) {
			ctx := t.Context()
			db.SetMaxOpenConns(1)
			j.exec(ctx, db, "CREATE TABLE logs (line TEXT)")
			var pages int
			if err := db.QueryRowContext(ctx, "PRAGMA max_page_count = 10").Scan(&pages); err != nil || pages != 10 {
				t.Fatal(pages, err)
			}
			line := strings.Repeat("x", 20_000)
			j.exec(ctx, db, "INSERT INTO logs VALUES (?)", line)
			j.exec(ctx, db, "INSERT INTO logs VALUES (?)", line)
			tx := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
			j.exec(ctx, tx, "INSERT INTO logs VALUES (?)", line)
			j.failure("commit", tx.Commit())
			j.query(ctx, db, "SELECT COUNT(*) AS lines FROM logs")
		})
	})
}
