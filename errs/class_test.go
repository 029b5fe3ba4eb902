package errs_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mssql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mysql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/ncruces"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgx"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pq"
	modernc "github.com/taskspan/taskspan/errs/internal/lookalike/sqlite"
	"github.com/taskspan/taskspan/errs/internal/lookalike/sqlite3"
)

// appError is an application's error that wraps another one and prints it.
type appError struct {
	op  string
	err error
}

func (e *appError) Error() string { return e.op + ": " + e.err.Error() }
func (e *appError) Unwrap() error { return e.err }

// mute is an application's error that wraps another one and does not print it.
type mute struct{ err error }

func (e mute) Error() string { return "it failed" }
func (e mute) Unwrap() error { return e.err }

// fault is an application's error of its own.
type fault struct{ text string }

func (e *fault) Error() string { return e.text }

// pair is an error of a generic type.
type pair[A, B any] struct{}

func (pair[A, B]) Error() string { return "pair" }

func TestKindString(t *testing.T) {
	want := []string{
		"none", "canceled", "timeout", "connection", "constraint", "serialization", "deadlock", "lock_timeout",
		"syntax", "undefined", "permission", "resource", "data", "not_found", "panic", "other",
	}
	for i, name := range want {
		if got := errs.Kind(i).String(); got != name {
			t.Errorf("Kind(%d) = %q, want %q", i, got, name)
		}
	}
	if got := errs.Kind(200).String(); got != "other" {
		t.Errorf("unknown kind = %q, want other", got)
	}
	if errs.KindOther != errs.Kind(len(want)-1) {
		t.Errorf("KindOther = %d, want the last of %d kinds", errs.KindOther, len(want))
	}
}

func TestClassifySQLState(t *testing.T) {
	want := map[errs.Kind]string{
		errs.KindCanceled:      "57014 70100 HY008",
		errs.KindTimeout:       "25P03 25P04 HYT00 HYT01",
		errs.KindConnection:    "08000 08001 08003 08004 08006 08007 08P01 08ZZZ 40003 57P01 57P02 57P03 57P04 57P05 HV00N",
		errs.KindConstraint:    "23000 23001 23502 23503 23505 23514 23P01 23ZZZ 27000 40002 44000 P0004",
		errs.KindSerialization: "40000 40001 40ZZZ",
		errs.KindDeadlock:      "40P01",
		errs.KindLockTimeout:   "55P03",
		errs.KindSyntax:        "0A000 34000 42000 42601 42702 42804 42P02 42P07 42S01 42ZZZ",
		errs.KindUndefined:     "3D000 3DZZZ 3F000 42703 42704 42883 42P01 42S02 42S22",
		errs.KindPermission:    "0L000 0LP01 0P000 25006 28000 28P01 28ZZZ 2BP01 42501 55P02",
		errs.KindResource:      "53000 53100 53200 53300 53400 53ZZZ 54000 54001 54023 58000 58030 58P01 XX001 XX002",
		errs.KindData:          "20000 21000 22000 22001 22003 22004 22007 22008 22012 22P02 22P05 22ZZZ P0003",
		errs.KindNotFound:      "02000 02001 P0002",
		errs.KindOther: "01000 03000 09000 0B000 0Z002 24000 25000 25001 25P01 25P02 26000 2D000 2F000 38000 39000 3B001 " +
			"45000 55000 55006 57000 72000 F0000 HV000 HY000 P0000 P0001 XX000 ZZZZZ 99999",
	}
	retry := []string{"40001", "40P01", "57P03"}
	for kind, codes := range want {
		for _, code := range strings.Fields(codes) {
			class := errs.Class{Kind: kind, Type: code, Code: code, Retryable: slices.Contains(retry, code)}
			for _, err := range []error{
				&pgconn.PgError{Severity: "ERROR", Code: code, Message: "m"},
				&pq.Error{Severity: "ERROR", Code: pq.ErrorCode(code), Message: "m"},
			} {
				checkClass(t, err, class)
				checkClass(t, fmt.Errorf("a: %w", &appError{"b", err}), class)
			}
		}
	}
}

