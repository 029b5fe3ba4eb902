package drivers

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/otdb"
)

// The statements that the tests run, on PostgreSQL.
const (
	pgInsert = "INSERT INTO otdb_users (id, email) VALUES ($1, $2)"
	pgUpdate = "UPDATE otdb_users SET email = lower(email) WHERE email LIKE 'canary-%' AND id < 3"
	pgSelect = "SELECT id, email FROM otdb_users WHERE id < $1 ORDER BY id"
	pgCount  = "SELECT count(*) FROM otdb_users"
	pgNone   = "SELECT email FROM otdb_users WHERE id = $1"
	pgMidway = "SELECT 10 / (3 - n) AS n FROM generate_series(1, 5) AS n"
)

// environment has the DSN of a PostgreSQL server to run the tests on as well.
const environment = "TASKSPAN_TEST_POSTGRES"

// system is a database with two users, and what its statements look like.
type system struct {
	name string
	// prepare returns the driver, the DSN and the attributes of every span.
	prepare func(t *testing.T) (driverName, dsn string, conn attrs)

	insert, update, query, none, midway string
	// As they are recorded, with their summaries, where they are not
	// parameterised.
	updateText, midwayText, midwaySummary string
	// Codes.
	duplicate, midwayCode, syntax string
	resets                        bool // the driver has SessionResetter
}

var sqlite = system{
	name: "sqlite3",
	prepare: func(t *testing.T) (string, string, attrs) {
		dsn := sqliteFile(t)
		return "sqlite3", dsn, attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}
	},
	insert:        "INSERT INTO otdb_users (id, email) VALUES (?, ?)",
	update:        pgUpdate,
	updateText:    "UPDATE otdb_users SET email = lower(email) WHERE email LIKE ? AND id < ?",
	query:         "SELECT id, email FROM otdb_users WHERE id < ? ORDER BY id",
	none:          "SELECT email FROM otdb_users WHERE id = ?",
	midway:        "SELECT abs(n) FROM otdb_numbers ORDER BY rowid",
	midwayText:    "SELECT abs(n) FROM otdb_numbers ORDER BY rowid",
	midwaySummary: "SELECT otdb_numbers",
	duplicate:     "2067",
	midwayCode:    "1",
	syntax:        "1",
}

// sqliteFile makes a database with the tests' tables and returns its DSN, by
// which nothing waits for the disk.
func sqliteFile(t *testing.T) string {
	t.Helper()
	dsn := "file:" + filepath.Join(t.TempDir(), "shop.db") + "?_sync=OFF&_journal=MEMORY"
	execAll(t, "sqlite3", dsn,
		"CREATE TABLE otdb_users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE)",
		"INSERT INTO otdb_users VALUES (1, 'canary-1@example.com'), (2, 'canary-2@example.com')",
		"CREATE TABLE otdb_numbers (n INTEGER)",
		"INSERT INTO otdb_numbers VALUES (5), (10), (-9223372036854775808), (1)")
	return dsn
}

// execAll runs statements on the bare driver.
func execAll(t *testing.T, driverName, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open(driverName, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

var postgres = system{
	name: "pgx",
	prepare: func(t *testing.T) (string, string, attrs) {
		b := newBackend(t)
		return "pgx", b.dsn(""), b.attrs()
	},
	insert:        pgInsert,
	update:        pgUpdate,
	updateText:    "UPDATE otdb_users SET email = lower(email) WHERE email LIKE ? AND id < ?",
	query:         pgSelect,
	none:          pgNone,
	midway:        pgMidway,
	midwayText:    "SELECT ? / (? - n) AS n FROM generate_series(?, ?) AS n",
	midwaySummary: "SELECT generate_series",
	duplicate:     "23505",
	midwayCode:    "22012",
	syntax:        "42601",
	resets:        true,
}

// attrs are the attributes of every span on the server.
func (b *backend) attrs() attrs {
	return attrs{"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "127.0.0.1", "server.port": b.port()}
}

// realPostgres is the same on a real server.
var realPostgres = func() system {
	s := postgres
	s.name = "pgx, " + environment
	s.prepare = func(t *testing.T) (string, string, attrs) {
		dsn := os.Getenv(environment)
		if dsn == "" {
			t.Skip(environment + " holds no DSN of a PostgreSQL server")
		}
		execAll(t, "pgx", dsn,
			"DROP TABLE IF EXISTS otdb_users",
			"CREATE TABLE otdb_users (id INTEGER PRIMARY KEY, email TEXT NOT NULL CONSTRAINT otdb_users_email_key UNIQUE)",
			"INSERT INTO otdb_users VALUES (1, 'canary-1@example.com'), (2, 'canary-2@example.com')")
		t.Cleanup(func() { execAll(t, "pgx", dsn, "DROP TABLE otdb_users") })
		cfg, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		conn := attrs{"db.system.name": "postgresql", "db.namespace": cfg.Database, "server.address": cfg.Host}
		if cfg.Port != 5432 {
			conn["server.port"] = int(cfg.Port)
		}
		return "pgx", dsn, conn
	}
	return s
}()

// onSystems runs a test on each system with a database that has one idle connection.
func onSystems(t *testing.T, test func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs), opts ...otdb.Option) {
	on(t, []system{sqlite, postgres, realPostgres}, test, opts...)
}

// on is onSystems for some of them.
func on(t *testing.T, systems []system, test func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs), opts ...otdb.Option) {
	for _, s := range systems {
		t.Run(s.name, func(t *testing.T) {
			driverName, dsn, conn := s.prepare(t)
			r := newRig(t)
			db := r.open(driverName, dsn, opts...)
			if err := db.PingContext(context.Background()); err != nil {
				t.Fatal(err)
			}
			r.TakeSpans()
			test(t, s, r, db, conn)
			r.WantNothingOf("canary")
		})
	}
}
