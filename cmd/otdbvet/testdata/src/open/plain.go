// Package open has the openers of database/sql.
package open

import (
	"database/sql"
	"flag"
	"os"
)

func constant(dsn string) (*sql.DB, error) {
	return sql.Open("pgx", dsn) // want `^sql.Open opens a database that is not traced; use otdb.Open$`
}

const name = "my" + "sql"

func concatenated(dsn string) (*sql.DB, error) {
	db, err := sql.Open(name, dsn) // want `sql.Open opens`
	return db, err
}

var driverFlag = flag.String("driver", "postgres", "the driver")

func flags(dsn string) (*sql.DB, error) {
	return sql.Open(*driverFlag, dsn) // want `sql.Open opens`
}

func environment() (*sql.DB, error) {
	driver := "sqlite3"
	if d, ok := os.LookupEnv("DRIVER"); ok {
		driver = d
	}
	return sql.Open(driver, os.Getenv("DSN")) // want `sql.Open opens`
}

func private(dsn string) {
	_, _ = open("mysql", dsn)
	_, _ = open("postgres", dsn)
}

func open(driver, dsn string) (*sql.DB, error) {
	return sql.Open(driver, dsn) // want `sql.Open opens`
}

// Public may be given the name of a traced driver.
func Public(driver, dsn string) (*sql.DB, error) { return sql.Open(driver, dsn) }

// Custom is a name that some program chose.
func Custom(dsn string) (*sql.DB, error) { return sql.Open("orders", dsn) }

// ByName is the name that otdb.Register returns.
func ByName(dsn string) (*sql.DB, error) { return sql.Open("pgx-otdb", dsn) }

// Config may be filled by others.
type Config struct{ Driver string }

// Open cannot know.
func (c Config) Open(dsn string) (*sql.DB, error) { return sql.Open(c.Driver, dsn) }

type settings struct{ driver string }

func load() settings { return settings{driver: "pgx"} }

func (s settings) open(dsn string) (*sql.DB, error) {
	return sql.Open(s.driver, dsn) // want `sql.Open opens`
}

func loop(dsn string) {
	for _, d := range []string{"mysql", "sqlite"} {
		_, _ = sql.Open(d, dsn) // want `sql.Open opens`
	}
}

func args() (string, string) { return "pgx", "" }

func spread() (*sql.DB, error) { return sql.Open(args()) } // want `sql.Open opens`

func returned(dsn string) (*sql.DB, error) {
	return sql.Open(choose(dsn), dsn) // want `sql.Open opens`
}

func choose(dsn string) string {
	if dsn == "" {
		return "sqlite3"
	}
	return "mysql"
}