func TestClassifyBadSQLState(t *testing.T) {
	for _, code := range []string{"", "4000", "400011", "4000a", "40 01", "00000", "éé1"} {
		want := errs.Class{Kind: errs.KindOther, Type: "*pgconn.PgError"}
		checkClass(t, &pgconn.PgError{Code: code}, want)
	}
}

func TestClassifyMySQL(t *testing.T) {
	want := map[errs.Kind][]int{
		errs.KindCanceled:      {1317},
		errs.KindTimeout:       {3024, 1969, 1159, 1161},
		errs.KindConnection:    {2002, 2003, 2006, 2013, 1053, 1927, 4031, 1047},
		errs.KindConstraint:    {1048, 1062, 1169, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 3819, 4025},
		errs.KindSerialization: {1020, 3101},
		errs.KindDeadlock:      {1213, 1614, 3058},
		errs.KindLockTimeout:   {1205, 3572},
		errs.KindSyntax:        {1046, 1050, 1052, 1064, 1136, 1149},
		errs.KindUndefined:     {1008, 1049, 1051, 1054, 1072, 1091, 1109, 1146, 1176, 1305, 1356, 1360, 1539, 1630},
		errs.KindPermission:    {1044, 1045, 1142, 1143, 1227, 1290, 1698, 1792},
		errs.KindResource:      {1021, 1040, 1114, 1153, 1203, 1206, 1226},
		errs.KindData:          {1264, 1265, 1292, 1365, 1366, 1406, 1690, 3140, 1242},
		errs.KindNotFound:      {1329},
		errs.KindOther:         {1644, 1180, 65535, 1},
	}
	retry := []int{1213, 1614, 3058, 1020, 3101}
	for kind, numbers := range want {
		for _, n := range numbers {
			code := strconv.Itoa(n)
			class := errs.Class{Kind: kind, Type: code, Code: code, Retryable: slices.Contains(retry, n)}
			checkClass(t, &mysql.MySQLError{Number: uint16(n), Message: "m"}, class)
			checkClass(t, &mysql.MyError{Code: uint16(n), Message: "m", State: "HY000"}, class)
		}
	}
	checkClass(t, &mysql.MySQLError{}, errs.Class{Kind: errs.KindOther, Type: "*mysql.MySQLError"})
}

func TestClassifySQLite(t *testing.T) {
	want := map[errs.Kind][]int{
		errs.KindCanceled:      {9},
		errs.KindConnection:    {14, 270, 526},
		errs.KindConstraint:    {19, 275, 531, 787, 1043, 1299, 1555, 1811, 2067, 2323, 2579, 2835, 3091, 19 | 200<<8},
		errs.KindSerialization: {517},
		errs.KindLockTimeout:   {5, 261, 773, 6, 262, 518, 15, 5 | 200<<8},
		errs.KindSyntax:        {1, 25},
		errs.KindUndefined:     {257},
		errs.KindPermission:    {3, 8, 264, 1032, 23, 279},
		errs.KindResource:      {7, 10, 266, 522, 778, 1034, 3082, 11, 267, 779, 13, 26, 22, 10 | 200<<8},
		errs.KindData:          {18, 20},
		errs.KindOther:         {2, 4, 516, 12, 16, 17, 21, 24, 27, 28, 100, 101, 99, 0xffff00},
	}
	for kind, numbers := range want {
		for _, n := range numbers {
			code := strconv.Itoa(n)
			class := errs.Class{Kind: kind, Type: code, Code: code, Retryable: n == 517}
			checkClass(t, sqlite3.Error{Code: sqlite3.ErrNo(n & 0xff), ExtendedCode: sqlite3.ErrNoExtended(n)}, class)
			checkClass(t, sqlite3.ErrNoExtended(n), class)
			checkClass(t, modernc.New("m", n), class)
			if n < 1<<16 {
				checkClass(t, ncruces.New("m", n), class)
				checkClass(t, modernc.ExtendedErrorCode(n), class)
			}
			if n < 1<<8 {
				checkClass(t, modernc.ErrorCode(n), class)
			}
			if n <= 0xff {
				checkClass(t, sqlite3.Error{Code: sqlite3.ErrNo(n)}, class)
				checkClass(t, sqlite3.ErrNo(n), class)
			}
		}
	}
	checkClass(t, sqlite3.Error{}, errs.Class{Kind: errs.KindOther, Type: "sqlite3.Error"})
	checkClass(t, modernc.New("m", 0), errs.Class{Kind: errs.KindOther, Type: "*sqlite.Error"})
}

