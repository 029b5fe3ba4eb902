package errs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mssql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mysql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/ncruces"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgx"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pq"
	modernc "github.com/taskspan/taskspan/errs/internal/lookalike/sqlite"
	"github.com/taskspan/taskspan/errs/internal/lookalike/sqlite3"
	"github.com/taskspan/taskspan/internal/drivertext"
)

// canary stands for a value that must not get out. It looks like an identifier,
// so that no check of the alphabet alone keeps it in.
const canary = "c4nary_bob"

// duplicate is what pgx says of a violated unique constraint.
var duplicate = &pgconn.PgError{
	Severity: "ERROR", Code: "23505",
	Message: `duplicate key value violates unique constraint "users_email_key"`,
	Detail:  "Key (email)=(" + canary + ") already exists.",
	Where:   "COPY users, line 1: " + canary, InternalQuery: "SELECT '" + canary + "'",
	SchemaName: "public", TableName: "users", ConstraintName: "users_email_key",
}

const duplicateText = `constraint (23505): duplicate key, constraint "users_email_key", table "public.users"`

// cast is what pgx says of a value that is no number.
var cast = &pgconn.PgError{
	Severity: "ERROR", Code: "22P02", Message: `invalid input syntax for type integer: "` + canary + `"`,
}

const castText = "data (22P02): invalid text for the type"

func my(number uint16, text string) error { return &mysql.MySQLError{Number: number, Message: text} }

func ms(number int32, text string) error { return mssql.Error{Number: number, Message: text} }

type message struct {
	name string
	err  error
	want string
}

