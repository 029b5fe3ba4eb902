package errs_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgx"
	"github.com/taskspan/taskspan/errs/internal/lookalike/sqlite3"
)

// row is an error as a driver that nobody knows may have it.
type row struct{ Value string }

func (r row) Error() string { return "Row [" + r.Value + "] in table users already exists" }

func TestDriverMessage(t *testing.T) {
	plain := errors.New("duplicate value '" + canary + "' for key")
	for _, test := range []message{
		{"plain", plain, "other (*errors.errorString)"},
		{"formatted", fmt.Errorf("auth failed: token %s expired", canary), "other (*errors.errorString)"},
		{"wrapped plain", fmt.Errorf("%s: %w", canary, plain), "other (*errors.errorString)"},
		{"struct", row{canary}, "other (errs_test.row)"},
		{"pointer", &fault{canary}, "other (*errs_test.fault)"},
		{"wrapped struct", fmt.Errorf("%s: %w", canary, row{canary}), "other (errs_test.row)"},
		{"struct around plain", &appError{canary, plain}, "other (*errs_test.appError)"},
		{"struct around a struct", &appError{canary, row{canary}}, "other (errs_test.row)"},
		{"struct around a context's", &appError{canary, context.Canceled}, "canceled (*errs_test.appError): context canceled"},
		{"struct around a database's", &appError{canary, duplicate}, duplicateText},
		{"text around a database's", fmt.Errorf("%s: %w", canary, duplicate), duplicateText},
		{"two in a text", fmt.Errorf("%s: %w, %w", canary, cast, io.EOF), castText + "; EOF"},
		{"joined", errors.Join(plain, cast, row{canary}), "other (*errors.errorString); " + castText + "; other (errs_test.row)"},
		{"list", list{plain, cast}, "other (*errors.errorString); " + castText},
		{"own class", &quotaError{7}, "resource (*errs_test.quotaError)"},
		{"driver's around a struct", pgx.ScanArgError{FieldName: canary, Err: row{canary}}, "data (pgx.ScanArgError): other (errs_test.row)"},
		{"flat", fmt.Errorf("%v", cast), "other (*errors.errorString)"},
		{"panic", &errs.PanicError{Value: plain}, "panic (*errors.errorString): other (*errors.errorString)"},
		{"late", late{}, "timeout (errs_test.late)"},
		{"nil", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := errs.DriverMessage(test.err)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if strings.Contains(got, canary) {
				t.Errorf("the value got out: %q", got)
			}
		})
	}
}

// What is recognised is told as Message tells it.
func TestDriverMessageKnown(t *testing.T) {
	for _, err := range []error{
		duplicate, cast, my(1062, "Duplicate entry '"+canary+"' for key 'users.email'"), ms(245, canary),
		sqlite3.Error{Code: sqlite3.ErrBusy}, sqlite3.ErrNo(5), errors.Join(cast, duplicate),
		context.Canceled, context.DeadlineExceeded, sql.ErrNoRows, sql.ErrTxDone, driver.ErrBadConn, io.EOF, pgx.ErrNoRows,
		dial(syscall.ECONNREFUSED), syscall.EPIPE, &url.Error{Op: "Get", URL: canary, Err: io.EOF},
		pgx.ScanArgError{FieldName: canary, Err: errors.New(canary)}, &errs.PanicError{Value: canary},
		errors.New("sql: database is closed"), errors.New("invalid connection"), errors.New("conn closed"), errors.New("closed pool"),
	} {
		if got, want := errs.DriverMessage(err), errs.Message(err); got != want {
			t.Errorf("%T: got %q, want %q", err, got, want)
		}
	}
}

func TestDriverPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"github.com/jackc/pgx/v5/pgconn":       true,
		"github.com/SAP/go-hdb/driver":         true,
		"github.com/nakagami/firebirdsql":      true,
		"github.com/ibmdb/go_ibm_db":           true,
		"github.com/teradata/gosql-driver":     true,
		"github.com/googleapis/go-sql-spanner": true,
		"github.com/ziutek/mymysql/mysql":      true,
		"github.com/mattn/go-oci8":             true,
		"github.com/mailru/go-clickhouse/v2":   true,
		"github.com/mutecomm/go-sqlcipher/v4":  true,
		"github.com/SAP/go-hdbx":               false,
		"github.com/mattn/go-isatty":           false,
		"example.com/app":                      false,
	} {
		if got := errs.IsDriverPath(path); got != want {
			t.Errorf("IsDriverPath(%q) = %v", path, got)
		}
	}
}

// FuzzDriverMessage plants a value in errors that a driver nobody knows makes
// around those that are known.
func FuzzDriverMessage(f *testing.F) {
	for i, v := range values {
		for shape := range byte(25) {
			f.Add(shape, uint16(i), v, values[(i+7)%len(values)], []byte{byte(i), shape})
		}
	}
	f.Fuzz(func(t *testing.T, shape byte, code uint16, before, after string, steps []byte) {
		text := before + canary + after
		var err error
		switch shape % 25 {
		case 22:
			err = errors.New(text)
		case 23:
			err = row{text}
		case 24:
			err = &appError{text, nil}
		default:
			err = leaf(shape%25, code, text)
		}
		if err = wrap(err, text, 0, steps); err == nil {
			t.Skip("there is no error to tell of")
		}
		got := errs.DriverMessage(err)
		if strings.Contains(strings.ToLower(got), canary) {
			t.Errorf("the value got out as %q", got)
		}
		if got == "" || len(got) > errs.MaxMessage || strings.ContainsAny(got, "\n\r\x00\u2028") {
			t.Errorf("%d bytes: %q", len(got), got)
		}
		if again := errs.DriverMessage(err); again != got {
			t.Errorf("not the same twice: %q, %q", got, again)
		}
	})
}