func TestClassifySQLServer(t *testing.T) {
	want := map[errs.Kind][]int{
		errs.KindTimeout:       {8645, 40549},
		errs.KindConnection:    {53, 233, 596, 10054, 10061, 40613, 6005},
		errs.KindConstraint:    {515, 547, 2601, 2627, 1505},
		errs.KindSerialization: {3960, 3961, 41302, 41305, 41325, 41301, 41839},
		errs.KindDeadlock:      {1205},
		errs.KindLockTimeout:   {1222},
		errs.KindSyntax:        {102, 137, 156, 209, 2714},
		errs.KindUndefined:     {195, 207, 208, 911, 1088, 1911, 2702, 2715, 2812, 3701, 4104, 4121, 4701, 4902, 15151},
		errs.KindPermission:    {229, 230, 262, 916, 4060, 18456, 18487},
		errs.KindResource:      {701, 1105, 1204, 9002, 40501},
		errs.KindData:          {8152, 2628, 245, 241, 8114, 8115, 8134, 512},
		errs.KindOther:         {50000, 51000, 3930, 3902, 99},
	}
	for kind, numbers := range want {
		for _, n := range numbers {
			code := strconv.Itoa(n)
			class := errs.Class{
				Kind: kind, Type: code, Code: code,
				Retryable: kind == errs.KindDeadlock || kind == errs.KindSerialization,
			}
			e := mssql.Error{Number: int32(n), Message: "m"}
			checkClass(t, e, class)
			checkClass(t, &e, class)
		}
	}
	checkClass(t, mssql.Error{Number: -2}, errs.Class{Kind: errs.KindOther, Type: "mssql.Error"})
}

// What is worth a second try is a promise of its own: these codes and no others.
func TestRetryableCodes(t *testing.T) {
	want := map[string][]string{
		"sqlstate":  {"40001", "40P01", "57P03"},
		"mysql":     {"1020", "1213", "1614", "3058", "3101"},
		"sqlite":    {"517"},
		"sqlserver": {"1205", "3960", "3961", "41301", "41302", "41305", "41325", "41839"},
	}
	got := errs.Retryable()
	for _, codes := range got {
		slices.Sort(codes)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("retryable codes\n got %v\nwant %v", got, want)
	}
}

func TestTablesAreComplete(t *testing.T) {
	n := 0
	errs.Conditions(func(table, code string, kind errs.Kind, phrase string) {
		n++
		if kind == errs.KindNone || kind == errs.KindPanic || kind > errs.KindOther {
			t.Errorf("%s %s: kind %v", table, code, kind)
		}
		if phrase == "" || strings.TrimSpace(phrase) != phrase || strings.ContainsAny(phrase, "\"';") {
			t.Errorf("%s %s: phrase %q", table, code, phrase)
		}
		if (table == "sqlstate") != (len(code) == 5 && table == "sqlstate") || table == "class" && len(code) != 2 {
			t.Errorf("%s: code %q", table, code)
		}
	})
	if n < 450 {
		t.Errorf("%d codes", n)
	}
}