func TestMessageDatabase(t *testing.T) {
	checkMessages(t, []message{
		{"pgx", duplicate, duplicateText},
		{"pgx cast", cast, castText},
		{"pgx column", &pgconn.PgError{Code: "23502", SchemaName: "s", TableName: "t", ColumnName: "c", DataTypeName: "d"}, `constraint (23502): null value in a column that is not nullable, table "s.t", column "c", type "d"`},
		{"pgx odd names", &pgconn.PgError{Code: "23505", ConstraintName: canary + "@x.com", TableName: "a b", ColumnName: "é", SchemaName: strings.Repeat("s", 200)}, "constraint (23505): duplicate key"},
		{"pgx no code", &pgconn.PgError{Message: canary}, "other (*pgconn.PgError)"},
		{"pgx unknown code", &pgconn.PgError{Code: "ZZ123", Message: canary}, "other (ZZ123): database error"},
		{"lib/pq", &pq.Error{Severity: "ERROR", Code: "23505", Message: canary, Table: "users", Constraint: "users_email_key", Schema: "public"}, duplicateText},

		{"MySQL duplicate", my(1062, "Duplicate entry '"+canary+"' for key 'users.email'"), `constraint (1062): duplicate key, key "users.email"`},
		{"MySQL duplicate, crafted", my(1062, "Duplicate entry 'x' for key '"+canary+"' for key 'users.email'"), "constraint (1062): duplicate key"},
		{"MySQL duplicate, crafted and cut", my(1062, "Duplicate entry '"+strings.Repeat("x", 470)+"' for key '"+canary+"'"), "constraint (1062): duplicate key"},
		{"MySQL duplicate, odd key", my(1062, "Duplicate entry 'x' for key '"+canary+" y'"), "constraint (1062): duplicate key"},
		{"MySQL duplicate, translated", my(1062, "Doppelter Eintrag '"+canary+"' für Schlüssel 'k'"), "constraint (1062): duplicate key"},
		{"MySQL null", my(1048, "Column 'email' cannot be null"), `constraint (1048): null value in a column that is not nullable, column "email"`},
		{"MySQL default", my(1364, "Field 'email' doesn't have a default value"), `constraint (1364): column without a default, column "email"`},
		{"MySQL range", my(1264, "Out of range value for column 'age' at row 1"), `data (1264): number out of range, column "age"`},
		{"MySQL truncated", my(1265, "Data truncated for column 'age' at row 17"), `data (1265): value truncated, column "age"`},
		{"MySQL too long", my(1406, "Data too long for column 'name' at row 1"), `data (1406): text too long, column "name"`},
		{"MySQL too long, odd row", my(1406, "Data too long for column 'name' at row "+canary), "data (1406): text too long"},
		{"MySQL too long, no quotes", my(1406, "Data too long for column "+canary+" at row 1"), "data (1406): text too long"},
		{"MySQL too long, no row", my(1406, "Data too long for column '"+canary+"'"), "data (1406): text too long"},
		{"MySQL wrong value", my(1366, "Incorrect integer value: '"+canary+"' for column 'age' at row 1"), `data (1366): invalid value for the column, column "age"`},
		{"MySQL wrong value, crafted", my(1366, "Incorrect integer value: 'x' for column '"+canary+"' at row 1' for column 'age' at row 1"), "data (1366): invalid value for the column"},
		{"MariaDB wrong value", my(1366, "Incorrect integer value: '"+canary+"' for column `db`.`t`.`age` at row 1"), `data (1366): invalid value for the column, column "db.t.age"`},
		{"MySQL wrong date", my(1292, "Incorrect datetime value: '"+canary+"' for column 'at' at row 1"), `data (1292): invalid value for the type, column "at"`},
		{"MySQL wrong double", my(1292, "Truncated incorrect DOUBLE value: '"+canary+"'"), "data (1292): invalid value for the type"},
		{"MySQL child", my(1452, "Cannot add or update a child row: a foreign key constraint fails (`db`.`orders`, CONSTRAINT `fk_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`))"), `constraint (1452): foreign key violated, constraint "fk_user", table "db.orders"`},
		{"MySQL parent", my(1451, "Cannot delete or update a parent row: a foreign key constraint fails (`db`.`orders`, CONSTRAINT `fk_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`))"), `constraint (1451): row is still referenced, constraint "fk_user", table "db.orders"`},
		{"MySQL child, odd", my(1452, "Cannot add or update a child row: "+canary), "constraint (1452): foreign key violated"},
		{"MySQL child, other", my(1452, canary), "constraint (1452): foreign key violated"},
		{"MySQL check", my(3819, "Check constraint 'age_positive' is violated."), `constraint (3819): check violated, constraint "age_positive"`},
		{"MariaDB check", my(4025, "CONSTRAINT `age_positive` failed for `db`.`t`"), `constraint (4025): check violated, constraint "age_positive", table "db.t"`},
		{"MariaDB check, odd", my(4025, "CONSTRAINT "+canary+" failed for "+canary), "constraint (4025): check violated"},
		{"MySQL column", my(1054, "Unknown column '"+canary+"' in 'field list'"), "undefined (1054): no such column"},
		{"MySQL access", my(1045, "Access denied for user '"+canary+"'@'h' (using password: YES)"), "permission (1045): access denied"},
		{"MySQL unknown", my(9999, canary), "other (9999): database error"},
		{"go-mysql", &mysql.MyError{Code: 1048, State: "23000", Message: "Column 'email' cannot be null"}, `constraint (1048): null value in a column that is not nullable, column "email"`},

		{"modernc unique", modernc.New("constraint failed: UNIQUE constraint failed: users.email, users.name (2067)", 2067), `constraint (2067): duplicate key, column "users.email", column "users.name"`},
		{"ncruces null", ncruces.New("constraint failed: NOT NULL constraint failed: users.email", 1299), `constraint (1299): null value in a column that is not nullable, column "users.email"`},
		{"SQLite index", modernc.New("UNIQUE constraint failed: index 'users_lower_email'", 2067), `constraint (2067): duplicate key, index "users_lower_email"`},
		{"SQLite trigger", modernc.New("UNIQUE constraint failed: "+canary, 1811), "constraint (1811): raised by a trigger"},
		{"SQLite odd list", modernc.New("UNIQUE constraint failed: a.b, "+canary+" ", 2067), "constraint (2067): duplicate key"},
		{"SQLite long list", modernc.New("UNIQUE constraint failed: a.a"+strings.Repeat(", a.b", 20), 2067), "constraint (2067): duplicate key"},
		{"SQLite odd text", modernc.New(canary, 2067), "constraint (2067): duplicate key"},
		{"SQLite errno", sqlite3.ErrNo(5), "lock_timeout (5): database is locked"},
		{"SQLite no code", sqlite3.Error{}, "other (sqlite3.Error)"},

		{"SQL Server unique", ms(2627, "Violation of UNIQUE KEY constraint 'UQ_users'. Cannot insert duplicate key in object 'dbo.users'. The duplicate key value is ("+canary+")."), `constraint (2627): duplicate key, constraint "UQ_users", table "dbo.users"`},
		{"SQL Server primary", ms(2627, "Violation of PRIMARY KEY constraint 'PK_users'. Cannot insert duplicate key in object 'dbo.users'. The duplicate key value is ('. Cannot insert duplicate key in object '"+canary+"'.)."), `constraint (2627): duplicate key, constraint "PK_users", table "dbo.users"`},
		{"SQL Server index", ms(2601, "Cannot insert duplicate key row in object 'dbo.users' with unique index 'IX_email'. The duplicate key value is ("+canary+")."), `constraint (2601): duplicate key, index "IX_email", table "dbo.users"`},
		{"SQL Server conflict", ms(547, `The INSERT statement conflicted with the FOREIGN KEY constraint "FK_user". The conflict occurred in database "db", table "dbo.users", column 'id'.`), `constraint (547): constraint violated, constraint "FK_user"`},
		{"SQL Server null", ms(515, "Cannot insert the value NULL into column 'email', table 'db.dbo.users'; column does not allow nulls. INSERT fails."), `constraint (515): null value in a column that is not nullable, column "email", table "db.dbo.users"`},
		{"SQL Server too long", ms(2628, "String or binary data would be truncated in table 'db.dbo.users', column 'name'. Truncated value: '"+canary+"'."), `data (2628): text too long, table "db.dbo.users", column "name"`},
		{"SQL Server cast", ms(245, "Conversion failed when converting the varchar value '"+canary+"' to data type int."), "data (245): invalid text for the type"},
		{"SQL Server translated", ms(2627, "Verletzung der UNIQUE KEY-Einschränkung "+canary), "constraint (2627): duplicate key"},
		{"SQL Server odd", ms(515, "Cannot insert the value NULL into column '"+canary), "constraint (515): null value in a column that is not nullable"},
	})
}

