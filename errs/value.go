package errs

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
)

// The names of the errors of contexts, which rank above other values.
const (
	typeCanceled = "context.Canceled"
	typeDeadline = "context.DeadlineExceeded"
)

// errorString is the type of errors.New.
const errorString = "*errors.errorString"

// valueClass returns the class of err if it is one of the well-known values, or
// reports that it is (errors.Is asks the same way).
func valueClass(err error, raw string, info *typeInfo) (Class, bool) {
	class := knownValue(err)
	if class.Type == "" && info.matches {
		class = knownValue(matchedValue(err, info))
	}
	if class.Type == "" {
		class = namedByText(raw, info)
	}
	return class, class.Type != ""
}

// knownValues are compared with each error, the most frequent first. None of them is
// of a type that cannot be compared, so that the comparison cannot panic.
var knownValues = [...]struct {
	err   error
	class Class
}{
	{context.Canceled, Class{Kind: KindCanceled, Type: typeCanceled}},
	{context.DeadlineExceeded, Class{Kind: KindTimeout, Type: typeDeadline}},
	{sql.ErrNoRows, Class{Kind: KindNotFound, Type: "sql.ErrNoRows"}},
	{driver.ErrBadConn, Class{Kind: KindConnection, Type: "driver.ErrBadConn", Retryable: true}}, // by contract: nothing was done, database/sql tries again
	{sql.ErrTxDone, Class{Kind: KindOther, Type: "sql.ErrTxDone"}},
	{sql.ErrConnDone, Class{Kind: KindConnection, Type: "sql.ErrConnDone"}},
	{driver.ErrSkip, Class{Kind: KindOther, Type: "driver.ErrSkip"}},
	{driver.ErrRemoveArgument, Class{Kind: KindOther, Type: "driver.ErrRemoveArgument"}},
	{io.EOF, Class{Kind: KindOther, Type: "io.EOF"}},
	{io.ErrUnexpectedEOF, Class{Kind: KindOther, Type: "io.ErrUnexpectedEOF"}},
	{io.ErrClosedPipe, Class{Kind: KindConnection, Type: "io.ErrClosedPipe"}},
	{io.ErrShortWrite, Class{Kind: KindOther, Type: "io.ErrShortWrite"}},
	{io.ErrNoProgress, Class{Kind: KindOther, Type: "io.ErrNoProgress"}},
	{net.ErrClosed, Class{Kind: KindConnection, Type: "net.ErrClosed"}},
	{os.ErrDeadlineExceeded, Class{Kind: KindTimeout, Type: "os.ErrDeadlineExceeded"}},
	{fs.ErrNotExist, Class{Kind: KindNotFound, Type: "fs.ErrNotExist"}},
	{fs.ErrExist, Class{Kind: KindOther, Type: "fs.ErrExist"}},
	{fs.ErrPermission, Class{Kind: KindPermission, Type: "fs.ErrPermission"}},
	{fs.ErrInvalid, Class{Kind: KindOther, Type: "fs.ErrInvalid"}},
	{fs.ErrClosed, Class{Kind: KindOther, Type: "fs.ErrClosed"}},
	{strconv.ErrSyntax, Class{Kind: KindData, Type: "strconv.ErrSyntax"}},
	{strconv.ErrRange, Class{Kind: KindData, Type: "strconv.ErrRange"}},
	{bufio.ErrTooLong, Class{Kind: KindData, Type: "bufio.ErrTooLong"}},
	{errors.ErrUnsupported, Class{Kind: KindOther, Type: "errors.ErrUnsupported"}},
}

func knownValue(err error) Class {
	for i := range knownValues {
		if knownValues[i].err == err {
			return knownValues[i].class
		}
	}
	return Class{}
}

// matchable are the values for which an error's method Is is asked.
var matchable = [...]error{context.Canceled, context.DeadlineExceeded, sql.ErrNoRows, driver.ErrBadConn}

// matchedValue asks err's method Is, and returns the value for which it answers
// yes, or nil. The standard library calls any timeout of
// the network a context.DeadlineExceeded, also where there was no context; its
// word counts for cancellation only.
func matchedValue(err error, info *typeInfo) error {
	for _, target := range matchable {
		if info.origin == originStd && target != context.Canceled {
			break
		}
		if is(err, target) {
			return target
		}
	}
	return nil
}

// namedTexts are of a few values of drivers and of database/sql that cannot be
// compared with, because they are not exported or because no driver is imported.
// They are of errors.New, and their texts are constants.
var namedTexts = map[string]Class{
	"sql: database is closed": {Kind: KindConnection, Type: "sql.errDBClosed"},
	"invalid connection":      {Kind: KindConnection, Type: "mysql.ErrInvalidConn"},
	"malformed packet":        {Kind: KindConnection, Type: "mysql.ErrMalformPkt"},
	"conn closed":             {Kind: KindConnection, Type: "pgconn.ErrConnClosed"},
	"closed pool":             {Kind: KindConnection, Type: "puddle.ErrClosedPool"},
}

func namedByText(text string, info *typeInfo) Class {
	if info.name != errorString {
		return Class{}
	}
	return namedTexts[text]
}

// isEnd reports whether the type of a class is that of an end of input.
func isEnd(name string) bool { return name == "io.EOF" || name == "io.ErrUnexpectedEOF" }