func TestClassifyValues(t *testing.T) {
	tests := []struct {
		err  error
		want errs.Class
	}{
		{context.Canceled, errs.Class{Kind: errs.KindCanceled, Type: "context.Canceled"}},
		{context.DeadlineExceeded, errs.Class{Kind: errs.KindTimeout, Type: "context.DeadlineExceeded"}},
		{sql.ErrNoRows, errs.Class{Kind: errs.KindNotFound, Type: "sql.ErrNoRows"}},
		{pgx.ErrNoRows, errs.Class{Kind: errs.KindNotFound, Type: "sql.ErrNoRows"}},
		{sql.ErrTxDone, errs.Class{Kind: errs.KindOther, Type: "sql.ErrTxDone"}},
		{sql.ErrConnDone, errs.Class{Kind: errs.KindConnection, Type: "sql.ErrConnDone"}},
		{driver.ErrBadConn, errs.Class{Kind: errs.KindConnection, Type: "driver.ErrBadConn", Retryable: true}},
		{driver.ErrSkip, errs.Class{Kind: errs.KindOther, Type: "driver.ErrSkip"}},
		{driver.ErrRemoveArgument, errs.Class{Kind: errs.KindOther, Type: "driver.ErrRemoveArgument"}},
		{io.EOF, errs.Class{Kind: errs.KindOther, Type: "io.EOF"}},
		{io.ErrUnexpectedEOF, errs.Class{Kind: errs.KindOther, Type: "io.ErrUnexpectedEOF"}},
		{io.ErrClosedPipe, errs.Class{Kind: errs.KindConnection, Type: "io.ErrClosedPipe"}},
		{io.ErrShortWrite, errs.Class{Kind: errs.KindOther, Type: "io.ErrShortWrite"}},
		{io.ErrNoProgress, errs.Class{Kind: errs.KindOther, Type: "io.ErrNoProgress"}},
		{net.ErrClosed, errs.Class{Kind: errs.KindConnection, Type: "net.ErrClosed"}},
		{os.ErrDeadlineExceeded, errs.Class{Kind: errs.KindTimeout, Type: "os.ErrDeadlineExceeded"}},
		{fs.ErrNotExist, errs.Class{Kind: errs.KindNotFound, Type: "fs.ErrNotExist"}},
		{fs.ErrExist, errs.Class{Kind: errs.KindOther, Type: "fs.ErrExist"}},
		{fs.ErrPermission, errs.Class{Kind: errs.KindPermission, Type: "fs.ErrPermission"}},
		{fs.ErrInvalid, errs.Class{Kind: errs.KindOther, Type: "fs.ErrInvalid"}},
		{fs.ErrClosed, errs.Class{Kind: errs.KindOther, Type: "fs.ErrClosed"}},
		{strconv.ErrSyntax, errs.Class{Kind: errs.KindData, Type: "strconv.ErrSyntax"}},
		{strconv.ErrRange, errs.Class{Kind: errs.KindData, Type: "strconv.ErrRange"}},
		{bufio.ErrTooLong, errs.Class{Kind: errs.KindData, Type: "bufio.ErrTooLong"}},
		{errors.ErrUnsupported, errs.Class{Kind: errs.KindOther, Type: "errors.ErrUnsupported"}},
		{errors.New("invalid connection"), errs.Class{Kind: errs.KindConnection, Type: "mysql.ErrInvalidConn"}},
		{pgconn.ErrConnClosed, errs.Class{Kind: errs.KindConnection, Type: "pgconn.ErrConnClosed"}},
		{errors.New("closed pool"), errs.Class{Kind: errs.KindConnection, Type: "puddle.ErrClosedPool"}},
		{closedDB(t), errs.Class{Kind: errs.KindConnection, Type: "sql.errDBClosed"}},
	}
	for _, test := range tests {
		checkClass(t, test.err, test.want)
		checkClass(t, fmt.Errorf("a: %w", test.err), test.want)
		checkClass(t, errors.Join(nil, test.err), test.want)
		checkClass(t, mute{test.err}, test.want)
	}
}