func TestMessageOwnText(t *testing.T) {
	_, number := strconv.Atoi(canary)
	broken := errors.Join(errors.New("a"), fmt.Errorf("b: %w", cast))
	checkMessages(t, []message{
		{"nil", nil, ""},
		{"text", errors.New("user bob@x.com is locked"), "user ? is locked"},
		{"wrapped text", fmt.Errorf("a: %w", fmt.Errorf("b: %w", errors.New("c"))), "a: b: c"},
		{"own type", &fault{"limit of 7 reached"}, "limit of ? reached"},
		{"value", fmt.Errorf("a: %w", context.Canceled), "a: context canceled"},
		{"percent-w", fmt.Errorf("save user 7: %w", duplicate), "save user ?: " + duplicateText},
		{"around", fmt.Errorf("<%w> in user 7", duplicate), `<constraint (23505): duplicate key, constraint "users_email_key", table "public.users"> in user ?`},
		{"two", fmt.Errorf("%w, then %w", cast, io.EOF), castText + ", then EOF"},
		{"two drivers", fmt.Errorf("%w, then %w", cast, duplicate), castText + ", then " + duplicateText},
		{"twice", fmt.Errorf("%w and %[1]w", cast), castText + " and " + castText},
		{"join", errors.Join(errors.New("a"), cast), "a; " + castText},
		{"wrapped join", fmt.Errorf("x: %w", broken), "x: a; b: " + castText},
		{"own type around", &appError{"save", fmt.Errorf("x: %w", cast)}, "save: x: " + castText},
		{"mute", mute{cast}, "it failed: " + castText},
		{"mute within", fmt.Errorf("x: %w", mute{cast}), "x: it failed: " + castText},
		{"mute around the own", mute{errors.New("x")}, "it failed"},
		{"part of the text", &twisted{cast.Message, cast}, "*errs_test.twisted: " + castText},
		{"changed text", &twisted{strings.ToUpper(cast.Error()), cast}, castText},
		{"text and detail", &twisted{duplicate.Error() + " — " + duplicate.Detail, duplicate}, duplicateText + " — ?"},
		{"text and message", &twisted{duplicate.Error() + ", " + duplicate.Message, duplicate}, duplicateText + ", ?"},
		{"quoted and plain", fmt.Errorf("%q: %[1]w", cast), `"` + castText + `": ` + castText},
		{"overlap", &twisted{"aXaXa", &twisted{"aXa", cast}}, "aXaXa: " + castText},
		{"no text", &twisted{"", cast}, "*errs_test.twisted: " + castText},
		{"number", fmt.Errorf("read age: %w", number), "read age: strconv.Atoi: invalid syntax"},
		{"lines", errors.New("a\n\tb\r\nc\x00"), "a b c"},
		{"broken UTF-8", errors.New("a\xffb\u2028c"), "? c"},
		{"list", list{errors.New("a"), nil, cast}, "a; " + castText},
		{"no word at all", errors.New(""), "*errors.errorString"},
		{"flat text of a mute", fmt.Errorf("%v", mute{cast}), "it failed"},
	})
}

// twisted is an error whose text is whatever it is.
type twisted struct {
	text string
	err  error
}

func (e *twisted) Error() string { return e.text }
func (e *twisted) Unwrap() error { return e.err }

// list is a slice of errors without a method Unwrap.
type list []error

func (l list) Error() string {
	var b strings.Builder
	for _, err := range l {
		if err != nil {
			b.WriteString(err.Error() + "\n")
		}
	}
	return b.String()
}

