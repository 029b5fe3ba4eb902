package errs_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgx"
	"github.com/taskspan/taskspan/errs/internal/lookalike/sqlite3"
	"github.com/taskspan/taskspan/internal/drivertext"
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
			if got := errs.DriverMessage(nil); got != "" {
				t.Errorf("no error is %q", got)
			}
			return
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

// word is an error that is a string, and that shows it with something around it.
type word string

func (w word) Error() string { return "bad (" + string(w) + ") word" }

// packet has what the driver read in the forms that fields come in.
type packet struct {
	*head
	Any   any
	List  []any
	Map   map[string]string
	Ptr   **string
	Raw   json.RawMessage
	Array [16]byte
	Self  *packet
	Func  func()
	Chan  chan int
}

type head struct{ Deep map[string][]*string }

func (p *packet) Error() string { return "bad packet" }

// What a driver's error is made of is known wherever it stands.
func TestFieldsOfAnyKind(t *testing.T) {
	name, deep := "name of Ross", "deep Ross"
	pointer := &name
	p := &packet{
		head: &head{map[string][]*string{"key one": {&deep, nil}}}, Any: map[string]any{"key two": "any Ross at all"}, List: []any{1, nil, "listed Ross"},
		Map: map[string]string{"key of Ross": "value of Ross"}, Ptr: &pointer, Raw: json.RawMessage(`{"raw":"Ross"}`), Func: func() {},
	}
	copy(p.Array[:], "array of Ross")
	p.Self = p
	var m drivertext.Memory
	errs.LookDriver(p, &m)
	errs.LookDriver(word("Ross himself"), &m)
	errs.LookDriver((*packet)(nil), &m)
	errs.LookDriver(&packet{}, &m)
	for _, text := range []string{name, deep, "any Ross at all", "listed Ross", "key of Ross", "value of Ross", `{"raw":"Ross"}`, "array of Ross", "Ross himself"} {
		if _, got := errs.Look(errors.New("load: "+text), &m); got != "load: ?" {
			t.Errorf("%q leaves as %q", text, got)
		}
	}
}

// A copy that a page, a terminal or a debugger shows is known.
func TestRenderedCopies(t *testing.T) {
	const said = `no login for "Ross O'Neil" & <Sons>`
	var m drivertext.Memory
	_, safe := errs.LookDriver(errors.New(said), &m)
	for text, want := range map[string]string{
		"<p>" + html.EscapeString(said) + "</p>":                         "<?>" + safe + "<?>",
		html.EscapeString(html.EscapeString(said)) + ": load":            safe + ": load",
		"load: \x1b[31m" + said + "\x1b[0m":                              "load: " + safe,
		"\x1b[1;31mno\x1b[0m login for \x1b[4m" + said[13:] + "\x1b[m":   safe,
		fmt.Sprintf("load=%#v", struct{ E string }{"a: b, " + said}):     "load=" + safe,
		fmt.Sprintf("load=%#v, later", struct{ E string }{"a: b, Ross"}): "load=?, later",
		"load=it's Ross (at: home), later":                               "load=?, later",
		`load=x"a, Ross": later`:                                         "load=?: later",
		"load=Ross (of: ":                                                "load=?",
		"load=Ross), later":                                              "load=?, later",
	} {
		if _, got := errs.Look(errors.New(text), &m); got != want {
			t.Errorf("%q\n  leaves as %q\n  want      %q", text, got, want)
		}
	}
}

