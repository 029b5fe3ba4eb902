// Package sqlite3 has errors of the shape of those of mattn/go-sqlite3, for
// tests: the module does not depend on it.
package sqlite3

import (
	"fmt"
	"syscall"
)

// ErrNo is a primary result code.
type ErrNo int

// ErrBusy is the code of a locked database.
const ErrBusy = ErrNo(5)

// ErrNoExtended is an extended result code.
type ErrNoExtended int

// Error is an error of the library.
type Error struct {
	Code         ErrNo
	ExtendedCode ErrNoExtended
	SystemErrno  syscall.Errno
	err          string
}

// New returns an Error with that extended code and text.
func New(code int, text string) Error {
	return Error{Code: ErrNo(code & 0xff), ExtendedCode: ErrNoExtended(code), err: text}
}

func (e ErrNo) Error() string { return Error{Code: e}.Error() }

func (e ErrNoExtended) Error() string { return Error{Code: ErrNo(e & 0xff), ExtendedCode: e}.Error() }

func (e Error) Error() string {
	text := e.err
	if text == "" {
		text = fmt.Sprintf("SQL logic error %d", e.Code)
	}
	if e.SystemErrno != 0 {
		text += ": " + e.SystemErrno.Error()
	}
	return text
}