// nowhere is the connector of a database that is not there.
type nowhere struct{ driver.Connector }

func closedDB(t *testing.T) error {
	t.Helper()
	db := sql.OpenDB(nowhere{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return db.Ping()
}

func dial(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{Port: 5432}, Err: os.NewSyscallError("connect", err)}
}

func read(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }

// refused is what a driver says that has not sent anything.
type refused struct{ error }

func (refused) SafeToRetry() bool { return true }
func (e refused) Unwrap() error   { return e.error }

// late is an error that reports a timeout.
type late struct{}

func (late) Error() string { return "late" }
func (late) Timeout() bool { return true }

func TestClassifyTypes(t *testing.T) {
	const op, dns = "*net.OpError", "*net.DNSError"
	_, notNumber := strconv.Atoi("x")
	_, noTime := time.Parse(time.RFC3339, "x")
	noJSON := json.Unmarshal([]byte("{x"), new(any))
	wrongJSON := json.Unmarshal([]byte(`"x"`), new(int))
	_, noURL := url.Parse("http://[::1")
	_, noFile := os.Open("/does/not/exist")
	tests := []struct {
		name string
		err  error
		want errs.Class
	}{
		{"dial refused", dial(syscall.ECONNREFUSED), errs.Class{Kind: errs.KindConnection, Type: op, Retryable: true}},
		{"dial unreachable", dial(syscall.EHOSTUNREACH), errs.Class{Kind: errs.KindConnection, Type: op, Retryable: true}},
		{"dial timeout", dial(syscall.ETIMEDOUT), errs.Class{Kind: errs.KindTimeout, Type: op, Retryable: true}},
		{"dial of a missing socket", dial(syscall.ENOENT), errs.Class{Kind: errs.KindConnection, Type: op, Retryable: true}},
		{"dial forbidden", dial(syscall.EACCES), errs.Class{Kind: errs.KindPermission, Type: op}},
		{"dial without descriptors", dial(syscall.EMFILE), errs.Class{Kind: errs.KindResource, Type: op}},
		{"dial by URL", &url.Error{Op: "Get", URL: "http://x", Err: dial(syscall.ECONNREFUSED)}, errs.Class{Kind: errs.KindConnection, Type: op, Retryable: true}},
		{"dial canceled", dialed(t, canceled(t)), errs.Class{Kind: errs.KindCanceled, Type: "context.Canceled"}},
		{"dial late", dialed(t, expired(t)), errs.Class{Kind: errs.KindTimeout, Type: op, Retryable: true}},
		{"dial, no such host", dial(&net.DNSError{IsNotFound: true, IsTemporary: true}), errs.Class{Kind: errs.KindConnection, Type: dns}},
		{"dial, DNS down", dial(&net.DNSError{IsTemporary: true}), errs.Class{Kind: errs.KindConnection, Type: dns, Retryable: true}},
		{"dial, DNS late", dial(&net.DNSError{IsTimeout: true}), errs.Class{Kind: errs.KindTimeout, Type: dns, Retryable: true}},
		{"dial of no network", dial(net.UnknownNetworkError("x")), errs.Class{Kind: errs.KindConnection, Type: "net.UnknownNetworkError"}},
		{"dial of no address", dial(&net.AddrError{Err: "missing port"}), errs.Class{Kind: errs.KindConnection, Type: "*net.AddrError"}},
		{"dial, DNS broken", dial(&net.DNSError{}), errs.Class{Kind: errs.KindConnection, Type: dns}},
		{"read reset", read(syscall.ECONNRESET), errs.Class{Kind: errs.KindConnection, Type: op}},
		{"write to a closed pipe", &net.OpError{Op: "write", Err: syscall.EPIPE}, errs.Class{Kind: errs.KindConnection, Type: op}},
		{"read late", read(os.ErrDeadlineExceeded), errs.Class{Kind: errs.KindTimeout, Type: "os.ErrDeadlineExceeded"}},
		{"read of nothing", read(errors.New("x")), errs.Class{Kind: errs.KindConnection, Type: op}},
		{"read, TLS alert", &net.OpError{Op: "remote error", Err: tls.AlertError(42)}, errs.Class{Kind: errs.KindConnection, Type: "tls.AlertError"}},
		{"bare errno", syscall.ECONNREFUSED, errs.Class{Kind: errs.KindConnection, Type: "syscall.Errno"}},
		{"unknown errno", syscall.Errno(9999), errs.Class{Kind: errs.KindOther, Type: "syscall.Errno"}},
		{"Windows errno", syscall.Errno(10061), errs.Class{Kind: errs.KindConnection, Type: "syscall.Errno"}},
		{"disk full", &fs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}, errs.Class{Kind: errs.KindResource, Type: "*fs.PathError"}},
		{"no such file", noFile, errs.Class{Kind: errs.KindNotFound, Type: "*fs.PathError"}},
		{"x509 authority", x509.UnknownAuthorityError{}, errs.Class{Kind: errs.KindConnection, Type: "x509.UnknownAuthorityError"}},
		{"x509 host", &tls.CertificateVerificationError{Err: x509.HostnameError{Host: "h", Certificate: &x509.Certificate{}}}, errs.Class{Kind: errs.KindConnection, Type: "x509.HostnameError"}},
		{"TLS record", tls.RecordHeaderError{Msg: "x"}, errs.Class{Kind: errs.KindConnection, Type: "tls.RecordHeaderError"}},
		{"late", late{}, errs.Class{Kind: errs.KindTimeout, Type: "errs_test.late"}},
		{"number", notNumber, errs.Class{Kind: errs.KindData, Type: "strconv.ErrSyntax"}},
		{"time", noTime, errs.Class{Kind: errs.KindData, Type: "*time.ParseError"}},
		{"JSON", noJSON, errs.Class{Kind: errs.KindData, Type: "*json.SyntaxError"}},
		{"JSON type", wrongJSON, errs.Class{Kind: errs.KindData, Type: "*json.UnmarshalTypeError"}},
		{"URL", noURL, errs.Class{Kind: errs.KindOther, Type: "*url.Error"}},

		{"not sent", refused{errors.New("conn busy")}, errs.Class{Kind: errs.KindConnection, Type: "errs_test.refused", Retryable: true}},
		{"not sent, reset", refused{read(syscall.ECONNRESET)}, errs.Class{Kind: errs.KindConnection, Type: op, Retryable: true}},
		{"not sent, canceled", refused{context.Canceled}, errs.Class{Kind: errs.KindCanceled, Type: "context.Canceled"}},
		{"not sent, deadline", refused{context.DeadlineExceeded}, errs.Class{Kind: errs.KindTimeout, Type: "context.DeadlineExceeded"}},
		{"not sent, but a code", refused{&pgconn.PgError{Code: "28P01"}}, errs.Class{Kind: errs.KindPermission, Type: "28P01", Code: "28P01"}},

		{"text", errors.New("x"), errs.Class{Kind: errs.KindOther, Type: "*errors.errorString"}},
		{"wrapped text", fmt.Errorf("a: %w", fmt.Errorf("b: %w", errors.New("c"))), errs.Class{Kind: errs.KindOther, Type: "*errors.errorString"}},
		{"own type", &fault{"x"}, errs.Class{Kind: errs.KindOther, Type: "*errs_test.fault"}},
		{"own type around a text", &appError{"a", errors.New("b")}, errs.Class{Kind: errs.KindOther, Type: "*errs_test.appError"}},
		{"own type around an own type", &appError{"a", fmt.Errorf("b: %w", &fault{"c"})}, errs.Class{Kind: errs.KindOther, Type: "*errs_test.fault"}},
		{"joined", errors.Join(errors.New("a"), &fault{"b"}, &appError{"c", io.EOF}), errs.Class{Kind: errs.KindOther, Type: "io.EOF"}},
		{"joined types", errors.Join(errors.New("a"), &fault{"b"}, mute{errors.New("c")}), errs.Class{Kind: errs.KindOther, Type: "*errs_test.fault"}},
		{"generic", pair[int, string]{}, errs.Class{Kind: errs.KindOther, Type: "errs_test.pair[int,string]"}},
		{"long generic", pair[appError, map[string]map[string]map[string]map[string]fault]{}, errs.Class{Kind: errs.KindOther, Type: "errs_test.pair"}},
		{"unnamed", struct{ error }{errors.New("x")}, errs.Class{Kind: errs.KindOther, Type: "_OTHER"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkClass(t, test.err, test.want)
			checkClass(t, fmt.Errorf("a: %w", test.err), test.want)
		})
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	t.Cleanup(cancel)
	return ctx
}

// dialed returns the error with which the network ends an attempt whose context
// is over.
func dialed(t *testing.T, ctx context.Context) error {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", "127.0.0.1:1")
	if err == nil {
		_ = conn.Close()
		t.Fatal("connected")
	}
	return err
}

func TestClassifyScan(t *testing.T) {
	checkClass(t, pgx.ScanArgError{Err: errors.New("x")}, errs.Class{Kind: errs.KindData, Type: "pgx.ScanArgError"})
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
		err := pgx.ScanArgError{Err: end}
		want := errs.Classify(end)
		want.Kind = errs.KindConnection
		checkClass(t, err, want)
	}
}