// A text of which the type is lost is known by its wording.
func TestMessageWording(t *testing.T) {
	flat := func(err error) error { return fmt.Errorf("load 7: %v", err) }
	_, number := strconv.ParseInt(canary, 10, 64)
	_, noTime := time.Parse(time.RFC3339, canary)
	_, noURL := url.Parse("http://u:" + canary + "@[::1")
	duplicateEntry := "Duplicate entry '" + canary + "' for key 'k'"
	checkMessages(t, []message{
		{"pgx", flat(duplicate), "load ?: ERROR: duplicate key value violates unique constraint ? (?)"},
		{"pgx translated", flat(&pgconn.PgError{Severity: "FEHLER", Code: "22P02", Message: canary + " ERROR: "}), "load ?: FEHLER: ? ERROR: (?)"},
		{"pgx in Turkish", flat(&pgconn.PgError{Severity: "ÖLÜMCÜL (FATAL)", Code: "22P02", Message: canary}), "load ?: ÖLÜMCÜL (?): ? (?)"},
		{"pgx in Chinese", flat(&pgconn.PgError{Severity: "错误", Code: "22P02", Message: canary}), "load ?: 错误: ? (?)"},
		{"pgx without a severity", flat(&pgconn.PgError{Code: "22P02", Message: canary}), "load ?: : ? (?)"},
		{"pgx quoted", fmt.Errorf("load: %q", cast), "load: ?"},
		{"pgx odd code", errors.New("x ERROR: " + canary + " (SQLSTATE x)"), "x ERROR: ? (?)"},
		{"lib/pq", flat(&pq.Error{Message: canary}), "load ?: pq: ?"},
		{"lib/pq no more", errors.New("xpq: 1"), "xpq: ?"},
		{"MySQL", flat(my(1062, duplicateEntry)), "load ?: Error ?: Duplicate entry ? for key ?"},
		{"MySQL with a state", flat(&mysql.MySQLError{Number: 1062, SQLState: [5]byte([]byte("23000")), Message: canary}), "load ?: Error ? (?): ?"},
		{"go-mysql", flat(&mysql.MyError{Code: 1062, State: "23000", Message: canary}), "load ?: ERROR ? (?): ?"},
		{"no MySQL", errors.New("Error 12: x, Error 1062 (2): x, Error x"), "Error ?: x, Error ? (?): x, Error x"},
		{"MySQL text", errors.New(duplicateEntry), "Duplicate entry ? for key ?"},
		{"MySQL value", errors.New("Incorrect integer value: '" + canary + "'"), "Incorrect integer value: ?"},
		{"SQLite DSN", errors.New("Invalid _busy_timeout: " + canary + ": strconv.ParseInt: parsing " + canary), "Invalid _busy_timeout: ?: strconv.ParseInt: parsing ?"},
		{"MySQL file", errors.New("local file '" + canary + "' is not registered"), "local file ? is not registered"},
		{"MySQL reader", errors.New("reader '" + canary + "' is not registered"), "reader ? is not registered"},
		{"MySQL parameter", errors.New("invalid bool value: " + canary), "invalid bool value: ?"},
		{"no MySQL value", errors.New("Incorrect password"), "Incorrect password"},
		{"SQL Server", flat(ms(245, canary)), "load ?: mssql: ?"},
		{"SQLite", errors.New(`near "` + canary + `": syntax error`), "near ?: syntax error"},
		{"detail", errors.New("x: " + duplicate.Detail), "x: Key (?)=(?) already exists."},
		{"no detail", errors.New("Key (7) is missing"), "Key (?) is missing"},
		{"scan", errors.New("load: sql: Scan error on column index 3, name \"n\": " + canary), `load: sql: Scan error on column index 3`},
		{"scan, odd name", errors.New(`sql: Scan error on column index 3, name "` + canary + `@x": y`), "sql: Scan error on column index 3"},
		{"scan, broken", errors.New("sql: Scan error on column index " + canary), "sql: Scan error on column"},
		{"scan, cut", errors.New(`sql: Scan error on column index 1, name "` + canary), "sql: Scan error on column index 1"},
		{"scan, no name", errors.New(`sql: Scan error on column index 1; ` + canary), "sql: Scan error on column index 1"},
		{"scan, odd value", errors.New(`sql: Scan error on column index 1, name "n": converting driver.Value type string ("` + canary + `\") to a x: ") to a int: invalid`), `sql: Scan error on column index 1: converting driver.Value type string to a int`},
		{"scan, own error", fmt.Errorf("sql: Scan error on column index 1, name \"n\": %w", errors.New(canary)), `sql: Scan error on column index 1`},
		{"converting", errors.New("converting driver.Value " + "type " + canary + "! x"), "converting driver.Value"},
		{"argument", errors.New("sql: converting argument " + canary), "sql: converting argument"},
		{"number", flat(number), "load ?: strconv.ParseInt: parsing ?: invalid syntax"},
		{"no number", errors.New("strconv.Quote is slow"), "strconv.Quote is slow"},
		{"time", flat(noTime), "load ?: parsing time ? as ?: cannot parse ? as ?"},
		{"URL", flat(noURL), "load ?: parse ?: missing ? in host"},
		{"DSN in a URL", errors.New("open postgres://u:" + canary + "@h/db: no"), "open ?: no"},
		{"password", errors.New("open host=h password=" + canary), "open host=? password=?"},
		{"address", errors.New("see https://example.com/errors"), "see ?"},
		{"encode", errors.New("failed to encode args[0]: unable to encode \"" + canary + "\""), "failed to encode args[?]: unable to encode ?"},
		{"encode, odd", errors.New("failed to encode args[" + canary), "failed to encode args[?"},
		{"too great", errors.New("x: 12345678 is greater than maximum value for int4"), "x: ? is greater than maximum value for ?"},
		{"first of two", errors.New("pq: Error 1062: " + canary), "pq: Error ?: ?"},
		{"wording and child", fmt.Errorf("pq: %s: %w", canary, cast), "pq: ?: " + castText},
		{"wording before a child", fmt.Errorf("cannot unmarshal order 7: %w", cast), "cannot unmarshal order ?: " + castText},
		{"address before a child", fmt.Errorf("order 7 (https://shop/o/7) failed: %w; retry?", cast), "order ? (?) failed: data (22P02): invalid text for the type; retry?"},
		{"duration", fmt.Errorf("dial timeout: %v", parseDuration(t, canary)), "dial timeout: time: invalid duration ?"},
		{"request", fmt.Errorf("call: %v", &url.Error{Op: "Get", URL: "http://h/bot" + canary + "/send", Err: io.EOF}), "call: Get ?: EOF"},
		{"DSN", errors.New("server=x;Pwd=" + canary), "server=?;Pwd=?"},
		{"bun", errors.New("load: ERROR: duplicate key value (SQLSTATE=23505) " + canary), "load: ERROR: duplicate key value (?) ?"},
		{"no state", errors.New("load: ERROR: (SQLSTATE"), "load: ERROR: (?"},
	})
}

