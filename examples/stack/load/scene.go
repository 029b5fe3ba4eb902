package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	gormlogger "gorm.io/gorm/logger"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// connections is how many the pool has: few, so that they can be used up.
const connections = 4

// scene is what a scenario plays on.
type scene struct {
	db     *sql.DB
	orm    *gorm.DB
	runner *worker.Runner
}

// newScene opens a database in dir. A statement that calls its function stall ends
// when stalled is closed.
func newScene(ctx context.Context, dir string, stalled <-chan struct{}, runner *worker.Runner, opts ...otdb.Option) (*scene, error) {
	c := &connector{
		dsn: "file:" + filepath.Join(dir, "load.db") + "?_busy_timeout=5000&_journal_mode=wal",
		driver: &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
			return c.RegisterFunc("stall", func() int { <-stalled; return 1 }, false)
		}},
	}
	db := otdb.OpenDB(c, append(opts, otdb.WithNamespace("load"), otdb.WithPoolName("load"), otdb.WithRequireParent())...)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	s := &scene{db: db, runner: runner}
	if err := runner.Run(ctx, "load.schema", s.schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	var err error
	if s.orm, err = gorm.Open(gormsqlite.Dialector{Conn: db}, &gorm.Config{Logger: gormlogger.Discard}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *scene) schema(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL);
		INSERT INTO orders VALUES (1, 1), (2, 1), (3, 2)`)
	return err
}

// connector connects by a driver that database/sql does not know by a name.
type connector struct {
	driver *sqlite3.SQLiteDriver
	dsn    string
}

var _ driver.Connector = (*connector)(nil)

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver }
