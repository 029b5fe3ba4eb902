package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/taskspan/taskspan/errs"
)

func TestGroup(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		err := b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			g, gctx := NewGroup(ctx)
			for i := range 3 {
				g.Go(fmt.Sprint("part ", i), func(ctx context.Context) error {
					time.Sleep(time.Duration(i) * took)
					return ctx.Err()
				}, WithRunner(b.runner), WithAttempt(i))
			}
			if gctx.Err() != nil {
				t.Error("the context is cancelled")
			}
			err := g.Wait()
			if gctx.Err() == nil {
				t.Error("Wait does not cancel the context")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		for i, s := range b.ended()[:3] {
			if s.Name != fmt.Sprint("part ", i) || s.Parent != "outer" || s.Attributes()["worker.task.result"] != "success" || s.Length != time.Duration(i)*took {
				t.Errorf("%+v", s)
			}
		}
	})
}

// The first error cancels the context, as its cause, and is what Wait returns.
func TestGroupError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		g, ctx := NewGroup(t.Context())
		g.Go("fails", func(context.Context) error { time.Sleep(took); return errTyped }, WithRunner(b.runner))
		g.Go("is cancelled", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, WithRunner(b.runner))
		g.Go("fails too", func(ctx context.Context) error { <-ctx.Done(); time.Sleep(1); return errBoom }, WithRunner(b.runner))
		if err := g.Wait(); err != errTyped || context.Cause(ctx) != errTyped {
			t.Errorf("%v, cause %v", err, context.Cause(ctx))
		}
		got := make(kv)
		for _, s := range b.ended() {
			got[attribute.Key(s.Name)] = s.Attributes()["worker.task.result"]
			if s.Name == "is cancelled" && s.Attributes()["worker.task.cancel.cause"] != "no such thing" {
				t.Errorf("%+v", s)
			}
		}
		wantEqual(t, "results", got, kv{"fails": "failure", "is cancelled": "cancellation", "fails too": "failure"})
		// The error of a group's task that its outer task returns is known.
		if n := len(b.log.records); n != 2 {
			t.Errorf("%d records", n)
		}
	})
}

func TestGroupContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		//nolint:staticcheck // a nil context is what the test is about
		g, ctx := NewGroup(nil)
		g.Go("load", nothing, WithRunner(b.runner))
		if err := g.Wait(); err != nil || context.Cause(ctx) != context.Canceled {
			t.Errorf("%v, cause %v", err, context.Cause(ctx))
		}
		var zero Group
		zero.Go("load", func(ctx context.Context) error {
			time.Sleep(took)
			return ctx.Err()
		}, WithRunner(b.runner))
		zero.Go("fail", fails, WithRunner(b.runner))
		if err := zero.Wait(); err != errTyped {
			t.Error(err)
		}
		// A skip with a reason is an error to whoever waits.
		g, _ = NewGroup(t.Context())
		g.Go("skip", func(context.Context) error { return Skip(nil) }, WithRunner(b.runner))
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		g, _ = NewGroup(t.Context())
		g.Go("skip", func(context.Context) error { return Skip(errBoom) }, WithRunner(b.runner))
		if err := g.Wait(); err != errBoom {
			t.Error(err)
		}
	})
}

func TestGroupLimit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		var running, most, all atomic.Int64
		work := func(context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(took)
			running.Add(-1)
			all.Add(1)
			return nil
		}
		start := time.Now()
		g, _ := NewGroup(t.Context())
		g.SetLimit(2)
		for range 6 {
			g.Go("load", work, WithRunner(b.runner))
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if most.Load() != 2 || all.Load() != 6 || time.Since(start) != 3*took {
			t.Errorf("%d of %d at a time, in %v", most.Load(), all.Load(), time.Since(start))
		}

		g, _ = NewGroup(t.Context())
		g.SetLimit(1)
		if !g.TryGo("load", work, WithRunner(b.runner)) || g.TryGo("load", work, WithRunner(b.runner)) {
			t.Error("TryGo does not keep to the limit")
		}
		synctest.Wait()
		time.Sleep(2 * took)
		if !g.TryGo("load", work, WithRunner(b.runner)) {
			t.Error("TryGo finds no slot")
		}
		// A new limit takes effect for those that start later.
		g.SetLimit(0)
		if g.TryGo("load", work, WithRunner(b.runner)) {
			t.Error("TryGo with a limit of zero")
		}
		g.SetLimit(-1)
		for range 5 {
			if !g.TryGo("load", work, WithRunner(b.runner)) {
				t.Error("TryGo without a limit")
			}
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if all.Load() != 13 {
			t.Errorf("%d tasks", all.Load())
		}
	})
}

// However a task ends, its slot is free again, and Wait returns.
func TestGroupEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		fn   func(context.Context) error
		want error
	}{
		"goexit": {func(context.Context) error { runtime.Goexit(); return nil }, ErrGoexit},
		"panic":  {func(context.Context) error { panicWith(errTyped); return nil }, errTyped},
		"error":  {fails, errTyped},
	} {
		for _, opts := range [][]Option{nil, {WithRecoverPanics()}} {
			t.Run(name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					b := newBackend(t, opts...)
					g, ctx := NewGroup(t.Context())
					g.SetLimit(1)
					g.Go("bad", tc.fn, WithRunner(b.runner))
					g.Go("next", func(context.Context) error { time.Sleep(took); return errBoom }, WithRunner(b.runner))
					var err error
					v := caught(func() { err = g.Wait() })
					if v != nil {
						if p, ok := v.(*errs.PanicError); !ok || p.Value != errTyped || opts != nil || name != "panic" {
							t.Errorf("panicked with %v", v)
						}
						err = v.(error)
					} else if name == "panic" && opts == nil {
						t.Error("the panic is lost")
					}
					if !errors.Is(err, tc.want) || context.Cause(ctx) != err {
						t.Errorf("%v, cause %v", err, context.Cause(ctx))
					}
					if n := len(b.ended()); n != 2 {
						t.Errorf("%d spans", n)
					}
				})
			})
		}
	}
}

// A panic is not lost because another task failed before it.
func TestGroupPanicAfterError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		g, ctx := NewGroup(t.Context())
		g.Go("fails", fails, WithRunner(b.runner))
		for i := range 2 {
			g.Go("panics", func(context.Context) error { time.Sleep(time.Duration(i+1) * took); panic(i) }, WithRunner(b.runner))
		}
		v := caught(func() { _ = g.Wait() })
		if p, ok := v.(*errs.PanicError); !ok || p.Value != 0 {
			t.Errorf("panicked with %v", v)
		}
		if context.Cause(ctx) != errTyped {
			t.Errorf("cause %v", context.Cause(ctx))
		}
	})
}

func TestGroupDraining(t *testing.T) {
	b := newBackend(t)
	if err := b.runner.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	g, ctx := NewGroup(t.Context())
	g.SetLimit(1)
	g.Go("load", nothing, WithRunner(b.runner))
	if g.TryGo("load", nothing, WithRunner(b.runner)) {
		t.Error("TryGo says that it started a task")
	}
	if context.Cause(ctx) != ErrDraining {
		t.Errorf("cause %v", context.Cause(ctx))
	}
	if err := g.Wait(); err != ErrDraining {
		t.Error(err)
	}
}
