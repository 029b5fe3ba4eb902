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
	driver string // as registered with database/sql
	source string // for the driver; it may hold a password, so it is never printed
	name   string // for people
}

// parseDSN distinguishes databases. An empty text is no database yet: see
// temporary.
func parseDSN(text string) (dsn, error) {
	switch scheme, _, ok := strings.Cut(text, "://"); {
	case text == "":
		return dsn{}, nil
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return postgres(text)
	case ok && scheme != "file":
		return dsn{}, errors.New("-dsn takes a file for SQLite or a postgres:// URL, and no other scheme")
	case looksLikeSettings(text):
		return dsn{}, errors.New("-dsn takes a postgres:// URL for PostgreSQL, and no list of key=value settings")
	}
	return sqlite(text), nil
}

// looksLikeSettings reports whether a text is a connection string in the form
// of libpq, ODBC and others, which would make a strange name for a file.
func looksLikeSettings(text string) bool {
	for _, key := range []string{"host=", "user=", "password=", "dbname=", "server=", "@tcp("} {
		if strings.Contains(strings.ToLower(text), key) {
			return true
		}
	}
	return false
}

// postgres returns the database at a URL. Its name is the server's address,
// unless the URL can be read in two ways: with an @ behind the server, what
// looks like the server may be half of a password.
func postgres(text string) (dsn, error) {
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return dsn{}, errors.New("-dsn is not a valid postgres:// URL") // the error repeats it
	}
	d := dsn{driver: "pgx", source: text, name: "the PostgreSQL database"}
	if u, err := url.Parse(text); err == nil && !strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") {
		d.name = "PostgreSQL at " + net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	}
	return d, nil
}

// sqlite returns the database in a file. A URI is left as it is.
func sqlite(file string) dsn {
	source := file
	if !strings.HasPrefix(file, "file:") {
		escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(file)
		source = "file:" + escaped + "?" + url.Values{"_busy_timeout": {"5000"}, "_foreign_keys": {"on"}}.Encode()
	}
	return dsn{driver: "sqlite3", source: source, name: "the SQLite file of -dsn"}
}

// temporary returns a database in a new directory, and what removes it.
func temporary() (dsn, func() error, error) {
	dir, err := os.MkdirTemp("", "taskspan-quickstart-")
	if err != nil {
		return dsn{}, nil, err
	}
	d := sqlite(filepath.Join(dir, "index.db"))
	d.name = "the temporary SQLite file"
	return d, func() error { return os.RemoveAll(dir) }, nil
}
