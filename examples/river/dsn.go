package main

import (
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// dsn is a database that the program can work on.
type dsn struct {
	driver string // as registered with database/sql, "" for a temporary file
	source string // for the driver, and for parseDSN; it may hold a password, so it is never printed
	name   string // for people
}

// parseDSN distinguishes databases.
func parseDSN(text string) (dsn, error) {
	scheme, _, isURL := strings.Cut(text, "://")
	switch {
	case text == "":
		return dsn{name: "the temporary SQLite file"}, nil
	case isURL && (scheme == "postgres" || scheme == "postgresql"):
		return postgres(text)
	case isURL && scheme != "file":
		return dsn{}, errors.New("-dsn takes a file for SQLite or a postgres:// URL, and no other scheme")
	}
	for _, setting := range []string{"host=", "user=", "password=", "dbname=", "@tcp("} {
		if strings.Contains(strings.ToLower(text), setting) {
			return dsn{}, errors.New("-dsn takes a postgres:// URL for PostgreSQL, and no list of key=value settings")
		}
	}
	return sqlite(text), nil
}

func postgres(text string) (dsn, error) {
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return dsn{}, errors.New("-dsn is not a valid postgres:// URL") // the error repeats it
	}
	d := dsn{driver: "pgx", source: text, name: "the PostgreSQL database"}
	// With an @ behind the server, what looks like one may be half of a password.
	if u, err := url.Parse(text); err == nil && !strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") {
		d.name = "PostgreSQL at " + net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	}
	return d, nil
}

// sqlite returns the database in a file, which several processes write to:
// readers do not block them, and writers wait for each other.
func sqlite(file string) dsn {
	if !strings.HasPrefix(file, "file:") {
		settings := url.Values{"_busy_timeout": {"10000"}, "_foreign_keys": {"on"}, "_journal_mode": {"WAL"}, "_txlock": {"immediate"}}
		file = "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(file) + "?" + settings.Encode()
	}
	return dsn{driver: "sqlite3", source: file, name: "the SQLite file"}
}

// temporary returns a database in a new directory, and what removes it.
func temporary() (dsn, func() error, error) {
	dir, err := os.MkdirTemp("", "taskspan-river-")
	if err != nil {
		return dsn{}, nil, err
	}
	return sqlite(filepath.Join(dir, "queue.db")), func() error { return os.RemoveAll(dir) }, nil
}
