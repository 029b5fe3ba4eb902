package worker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
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

// Permanent marks err as a failure that no further attempt will help: the result
// is failure, or timeout, even if [WithAttempt] and [WithMaxAttempts] promise
// another one, and Run returns err itself. A nil err stays nil.
//
// If the task's function wraps what Permanent returns, or joins it with other
// errors, that holds too, and Run returns the outer error as it is.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }

func (e *permanentError) Unwrap() error { return e.err }

// unmarked returns what [Skip] or [Permanent] was given. An error that wraps their marks is the
// caller's own.
func unmarked(err error) error {
	switch mark := err.(type) { //nolint:errorlint // only the mark itself is taken off
	case *skipError:
		return mark.err
	case *permanentError:
		return mark.err
	}
	return err
}

// isPermanent reports whether err is permanent, wraps an error that is, or joins
// one.
func isPermanent(err error, nodes *int) bool {
	for *nodes < maxErrorNodes {
		*nodes++
		switch e := err.(type) { //nolint:errorlint // the tree may be a cycle, for which errors.As has no end
		case *permanentError:
			return true
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			return slices.ContainsFunc(e.Unwrap(), func(err error) bool { return isPermanent(err, nodes) })
		default:
			return false
		}
	}
	return false
}

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
	retry
)

// resultNames are the values of worker.task.result.
var resultNames = [...]string{
	success:      "success",
	failure:      "failure",
	panicked:     "panic",
	cancellation: "cancellation",
	timeout:      "timeout",
	skipped:      "skip",
	retry:        "retry",
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
	// failure, a panic, a timeout or a retry.
	err error
	// errorType is the error.type, "" if err is nil.
	errorType string
	// text is the safe text of err, once it is made.
	text string
	// retryable is whether trying again makes sense, if classified reports that this
	// is known.
	retryable, classified bool
	// known is what err has been recorded as if a task within this one has, and
	// arrives what the tasks around this one see of it.
	known, arrives error
	// passing reports that a task within this one has recorded the panic, and
	// flushUntil until when a panic may be flushed.
	passing    bool
	flushUntil time.Time
	// cause is why the context was done, if that is what ended the task.
	cause error
}

// succeeded is the outcome of a task whose function returned nil.
var succeeded = outcome{result: success}

// unjudged is the outcome of a task whose error cannot be looked at.
func unjudged(err error) outcome {
	return outcome{result: failure, err: err, known: err, arrives: err, errorType: semconv.ErrorTypeOther.Value.AsString()}
}

// judge decides what an error of the task's function means.
func (t *task) judge(err error) (o outcome) {
	o = unjudged(err)
	// Is, As, Unwrap and Error are methods of the application's errors.
	defer scope.Guard("an error")
	if isSkip(err) {
		return outcome{result: skipped}
	}
	nodes := 0
	permanent := isPermanent(err, &nodes)
	err = unmarked(err)
	o = unjudged(err)
	class := errs.Classify(err)
	end := t.interruption(err, &class)
	switch end.result {
	case cancellation:
		return outcome{result: cancellation, cause: context.Cause(t.context())}
	case timeout:
		end.cause = context.Cause(t.context())
	}
	judged := o
	judged.result, judged.cause = end.result, end.cause
	judged.errorType = cmp.Or(end.errorType, class.Type, o.errorType)
	judged.classified = permanent || class.Kind != errs.KindNone && class.Kind != errs.KindOther
	judged.retryable = class.Retryable && !permanent
	if !permanent && t.options.another() {
		judged.result = retry
	}
	return judged
}

// interrupted is what an error shows of the context of its task.
type interrupted struct {
	result    result // failure: nothing
	errorType string // "": that of all the errors
	cause     error  // of a failure: the context's, which came back
}

// interruption distinguishes an error that reports that the task's context is done from a
// failure. Without a context that is done it is a failure: a timeout of the
// function's own making, or a server's. Each of joined errors must report it; if
// they do not agree on what happened, the context decides.
func (t *task) interruption(err error, class *errs.Class) interrupted {
	ctx := t.context()
	if ctx.Err() == nil {
		return interrupted{result: failure}
	}
	nodes := 0
	parts := joined(nil, err, &nodes)
	if nodes > maxErrorNodes {
		return interrupted{result: failure}
	}
	if len(parts) == 1 {
		return interruptionOf(ctx, err, class)
	}
	var seen [len(resultNames)]bool
	for _, part := range parts {
		class := errs.Classify(part)
		is := interruptionOf(ctx, part, &class)
		if is.result == failure {
			is.errorType = class.Type
			return is
		}
		seen[is.result] = true
	}
	switch {
	case seen[timeout] && seen[cancellation]:
		return interrupted{result: contextResult(ctx), errorType: errs.Classify(ctx.Err()).Type}
	case seen[timeout]:
		return interrupted{result: timeout}
	default:
		return interrupted{result: cancellation}
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

// interruptionOf is interruption for an error that joins no others. The cause of
// the context, if that came back, decides what it is. Otherwise, with the code of a
// database, that one decides: a constraint that was violated is not undone by a
// cancellation.
func interruptionOf(ctx context.Context, err error, class *errs.Class) interrupted {
	done, cause := ctx.Err(), context.Cause(ctx)
	if cause != done && errors.Is(err, cause) { //nolint:errorlint // a cause of its own, not one that wraps the same
		switch {
		case errors.Is(done, context.DeadlineExceeded):
			return interrupted{result: timeout}
		case errors.Is(cause, context.Canceled):
			return interrupted{result: cancellation}
		default:
			return interrupted{result: failure, cause: cause}
		}
	}
	var isCanceled, isTimeout bool
	if class.Code == "" {
		isCanceled = errors.Is(err, context.Canceled)
		isTimeout = errors.Is(err, context.DeadlineExceeded)
	}
	switch {
	case isTimeout && !isCanceled:
		return interrupted{result: timeout}
	case isCanceled && !isTimeout:
		return interrupted{result: cancellation}
	// database/sql ends a transaction whose context is done by itself, and what
	// the application does with it then gets this error.
	case class.Code == "" && errors.Is(err, sql.ErrTxDone):
		return interrupted{result: contextResult(ctx)}
	case !isCanceled && class.Kind != errs.KindCanceled && class.Kind != errs.KindTimeout:
		return interrupted{result: failure}
	// The context knows why, and a driver's own word need not show it.
	default:
		return interrupted{result: contextResult(ctx)}
	}
}

// contextResult returns the result of a task whose context is done.
func contextResult(ctx context.Context) result {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return timeout
	}
	return cancellation
}

// text returns the safe text of an error of the task.
func (t *task) text(err error, errorType string) (s string) {
	s = errorType
	defer scope.Guard("the text of an error")
	if f := t.runner.config.errorText; f != nil {
		return valid(f(err))
	}
	_, s = errs.Look(err, t.ledger.Said())
	return s
}