// What wins when one error holds several.
func TestClassifyPrecedence(t *testing.T) {
	pg := &pgconn.PgError{Code: "23505"}
	deadlock := &mysql.MySQLError{Number: 1213}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	class := func(kind errs.Kind, code string) errs.Class { return errs.Class{Kind: kind, Type: code, Code: code} }
	unique := class(errs.KindConstraint, "23505")
	own := &quota{class: errs.Class{Kind: errs.KindResource, Type: "quota"}}
	for _, test := range []struct {
		err  error
		want errs.Class
	}{
		{errors.Join(context.Canceled, pg), unique},
		{errors.Join(pg, context.Canceled), unique},
		{errors.Join(driver.ErrBadConn, dial(syscall.ECONNREFUSED), pg), unique},
		{errors.Join(pg, deadlock), unique},
		{errors.Join(deadlock, pg), errs.Class{Kind: errs.KindDeadlock, Type: "1213", Code: "1213", Retryable: true}},
		{errors.Join(sql.ErrTxDone, context.Canceled), errs.Classify(context.Canceled)},
		{errors.Join(dial(syscall.ECONNREFUSED), sql.ErrNoRows), errs.Classify(sql.ErrNoRows)},
		{errors.Join(sql.ErrTxDone, sql.ErrNoRows), errs.Classify(sql.ErrTxDone)},
		// A connection that broke while it was in use may have done its work.
		{errors.Join(dial(syscall.ECONNREFUSED), reset), errs.Class{Kind: errs.KindConnection, Type: "*net.OpError"}},
		{errors.Join(reset, dial(syscall.ECONNREFUSED)), errs.Class{Kind: errs.KindConnection, Type: "*net.OpError"}},
		{errors.Join(reset, driver.ErrBadConn), errs.Class{Kind: errs.KindConnection, Type: "driver.ErrBadConn"}},
		{errors.Join(deadlock, reset), errs.Classify(deadlock)},
		{errors.Join(dial(syscall.ECONNREFUSED), dial(&net.DNSError{IsNotFound: true})), errs.Class{Kind: errs.KindConnection, Type: "*net.OpError", Retryable: true}},
		{errors.Join(&fault{"x"}, dial(syscall.ECONNREFUSED)), errs.Classify(dial(syscall.ECONNREFUSED))},
		{fmt.Errorf("%w, then %w", sql.ErrTxDone, pg), unique},
		{errors.Join(pg, own), own.class},
		{fmt.Errorf("a: %w", &quota{class: own.class, err: pg}), own.class},
		{errors.Join(own, &errs.PanicError{Value: "x"}), errs.Class{Kind: errs.KindPanic, Type: "panic"}},
	} {
		checkClass(t, test.err, test.want)
	}
}

