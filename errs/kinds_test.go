package errs_test

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

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mssql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mysql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/ncruces"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pq"
	modernc "github.com/taskspan/taskspan/errs/internal/lookalike/sqlite"
	"github.com/taskspan/taskspan/errs/internal/lookalike/sqlite3"
)

// coded is one code of a driver, with the text that goes with it.
type coded struct{ code, text string }

// drivers make an error of a code and a text, as each of them does.
var drivers = map[string]func(coded) error{
	"pgx": func(c coded) error { return &pgconn.PgError{Severity: "ERROR", Code: c.code, Message: c.text} },
	"pq":  func(c coded) error { return &pq.Error{Severity: "ERROR", Code: pq.ErrorCode(c.code), Message: c.text} },
	"mysql": func(c coded) error {
		return &mysql.MySQLError{Number: uint16(number(c.code)), Message: c.text}
	},
	"go-mysql": func(c coded) error {
		return &mysql.MyError{Code: uint16(number(c.code)), State: "HY000", Message: c.text}
	},
	"mssql":   func(c coded) error { return mssql.Error{Number: int32(number(c.code)), Message: c.text} },
	"mattn":   func(c coded) error { return sqlite3.New(number(c.code), c.text) },
	"modernc": func(c coded) error { return modernc.New("SQL logic error: "+c.text+" ("+c.code+")", number(c.code)) },
	"ncruces": func(c coded) error { return ncruces.New("SQL logic error: "+c.text, number(c.code)) },
}

func number(code string) int {
	n, err := strconv.Atoi(code)
	if err != nil {
		panic(err)
	}
	return n
}

// What PostgreSQL 15 says of a canceled statement, in each language that it speaks.
var (
	statementCancels = []string{
		"canceling statement due to user request",
		"storniere Anfrage wegen Benutzeraufforderung",
		"cancelando la sentencia debido a una petición del usuario",
		"annulation de la requête à la demande de l'utilisateur",
		"annullamento dell'istruzione su richiesta dell'utente",
		"ユーザーからの要求により文をキャンセルしています",
		"사용자 요청에 의해 작업을 취소합니다.",
		"выполнение оператора отменено по запросу пользователя",
		"avbryter sats på användares begäran",
		"виконання оператора скасовано по запиту користувача",
		"由于用户请求而正在取消查询",
	}
	statementTimeouts = []string{
		"canceling statement due to statement timeout",
		"storniere Anfrage wegen Zeitüberschreitung der Anfrage",
		"cancelando la sentencia debido a que se agotó el tiempo de espera de sentencias",
		"annulation de la requête à cause du délai écoulé pour l'exécution de l'instruction",
		"annullamento dell'istruzione a causa di timeout",
		"ステートメントのタイムアウトのためステートメントをキャンセルしています",
		"명령실행시간 초과로 작업을 취소합니다.",
		"выполнение оператора отменено из-за тайм-аута",
		"avbryter sats på grund av sats-timeout",
		"виконання оператора скасовано через тайм-аут",
		"由于语句执行超时，正在取消查询命令",
	}
)

func statements(texts []string) (list []coded) {
	for _, text := range texts {
		list = append(list, coded{"57014", text})
	}
	return list
}

// kinds has for each kind what each database says of it.
var kinds = map[errs.Kind]struct{ postgres, mysql, sqlite, sqlServer []coded }{
	errs.KindCanceled: {
		postgres: statements(statementCancels),
		mysql:    []coded{{"1317", "Query execution was interrupted"}}, sqlite: []coded{{"9", "interrupted"}},
	},
	errs.KindTimeout: {
		postgres: append(statements(statementTimeouts), coded{"25P03", ""}),
		mysql:    []coded{{"3024", ""}, {"1969", ""}}, sqlServer: []coded{{"8645", ""}, {"40549", ""}},
	},
	errs.KindConnection: {[]coded{{"08006", ""}, {"57P01", ""}}, []coded{{"2006", ""}, {"1053", ""}}, []coded{{"14", ""}}, []coded{{"40613", ""}, {"233", ""}}},
	errs.KindConstraint: {[]coded{{"23505", ""}, {"23503", ""}, {"23502", ""}}, []coded{{"1062", ""}, {"1452", ""}, {"1048", ""}},
		[]coded{{"2067", ""}, {"787", ""}, {"1299", ""}}, []coded{{"2627", ""}, {"547", ""}, {"515", ""}}},
	errs.KindSerialization: {[]coded{{"40001", ""}}, []coded{{"1020", ""}}, []coded{{"517", ""}}, []coded{{"3960", ""}}},
	errs.KindDeadlock:      {postgres: []coded{{"40P01", ""}}, mysql: []coded{{"1213", ""}}, sqlServer: []coded{{"1205", ""}}},
	errs.KindLockTimeout:   {[]coded{{"55P03", ""}}, []coded{{"1205", ""}}, []coded{{"5", ""}, {"6", ""}}, []coded{{"1222", ""}}},
	errs.KindSyntax: {[]coded{{"42601", ""}, {"42702", ""}}, []coded{{"1064", ""}, {"1052", ""}},
		[]coded{{"1", `near "SELEC": syntax error`}, {"1", `unrecognized token: "'bob"`}, {"1", "incomplete input"}, {"1", "ambiguous column name: bob"}}, []coded{{"102", ""}, {"209", ""}}},
	errs.KindUndefined: {[]coded{{"42P01", ""}, {"42703", ""}, {"3D000", ""}, {"3F000", ""}, {"42883", ""}, {"42704", ""}},
		[]coded{{"1146", ""}, {"1054", ""}, {"1049", ""}, {"1051", ""}, {"1305", ""}, {"1176", ""}},
		[]coded{{"1", "no such table: bob"}, {"1", "no such column: bob"}, {"1", "unknown database bob"}, {"1", "table t has no column named bob"}, {"1", "no such function: bob"}, {"1", "no such index: bob"}, {"257", ""}},
		[]coded{{"208", ""}, {"207", ""}, {"911", ""}, {"2812", ""}, {"4902", ""}, {"195", ""}}},
	errs.KindPermission: {[]coded{{"42501", ""}, {"28P01", ""}}, []coded{{"1045", ""}, {"1142", ""}}, []coded{{"8", ""}, {"23", ""}}, []coded{{"229", ""}, {"18456", ""}}},
	errs.KindResource:   {[]coded{{"53300", ""}, {"53100", ""}}, []coded{{"1040", ""}, {"1114", ""}}, []coded{{"13", ""}, {"7", ""}}, []coded{{"701", ""}, {"1105", ""}}},
	errs.KindData: {[]coded{{"22P02", ""}, {"22001", ""}, {"22003", ""}}, []coded{{"1366", ""}, {"1406", ""}, {"1264", ""}},
		[]coded{{"20", ""}, {"18", ""}, {"1", "malformed JSON"}, {"1", "integer overflow"}}, []coded{{"245", ""}, {"2628", ""}, {"8115", ""}}},
	errs.KindNotFound: {postgres: []coded{{"P0002", ""}}, mysql: []coded{{"1329", ""}}},
	errs.KindOther: {[]coded{{"P0001", "no such table: bob"}, {"25P02", ""}}, []coded{{"1644", ""}, {"65535", ""}},
		[]coded{{"21", "no such table: bob"}, {"1", "cannot commit - no transaction is active"}}, []coded{{"50000", ""}, {"3902", ""}}},
}