func parseDuration(t *testing.T, s string) error {
	t.Helper()
	_, err := time.ParseDuration(s)
	if err == nil {
		t.Fatal("parsed")
	}
	return err
}

func TestMessageLibraries(t *testing.T) {
	_, number := strconv.Atoi(canary)
	_, noTime := time.Parse(time.RFC3339, canary)
	_, noURL := url.Parse("http://" + canary + ":" + canary)
	_, noFile := os.Open("/does/not/exist/" + canary)
	noJSON := json.Unmarshal([]byte(`{"`+canary+`": x`), new(any))
	wrongJSON := json.Unmarshal([]byte(`{"X": "`+canary+`"}`), new(struct{ X int }))
	checkMessages(t, []message{
		{"pgx scan", pgx.ScanArgError{FieldName: canary, Err: errors.New(canary)}, "data (pgx.ScanArgError)"},
		{"pgx scan, own error", pgx.ScanArgError{FieldName: canary, Err: &fault{"odd"}}, "data (pgx.ScanArgError): odd"},
		{"pgx no rows", pgx.ErrNoRows, "sql: no rows in result set"},
		{"dial", dial(syscall.ECONNREFUSED), "dial tcp: connect: connection refused"},
		{"dial, late", dialed(t, expired(t)), "dial tcp: timeout (*net.timeoutError)"},
		{"odd dial", &net.OpError{Op: canary + "!", Net: canary + " x", Err: io.EOF}, "connection (*net.OpError): EOF"},
		{"DNS", &net.DNSError{Name: canary, Server: canary, IsNotFound: true}, "lookup: no such host"},
		{"DNS late", &net.DNSError{Name: canary, IsTimeout: true}, "lookup: timeout"},
		{"DNS down", &net.DNSError{Name: canary, IsTemporary: true}, "lookup: temporary failure"},
		{"DNS broken", &net.DNSError{Name: canary, Err: canary}, "lookup: failure"},
		{"address", &net.AddrError{Err: canary, Addr: canary}, "connection (*net.AddrError)"},
		{"get", &url.Error{Op: "Get", URL: "https://x?k=" + canary, Err: dial(syscall.ECONNREFUSED)}, "Get: dial tcp: connect: connection refused"},
		{"get, own error", &url.Error{Op: "Get", URL: "https://x?k=" + canary, Err: errors.New(canary)}, "other (*url.Error)"},
		{"URL", noURL, "other (*url.Error)"},
		{"file", noFile, "open: no such file or directory"},
		{"link", &os.LinkError{Op: "rename", Old: canary, New: canary, Err: syscall.EACCES}, "rename: permission denied"},
		{"number", number, "strconv.Atoi: invalid syntax"},
		{"odd number", &strconv.NumError{Func: canary + "!", Num: canary, Err: strconv.ErrRange}, "data (*strconv.NumError): value out of range"},
		{"time", noTime, "data (*time.ParseError)"},
		{"JSON", noJSON, "data (*json.SyntaxError)"},
		{"JSON type", wrongJSON, "data (*json.UnmarshalTypeError)"},
		{"x509", x509.HostnameError{Host: canary, Certificate: &x509.Certificate{}}, "connection (x509.HostnameError)"},
		{"TLS", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "connection (x509.UnknownAuthorityError)"},
		{"errno", syscall.EPIPE, "broken pipe"},
		{"nil pointer", (*net.OpError)(nil), "other (*net.OpError)"},
		{"nil pointer of a driver", (*pgconn.PgError)(nil), "other (*pgconn.PgError)"},
		{"nil pointer of DNS", fmt.Errorf("x: %w", (*net.DNSError)(nil)), "x: other (*net.DNSError)"},
	})
}