// quota is an error that gives its own class.
type quota struct {
	class  errs.Class
	err    error
	panics bool
}

func (e *quota) Error() string { return "quota" }
func (e *quota) Unwrap() error { return e.err }

func (e *quota) ErrorClass() errs.Class {
	if e.panics {
		panic("secret")
	}
	return e.class
}

func TestClassified(t *testing.T) {
	const name = "*errs_test.quota"
	long := strings.Repeat("é", errs.MaxType)
	for _, test := range []struct {
		err  *quota
		want errs.Class
	}{
		{&quota{class: errs.Class{Kind: errs.KindResource, Type: "q", Code: "c", Retryable: true}}, errs.Class{Kind: errs.KindResource, Type: "q", Code: "c", Retryable: true}},
		{&quota{}, errs.Class{Kind: errs.KindOther, Type: name}},
		{&quota{class: errs.Class{Code: "c"}}, errs.Class{Kind: errs.KindOther, Type: "c", Code: "c"}},
		{&quota{class: errs.Class{Kind: 99, Type: "a\xffb"}}, errs.Class{Kind: errs.KindOther, Type: "a\uFFFDb"}},
		{&quota{class: errs.Class{Kind: errs.KindData, Type: "x" + long}}, errs.Class{Kind: errs.KindData, Type: "x" + long[:126]}},
		{&quota{panics: true}, errs.Class{Kind: errs.KindOther, Type: name}},
		{&quota{panics: true, err: sql.ErrNoRows}, errs.Classify(sql.ErrNoRows)},
		{nil, errs.Class{Kind: errs.KindOther, Type: name}},
	} {
		checkClass(t, test.err, test.want)
	}
	checkClass(t, fmt.Errorf("a: %w", &quota{panics: true, err: errors.New("x")}), errs.Class{Kind: errs.KindOther, Type: name})
}

