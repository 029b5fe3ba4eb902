package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		slow := Go(t.Context(), "slow", func(context.Context) (int, error) { time.Sleep(3 * took); return 1, nil }, WithRunner(b.runner), WithID("17"))
		time.Sleep(took)
		quick := Go(t.Context(), "quick", func(context.Context) (int, error) { time.Sleep(took); return 2, nil }, WithRunner(b.runner))

		ctx, cancel := context.WithTimeoutCause(t.Context(), took/2, errBoom)
		defer cancel()
		err := b.runner.Drain(ctx)
		var de *DrainError
		if !errors.As(err, &de) || !errors.Is(err, errBoom) {
			t.Fatalf("%v", err)
		}
		var running []Report
		for _, r := range de.Running {
			running = append(running, Report{Name: r.Name, ID: r.ID, Duration: r.Duration})
		}
		wantEqual(t, "running", running, []Report{{Name: "slow", ID: "17", Duration: took * 3 / 2}, {Name: "quick", Duration: took / 2}})
		if got := err.Error(); got != "worker: 2 tasks still running: slow 17 (45ms), quick (15ms): boom" {
			t.Error(got)
		}

		calls := 0
		if err := b.runner.Run(t.Context(), "late", func(context.Context) error { calls++; return nil }); err != ErrDraining || calls != 0 {
			t.Errorf("%d calls, %v", calls, err)
		}
		if n, err := Go(t.Context(), "late", func(context.Context) (int, error) { calls++; return 1, nil }, WithRunner(b.runner)).Wait(); n != 0 || err != ErrDraining || calls != 0 {
			t.Errorf("%d calls, %d, %v", calls, n, err)
		}

		// The running ones still have their gauges.
		if _, ok := b.Collect()["worker.task.oldest.age"]; !ok {
			t.Error("no age")
		}
		//nolint:staticcheck // a nil context is what the test is about
		if err := b.runner.Drain(nil); err != nil {
			t.Error(err)
		}
		if n := len(b.ended()); n != 2 {
			t.Errorf("%d spans", n)
		}
		if m, ok := b.Collect()["worker.task.last_success.timestamp"]; ok {
			t.Errorf("the gauges are still there: %v", m)
		}
		if err := b.runner.Drain(ctx); err != nil {
			t.Errorf("drained again: %v", err)
		}
		for _, f := range []*Future[int]{slow, quick} {
			if _, err := f.Wait(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Tasks within a running one still run, for as long as it does.
func TestDrainNested(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		other := b.newRunner()
		draining := make(chan struct{})
		var inherited context.Context
		outer := Go(t.Context(), "outer", func(ctx context.Context) (int, error) {
			inherited = ctx
			<-draining
			// Between the two may be a task of another runner.
			return Do(ctx, "between", func(ctx context.Context) (int, error) {
				g, _ := NewGroup(ctx)
				for range 3 {
					g.Go("inner", func(context.Context) error { time.Sleep(took); return nil }, WithRunner(b.runner))
				}
				g.Go("detached", func(context.Context) error { time.Sleep(took); return nil }, WithRunner(b.runner), WithDetached())
				return 0, g.Wait()
			}, WithRunner(other))
		}, WithRunner(b.runner))
		time.AfterFunc(took, func() { close(draining) })
		drained := make(chan error)
		go func() { drained <- b.runner.Drain(t.Context()) }()
		synctest.Wait()
		if err := b.runner.Run(t.Context(), "outermost", nothing); err != ErrDraining {
			t.Error(err)
		}
		if _, err := outer.Wait(); err != nil {
			t.Error(err)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if err := b.runner.Run(inherited, "late", nothing); err != ErrDraining {
			t.Error(err)
		}
		if n := len(b.ended()); n != 6 {
			t.Errorf("%d spans", n)
		}
	})
}

// When Drain returns, the runner is idle, and no task begins after it, whenever
// they come.
func TestDrainConcurrent(t *testing.T) {
	for range 50 {
		b := newBackend(t)
		var running atomic.Int64
		var drained atomic.Bool
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for {
					err := b.runner.Run(t.Context(), fmt.Sprint("load ", i%2), func(ctx context.Context) error {
						if running.Add(1); drained.Load() {
							t.Error("a task runs after Drain")
						}
						defer running.Add(-1)
						return b.runner.Run(ctx, "inner", nothing)
					})
					if err == ErrDraining {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				if err := b.runner.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				drained.Store(true)
				if n := running.Load(); n != 0 {
					t.Errorf("%d tasks run", n)
				}
			})
		}
		wg.Wait()
	}
}

func TestDrainError(t *testing.T) {
	e := &DrainError{Running: make([]Report, 7), Err: context.Canceled}
	if s := e.Error(); !strings.HasPrefix(s, "worker: 7 tasks still running: ") || !strings.Contains(s, ", …: context canceled") {
		t.Error(s)
	}
}

// Draining a runner that stands for the default one drains that.
func TestDrainDefault(t *testing.T) {
	defer SetDefault(nil)
	for _, r := range []*Runner{nil, {}} {
		b := newBackend(t)
		SetDefault(b.runner)
		if err := r.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if err := Run(t.Context(), "load", nothing); err != ErrDraining {
			t.Error(err)
		}
	}
}