func TestMessagePanic(t *testing.T) {
	caught := func(f func()) (err error) {
		defer func() { err = &errs.PanicError{Value: recover(), Stack: []byte(canary)} }()
		f()
		return nil
	}
	var none map[string]int
	var index = len(canary)
	checkMessages(t, []message{
		{"text", caught(func() { panic(canary) }), "panic (string)"},
		{"number", caught(func() { panic(12345) }), "panic (int)"},
		{"unnamed", caught(func() { panic(struct{ x string }{canary}) }), "panic (struct)"},
		{"error", caught(func() { panic(cast) }), "panic (*pgconn.PgError): " + castText},
		{"own error", caught(func() { panic(fmt.Errorf("a: %w", cast)) }), "panic (*fmt.wrapError): a: " + castText},
		{"index", caught(func() { _ = make([]int, 1)[index] }), "panic (runtime.boundsError): runtime error: index or bounds out of range"},
		{"map", caught(func() { none["a"] = 1 }), "panic (runtime.plainError): assignment to entry in nil map"},
		{"type", caught(func() { _ = any(canary).(int) }), "panic (*runtime.TypeAssertionError): interface conversion: interface {} is string, not int"},
		{"nil", caught(func() {}), "panic"},
		{"nil pointer", (*errs.PanicError)(nil), "panic"},
		{"wrapped", fmt.Errorf("task: %w", caught(func() { panic(canary) })), "task: panic (string)"},
		{"within", caught(func() { panic(caught(func() { panic(canary) })) }), "panic (*errs.PanicError): panic (string)"},
		{"text of a panic", fmt.Errorf("x: %v", caught(func() { panic(cast) })), "x: panic"},
	})
}

func TestMessageBounds(t *testing.T) {
	long := errors.New(strings.Repeat("é ", 4000))
	got := errs.Message(long)
	if len(got) > errs.MaxMessage || !utf8.ValidString(got) || !strings.HasSuffix(got, "é …") && !strings.HasSuffix(got, "é…") {
		t.Errorf("%d bytes, valid %v: …%q", len(got), utf8.ValidString(got), got[len(got)-8:])
	}
	exact := strings.Repeat("x ", errs.MaxMessage/2-1) + "xx"
	if got := errs.Message(errors.New(exact)); got != exact {
		t.Errorf("a text of the greatest length was cut to %d bytes", len(got))
	}
	huge := strings.Repeat("x", 1<<20)
	checkMessages(t, []message{
		{"huge around a driver's", fmt.Errorf("%s: %w", huge, cast), castText},
		{"the same too often", &twisted{strings.Repeat("a", 1000), &twisted{"a", &twisted{"b", cast}}}, "*errs_test.twisted: " + castText},
	})
}

func TestIdentifier(t *testing.T) {
	for s, want := range map[string]bool{
		"users": true, "users.email": true, "a_1$": true, "_x.Y": true, "a": true, strings.Repeat("a", 128): true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "1a": false, "a.1": false, "$a": false, "a b": false,
		"a-b": false, "a'b": false, `a"b`: false, "a@b": false, "é": false, "a\n": false, strings.Repeat("a", 129): false,
	} {
		if got := errs.IsIdentifier(s); got != want {
			t.Errorf("IsIdentifier(%q) = %v", s, got)
		}
	}
}

func checkMessages(t *testing.T, tests []message) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := errs.Message(test.err)
			if got != test.want {
				t.Errorf("Message(%T)\n got %q\nwant %q\n raw %v", test.err, got, test.want, raw(test.err))
			}
			if strings.Contains(got, canary) {
				t.Errorf("the value got out: %q", got)
			}
		})
	}
}

// raw is what err says itself, cut.
func raw(err error) string {
	s := fmt.Sprintf("%v", err)
	return s[:min(len(s), 200)]
}