// What happened is of one kind, whichever database and driver it happened to.
func TestKinds(t *testing.T) {
	for kind, of := range kinds {
		for _, test := range []struct {
			drivers []string
			codes   []coded
		}{{[]string{"pgx", "pq"}, of.postgres}, {[]string{"mysql", "go-mysql"}, of.mysql}, {[]string{"mattn", "modernc", "ncruces"}, of.sqlite}, {[]string{"mssql"}, of.sqlServer}} {
			for _, c := range test.codes {
				texts := map[string]bool{}
				for _, name := range test.drivers {
					err := fmt.Errorf("load: %w", drivers[name](c))
					if got := errs.Classify(err); got.Kind != kind || got.Code != c.code {
						t.Errorf("%s %s %q: %v, want %v", name, c.code, c.text, got, kind)
					}
					texts[errs.Message(err)] = true
				}
				if len(texts) != 1 {
					t.Errorf("%s %q: %v", c.code, c.text, texts)
				}
			}
		}
	}
	for kind := errs.KindCanceled; kind <= errs.KindOther; kind++ {
		if _, ok := kinds[kind]; !ok && kind != errs.KindPanic {
			t.Errorf("no code of %v", kind)
		}
	}
}

// What cannot be scanned is data, whatever it is scanned into.
func TestScansAreData(t *testing.T) {
	for _, src := range []any{nil, "bob", []byte("bob")} {
		for _, dest := range []any{
			new(bool), new(int), new(uint8), new(float64), new(*int), new(sql.NullBool), new(sql.NullInt64), new(sql.NullTime), new(sql.NullFloat64),
			new(sql.Null[int]), new(string), new(*bool), new(struct{}), new(func()),
		} {
			err := scan(src, dest)
			if err == nil {
				continue // it can hold it
			}
			if got := errs.Classify(err); got.Kind != errs.KindData {
				t.Errorf("%T into %T: %v (%v)", src, dest, got, err)
			}
			if got := errs.Classify(errors.Unwrap(err)); got.Kind != errs.KindData {
				t.Errorf("%T into %T, without Scan: %v (%v)", src, dest, got, errors.Unwrap(err))
			}
			if text := errs.Message(fmt.Errorf("load: %w", err)); text == "" || containsBob(text) {
				t.Errorf("%T into %T: %q", src, dest, text)
			}
		}
	}
}

func containsBob(s string) bool { return strings.Contains(s, "bob") }

// scan scans src into dest as database/sql does with the row of a query.
func scan(src, dest any) error {
	db := sql.OpenDB(oneValue{src: src})
	defer db.Close()
	return db.QueryRow("").Scan(dest)
}

// oneValue is a database of one row with one value.
type oneValue struct {
	driver.Connector
	driver.Conn
	src any
}

func (o oneValue) Connect(context.Context) (driver.Conn, error) { return o, nil }

func (oneValue) Close() error { return nil }

func (o oneValue) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &oneRow{src: o.src}, nil
}

type oneRow struct {
	src  any
	done bool
}

func (*oneRow) Columns() []string { return []string{"a"} }

func (*oneRow) Close() error { return nil }

func (r *oneRow) Next(dest []driver.Value) error {
	if r.done {
		return io.EOF
	}
	dest[0], r.done = r.src, true
	return nil
}
