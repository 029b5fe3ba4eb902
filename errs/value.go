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

// knownValue compares err with each value. None of them is of a type that cannot
// be compared, so that the comparison cannot panic, whatever err is.
func knownValue(err error) Class {
	switch err {
	case context.Canceled:
		return Class{Kind: KindCanceled, Type: typeCanceled}
	case context.DeadlineExceeded:
		return Class{Kind: KindTimeout, Type: typeDeadline}
	case sql.ErrNoRows:
		return Class{Kind: KindNotFound, Type: "sql.ErrNoRows"}
	case driver.ErrBadConn: // by contract: nothing was done, database/sql tries again
		return Class{Kind: KindConnection, Type: "driver.ErrBadConn", Retryable: true}
	case sql.ErrTxDone:
		return Class{Kind: KindOther, Type: "sql.ErrTxDone"}
	case sql.ErrConnDone:
		return Class{Kind: KindConnection, Type: "sql.ErrConnDone"}
	case driver.ErrSkip:
		return Class{Kind: KindOther, Type: "driver.ErrSkip"}
	case driver.ErrRemoveArgument:
		return Class{Kind: KindOther, Type: "driver.ErrRemoveArgument"}
	case io.EOF:
		return Class{Kind: KindOther, Type: "io.EOF"}
	case io.ErrUnexpectedEOF:
		return Class{Kind: KindOther, Type: "io.ErrUnexpectedEOF"}
	case io.ErrClosedPipe:
		return Class{Kind: KindConnection, Type: "io.ErrClosedPipe"}
	case io.ErrShortWrite:
		return Class{Kind: KindOther, Type: "io.ErrShortWrite"}
	case io.ErrNoProgress:
		return Class{Kind: KindOther, Type: "io.ErrNoProgress"}
	case net.ErrClosed:
		return Class{Kind: KindConnection, Type: "net.ErrClosed"}
	case os.ErrDeadlineExceeded:
		return Class{Kind: KindTimeout, Type: "os.ErrDeadlineExceeded"}
	case fs.ErrNotExist:
		return Class{Kind: KindNotFound, Type: "fs.ErrNotExist"}
	case fs.ErrExist:
		return Class{Kind: KindOther, Type: "fs.ErrExist"}
	case fs.ErrPermission:
		return Class{Kind: KindPermission, Type: "fs.ErrPermission"}
	case fs.ErrInvalid:
		return Class{Kind: KindOther, Type: "fs.ErrInvalid"}
	case fs.ErrClosed:
		return Class{Kind: KindOther, Type: "fs.ErrClosed"}
	case strconv.ErrSyntax:
		return Class{Kind: KindData, Type: "strconv.ErrSyntax"}
	case strconv.ErrRange:
		return Class{Kind: KindData, Type: "strconv.ErrRange"}
	case bufio.ErrTooLong:
		return Class{Kind: KindData, Type: "bufio.ErrTooLong"}
	case errors.ErrUnsupported:
		return Class{Kind: KindOther, Type: "errors.ErrUnsupported"}
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

// namedByText knows a few values of drivers and of database/sql that cannot be
// compared with, because they are not exported or because no driver is imported.
// They are of errors.New, and their texts are constants.
func namedByText(text string, info *typeInfo) Class {
	if info.name != errorString {
		return Class{}
	}
	switch text {
	case "sql: database is closed":
		return Class{Kind: KindConnection, Type: "sql.errDBClosed"}
	case "invalid connection":
		return Class{Kind: KindConnection, Type: "mysql.ErrInvalidConn"}
	case "malformed packet":
		return Class{Kind: KindConnection, Type: "mysql.ErrMalformPkt"}
	case "conn closed":
		return Class{Kind: KindConnection, Type: "pgconn.ErrConnClosed"}
	case "closed pool":
		return Class{Kind: KindConnection, Type: "puddle.ErrClosedPool"}
	}
	return Class{}
}

// isEnd reports whether the type of a class is that of an end of input.
func isEnd(name string) bool { return name == "io.EOF" || name == "io.ErrUnexpectedEOF" }
