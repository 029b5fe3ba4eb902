package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	_ "github.com/mattn/go-sqlite3"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"github.com/testcontainers/testcontainers-go/wait"
	_ "modernc.org/sqlite"
)

// The images of the servers. images/build makes its own where the public ones
// cannot be had.
var (
	postgresImage = env("TASKSPAN_POSTGRES_IMAGE", "postgres:17-alpine")
	mariadbImage  = env("TASKSPAN_MARIADB_IMAGE", "mariadb:11")
)

// The servers' accounts. The password is in every DSN of every test, and is
// searched for in all that is exported.
const (
	user     = "worker_account"
	password = "canary-Pa55word.of_the-servers"
)

// start is how long a container may take to serve.
const start = 2 * time.Minute

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func TestMain(m *testing.M) {
	// The clean-up of testcontainers is a container of its own, which would have
	// to come from a registry. These containers end with the process's last test.
	_ = os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	if os.Getenv("TESTCONTAINERS_HOST_OVERRIDE") == "" && os.Getenv("DOCKER_HOST") == "" {
		_ = os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	}
	tclog.SetDefault(log.New(quiet{}, "", 0))
	// The driver logs what it returns as an error as well.
	_ = mysql.SetLogger(log.New(quiet{}, "", 0))
	status := m.Run()
	for _, s := range []*server{&postgresServer, &mariadbServer} {
		s.stop()
	}
	os.Exit(status)
}

type quiet struct{}

func (quiet) Write(p []byte) (int, error) { return len(p), nil }

// server is a database server in a container, started when the first test
// needs it and shared by all of them.
type server struct {
	name  string
	run   func(ctx context.Context, more ...testcontainers.ContainerCustomizer) (testcontainers.Container, error)
	port  string
	data  string // the directory of its data
	admin func(address string) (*sql.DB, error)

	once      sync.Once
	container testcontainers.Container
	address   string
	db        *sql.DB
	err       error
}

var postgresServer = server{
	name: "PostgreSQL",
	port: "5432/tcp",
	data: "/var/lib/postgresql/data",
	run:  runPostgres,
	admin: func(address string) (*sql.DB, error) {
		return sql.Open("pgx", postgresDSN(address, "postgres"))
	},
}

var mariadbServer = server{
	name: "MariaDB",
	port: "3306/tcp",
	data: "/var/lib/mysql",
	run: func(ctx context.Context, more ...testcontainers.ContainerCustomizer) (testcontainers.Container, error) {
		return testcontainers.Run(ctx, mariadbImage, append([]testcontainers.ContainerCustomizer{
			testcontainers.WithExposedPorts("3306/tcp"),
			testcontainers.WithEnv(map[string]string{"MARIADB_ROOT_PASSWORD": password}),
			testcontainers.WithCmdArgs("--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"),
			testcontainers.WithWaitStrategyAndDeadline(start, wait.ForListeningPort("3306/tcp")),
		}, more...)...)
	},
	admin: func(address string) (*sql.DB, error) {
		return sql.Open("mysql", mariadbConfig(address, "mysql").FormatDSN())
	},
}

func runPostgres(ctx context.Context, more ...testcontainers.ContainerCustomizer) (testcontainers.Container, error) {
	return postgres.Run(ctx, postgresImage, append([]testcontainers.ContainerCustomizer{
		postgres.WithUsername(user), postgres.WithPassword(password), postgres.WithDatabase("postgres"),
		testcontainers.WithWaitStrategyAndDeadline(start,
			wait.ForLog("database system is ready to accept connections").WithOccurrence(2),
			wait.ForListeningPort("5432/tcp")),
	}, more...)...)
}

// docker tells why there is no Docker, or nil.
var docker = sync.OnceValue(func() error {
	out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker version: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
})

// needDocker skips the test where there is no Docker; a build server has to
// have it.
func needDocker(tb testing.TB) {
	tb.Helper()
	err := docker()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		tb.Fatalf("these tests need Docker: %v", err)
	default:
		_, _ = fmt.Fprintf(os.Stderr, "*** %s IS SKIPPED: it needs Docker (%v)\n", tb.Name(), err)
		tb.Skipf("needs Docker: %v", err)
	}
}

