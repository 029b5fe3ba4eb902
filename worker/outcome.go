package worker

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/errs"
)

// ErrGoexit is what [Future] and [Group] return for a task that ended its
// goroutine with runtime.Goexit.
var ErrGoexit = errors.New("worker: task ended its goroutine with runtime.Goexit")

// typeGoexit is the error.type of ErrGoexit.
const typeGoexit = "runtime.Goexit"

// Skip marks err as a reason not to do the task, which is no failure: the
// result is skip, the span's status stays unset, nothing is logged, and Run
// returns err itself. A nil err skips without giving a reason.
//
// If the task's function wraps what Skip returns, the result is skip too, and
// Run returns the wrapping error as it is. An error that joins it with others is
// an error: one of those may be a failure.
func Skip(err error) error { return &skipError{err} }

type skipError struct{ err error }

func (e *skipError) Error() string {
	if e.err == nil {
		return "worker: task skipped"
	}
	return e.err.Error()
}

func (e *skipError) Unwrap() error { return e.err }

// isSkip reports whether err is a skip, or wraps nothing but one.
func isSkip(err error) bool {
	for range maxErrorNodes {
		switch e := err.(type) { //nolint:errorlint // errors.As looks into joined errors too
		case *skipError:
			return true
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			if err = only(e.Unwrap()); err == nil {
				return false
			}
		default:
			return false
		}
	}
	return false
}

// only returns the one error that is not nil, or nil if there is none or more.
func only(joined []error) (err error) {
	for _, e := range joined {
		switch {
		case e == nil:
		case err != nil:
			return nil
		default:
			err = e
		}
	}
	return err
}

// result is how a task ended.
type result uint8

const (
	success result = iota
	failure
	panicked
	cancellation
	timeout
	skipped
)

// resultNames are the values of worker.task.result.
var resultNames = [...]string{
	success:      "success",
	failure:      "failure",
	panicked:     "panic",
	cancellation: "cancellation",
	timeout:      "timeout",
	skipped:      "skip",
}

// resultAttributes holds worker.task.result, by result.
var resultAttributes = func() (kv [len(resultNames)][]attribute.KeyValue) {
	for r, name := range resultNames {
		kv[r] = []attribute.KeyValue{keyTaskResult.String(name)}
	}
	return kv
}()

// outcome is what became of a task.
type outcome struct {
	result result
	// err is what is reported: what the function returned, a panic as an
	// *errs.PanicError, or ErrGoexit. It is nil unless the result is a
	// failure, a panic or a timeout.
	err error
	// errorType is the error.type, "" if err is nil.
	errorType string
	// text is the safe text of err, once it is made.
	text string
	// retryable says that the same work may succeed if it is done again.
	retryable bool
	// known is what err has been recorded as if a task within this one has, and
	// arrives what the tasks around this one see of it.
	known, arrives error
	// passing says that a task within this one has recorded the panic, and
	// flushUntil until when a panic may be flushed.
	passing    bool
	flushUntil time.Time
	// cause is why the context was done, if that is what ended the task.
	cause error
}

// succeeded is the outcome of a task whose function returned nil.
var succeeded = outcome{result: success}

// judge says what it means that the task's function returned an error.
func (t *task) judge(err error) (o outcome) {
	// Is, As, Unwrap and Error are methods of the application's errors.
	defer func() {
		if v := recover(); v != nil {
			handlePanic("classifying an error", v, nil)
			o = outcome{result: failure, err: err, known: err, arrives: err, errorType: semconv.ErrorTypeOther.Value.AsString()}
		}
	}()
	if isSkip(err) {
		return outcome{result: skipped}
	}
	class := errs.Classify(err)
	o = outcome{err: err, known: err, arrives: err, errorType: class.Type, retryable: class.Retryable}
	if o.errorType == "" {
		o.errorType = semconv.ErrorTypeOther.Value.AsString()
	}
	var errorType string
	if o.result, errorType = t.interruption(err, &class); errorType != "" {
		o.errorType = errorType
	}
	switch o.result {
	case cancellation:
		return outcome{result: cancellation, cause: context.Cause(t.context())}
	case timeout:
		o.cause = context.Cause(t.context())
	}
	return o
}

// interruption tells an error that says that the task's context is done from a
// failure. Without a context that is done it is a failure: a timeout of the
// function's own making, or a server's. Of joined errors each must say so; if
// they do not agree on what happened, the context decides. errorType is not empty
// if it is not that of all the errors.
func (t *task) interruption(err error, class *errs.Class) (_ result, errorType string) {
	done := t.context().Err()
	if done == nil {
		return failure, ""
	}
	nodes := 0
	parts := joined(nil, err, &nodes)
	if nodes > maxErrorNodes {
		return failure, ""
	}
	if len(parts) == 1 {
		return interruptionOf(err, class, done), ""
	}
	var seen [len(resultNames)]bool
	for _, part := range parts {
		class := errs.Classify(part)
		r := interruptionOf(part, &class, done)
		if r == failure {
			return failure, class.Type
		}
		seen[r] = true
	}
	switch {
	case seen[timeout] && seen[cancellation]:
		return interrupted(done), errs.Classify(done).Type
	case seen[timeout]:
		return timeout, ""
	default:
		return cancellation, ""
	}
}

// joined adds to parts the errors that err joins, or err if it joins none. It
// gives up, with too many nodes, on a tree that may be a cycle.
func joined(parts []error, err error, nodes *int) []error {
	for e := err; e != nil; {
		if *nodes++; *nodes > maxErrorNodes {
			return nil
		}
		switch w := e.(type) { //nolint:errorlint // the tree is walked by hand
		case interface{ Unwrap() error }:
			e = w.Unwrap()
		case interface{ Unwrap() []error }:
			list := w.Unwrap()
			if e = only(list); e != nil {
				continue
			}
			for _, part := range list {
				if part != nil {
					parts = joined(parts, part, nodes)
				}
			}
			if len(parts) > 0 {
				return parts
			}
		default:
			e = nil
		}
	}
	return append(parts, err)
}

// interruptionOf is interruption for an error that joins no others. With the
// code of a database, that one decides: a constraint that was violated is not
// undone by a cancellation.
func interruptionOf(err error, class *errs.Class, done error) result {
	var isCanceled, isTimeout bool
	if class.Code == "" {
		isCanceled = errors.Is(err, context.Canceled)
		isTimeout = errors.Is(err, context.DeadlineExceeded)
	}
	switch {
	case isTimeout && !isCanceled:
		return timeout
	case isCanceled && !isTimeout:
		return cancellation
	// database/sql ends a transaction whose context is done by itself, and what
	// the application does with it then gets this error.
	case class.Code == "" && errors.Is(err, sql.ErrTxDone):
		return interrupted(done)
	case !isCanceled && class.Kind != errs.KindCanceled && class.Kind != errs.KindTimeout:
		return failure
	// The context knows why, and a driver's own word need not say.
	default:
		return interrupted(done)
	}
}

// interrupted returns the result of a task whose context is done with that error.
func interrupted(done error) result {
	if errors.Is(done, context.DeadlineExceeded) {
		return timeout
	}
	return cancellation
}

// text returns the safe text of an error.
func (r *Runner) text(err error, errorType string) (s string) {
	defer func() {
		if v := recover(); v != nil {
			handlePanic("making the text of an error", v, nil)
			s = errorType
		}
	}()
	if f := r.config.errorText; f != nil {
		return valid(f(err))
	}
	return valid(errs.Message(err))
}
