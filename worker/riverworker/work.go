package riverworker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/worker"
)

// operationWork is River's word for doing a job.
const operationWork = "work"

// drainSnooze is how long a job that a draining runner did not take stays away
// from this process.
const drainSnooze = time.Second

// Work implements [rivertype.WorkerMiddleware]: it runs the job as a task.
func (p *Plugin) Work(ctx context.Context, job *rivertype.JobRow, doInner func(context.Context) error) error {
	x := &execution{plugin: p, queue: job.Queue, job: ctx, doInner: doInner, done: make(chan struct{})}
	x.Context, x.cancel = context.WithCancelCause(ctx)
	defer x.cancel(nil)
	// On a goroutine of its own a runtime.Goexit ends that, and not River's,
	// which would leave the job running for ever.
	go x.run(job.Kind, p.options(job))
	<-x.done
	if x.panicked {
		panic(x.value)
	}
	return x.err
}

// options returns what is known of a job before it runs.
func (p *Plugin) options(job *rivertype.JobRow) []worker.TaskOption {
	id := strconv.FormatInt(job.ID, 10)
	kv := make([]attribute.KeyValue, 0, 6)
	kv = append(kv,
		messagingSystem,
		semconv.MessagingOperationTypeProcess,
		semconv.MessagingOperationName(operationWork),
		semconv.MessagingDestinationName(job.Queue),
		semconv.MessagingMessageID(id))
	if n := len(job.AttemptedBy); n > 0 {
		kv = append(kv, semconv.MessagingClientID(job.AttemptedBy[n-1]))
	}
	opts := []worker.TaskOption{
		worker.WithRunner(p.config.runner),
		p.carrier(parseMetadata(job.Metadata)),
		worker.WithID(id),
		worker.WithAttempt(job.Attempt),
		worker.WithMaxAttempts(job.MaxAttempts),
		worker.WithFunction(workOf(job.Kind)),
		worker.WithEnqueuedAt(availableAt(job)),
		worker.WithAttributes(kv...),
	}
	return append(opts, p.moreOptions(job)...)
}

// carrier has the origin of a job's task.
func (p *Plugin) carrier(m metadata) worker.TaskOption {
	if p.config.asParent {
		return worker.ContinueFrom(m)
	}
	return worker.FromCarrier(m)
}

func (p *Plugin) moreOptions(job *rivertype.JobRow) (opts []worker.TaskOption) {
	if p.config.taskOptions == nil {
		return nil
	}
	defer guard("asking for the options of a task")
	return p.config.taskOptions(job)
}

// availableAt returns since when a job has waited to be worked: a job scheduled
// for later, a snoozed one and a retry do not wait before their time. A job may
// also be scheduled for a time before it was inserted.
func availableAt(job *rivertype.JobRow) time.Time {
	if job.ScheduledAt.After(job.CreatedAt) {
		return job.ScheduledAt
	}
	return job.CreatedAt
}

// WorkEnd implements [rivertype.HookWorkEnd]. Only its context has the deadline
// that River gives a job.
func (*Plugin) WorkEnd(ctx context.Context, _ *rivertype.JobRow, err error) error {
	if x, ok := ctx.Value(executionKey{}).(*execution); ok && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		x.late.Store(true)
	}
	return err
}

type executionKey struct{}

// execution is one attempt at a job, and the context that its task starts in.
type execution struct {
	context.Context // of the job, and to be cancelled

	plugin  *Plugin
	queue   string
	job     context.Context //nolint:containedctx // as River made it
	doInner func(context.Context) error
	cancel  context.CancelCauseFunc
	done    chan struct{}

	late    atomic.Bool // the job returned after its deadline
	expired atomic.Bool // its task is to see that

	called   bool
	inner    error // what the job returned
	failure  error // the same, if it is one
	err      error // what River gets
	panicked bool
	value    any
}

// Err implements [context.Context].
func (x *execution) Err() error {
	if x.expired.Load() {
		return context.DeadlineExceeded
	}
	return x.Context.Err()
}

// Value implements [context.Context].
func (x *execution) Value(key any) any {
	if key == (executionKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// run runs the job as a task, and keeps what became of it for River.
func (x *execution) run(kind string, opts []worker.TaskOption) {
	defer close(x.done)
	returned := false
	started := time.Now()
	defer func() {
		ended := time.Now()
		if !returned {
			if v := recover(); v != nil {
				x.panicked, x.value = true, v
				x.failure = &errs.PanicError{Value: v}
			} else {
				x.err, x.failure = worker.ErrGoexit, worker.ErrGoexit
			}
		}
		x.measure(ended.Sub(started))
	}()
	err := worker.Run(x, kind, x.call, opts...)
	returned = true
	switch {
	case !x.called && errors.Is(err, worker.ErrDraining):
		// Another process may have the job, and the attempt does not count.
		x.err = fmt.Errorf("%w: %w", err, &rivertype.JobSnoozeError{Duration: drainSnooze})
	case x.inner != nil:
		x.err = x.inner
	default:
		x.err, x.failure = err, err // nil, or a panic that the runner recovered
	}
}

// measure records how long the attempt took, and how it failed.
func (x *execution) measure(d time.Duration) {
	if !x.called {
		return
	}
	errorType := ""
	switch {
	case x.failure == worker.ErrGoexit: //nolint:errorlint // of this job, not of one within it
		errorType = typeGoexit
	case x.failure != nil:
		errorType = errorTypeOf(x.failure)
	}
	x.plugin.instruments.worked(x, d, x.queue, errorType)
}

// typeGoexit is the error.type of worker.ErrGoexit.
const typeGoexit = "runtime.Goexit"

// call does the job, and returns what its error means to River.
func (x *execution) call(ctx context.Context) error {
	x.called = true
	err := x.doInner(ctx)
	x.inner = err
	if err == nil {
		return nil
	}
	failed, err := x.meaning(err)
	if failed {
		x.failure = x.inner
	}
	if x.late.Load() {
		// Nothing of the application's is left that could see the context change.
		x.expired.Store(true)
		x.cancel(context.DeadlineExceeded)
	}
	return err
}

// meaning returns the error that means to a task what err means to River, which
// looks for its own errors as errors.As does, in this order, and reports whether that
// is a failure.
func (x *execution) meaning(err error) (failed bool, meant error) {
	var snooze *rivertype.JobSnoozeError
	var cancelled *rivertype.JobCancelError
	cause := context.Cause(x.job)
	// A job that was cancelled from outside is not repeated, whatever it returns.
	remotely := cause != nil && errors.Is(cause, rivertype.ErrJobCancelledRemotely)
	switch {
	case !remotely && errors.As(err, &snooze):
		return false, worker.Skip(err)
	case errors.As(err, &cancelled):
		// The job itself asks not to be done: for the task, that is
		// the same as a cancelled context.
		x.cancel(err)
		return false, context.Canceled
	case errors.Is(x.job.Err(), context.Canceled) && (errors.Is(err, context.Canceled) || errors.Is(err, cause)):
		// It gave up because the client stops, or because it was cancelled.
		return false, context.Canceled
	case remotely:
		return true, worker.Permanent(err)
	default:
		return true, err
	}
}
