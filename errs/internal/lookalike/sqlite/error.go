// Package sqlite has an error of the shape of that of modernc.org/sqlite, for
// tests: the module does not depend on it.
package sqlite

import "fmt"

// Error is an error of the library.
type Error struct {
	msg  string
	code int
}

// New returns an Error with that text and code.
func New(msg string, code int) *Error { return &Error{msg: msg, code: code} }

func (e *Error) Error() string { return e.msg }

// Code returns the extended result code.
func (e *Error) Code() int { return e.code }

// ErrorCode and ExtendedErrorCode are codes that ncruces/go-sqlite3 returns as
// errors by themselves.
type (
	ErrorCode         uint8
	ExtendedErrorCode uint16
)

func (e ErrorCode) Error() string { return fmt.Sprintf("sqlite3: %d", e) }

func (e ExtendedErrorCode) Error() string { return fmt.Sprintf("sqlite3: %d", e) }
