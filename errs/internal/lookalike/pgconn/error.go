// Package pgconn has errors of the shape of those of jackc/pgx/v5/pgconn, for
// tests: the module does not depend on it. The module integration shows that
// those of the driver are classified alike.
package pgconn

import (
	"errors"
	"fmt"
)

// ErrConnClosed is what the driver returns for a connection that it has closed.
var ErrConnClosed = errors.New("conn closed")

// PgError is an error of the server.
type PgError struct {
	Severity            string
	SeverityUnlocalized string
	Code                string
	Message             string
	Detail              string
	Hint                string
	Position            int32
	InternalPosition    int32
	InternalQuery       string
	Where               string
	SchemaName          string
	TableName           string
	ColumnName          string
	DataTypeName        string
	ConstraintName      string
	File                string
	Line                int32
	Routine             string
}

func (e *PgError) Error() string {
	return e.Severity + ": " + e.Message + " (SQLSTATE " + e.Code + ")"
}

// SQLState returns the code of the error.
func (e *PgError) SQLState() string { return e.Code }

// Config is a part of that of a connection.
type Config struct{ User, Database string }

// ConnectError is a connect that failed.
type ConnectError struct {
	Config *Config
	err    error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("failed to connect to `user=%s database=%s`: %s", e.Config.User, e.Config.Database, e.err)
}

func (e *ConnectError) Unwrap() error { return e.err }

// ParseConfigError is a DSN that the driver cannot read.
type ParseConfigError struct {
	ConnString string
	msg        string
	err        error
}

// NewParseConfigError returns a *ParseConfigError.
func NewParseConfigError(conn, msg string, err error) error {
	return &ParseConfigError{ConnString: conn, msg: msg, err: err}
}

func (e *ParseConfigError) Error() string {
	if e.err == nil {
		return "cannot parse `" + e.ConnString + "`: " + e.msg
	}
	return "cannot parse `" + e.ConnString + "`: " + e.msg + " (" + e.err.Error() + ")"
}

func (e *ParseConfigError) Unwrap() error { return e.err }
