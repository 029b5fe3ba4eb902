package otdb

import (
	"database/sql/driver"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
)

// outcome is how an operation ended.
type outcome struct {
	// err is the error of the call, and instrument.ErrNotReturned if the call did not
	// return.
	err error
	// class is nil if nothing went wrong. classify sets it, and the safe text, for err.
	class    *errs.Class
	text     string
	expected bool // the user declared that the error is no failure

	at     time.Duration // a reading of the clock at the end, 0 if there was none
	length time.Duration // of the operation; end sets it
	result driver.Result // of an exec

	// Of a query:
	hasRows bool
	rows    int64         // that the consumer read
	outside time.Duration // the part of the length that was not measured as the driver's
	leaked  bool          // the task has ended the rows
}

// Failures without an error.
var (
	// panicked is the class of a call into the driver that panicked.
	panicked = &errs.Class{Kind: errs.KindPanic, Type: "panic"}
	// exited is the class of a call that ended its goroutine.
	exited = &errs.Class{Kind: errs.KindOther, Type: "runtime.Goexit"}
	// abandoned is the class of a statement that the driver skipped and that
	// was never executed.
	abandoned = &errs.Class{Kind: errs.KindOther, Type: semconv.ErrorTypeOther.Value.AsString()}
)

// classify sets the class and the safe text of the error of o. The driver's text is
// remembered by its task.
func (out *outcome) classify(o *operation) {
	switch {
	case out.err == nil:
	case out.err == instrument.ErrNotReturned: //nolint:errorlint // the mark itself
		out.err, out.class = nil, panicked
		if instrument.Unwinding() == instrument.Exited {
			out.class = exited
		}
	default:
		l := o.ledger
		if o.operationKind == nil && o.ctx != nil { // not begun
			l = ledger.FromContext(o.ctx)
		}
		class, text := errs.LookDriver(out.err, l.Said())
		out.class, out.text = &class, text
		out.expected = o.operationKind != nil && o.db.expected(out.err)
	}
}

// described reports whether more is recorded of the operation than how long it took.
func (out *outcome) described(o *operation) bool {
	return out.class != nil || out.outside >= outsideThreshold || out.leaked || o.db.cfg.rowCounts || len(o.db.rest) > 0
}

// reading returns the reading of the clock at the operation's end.
func (out *outcome) reading(db *database) time.Duration {
	if out.at == 0 {
		out.at = db.now()
	}
	return out.at
}

func (out *outcome) failed() bool { return out.class != nil && !out.expected }

// inDriver returns the driver's part of the operation's length.
func (out *outcome) inDriver() time.Duration { return max(0, out.length-out.outside) }

// classAttributes appends what is recorded of an error to kv.
func (out *outcome) classAttributes(kv []attribute.KeyValue) []attribute.KeyValue {
	c := out.class
	if c == nil {
		return kv
	}
	if !out.expected {
		kv = append(kv, semconv.ErrorTypeKey.String(c.Type))
	}
	if c.Code != "" {
		kv = append(kv, semconv.DBResponseStatusCode(c.Code))
	}
	return kv
}

// rowsAffected asks the result of an exec, which the application may never do. A panic
// here must not be its panic.
func (out *outcome) rowsAffected() (n int64, ok bool) {
	if out.result == nil || out.err != nil {
		return 0, false
	}
	defer scope.Guard("the driver's RowsAffected")
	n, err := out.result.RowsAffected()
	return n, err == nil
}

// expected asks the user whether an error is no failure.
func (db *database) expected(err error) (expected bool) {
	if db.cfg.expected == nil {
		return false
	}
	defer scope.Guard("the function given to WithExpectedErrors")
	return db.cfg.expected(err)
}
