package errs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mssql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mysql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgx"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pq"
	modernc "github.com/taskspan/taskspan/errs/internal/lookalike/sqlite"
)

// leaf returns an error in which a driver or a library quotes value, which is
// what an attacker may choose. Code is whatever a server may send.
func leaf(shape byte, code uint16, value string) error {
	state := fmt.Sprintf("%05d", code%60_000)
	mysqlCode := 1000 + code%9000
	switch shape % 22 {
	case 0:
		return &pgconn.PgError{Severity: "ERROR", Code: state, Message: "invalid input: " + value, Detail: value, Where: value, InternalQuery: value, Hint: value}
	case 1:
		return &pgconn.PgError{Severity: "ОШИБКА", Code: "23505", Message: value, Detail: "Key (email)=(" + value + ")", ConstraintName: "users_email_key"}
	case 2:
		return &pq.Error{Severity: "FATAL", Code: pq.ErrorCode(state), Message: value, Detail: value, Constraint: "c"}
	case 3:
		return &mysql.MySQLError{Number: 1062, Message: "Duplicate entry '" + value + "' for key 'users.email'"}
	case 4:
		return &mysql.MySQLError{Number: 1366, SQLState: [5]byte([]byte("HY000")), Message: "Incorrect integer value: '" + value + "' for column 'age' at row 1"}
	case 5:
		return &mysql.MySQLError{Number: mysqlCode, Message: value}
	case 6:
		return &mysql.MyError{Code: 1062, State: "23000", Message: "Duplicate entry '" + value + "' for key 'k'"}
	case 7:
		return modernc.New("UNIQUE constraint failed: users.email", 2067)
	case 8:
		return modernc.New(`near "`+value+`": syntax error`, 1)
	case 9:
		return mssql.Error{Number: 2627, Message: "Violation of UNIQUE KEY constraint 'UQ'. Cannot insert duplicate key in object 'dbo.users'. The duplicate key value is (" + value + ")."}
	case 10:
		return mssql.Error{Number: int32(code), Message: "Conversion failed when converting the varchar value '" + value + "' to data type int."}
	case 11:
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.UnixAddr{Name: value}, Err: os.NewSyscallError("connect", syscall.Errno(code%200))}
	case 12:
		return &url.Error{Op: "Get", URL: "https://u:" + value + "@h", Err: errors.New(value)}
	case 13:
		return &os.PathError{Op: "open", Path: value, Err: syscall.ENOENT}
	case 14:
		return &net.DNSError{Name: value, Server: value, Err: value, IsNotFound: code%2 == 0}
	case 15:
		return &strconv.NumError{Func: "Atoi", Num: value, Err: strconv.ErrSyntax}
	case 16:
		_, err := time.Parse(time.RFC3339, value)
		return err
	case 17:
		return &json.UnmarshalTypeError{Value: value, Field: value, Type: reflect.TypeFor[int]()}
	case 18:
		return pgconn.NewParseConfigError("postgres://u:"+value+"@h/db", value, errors.New(value))
	case 19:
		return pgx.ScanArgError{ColumnIndex: 1, FieldName: value, Err: fmt.Errorf("cannot parse %v", value)}
	case 20:
		return fmt.Errorf("sql: Scan error on column index %d, name %q: %w", code, "n", fmt.Errorf("converting driver.Value type %T (%q) to a %s: %v", value, value, "int", strconv.ErrSyntax))
	default:
		return &errs.PanicError{Value: value, Stack: []byte(value)}
	}
}

// flattens reports whether the text of such a leaf says by its wording what it
// is, so that it may lose its type.
func flattens(shape byte) bool {
	switch shape % 22 {
	case 7, 11, 12, 13, 14, 17, 18, 19, 21: // addresses and names, and panics
		return false
	}
	return true
}

// maxSteps bounds the depth of what is made: some steps double the text.
const maxSteps = 5

