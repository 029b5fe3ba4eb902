package errs

// Kind is a coarse class of error: what a person would do about it. The zero
// value is the kind of a nil error.
type Kind uint8

// The kinds.
const (
	KindNone          Kind = iota // there is no error
	KindCanceled                  // somebody asked for the work to stop
	KindTimeout                   // the work took longer than it was allowed to
	KindConnection                // the other side could not be reached, or went away
	KindConstraint                // the data break a rule of the schema
	KindSerialization             // a concurrent transaction got in the way
	KindDeadlock                  // two transactions waited for each other
	KindLockTimeout               // a lock was not granted in time
	KindSyntax                    // the statement is wrong
	KindUndefined                 // the statement names a table, column or database that is not there
	KindPermission                // the user may not do this
	KindResource                  // disk, memory, connections or another limit is exhausted
	KindData                      // a value does not fit its type
	KindNotFound                  // there is no such row or file
	KindPanic                     // the code panicked
	KindOther                     // anything else
)

var kindNames = [...]string{
	KindNone:          "none",
	KindCanceled:      "canceled",
	KindTimeout:       "timeout",
	KindConnection:    "connection",
	KindConstraint:    "constraint",
	KindSerialization: "serialization",
	KindDeadlock:      "deadlock",
	KindLockTimeout:   "lock_timeout",
	KindSyntax:        "syntax",
	KindUndefined:     "undefined",
	KindPermission:    "permission",
	KindResource:      "resource",
	KindData:          "data",
	KindNotFound:      "not_found",
	KindPanic:         "panic",
	KindOther:         "other",
}

// String returns the name of the kind, as it appears in logs and in [Message]:
// "canceled", "timeout", "connection", "constraint", "serialization",
// "deadlock", "lock_timeout", "syntax", "undefined", "permission", "resource", "data",
// "not_found", "panic" or "other". [KindNone] is "none", and a number that is
// no kind is "other".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindOther]
}