// What a driver says of a DSN names the part, and nothing that stands there.
func TestConfigurations(t *testing.T) {
	const canary = "cAnArY7Qz"
	config := func(msg string, inner error) error {
		return pgconn.NewParseConfigError("host="+canary+" password=x`: invalid port (y", msg, inner)
	}
	text := errors.New
	for _, test := range []struct {
		err  error
		want string
	}{
		{config("failed to parse as URL", text(canary)), "other (*pgconn.ParseConfigError): invalid configuration: DSN as URL"},
		{config("failed to parse as keyword/value", text(canary)), "other (*pgconn.ParseConfigError): invalid configuration: DSN as keywords and values"},
		{config("invalid port", nil), "other (*pgconn.ParseConfigError): invalid configuration: port"},
		{config("failed to configure TLS", text("sslmode is invalid")), "other (*pgconn.ParseConfigError): invalid configuration: TLS"},
		{config("unknown target_session_attrs value: "+canary, nil), "other (*pgconn.ParseConfigError): invalid configuration: target_session_attrs"},
		{config("invalid min_protocol_version: \""+canary+"\"", nil), "other (*pgconn.ParseConfigError): invalid configuration: min_protocol_version"},
		{config(canary, text(canary)), "other (*pgconn.ParseConfigError)"},
		{text("invalid DSN: missing the slash separating the database name"), "other (*errors.errorString): invalid configuration: slash before the database"},
		{text("invalid DSN: network address not terminated (missing closing brace)"), "other (*errors.errorString): invalid configuration: network address"},
		{text("default addr for network '" + canary + "' unknown"), "other (*errors.errorString): invalid configuration: network"},
		{text("invalid value / unknown config name: " + canary), "other (*errors.errorString): invalid configuration: tls"},
		{text("invalid bool value: " + canary), "other (*errors.errorString): invalid configuration: value of true or false"},
		{text("Invalid _foreign_keys: " + canary + ", expecting boolean value"), "other (*errors.errorString): invalid configuration: _foreign_keys"},
		{fmt.Errorf("Invalid _busy_timeout: %v: %w", canary, text(canary)), "other (*fmt.wrapError): invalid configuration: _busy_timeout"},
		{config("cannot parse statement_cache_capacity", text(canary)), "other (*pgconn.ParseConfigError): invalid configuration: statement_cache_capacity"},
		{text(`pq: wrong value for "sslmode": "` + canary + `" is not supported`), "other (*errors.errorString): invalid configuration: sslmode"},
		{text("pq: wrong value for $PGPORT: " + canary), "other (*errors.errorString): invalid configuration: PGPORT"},
		{text(`pq: wrong value for "` + canary + `": 1`), "other (*errors.errorString)"},
		{text(`pq: wrong value for "sslmode` + canary + `": 1`), "other (*errors.errorString)"},
		{text("pq: unsupported datestyle \"" + canary + "\""), "other (*errors.errorString): invalid configuration: datestyle"},
		{text(`missing "=" after "` + canary + `" in connection info string`), "other (*errors.errorString): invalid configuration: DSN as keywords and values"},
		{text("invalid tcp port '" + canary + "': " + canary), "other (*errors.errorString): invalid configuration: port"},
		{text("invalid encrypt '" + canary + "'"), "other (*errors.errorString): invalid configuration: encrypt"},
		{text("invalid _journal_mode \"" + canary + "\", expecting one of: off"), "other (*errors.errorString): invalid configuration: _journal_mode"},
		{text("conflicting DSN parameters: _journal=" + canary), "other (*errors.errorString): invalid configuration: _journal"},
		{text("sqlite: _pragma value is more than one SQL statement"), "other (*errors.errorString): invalid configuration: _pragma"},
		{text("invalid " + canary), "other (*errors.errorString)"},
		{text("unknown"), "other (*errors.errorString)"},
		{&url.Error{Op: "parse", URL: "postgres://u:" + canary + "@h", Err: text(canary)}, "other (*url.Error): invalid configuration: DSN as URL"},
		{text("Invalid _" + canary + ": 1"), "other (*errors.errorString)"},
		{text(canary + ": invalid port"), "other (*errors.errorString)"},
	} {
		if got := errs.DriverMessage(test.err); got != test.want {
			t.Errorf("%q\n got %q\nwant %q", test.err, got, test.want)
		}
		var m drivertext.Memory
		errs.LookDriver(test.err, &m)
		if _, got := errs.Look(fmt.Errorf("open the shop: %v", test.err), &m); strings.Contains(got, canary) {
			t.Errorf("%q leaves as %q", test.err, got)
		}
	}
}
