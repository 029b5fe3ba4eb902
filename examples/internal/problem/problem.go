// Package problem has the errors of the example programs that may be printed as they are.
package problem

import (
	"errors"

	"github.com/taskspan/taskspan/errs"
)

// problem is an error whose text the program made itself: it may be printed as it
// is, unlike a driver's text, which may hold values and parts of a DSN.
type problem struct {
	text  string
	cause error // nil if text is complete
}

// New returns an error with that text, and with the cause that it has, or nil.
func New(text string, cause error) error { return &problem{text, cause} }

func (p *problem) Error() string {
	if p.cause == nil {
		return p.text
	}
	return p.text + ": " + p.cause.Error()
}

func (p *problem) Unwrap() error { return p.cause }

// Explain returns the texts of the problems that err is about, and the safe text of
// their cause.
func Explain(err error) string {
	var p *problem
	switch {
	case !errors.As(err, &p):
		return errs.Message(err)
	case p.cause == nil:
		return p.text
	}
	return p.text + ": " + Explain(p.cause)
}