// What other libraries and drivers say without a type of their own, and how Go
// prints a driver's error with %#v.
func TestMessageQuotingText(t *testing.T) {
	text := func(s string) error { return errors.New("load: " + s) }
	pg := &pgconn.PgError{Severity: "ERROR", Code: "23505", Message: canary}
	checkMessages(t, []message{
		{"time zone", text("unknown time zone " + canary), "load: unknown time zone ?"},
		{"JSON field", text(`json: unknown field "` + canary + `"`), "load: json: unknown field ?"},
		{"port", text(`invalid port "` + canary + `" parsing x`), "load: invalid port ? parsing x"},
		{"flag", text(`invalid value "` + canary + `" for flag -n: parse error`), "load: invalid value ? for flag -n: parse error"},
		{"level", text(`slog: level string "` + canary + `": unknown name`), "load: slog: level string ?: unknown name"},
		{"method", text(`net/http: invalid method "` + canary + ` x"`), "load: net/http: invalid method ?"},
		{"PostgreSQL range", text(`value "` + canary + `" is out of range for type integer`), "load: value ? is out of range for type integer"},
		{"quoted range", text(strconv.Quote(`value "` + canary + `" is out of range for type integer`)), "load: ?"},
		{"own value", text(`value "a" is odd`), "load: value ? is odd"},
		{"own invalid value", text("invalid value for the quantity"), "load: invalid value for the quantity"},
		{"own port", text("invalid port number"), "load: invalid port number"},
		{"own decoding", text("cannot decode the body"), "load: cannot decode the body"},
		{"partition", text("Partition key of the failing row contains (email) = (" + canary + ")."), "load: Partition key of the failing row contains (?) =(?)."},
		{"lib/pq detail", text(`ERROR:   value "` + canary + `" is odd`), "load: ERROR: value ? is odd"},
		{"MySQL column", text("Unknown column '" + canary + "' in 'field list'"), "load: Unknown column ? in ?"},
		{"SQL Server conversion", text("The conversion of the varchar value '" + canary + "' overflowed an int column."), "load: The conversion of the varchar value ? overflowed an int column."},
		{"SQL Server overflow", text("Arithmetic overflow error converting numeric, value = " + canary), "load: Arithmetic overflow error converting numeric, value =?"},
		{"pgtype number", text(canary + " is not a number"), "load: ? is not a number"},
		{"pgtype decode", text("cannot decode " + canary + " into Time"), "load: cannot decode ? into Time"},
		{"panic", fmt.Errorf("inner: %v", &errs.PanicError{Value: canary}), "inner: panic"},
		{"%#v of pgx", fmt.Errorf("load: %#v", pg), "load: ?{?}"},
		{"%#v of lib/pq", fmt.Errorf("load: %#v", &pq.Error{Message: canary}), "load: ?{?}"},
		{"%#v of MySQL", fmt.Errorf("load: %#v", &mysql.MySQLError{Message: canary}), "load: ?{?}"},
		{"%#v of SQL Server", fmt.Errorf("load: %#v", mssql.Error{Message: canary}), "load: ?{?}"},
	})
}

// go-sql-driver takes what stands before the parenthesis for a network, though it
// may be a part of the password.
func TestMessageNetwork(t *testing.T) {
	for _, message := range []func(error) string{errs.Message, errs.DriverMessage} {
		if got := message(&net.OpError{Op: "dial", Net: canary, Err: net.UnknownNetworkError(canary)}); strings.Contains(got, canary) {
			t.Errorf("the network got out: %q", got)
		}
		if got := message(&net.OpError{Op: "dial", Net: "unix", Err: syscall.ECONNREFUSED}); got != "dial unix: connection refused" {
			t.Errorf("message %q", got)
		}
	}
}

// What a driver has said is told as a driver's, however it comes back.
func TestMessageRemembered(t *testing.T) {
	const said = "default addr for network '" + canary + "' unknown"
	raw := errors.New(said)
	const long = "the driver said " + canary + "..."
	errs.LookDriver(nil, nil)
	errs.LookDriver(raw, nil)
	var process *drivertext.Memory
	process.Remember(nil, drivertext.New("a word", "a safe word"))
	process.Remember(nil, drivertext.New(long+strings.Repeat(canary, 1000), "something long"))
	checkMessages(t, []message{
		{"bare", raw, "other (*errors.errorString): invalid configuration: network"},
		{"wrapped", fmt.Errorf("open: %w", raw), "open: other (*errors.errorString): invalid configuration: network"},
		{"formatted", fmt.Errorf("open: %v, giving up", raw), "open: other (*errors.errorString): invalid configuration: network, giving up"},
		{"quoted", fmt.Errorf("open: %q", said), `open: "other (*errors.errorString): invalid configuration: network"`},
		{"joined", errors.Join(raw, errors.New("own")), "other (*errors.errorString): invalid configuration: network; own"},
		{"a word of its own", errors.New("a word"), "other (*errors.errorString)"},
		{"a word of another", errors.New("a word of another"), "a word of another"},
		{"long", errors.New("open: " + long + strings.Repeat(canary, 1000) + canary), "open: something long"},
	})
}