func TestClassifyConcurrently(t *testing.T) {
	list := []error{
		&pgconn.PgError{Code: "40001"}, &fault{"x"}, dial(syscall.ECONNREFUSED), pair[int, int8]{},
		&mysql.MySQLError{Number: 1062}, errors.Join(io.EOF, late{}), &quota{class: errs.Class{Type: "q"}},
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				for _, err := range list {
					if errs.Classify(err).Type == "" || errs.Message(err) == "" {
						t.Errorf("no class of %T", err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestClassifyAllocations(t *testing.T) {
	pg := &pgconn.PgError{Code: "23505"}
	for name, err := range map[string]error{
		"context":  context.Canceled,
		"wrapped":  fmt.Errorf("a: %w", context.DeadlineExceeded),
		"bad conn": driver.ErrBadConn,
		"no rows":  sql.ErrNoRows,
		"pgx":      pg,
		"pgx deep": fmt.Errorf("a: %w", &appError{"b", pg}),
		"SQLite":   error(sqlite3.Error{Code: 19, ExtendedCode: 2067}),
		"MySQL":    &mysql.MySQLError{Number: 1062},
		"dial":     dial(syscall.ECONNREFUSED),
		"text":     errors.New("x"),
		"joined":   errors.Join(&fault{"x"}, io.EOF),
	} {
		want := 0.0
		if name == "joined" || name == "dial" {
			want = 1
		}
		if got := testing.AllocsPerRun(100, func() { errs.Classify(err) }); got > want {
			t.Errorf("%s: %v allocations, want %v", name, got, want)
		}
	}
}

func checkClass(t *testing.T, err error, want errs.Class) {
	t.Helper()
	if got := errs.Classify(err); got != want {
		t.Errorf("Classify(%T)\n got %+v\nwant %+v", err, got, want)
	}
}
