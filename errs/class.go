package errs

import (
	"cmp"
	"context"
	"database/sql/driver"
	"strings"
	"unicode/utf8"
)

// Class is what is known of an error without its text; only a few constant texts
// of errors.New that drivers and database/sql do not export are recognised as
// well-known values ("mysql.ErrInvalidConn"). All of it is of low cardinality: it is made of codes, of the names of Go types and of the names of
// well-known values. A Class may be compared with ==.
type Class struct {
	Kind Kind // the coarse class; KindNone only for a nil error

	// Type is the value of the attribute error.type: the Code of a database's
	// error, else the Go name of a well-known value ("context.Canceled",
	// "sql.ErrNoRows", "driver.ErrBadConn"), else the innermost Go type that means
	// something, written as %T writes it ("*net.OpError"). A type that only wraps or
	// only carries a text (fmt.Errorf, errors.Join, errors.New) does not count as
	// long as there is another type; an error of nothing else is
	// "*errors.errorString". A panic whose value is no error is "panic".
	Type string

	// Code is the value of the attribute db.response.status_code: the SQLSTATE
	// of PostgreSQL, the vendor's number of MySQL, MariaDB and SQL Server, the
	// extended result code of SQLite. It is empty if no database gave a code.
	Code string

	// Retryable reports that the same work may succeed if it is done again from
	// the start: serialization failures, deadlocks, and connections that failed
	// before anything was sent over them. It is false for anything else, also
	// where a second try might help, or where one of several joined errors is of
	// a connection that broke while it was in use.
	//
	// The driver's own word is believed: driver.ErrBadConn means that
	// nothing was done. Not every driver keeps to that: lib/pq returns it as well
	// for a COMMIT whose answer was lost.
	Retryable bool
}

// Classified is an error that gives its own class. It is the one way to extend
// [Classify]:
//
//	func (e *QuotaError) ErrorClass() errs.Class {
//		return errs.Class{Kind: errs.KindResource, Type: "quota"}
//	}
//
// It is a method and not a registry of functions, so that there is no state to
// guard, no order of initialisation, and the class stands beside the type that
// it belongs to. An error of somebody else's is given a class by wrapping it in
// a type that has the method.
//
// ErrorClass may be called from several goroutines at once and must not call
// [Classify] on its own receiver. A Kind that is missing or unknown becomes
// KindOther, and a Type that is missing the name of the Go type; Type is a metric
// label, and must have few values. If ErrorClass panics, the error is classified
// as though it had no such method.
type Classified interface {
	error
	// ErrorClass returns the class of the error.
	ErrorClass() Class
}

// maxType is the greatest length in bytes of Class.Type and Class.Code.
const maxType = 128

// Classify returns the class of err, and the zero Class if err is nil. The
// documentation of the package says what wins if err wraps or joins several
// errors.
func Classify(err error) Class {
	switch err { // by far the most frequent ones, and worth the short cut
	case nil:
		return Class{}
	case context.Canceled, context.DeadlineExceeded, driver.ErrBadConn:
		return knownValue(err)
	}
	w := walker{budget: maxNodes}
	f, _ := w.visit(err, 0)
	return f.result()
}

// normal makes a class that somebody else gave fit to be exported.
func (c Class) normal(name string) Class {
	if c.Kind == KindNone || c.Kind > KindOther {
		c.Kind = KindOther
	}
	c.Type, c.Code = label(cmp.Or(c.Type, c.Code, name)), label(c.Code)
	return c
}

// label cuts s to what a metric label may hold.
func label(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return cut(s, maxType)
}

// cut returns the first max bytes of s, or some bytes less so that no rune is
// split.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