// So is what an application has made of a driver's error of any type: by then it
// is a plain text, in which only the words tell whose they are.
func TestMessageRememberedForms(t *testing.T) {
	unquoted := errors.New(`missing "=" after "` + canary + `" in connection info string`)
	lookup := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "app:" + canary + ":", IsNotFound: true}}
	raised := &pgconn.PgError{Severity: "ERROR", Code: "P0001", Message: "card " + canary + " is stolen", Where: "in the order of " + canary}
	plain := errors.New("malformed MATCH expression of the driver: [" + canary + "]")
	for _, err := range []error{unquoted, lookup, raised, plain} {
		errs.LookDriver(err, nil)
	}
	encoded, err := json.Marshal(map[string]string{"error": unquoted.Error()})
	if err != nil {
		t.Fatal(err)
	}
	checkMessages(t, []message{
		{"%q", fmt.Errorf("open: %q", unquoted), `open: "other (*errors.errorString): invalid configuration: DSN as keywords and values"`},
		{"JSON", errors.New(string(encoded)), "{other (*errors.errorString): invalid configuration: DSN as keywords and values}"},
		{"%q beside %w", fmt.Errorf("open: %q: %w", unquoted.Error(), context.Canceled), `open: "other (*errors.errorString): invalid configuration: DSN as keywords and values": context canceled`},
		{"typed, formatted", fmt.Errorf("open: %v", lookup), "open: dial tcp: lookup: no such host"},
		{"typed, a part of it", fmt.Errorf("open: %v", lookup.Err), "open: lookup: no such host"},
		{"a field", fmt.Errorf("load order: %s", raised.Message), "load order: ?"},
		{"another field", fmt.Errorf("load order: %s", raised.Where), "load order: ?"},
		{"in brackets", fmt.Errorf("search (%v)", plain), "search (other (*errors.errorString))"},
	})
}

// errorChain is how hashicorp/go-multierror hands out its errors: a slice whose
// Unwrap leads to the rest of it.
type errorChain []error

func (c errorChain) Error() string { return c[0].Error() }

func (c errorChain) Unwrap() error {
	if len(c) == 1 {
		return nil
	}
	return c[1:]
}

func TestChain(t *testing.T) {
	busy := &pgconn.PgError{Code: "40001", Message: canary}
	chain := errorChain{busy, errors.New("own")}
	checkClass(t, fmt.Errorf("2 errors: %w", chain), errs.Classify(busy))
	checkMessages(t, []message{{"chain", chain, errs.Message(busy) + "; own"}})
}

// An application's type may have fields with the names that a driver's has.
func TestOwnFields(t *testing.T) {
	checkClass(t, rejection{"high", "40001", "declined"}, errs.Class{Kind: errs.KindOther, Type: "errs_test.rejection"})
	checkMessages(t, []message{{"own", rejection{"high", "40001", "declined"}, "high: declined"}})
}

type rejection struct{ Severity, Code, Message string }

func (r rejection) Error() string { return r.Severity + ": " + r.Message }

// Of a number that is not in the table the SQLSTATE tells the kind.
func TestClassifyMySQLState(t *testing.T) {
	for _, test := range []struct {
		number uint16
		state  string
		kind   errs.Kind
	}{{1063, "42000", errs.KindSyntax}, {1155, "08S01", errs.KindConnection}, {9999, "40001", errs.KindSerialization},
		{9999, "HY000", errs.KindOther}, {9999, "", errs.KindOther}, {9999, "45000", errs.KindOther}} {
		want := errs.Class{Kind: test.kind, Type: strconv.Itoa(int(test.number)), Code: strconv.Itoa(int(test.number))}
		e := &mysql.MySQLError{Number: test.number}
		copy(e.SQLState[:], test.state)
		checkClass(t, e, want)
		checkClass(t, &mysql.MyError{Code: test.number, State: test.state}, want)
	}
}

// A changed copy of a driver's text beside the error itself.
func TestMessageChangedCopies(t *testing.T) {
	dup := my(1062, "Duplicate entry '"+canary+"' for key 'users.email'")
	dupText := errs.Message(dup)
	pg := &pgconn.PgError{Severity: "ERROR", Code: "22003", Message: `value "` + canary + `" is out of range for type integer`}
	checkMessages(t, []message{
		{"lower case", fmt.Errorf("load: %s: %w", strings.ToLower(dup.Error()), dup), "load: " + dupText + ": " + dupText},
		{"upper case", fmt.Errorf("load: %s: %w", strings.ToUpper(pg.Error()), pg), "load: " + errs.Message(pg) + ": " + errs.Message(pg)},
		{"cut", fmt.Errorf("load: %.45s…: %w", dup.Error(), dup), "load: ? …: " + dupText},
		{"white space", fmt.Errorf("load: %s: %w", strings.ReplaceAll(dup.Error(), " ", "  "), dup), "load: " + dupText + ": " + dupText},
		{"own address", fmt.Errorf("PostgreSQL at 127.0.0.1:45123: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 45123}, Err: syscall.ECONNREFUSED}), "PostgreSQL at ?: dial tcp: connection refused"},
		{"own words twice", fmt.Errorf("failed to load the batch: %w", fmt.Errorf("failed to load the batch: %w", dup)), "failed to load the batch: failed to load the batch: " + dupText},
	})
}