// wrap puts errors of an application around err, one for each step. It returns
// nil if a step is not promised to be safe for such a leaf.
func wrap(err error, own string, shape byte, steps []byte) error {
	for _, step := range steps[:min(len(steps), maxSteps)] {
		switch step % 12 {
		case 0:
			err = fmt.Errorf("%s: %w", own, err)
		case 1:
			err = errors.Join(errors.New(own), err)
		case 2:
			err = &appError{own, err}
		case 3:
			err = mute{err}
		case 4:
			err = fmt.Errorf("%w%s%[1]w", err, own)
		case 5:
			err = fmt.Errorf("%q: %[1]w", err)
		case 6:
			err = &errs.PanicError{Value: err}
		case 7:
			err = &url.Error{Op: "Post", URL: "https://" + own, Err: err}
		case 8:
			err = pgx.ScanArgError{FieldName: own, Err: err}
		case 9:
			err = list{err, errors.New(own)}
		case 10:
			err = &twisted{strings.ToUpper(own), err}
		case 11:
			if !flattens(shape) {
				return nil
			}
			err = fmt.Errorf("%s: %v", own, err)
			shape = 0 // what is flat stays flat
		}
	}
	return err
}

// values are what a crafted value may begin with to be taken for something else.
var values = []string{
	"", "bob@x.com", "' for key 'users.email", "x' for key '", "' for column 'age' at row 1", "(SQLSTATE 23505)",
	"ERROR: ", "Error 1062 (23000): ", `"`, `\"`, "`", "\n", "\x00", "\xff", "pq: ", "sql: Scan error on column index 0, name \"",
	`") to a `, ": ", "é", "Key (a)=(", "'. Cannot insert duplicate key in object '", "://", "@", strings.Repeat("x", 300), strings.Repeat("x", 480),
}

func FuzzMessage(f *testing.F) {
	for i, v := range values {
		for shape := range byte(22) {
			f.Add(shape, uint16(i), v, values[(i+7)%len(values)], "save", []byte{byte(i), shape})
		}
		f.Add(byte(i), uint16(0), v, v, v, []byte{11, 0, 5})
		f.Add(byte(i), uint16(23505), v, "", "x", []byte{1, 4, 2, 9, 3})
	}
	f.Fuzz(func(t *testing.T, shape byte, code uint16, before, after, own string, steps []byte) {
		own = strings.ReplaceAll(own, canary[:1], "")
		err := wrap(leaf(shape, code, before+canary+after), own, shape, steps)
		if err == nil {
			if got := errs.Message(nil); got != "" {
				t.Errorf("no error is %q", got)
			}
			return
		}
		got := errs.Message(err)
		if strings.Contains(strings.ToLower(got), canary) {
			t.Errorf("the value got out of %q\n as %q", err, got)
		}
		if !utf8.ValidString(got) {
			t.Errorf("not UTF-8: %q", got)
		}
		if len(got) > errs.MaxMessage || strings.ContainsAny(got, "\n\r\x00\u2028") {
			t.Errorf("%d bytes: %q", len(got), got)
		}
		if again := errs.Message(err); again != got {
			t.Errorf("not the same twice: %q, %q", got, again)
		}
		if got == "" {
			t.Errorf("nothing told of %q", err)
		}
	})
}

func FuzzClassify(f *testing.F) {
	for i, v := range values {
		for shape := range byte(22) {
			f.Add(shape, uint16(i), v, "save", []byte{byte(i), shape})
		}
	}
	f.Fuzz(func(t *testing.T, shape byte, code uint16, value, own string, steps []byte) {
		inner := leaf(shape, code, value+canary)
		err := wrap(inner, own+canary, 0, steps)
		got := errs.Classify(err)
		if got != errs.Classify(err) {
			t.Errorf("not the same twice: %+v", got)
		}
		if got.Kind == errs.KindNone || got.Kind > errs.KindOther || got.Type == "" {
			t.Errorf("%+v", got)
		}
		if strings.Contains(got.Type+got.Code, canary[:6]) || len(got.Type) > errs.MaxType || len(got.Code) > 10 {
			t.Errorf("not of low cardinality: %+v", got)
		}
		if got.Code != "" && got.Type != got.Code {
			t.Errorf("the type of a code is the code: %+v", got)
		}
		want, panicked, flat := errs.Classify(inner), false, false
		for _, step := range steps[:min(len(steps), maxSteps)] {
			panicked = panicked || step%12 == 6
			flat = flat || step%12 == 11
		}
		if flat {
			return
		}
		if panicked {
			want.Kind, want.Retryable = errs.KindPanic, false
		}
		if want.Code != "" && got != want {
			t.Errorf("wrapping changed the class from %+v to %+v", want, got)
		}
	})
}
