package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taskspan/taskspan/internal/instrument"
)

// ErrDraining is returned for a task that was not run because its runner is
// draining.
var ErrDraining = errors.New("worker: the runner is draining, the task was not run")

// DrainError lists the tasks that were running when [Runner.Drain] gave up.
type DrainError struct {
	Running []Report // the oldest first
	Err     error    // why the context was done
}

// maxListed is how many tasks the text of a DrainError names.
const maxListed = 5

// Error implements error.
func (e *DrainError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "worker: %d tasks still running: ", len(e.Running))
	for i := range e.Running {
		if i == maxListed {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		t := &e.Running[i]
		b.WriteString(t.Name)
		if t.ID != "" {
			b.WriteString(" " + t.ID)
		}
		fmt.Fprintf(&b, " (%v)", t.Duration)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap returns why the context was done.
func (e *DrainError) Unwrap() error { return e.Err }

// Drain stops the runner: tasks that start from now on are not run, and return
// [ErrDraining]. It waits until the running ones have ended and all of their
// telemetry is recorded, then takes the runner's gauges off its meter provider.
// Tasks that start within a running one still run: without them it could not
// end.
//
// If ctx is done first, the error is a *[DrainError]. Drain may be called again
// to go on waiting. A runner that has been drained stays so.
func (r *Runner) Drain(ctx context.Context) error {
	if r == nil || r.config == nil {
		r = Default()
	}
	if ctx == nil {
		ctx = context.Background()
	}
	r.draining.Store(true)
	if r.settle() {
		return nil
	}
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
	}
	running := reports(r.running())
	if r.settle() {
		return nil
	}
	return &DrainError{Running: running, Err: context.Cause(ctx)}
}

// admit lets a task begin unless the runner is draining.
//
// A task that sees that it is not, under its shard's mutex, is in the shard's
// list before Drain, which sets the flag first, can look there.
func (r *Runner) admit(t *task) bool {
	t.shardIndex = shardIndex()
	s := t.shard()
	s.mu.Lock()
	if !r.draining.Load() {
		s.link(t)
		s.mu.Unlock()
		return true
	}
	s.mu.Unlock()
	return r.admitNested(t)
}

// admitNested lets a task begin in spite of draining if it starts within one of
// the runner that is running. The mutex keeps the runner from settling between
// the look at that one and the entry of this one.
func (r *Runner) admitNested(t *task) bool {
	r.drainMu.Lock()
	defer r.drainMu.Unlock()
	p := t.parent
	for p != nil && (p.runner != r || !p.isRunning()) {
		p = p.parent
	}
	if p == nil {
		return false
	}
	s := t.shard()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link(t)
	return true
}

func (t *task) isRunning() bool {
	s := t.shard()
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.running
}

// dismiss takes a task off the list that ended at that reading of the clock.
func (r *Runner) dismiss(t *task, succeeded bool, end time.Duration) {
	s := t.shard()
	s.mu.Lock()
	s.unlink(t)
	if succeeded {
		s.succeed(end)
	}
	s.mu.Unlock()
	if r.draining.Load() {
		r.settle()
	}
}

// settle reports whether the draining runner has no task left. The first time
// it gives back the runner's gauges.
func (r *Runner) settle() bool {
	drained, fault := r.trySettle()
	if fault != nil {
		instrument.Handle(fault) // which may run a task, and so not under the mutex
	}
	return drained
}

func (r *Runner) trySettle() (drained bool, fault error) {
	r.drainMu.Lock()
	defer r.drainMu.Unlock()
	if r.drained {
		return true, nil
	}
	if len(r.running()) > 0 {
		return false, nil
	}
	r.drained = true
	fault = r.leave()
	close(r.idle)
	return true, fault
}

// leave takes the runner's names and callbacks off the gauges.
func (r *Runner) leave() (err error) {
	defer scope.GuardTo(&err, "the meter")
	r.lookout.stop()
	r.names.close()
	if err := r.leaveGauges(); err != nil {
		return fmt.Errorf("worker: unregistering gauges: %w", err)
	}
	return nil
}
