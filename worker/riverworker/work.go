package riverworker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/worker"
)

// operationWork is River's word for doing a job.
const operationWork = "work"

// drainSnooze is how long a job that a draining runner did not take stays away
// from this process.
const drainSnooze = time.Second

// Work implements [rivertype.WorkerMiddleware]: it runs the job as a task.
func (p *Plugin) Work(ctx context.Context, job *rivertype.JobRow, doInner func(context.Context) error) error {
	x := &execution{doInner: doInner, done: make(chan struct{})}
	ctx, x.cancel = context.WithCancelCause(ctx)
	defer x.cancel(nil)
	// On a goroutine of its own a runtime.Goexit ends that, and not River's,
	// which would leave the job running for ever.
	go x.run(ctx, job.Kind, p.options(job))
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
		worker.WithEnqueuedAt(availableAt(job)),
		worker.WithAttributes(kv...),
	}
	return append(opts, p.moreOptions(job)...)
}

// carrier says where the task of a job comes from.
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

// execution is one attempt at a job.
type execution struct {
	doInner func(context.Context) error
	cancel  context.CancelCauseFunc
	done    chan struct{}

	called   bool
	inner    error // what the job returned
	err      error // what River gets
	panicked bool
	value    any
}

// run runs the job as a task, and keeps what became of it for River.
func (x *execution) run(ctx context.Context, kind string, opts []worker.TaskOption) {
	defer close(x.done)
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			x.panicked, x.value = true, v
			return
		}
		x.err = worker.ErrGoexit
	}()
	err := worker.Run(ctx, kind, x.call, opts...)
	returned = true
	switch {
	case !x.called && errors.Is(err, worker.ErrDraining):
		// Another process may have the job, and the attempt does not count.
		x.err = fmt.Errorf("%w: %w", err, &rivertype.JobSnoozeError{Duration: drainSnooze})
	case x.inner != nil:
		x.err = x.inner
	default:
		x.err = err // nil, or a panic that the runner recovered
	}
}

// call does the job. River looks for its own errors as errors.As does, and for a
// snooze first.
func (x *execution) call(ctx context.Context) error {
	x.called = true
	err := x.doInner(ctx)
	x.inner = err
	var snooze *rivertype.JobSnoozeError
	var cancelled *rivertype.JobCancelError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &snooze):
		return worker.Skip(err)
	case errors.As(err, &cancelled):
		// The job says itself that it is not to be done: to the task, that is
		// what a context that is cancelled says.
		x.cancel(err)
		return context.Canceled
	default:
		return err
	}
}
