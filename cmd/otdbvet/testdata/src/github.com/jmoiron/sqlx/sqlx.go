package sqlx

import (
	"context"
	"database/sql"
)

type DB struct{ *sql.DB }
type Tx struct{ *sql.Tx }
type Rows struct{ *sql.Rows }

func NewDb(db *sql.DB, driverName string) *DB                                         { return &DB{db} }
func Open(driverName, dsn string) (*DB, error)                                        { return nil, nil }
func MustOpen(driverName, dsn string) *DB                                             { return nil }
func Connect(driverName, dsn string) (*DB, error)                                     { return nil, nil }
func MustConnect(driverName, dsn string) *DB                                          { return nil }
func ConnectContext(ctx context.Context, driverName, dsn string) (*DB, error)         { return nil, nil }
func (*DB) Get(dest any, query string, args ...any) error                             { return nil }
func (*DB) GetContext(ctx context.Context, dest any, query string, args ...any) error { return nil }
func (*DB) NamedQuery(query string, arg any) (*Rows, error)                           { return nil, nil }
func (*DB) NamedQueryContext(ctx context.Context, query string, arg any) (*Rows, error) {
	return nil, nil
}
func (*DB) Beginx() (*Tx, error)                                           { return nil, nil }
func (*DB) BeginTxx(ctx context.Context, opts *sql.TxOptions) (*Tx, error) { return nil, nil }
func (*Tx) NamedQuery(query string, arg any) (*Rows, error)                { return nil, nil }

// A call within the library itself.
func local() (*DB, error) { return Connect("sqlite3", ":memory:") }
