package errs

import (
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
	// "sql.ErrNoRows", "driver.ErrBadConn"), else the innermost Go type that says
	// something, written as %T writes it ("*net.OpError"). What only wraps or
	// only carries a text (fmt.Errorf, errors.Join, errors.New) says nothing as
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
	// What a driver says of it is taken for true: driver.ErrBadConn means that
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

// Bounds of what is looked at in one tree of errors.
const (
	maxNodes = 128
	maxDepth = 32
)

// maxType is the greatest length in bytes of Class.Type and Class.Code.
const maxType = 128

// Classify returns the class of err, and the zero Class if err is nil. The
// documentation of the package says what wins if err wraps or joins several
// errors.
func Classify(err error) Class {
	switch err { // by far the most frequent ones, and worth the short cut
	case nil:
		return Class{}
	case context.Canceled:
		return Class{Kind: KindCanceled, Type: "context.Canceled"}
	case context.DeadlineExceeded:
		return Class{Kind: KindTimeout, Type: "context.DeadlineExceeded"}
	case driver.ErrBadConn:
		return Class{Kind: KindConnection, Type: "driver.ErrBadConn", Retryable: true}
	}
	c := classifier{budget: maxNodes}
	c.visit(err, trail{}, 0)
	if c.lost && c.rank < rankDatabase { // which says by itself that nothing was done
		c.best.Retryable = false
	}
	return c.best
}

// rank says how much a finding tells. A finding replaces another one if its rank
// is higher.
type rank uint8

const (
	rankNone     rank = iota
	rankType          // a well-known type
	rankTimeout       // a type that reports a timeout
	rankErrno         // a number of the operating system, or an answer of the DNS
	rankValue         // a well-known value
	rankContext       // an error of a context
	rankDatabase      // a code of a database
	rankOwn           // the error's own word, or a panic
)

// trail is what was found on the way from the root to one error.
type trail struct {
	class    Class // without Type as long as rank is below rankValue
	rank     rank
	name     string // the Go type that says most
	strength strength
	dial     bool // inside the failure of an attempt to connect, which may succeed later
	dialing  bool // inside that of any attempt to connect
	unsent   bool // the driver says that it had sent nothing
	remote   bool // inside an error of a driver or of the network
	panicked bool // inside a recovered panic
}

// classifier keeps the best finding of one tree.
type classifier struct {
	best     Class
	rank     rank
	strength strength
	panicked bool
	found    bool
	lost     bool // a connection broke that was in use
	budget   int
}

// visit looks at err, which lies at the end of t, and at what it wraps.
func (c *classifier) visit(err error, t trail, depth int) {
	c.budget--
	info := infoOf(err)
	t.note(err, info)
	if t.rank == rankOwn || depth >= maxDepth {
		c.offer(&t)
		return
	}
	many, one := unwrap(err, info)
	visited := false
	if one != nil && c.budget > 0 {
		visited = true
		c.visit(one, t, depth+1)
	}
	for _, child := range many {
		if c.budget <= 0 {
			break
		}
		if child != nil {
			visited = true
			c.visit(child, t, depth+1)
		}
	}
	if !visited {
		c.offer(&t)
	}
}

// offer proposes the finding of a whole trail. The first of the best stays.
func (c *classifier) offer(t *trail) {
	class := t.result()
	if class.Kind == KindConnection && !class.Retryable && !t.dialing && t.rank < rankDatabase {
		c.lost = true
	}
	if c.found && !c.beatenBy(t) {
		return
	}
	c.found = true
	c.rank, c.strength, c.panicked = t.rank, t.strength, t.panicked
	c.best = class
}

func (c *classifier) beatenBy(t *trail) bool {
	switch {
	case t.panicked != c.panicked:
		return t.panicked
	case t.rank != c.rank:
		return t.rank > c.rank
	default: // nothing but types: the one that says more
		return t.rank == rankNone && t.strength > c.strength
	}
}

// raise records a finding unless a better one is there already.
func (t *trail) raise(r rank, class Class) {
	if r > t.rank {
		t.rank, t.class = r, class
	}
}

// note adds what err itself, without the errors that it wraps, tells.
func (t *trail) note(err error, info *typeInfo) {
	if info.strength >= t.strength {
		t.name, t.strength = info.name, info.strength
	}
	if info.origin == originDriver {
		t.remote = true
	}
	if info.origin == originPanic {
		t.panicked = true
		return
	}
	if info.classified {
		if class, ok := ownClass(err); ok {
			t.raise(rankOwn, class.normal(info.name))
			return
		}
	}
	if info.shape != shapeNone {
		t.remote = true
		if f, ok := failureOf(err, info); ok {
			t.raise(rankDatabase, Class{Kind: f.kind, Type: f.code, Code: f.code, Retryable: f.retry})
		}
	}
	if t.rank >= rankDatabase {
		return
	}
	if class, ok := valueClass(err, info); ok {
		r := rankValue
		if class.Type == typeCanceled || class.Type == typeDeadline {
			r = rankContext
		}
		if class.Kind == KindOther && t.remote && isEnd(err) {
			class.Kind = KindConnection // the server hung up
		}
		t.raise(r, class)
	}
	if info.retrier && safeToRetry(err) {
		t.unsent = true
	}
	t.noteType(err, info)
}

// result is the class of the trail.
func (t *trail) result() Class {
	class := t.class
	if t.rank < rankValue {
		class.Type = t.name
	}
	if t.rank < rankContext {
		if t.dial {
			switch class.Kind {
			case KindNotFound: // of a unix socket: there is no server
				class.Kind = KindConnection
				class.Retryable = true
			case KindConnection, KindTimeout:
				class.Retryable = true
			}
		}
		if t.unsent {
			class.Retryable = true
			if class.Kind == KindNone || class.Kind == KindOther {
				class.Kind = KindConnection
			}
		}
	}
	if t.panicked { // and nothing that panicked is worth a second try
		class.Kind, class.Retryable = KindPanic, false
	}
	if class.Kind == KindNone {
		class.Kind = KindOther
	}
	return class
}

// normal makes a class that somebody else gave fit to be exported.
func (c Class) normal(name string) Class {
	if c.Kind == KindNone || c.Kind > KindOther {
		c.Kind = KindOther
	}
	if c.Type == "" {
		c.Type = c.Code
	}
	if c.Type == "" {
		c.Type = name
	}
	c.Type, c.Code = label(c.Type), label(c.Code)
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

// ownClass asks err for its class; ok is false if it has none to give.
func ownClass(err error) (class Class, ok bool) {
	defer catch(&ok)
	if own, is := err.(Classified); is {
		return own.ErrorClass(), true
	}
	return Class{}, false
}
