package worker

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/taskspan/taskspan/errs"
)

func TestFuture(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		f := Go(t.Context(), "load", func(context.Context) (int, error) {
			time.Sleep(took)
			return 7, errTyped
		}, WithRunner(b.runner))
		select {
		case <-f.Done():
			t.Error("done before its time")
		default:
		}
		for range 2 {
			if n, err := f.Wait(); n != 7 || err != errTyped {
				t.Errorf("%d, %v", n, err)
			}
		}
		<-f.Done()
		row := row{result: "failure", errorType: "*worker.typedError", message: "no such thing"}
		row.wantTelemetry(b, kv{
			"worker.task.name": "load", "code.function.name": "github.com/taskspan/taskspan/worker.TestFuture.func1.1",
		}, "")
	})
}

// The panic of a goroutine comes out of Wait, with its value and its stack, and
// is recorded once, where it happened.
func TestFuturePanic(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		flushed := 0
		b := newFlushing(t, func(context.Context) error { flushed++; return nil })
		var first *errs.PanicError
		for range 2 {
			v := caught(func() {
				_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
					_, err := Go(ctx, "inner", func(context.Context) (int, error) { panicWith("kaboom"); return 0, nil }, WithRunner(b.runner)).Wait()
					return err
				})
			})
			p, ok := v.(*errs.PanicError)
			if !ok || p.Value != "kaboom" || !strings.Contains(string(p.Stack), "worker.panicWith(") {
				t.Fatalf("panicked with %v", v)
			}
			first = p
		}
		if flushed != 2 { // the second panic comes too soon after the first
			t.Errorf("flushed %d times", flushed)
		}
		spans := b.ended()
		for i, name := range []string{"inner", "outer", "inner", "outer"} {
			s := spans[i]
			if s.Name != name || s.Attributes()["worker.task.result"] != "panic" || len(s.Events) != 1-i%2 || s.Status == "" {
				t.Errorf("%+v", s)
			}
		}
		if got := spans[2].Events[0].Attrs["exception.stacktrace"]; got != string(first.Stack) {
			t.Errorf("stack %v", got)
		}
	})
}

// A panic is raised by every Wait.
func TestFuturePanicTwice(t *testing.T) {
	b := newBackend(t)
	f := Go(t.Context(), "load", func(context.Context) (int, error) { panic(errTyped) }, WithRunner(b.runner))
	one, two := caught(func() { _, _ = f.Wait() }), caught(func() { _, _ = f.Wait() })
	if err, ok := one.(error); !ok || one != two || !errors.Is(err, errTyped) {
		t.Errorf("%v, %v", one, two)
	}
}

func TestFutureRecoverPanics(t *testing.T) {
	b := newBackend(t, WithRecoverPanics())
	n, err := Go(t.Context(), "load", func(context.Context) (int, error) { panic("kaboom") }, WithRunner(b.runner)).Wait()
	if p := (*errs.PanicError)(nil); n != 0 || !errors.As(err, &p) || p.Value != "kaboom" {
		t.Errorf("%d, %v", n, err)
	}
}

func TestFutureGoexit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		n, err := Go(t.Context(), "load", func(context.Context) (int, error) {
			time.Sleep(took)
			runtime.Goexit()
			return 1, nil
		}, WithRunner(b.runner)).Wait()
		if n != 0 || err != ErrGoexit {
			t.Errorf("%d, %v", n, err)
		}
		row := row{result: "failure", errorType: "runtime.Goexit", message: ErrGoexit.Error()}
		row.wantTelemetry(b, kv{
			"worker.task.name": "load", "code.function.name": "github.com/taskspan/taskspan/worker.TestFutureGoexit.func1.1",
		}, "")
	})
}

func TestFutureSkip(t *testing.T) {
	b := newBackend(t)
	if n, err := Go(t.Context(), "load", func(context.Context) (int, error) { return 1, Skip(nil) }, WithRunner(b.runner)).Wait(); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A goroutine that outlives the task it inherited its context from changes
// nothing of that one.
func TestLateGoroutine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		proceed := make(chan struct{})
		var f *Future[int]
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			f = Go(ctx, "inner", func(context.Context) (int, error) {
				<-proceed
				return 0, errTyped
			}, WithRunner(b.runner))
			return nil
		})
		close(proceed)
		if _, err := f.Wait(); err != errTyped {
			t.Error(err)
		}
		spans := b.ended()
		if spans[0].Name != "outer" || spans[0].Status != "" || spans[1].Parent != "outer" || spans[1].Status == "" {
			t.Errorf("%+v", spans)
		}
		if len(b.log.records) != 1 || b.log.records[0].Level != slog.LevelError {
			t.Errorf("%v", b.log.records)
		}
	})
}