// up starts the server unless it runs, and returns its address.
func (s *server) up(tb testing.TB) string {
	tb.Helper()
	needDocker(tb)
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*start)
		defer cancel()
		// Data that nobody needs afterwards is kept in memory.
		if s.container, s.err = s.run(ctx, testcontainers.WithTmpfs(map[string]string{s.data: "rw"})); s.err != nil {
			return
		}
		if s.address, s.err = s.container.PortEndpoint(ctx, s.port, ""); s.err != nil {
			return
		}
		if s.db, s.err = s.admin(s.address); s.err != nil {
			return
		}
		s.err = s.db.PingContext(ctx)
	})
	if s.err != nil {
		tb.Fatalf("%s: %v", s.name, s.err)
	}
	return s.address
}

func (s *server) stop() {
	if s.db != nil {
		_ = s.db.Close()
	}
	if s.container != nil {
		if err := testcontainers.TerminateContainer(s.container, testcontainers.StopTimeout(0)); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.name, err)
		}
	}
}

var databases atomic.Int64

// create creates a database for the test and returns its name.
func (s *server) create(tb testing.TB) string {
	tb.Helper()
	s.up(tb)
	name := fmt.Sprintf("taskspan_test_%d", databases.Add(1))
	if _, err := s.db.ExecContext(tb.Context(), "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("creating a database: %v", err)
	}
	tb.Cleanup(func() {
		drop := "DROP DATABASE " + name
		if s.name == "PostgreSQL" {
			drop += " WITH (FORCE)"
		}
		if _, err := s.db.ExecContext(context.Background(), drop); err != nil {
			tb.Errorf("dropping the database: %v", err)
		}
	})
	return name
}

func postgresDSN(address, database string, params ...string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: address, Path: "/" + database,
		RawQuery: strings.Join(append([]string{"sslmode=disable"}, params...), "&"),
	}
	return u.String()
}

func mariadbConfig(address, database string) *mysql.Config {
	c := mysql.NewConfig()
	c.User, c.Passwd = "root", password
	c.Net, c.Addr, c.DBName = "tcp", address, database
	return c
}

// engine is a database with a driver: what a script runs on.
type engine struct {
	// For the table of the README.
	database, driver string

	driverName string
	system     string // db.system.name
	// open returns the DSN of a new and empty database of the test's own, the
	// address of its server if it has one, and its name as spans tell it.
	open func(tb testing.TB) (dsn, address, namespace string)
}

func onPostgres(driver, driverName string, params ...string) engine {
	return engine{"PostgreSQL", driver, driverName, "postgresql", func(tb testing.TB) (string, string, string) {
		name := postgresServer.create(tb)
		return postgresDSN(postgresServer.address, name, params...), postgresServer.address, name
	}}
}

func onMariaDB(driver string, change func(*mysql.Config)) engine {
	return engine{"MariaDB", driver, "mysql", "mysql", func(tb testing.TB) (string, string, string) {
		name := mariadbServer.create(tb)
		c := mariadbConfig(mariadbServer.address, name)
		if change != nil {
			change(c)
		}
		return c.FormatDSN(), mariadbServer.address, name
	}}
}

func onSQLite(driver, driverName string) engine {
	return engine{"SQLite", driver, driverName, "sqlite", func(tb testing.TB) (string, string, string) {
		file := filepath.Join(tb.TempDir(), "worker.db")
		return "file:" + file, "", "worker.db"
	}}
}

// The engines.
var (
	pgx        = onPostgres("pgx", "pgx")
	pq         = onPostgres("lib/pq", "postgres")
	goMySQL    = onMariaDB("go-sql-driver/mysql", nil)
	goMySQLInt = onMariaDB("go-sql-driver/mysql, interpolateParams", func(c *mysql.Config) { c.InterpolateParams = true })
	mattn      = onSQLite("mattn/go-sqlite3", "sqlite3")
	modernc    = onSQLite("modernc.org/sqlite", "sqlite")
)

var errFailed = errors.New("the application's own failure")
