// Package ncruces has an error of the shape of that of ncruces/go-sqlite3, for
// tests: the module does not depend on it.
package ncruces

// ErrorCode is a primary result code.
type ErrorCode uint8

// ExtendedErrorCode is an extended result code.
type ExtendedErrorCode uint16

// Error is an error of the library.
type Error struct {
	msg  string
	code ExtendedErrorCode
}

// New returns an Error with that text and code.
func New(msg string, code int) *Error {
	return &Error{msg: msg, code: ExtendedErrorCode(code)} //nolint:gosec // codes of tests are small
}

func (e *Error) Error() string { return "sqlite3: " + e.msg }

// Code returns the primary result code.
func (e *Error) Code() ErrorCode { return ErrorCode(e.code) } //nolint:gosec // the low byte is what is meant

// ExtendedCode returns the extended result code.
func (e *Error) ExtendedCode() ExtendedErrorCode { return e.code }
