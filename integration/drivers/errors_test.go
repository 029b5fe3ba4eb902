package drivers

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/errs"
)

// canary stands for a value that must not get out. It looks like an identifier,
// so that no check of the alphabet alone keeps it in.
const canary = "c4nary_bob"

// failure is an error, and the text that is recorded of it.
type failure struct {
	name string
	err  error
	want string
}

func checkErrors(t *testing.T, failures []failure) {
	t.Helper()
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			got := errs.Message(f.err)
			if got != f.want {
				t.Errorf("Message(%T)\n got %q\nwant %q\n raw %v", f.err, got, f.want, f.err)
			}
			if strings.Contains(got, canary) {
				t.Errorf("the value got out: %q", got)
			}
		})
	}
}

func checkClass(t *testing.T, err error, want errs.Class) {
	t.Helper()
	if got := errs.Classify(err); got != want {
		t.Errorf("Classify(%T)\n got %+v\nwant %+v", err, got, want)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestErrorsOfSQLite(t *testing.T) {
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	exec := func(query string, args ...any) error {
		_, err := db.ExecContext(t.Context(), query, args...)
		return err
	}
	if err := exec(`PRAGMA foreign_keys = 1;
		CREATE TABLE users (email TEXT UNIQUE, name TEXT NOT NULL, age INT CHECK (age <> 13),
			boss INT, CONSTRAINT age_positive CHECK (age >= 0));
		CREATE UNIQUE INDEX lower_name ON users (lower(name));
		CREATE TABLE strict_one (n INT) STRICT;
		CREATE TABLE parents (id INTEGER PRIMARY KEY);
		CREATE TABLE children (parent INT REFERENCES parents (id));
		CREATE TRIGGER no_admin BEFORE INSERT ON users WHEN new.email = 'admin'
			BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: ` + canary + `'); END;
		INSERT INTO users (email, name, age) VALUES ('` + canary + `', '` + canary + `', 1);
		INSERT INTO parents VALUES (7)`); err != nil {
		t.Fatal(err)
	}
	scan := func(query string) error {
		return db.QueryRowContext(t.Context(), query).Scan(new(int))
	}
	checkErrors(t, []failure{
		{"unique", exec("INSERT INTO users VALUES (?, 'x', 1, NULL)", canary), `constraint (2067): duplicate key, column "users.email"`},
		{"unique index", exec("INSERT INTO users VALUES ('x', ?, 1, NULL)", canary), `constraint (2067): duplicate key, index "lower_name"`},
		{"primary key", exec("INSERT INTO parents VALUES (7)"), `constraint (1555): duplicate primary key, column "parents.id"`},
		{"not null", exec("INSERT INTO users VALUES (?, NULL, 1, NULL)", canary+"1"), `constraint (1299): null value in a column that is not nullable, column "users.name"`},
		{"check", exec("INSERT INTO users VALUES (?, 'x', -1, NULL)", canary+"1"), `constraint (275): check violated, constraint "age_positive"`},
		{"check without a name", exec("INSERT INTO users VALUES (?, 'x', 13, NULL)", canary+"1"), "constraint (275): check violated"},
		{"foreign key", exec("INSERT INTO children VALUES (8)"), "constraint (787): foreign key violated"},
		{"trigger", exec("INSERT INTO users VALUES ('admin', ?, 1, NULL)", canary+"1"), "constraint (1811): raised by a trigger"},
		{"strict", exec("INSERT INTO strict_one VALUES (?)", canary), "constraint (3091): value does not fit the type of its column"},
		{"syntax", exec("SELEC '" + canary + "'"), "syntax (1): syntax error"},
		{"unclosed", exec("SELECT '" + canary), "syntax (1): syntax error"},
		{"column", exec("SELECT " + canary), "undefined (1): no such column"},
		{"table", exec("SELECT 1 FROM " + canary), "undefined (1): no such table"},
		{"column to write", exec("INSERT INTO parents (" + canary + ") VALUES (1)"), "undefined (1): no such column"},
		{"function", exec("SELECT " + canary + "()"), "undefined (1): no such function"},
		{"database", exec("DETACH " + canary), "undefined (1): no such database"},
		{"transaction", exec("COMMIT"), "other (1): not possible in this state of the transaction"},
		{"JSON", scan("SELECT json('" + canary + "')"), "data (1): invalid JSON"},
		{"scan", scan("SELECT '" + canary + "' AS x"), `sql: Scan error on column index 0: converting driver.Value type string to a int`},
		{"scan of a literal", scan("SELECT '" + canary + "!'"), "sql: Scan error on column index 0: converting driver.Value type string to a int"},
		{"scan of null", scan("SELECT NULL AS x"), `sql: Scan error on column index 0: converting NULL to int is unsupported`},
		{"no rows", scan("SELECT 1 WHERE 0"), "sql: no rows in result set"},
		{"argument", exec("SELECT ?", struct{ X string }{canary}), "sql: converting argument $1"},
		{"named argument", exec("SELECT :a", sql.Named("a", struct{ X string }{canary})), `sql: converting argument with name "a"`},
	})
	err = db.QueryRowContext(t.Context(), "SELECT 'x' AS x").Scan(new(time.Time))
	checkErrors(t, []failure{{"scan of a type", err, `sql: Scan error on column index 0: unsupported Scan, storing driver.Value type string into type *time.Time`}})
}

func TestErrorsOfPgx(t *testing.T) {
	const dsn = "postgres://u_" + canary + ":p_" + canary + "@127.0.0.1:1/d_" + canary
	_, refused := pgconn.Connect(t.Context(), dsn)
	_, canceledErr := pgconn.Connect(canceled(t), dsn)
	_, badDSN := pgconn.ParseConfig("postgres://user:" + canary + " x@h:x/db")
	duplicate := &pgconn.PgError{
		Severity: "ERROR", Code: "23505",
		Message: `duplicate key value violates unique constraint "users_email_key"`,
		Detail:  "Key (email)=(" + canary + ") already exists.",
		Where:   "COPY users, line 1: " + canary, InternalQuery: "SELECT '" + canary + "'",
		SchemaName: "public", TableName: "users", ConstraintName: "users_email_key",
	}
	const duplicateText = `constraint (23505): duplicate key, constraint "users_email_key", table "public.users"`
	cast := &pgconn.PgError{Severity: "ERROR", Code: "22P02", Message: `invalid input syntax for type integer: "` + canary + `"`}
	const castText = "data (22P02): invalid text for the type"
	checkErrors(t, []failure{
		{"connect", refused, "connection (*pgconn.ConnectError): dial tcp: connect: connection refused"},
		{"connect, canceled", canceledErr, "canceled (*pgconn.ConnectError): dial tcp: context canceled"},
		{"DSN", badDSN, "other (*pgconn.ParseConfigError): invalid configuration: DSN as URL"},
		{"connect, wrapped", fmt.Errorf("open: %w", refused), "open: connection (*pgconn.ConnectError): dial tcp: connect: connection refused"},
		{"scan", pgx.ScanArgError{FieldName: canary, Err: errors.New(canary)}, "data (pgx.ScanArgError)"},
		{"no rows", pgx.ErrNoRows, "sql: no rows in result set"},
		{"duplicate", duplicate, duplicateText},
		{"cast", cast, castText},
		{"column", &pgconn.PgError{Code: "23502", SchemaName: "s", TableName: "t", ColumnName: "c", DataTypeName: "d"}, `constraint (23502): null value in a column that is not nullable, table "s.t", column "c", type "d"`},
		{"odd names", &pgconn.PgError{Code: "23505", ConstraintName: canary + "@x.com", TableName: "a b", ColumnName: "é", SchemaName: strings.Repeat("s", 200)}, "constraint (23505): duplicate key"},
		{"no code", &pgconn.PgError{Message: canary}, "other (*pgconn.PgError)"},
		{"unknown code", &pgconn.PgError{Code: "ZZ123", Message: canary}, "other (ZZ123): database error"},
		{"nil pointer", (*pgconn.PgError)(nil), "other (*pgconn.PgError)"},
		{"wrapped", fmt.Errorf("save: %w", duplicate), "save: " + duplicateText},
		{"joined", errors.Join(cast, duplicate), castText + "; " + duplicateText},
		{"panic", &errs.PanicError{Value: cast}, "panic (*pgconn.PgError): " + castText},
	})

	checkClass(t, refused, errs.Class{Kind: errs.KindConnection, Type: "*net.OpError", Retryable: true})
	checkClass(t, canceledErr, errs.Class{Kind: errs.KindCanceled, Type: "context.Canceled"})
	checkClass(t, badDSN, errs.Class{Kind: errs.KindOther, Type: "*pgconn.ParseConfigError"})
	checkClass(t, pgx.ErrNoRows, errs.Class{Kind: errs.KindNotFound, Type: "sql.ErrNoRows"})
	checkClass(t, pgconn.ErrConnClosed, errs.Class{Kind: errs.KindConnection, Type: "pgconn.ErrConnClosed"})
	checkClass(t, pgx.ScanArgError{Err: errors.New("x")}, errs.Class{Kind: errs.KindData, Type: "pgx.ScanArgError"})
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
		want := errs.Classify(end)
		want.Kind = errs.KindConnection
		checkClass(t, pgx.ScanArgError{Err: end}, want)
	}
}

// A code of each kind, in each type that drivers have for codes.
func TestTypesOfErrors(t *testing.T) {
	for code, want := range map[string]errs.Class{
		"57014": {Kind: errs.KindCanceled}, "08006": {Kind: errs.KindConnection}, "23505": {Kind: errs.KindConstraint},
		"40001": {Kind: errs.KindSerialization, Retryable: true}, "40P01": {Kind: errs.KindDeadlock, Retryable: true},
		"55P03": {Kind: errs.KindLockTimeout}, "42601": {Kind: errs.KindSyntax}, "42501": {Kind: errs.KindPermission},
		"53300": {Kind: errs.KindResource}, "22P02": {Kind: errs.KindData}, "P0002": {Kind: errs.KindNotFound}, "P0001": {Kind: errs.KindOther},
	} {
		want.Code, want.Type = code, code
		checkClass(t, &pgconn.PgError{Severity: "ERROR", Code: code, Message: "m"}, want)
		checkClass(t, &pq.Error{Severity: "ERROR", Code: pqerror.Code(code), Message: "m"}, want)
	}
	for code, want := range map[uint16]errs.Class{
		1317: {Kind: errs.KindCanceled}, 3024: {Kind: errs.KindTimeout}, 2006: {Kind: errs.KindConnection}, 1062: {Kind: errs.KindConstraint},
		1020: {Kind: errs.KindSerialization, Retryable: true}, 1213: {Kind: errs.KindDeadlock, Retryable: true}, 1205: {Kind: errs.KindLockTimeout},
		1064: {Kind: errs.KindSyntax}, 1045: {Kind: errs.KindPermission}, 1040: {Kind: errs.KindResource}, 1406: {Kind: errs.KindData},
		1329: {Kind: errs.KindNotFound}, 1644: {Kind: errs.KindOther},
	} {
		want.Code = strconv.Itoa(int(code))
		want.Type = want.Code
		checkClass(t, &mysql.MySQLError{Number: code, Message: "m"}, want)
	}
	for code, want := range map[int]errs.Class{
		9: {Kind: errs.KindCanceled}, 14: {Kind: errs.KindConnection}, 2067: {Kind: errs.KindConstraint}, 517: {Kind: errs.KindSerialization, Retryable: true},
		5: {Kind: errs.KindLockTimeout}, 1: {Kind: errs.KindSyntax}, 8: {Kind: errs.KindPermission}, 13: {Kind: errs.KindResource},
		20: {Kind: errs.KindData}, 21: {Kind: errs.KindOther},
	} {
		want.Code = strconv.Itoa(code)
		want.Type = want.Code
		checkClass(t, sqlite3.Error{Code: sqlite3.ErrNo(code & 0xff), ExtendedCode: sqlite3.ErrNoExtended(code)}, want)
		checkClass(t, sqlite3.ErrNoExtended(code), want)
		if code <= 0xff {
			checkClass(t, sqlite3.ErrNo(code), want)
		}
	}
	checkClass(t, sqlite3.Error{}, errs.Class{Kind: errs.KindOther, Type: "sqlite3.Error"})
	checkClass(t, &mysql.MySQLError{}, errs.Class{Kind: errs.KindOther, Type: "*mysql.MySQLError"})
	checkClass(t, &pgconn.PgError{}, errs.Class{Kind: errs.KindOther, Type: "*pgconn.PgError"})
	checkClass(t, mysql.ErrInvalidConn, errs.Class{Kind: errs.KindConnection, Type: "mysql.ErrInvalidConn"})
	checkErrors(t, []failure{
		{"SQLite errno", sqlite3.ErrNo(5), "lock_timeout (5): database is locked"},
		{"SQLite no code", sqlite3.Error{}, "other (sqlite3.Error)"},
	})
}

// Types are looked at without allocations, whichever driver they are from.
func TestClassifyAllocations(t *testing.T) {
	pg := &pgconn.PgError{Code: "23505"}
	for name, err := range map[string]error{
		"pgx":      pg,
		"pgx deep": fmt.Errorf("a: %w", fmt.Errorf("b: %w", pg)),
		"SQLite":   sqlite3.Error{Code: 19, ExtendedCode: 2067},
		"MySQL":    &mysql.MySQLError{Number: 1062},
		"bad conn": driver.ErrBadConn,
	} {
		if got := testing.AllocsPerRun(100, func() { errs.Classify(err) }); got != 0 {
			t.Errorf("%s: %v allocations, want none", name, got)
		}
	}
}
