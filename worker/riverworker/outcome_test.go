package riverworker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
)

// waitFor is a job that gives up when its context is done.
func waitFor(ctx context.Context, _ *queue, _ *river.Job[args]) error {
	<-ctx.Done()
	return fmt.Errorf("gave up: %w", ctx.Err())
}

// jobTimeout lets River end the context of each job at once.
func jobTimeout(c *river.Config) { c.JobTimeout = time.Nanosecond }

// TestJobTimeout lets jobs run into the deadline that River gives them: it is a
// retry as long as River tries again, then a timeout.
func TestJobTimeout(t *testing.T) {
	q := startQueue(t, observe(t, nil), waitFor, jobTimeout)
	q.insert(t.Context(), args{"a"}, &river.InsertOpts{MaxAttempts: 2})
	for _, state := range []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStateDiscarded} {
		if e := q.next(); e.Kind != river.EventKindJobFailed || e.Job.State != state {
			t.Fatalf("%s: %+v", e.Kind, e.Job)
		}
	}
	q.stop()
	late := map[attribute.Key]any{
		"error.type":                  "context.DeadlineExceeded",
		"worker.task.cancel.cause":    "context deadline exceeded",
		"worker.task.error.retryable": false,
	}
	first, last := attempt(1, "retry", late), attempt(2, "timeout", late)
	first.status, first.events = "Error: gave up: context deadline exceeded", 1
	last.status, last.events = first.status, 1
	q.expect(inserted(""), first, last)
	q.expectLog("WARN", "ERROR")
}

// TestLateJobs looks at jobs that return after their deadline, but not because
// of it, and at what is left of the context after them.
func TestLateJobs(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		result string
	}{
		"done all the same": {nil, "success"},
		"failed":            {errors.New("x"), "failure"},
		"snoozed":           {river.JobSnooze(time.Hour), "skip"},
		"cancelled":         {river.JobCancel(errors.New("x")), "cancellation"},
		"timeout of theirs": {context.DeadlineExceeded, "timeout"},
		"soft word for it":  {context.Canceled, "cancellation"},
		"joined with more":  {errors.Join(context.DeadlineExceeded, errors.New("x")), "failure"},
	} {
		t.Run(name, func(t *testing.T) {
			around := make(chan error, 1) // what a middleware within the plugin sees
			q := startQueue(t, observe(t, nil), func(ctx context.Context, _ *queue, _ *river.Job[args]) error {
				<-ctx.Done()
				return tt.err
			}, jobTimeout, func(c *river.Config) {
				c.Plugins = append(c.Plugins, &inside{around: around})
			})
			q.insert(t.Context(), args{"a"}, &river.InsertOpts{MaxAttempts: 1})
			q.next()
			q.stop()
			if got := q.ended()[1].attributes["worker.task.result"]; got != tt.result {
				t.Errorf("the result is %v, want %s", got, tt.result)
			}
			if err := <-around; err != nil {
				t.Errorf("a middleware sees its context end: %v", err)
			}
		})
	}
}

// inside is a middleware within the plugin, outside of the deadline of the job.
type inside struct {
	river.MiddlewareDefaults
	around chan<- error
}

func (m *inside) Work(ctx context.Context, _ *rivertype.JobRow, next func(context.Context) error) error {
	err := next(ctx)
	m.around <- ctx.Err()
	return err
}

// TestFinalFailure expects a failure only of the attempt after which River gives
// the job up.
func TestFinalFailure(t *testing.T) {
	q := startQueue(t, observe(t, nil), func(context.Context, *queue, *river.Job[args]) error { return errors.New("no") })
	q.insert(t.Context(), args{"a"}, &river.InsertOpts{MaxAttempts: 3})
	for range 3 {
		q.next()
	}
	q.stop()
	want := []span{inserted("")}
	for i, result := range []string{"retry", "retry", "failure"} {
		s := attempt(i+1, result, map[attribute.Key]any{"error.type": "*errors.errorString"})
		s.status, s.events = "Error: no", 1
		want = append(want, s)
	}
	q.expect(want...)
	q.expectLog("WARN", "WARN", "ERROR")
	q.expectDurations(map[string]uint64{
		"error.type=*errors.errorString,worker.task.name=report,worker.task.result=retry":   2,
		"error.type=*errors.errorString,worker.task.name=report,worker.task.result=failure": 1,
	})
}

// TestSoftStop stops clients whose jobs then give up, on their last attempt:
// River puts the jobs back as if there had been no attempt.
func TestSoftStop(t *testing.T) {
	for name, say := range map[string]func(context.Context) error{
		"error":  func(ctx context.Context) error { return fmt.Errorf("gave up: %w", ctx.Err()) },
		"cause":  func(ctx context.Context) error { return fmt.Errorf("gave up: %w", context.Cause(ctx)) },
		"joined": func(ctx context.Context) error { return errors.Join(ctx.Err(), errors.New("and more")) },
	} {
		t.Run(name, func(t *testing.T) {
			for !softStop(t, say) {
			}
		})
	}
}

// softStop reports whether the job ran once: a client that stops may fetch it again.
func softStop(t *testing.T, say func(context.Context) error) (once bool) {
	running := make(chan struct{}, 1)
	var runs atomic.Int32
	q := startQueue(t, observe(t, nil), func(ctx context.Context, _ *queue, _ *river.Job[args]) error {
		if runs.Add(1) == 1 {
			running <- struct{}{}
		}
		<-ctx.Done()
		return say(ctx)
	})
	job := q.insert(t.Context(), args{"a"}, &river.InsertOpts{MaxAttempts: 1})
	<-running
	if err := q.client.StopAndCancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	if runs.Load() > 1 {
		return false
	}
	after, err := q.client.JobGet(t.Context(), job.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.State != rivertype.JobStateAvailable || after.Attempt != 0 {
		t.Errorf("the job is %+v", after)
	}
	q.expect(inserted(""), attempt(1, "cancellation", map[attribute.Key]any{"worker.task.cancel.cause": "stop initiated"}))
	q.expectLog()
	return true
}

// TestCancelledJobIsNotRepeated cancels jobs that fail with something else, or
// want to be snoozed: River cancels them all the same.
func TestCancelledJobIsNotRepeated(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		result string
	}{
		"failure": {errors.New("x"), "failure"},
		"snooze":  {river.JobSnooze(time.Hour), "failure"},
		"cause":   {rivertype.ErrJobCancelledRemotely, "cancellation"},
	} {
		t.Run(name, func(t *testing.T) {
			running := make(chan struct{})
			q := startQueue(t, observe(t, nil), func(ctx context.Context, _ *queue, _ *river.Job[args]) error {
				close(running)
				<-ctx.Done()
				return tt.err
			})
			job := q.insert(t.Context(), args{"a"}, nil)
			<-running
			if _, err := q.client.JobCancel(t.Context(), job.ID); err != nil {
				t.Fatal(err)
			}
			if e := q.next(); e.Kind != river.EventKindJobCancelled {
				t.Fatalf("%s: %+v", e.Kind, e.Job)
			}
			q.stop()
			if got := q.ended()[1].attributes["worker.task.result"]; got != tt.result {
				t.Errorf("the result is %v, want %s", got, tt.result)
			}
		})
	}
}
