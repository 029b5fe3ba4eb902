package worker

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/taskspan/taskspan/errs"
)

func length(_ context.Context, s string) (int, error) { return len(s), nil }

func TestDo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		n, err := Do(t.Context(), "load", func(context.Context) (int, error) { return 7, errTyped }, WithRunner(b.runner))
		if n != 7 || err != errTyped {
			t.Errorf("%d, %v", n, err)
		}
		s, err := Do(t.Context(), "look", func(context.Context) (string, error) { return "x", Skip(errBoom) }, WithRunner(b.runner))
		if s != "x" || err != errBoom {
			t.Errorf("%q, %v", s, err)
		}
		if v := caught(func() {
			_, _ = Do(t.Context(), "panic", func(context.Context) (int, error) { panic("x") }, WithRunner(b.runner))
		}); v != "x" {
			t.Errorf("panicked with %v", v)
		}
		r := b.newRunner(WithRecoverPanics())
		n, err = Do(t.Context(), "panic", func(context.Context) (int, error) { panic("x") }, WithRunner(r))
		if p := (*errs.PanicError)(nil); n != 0 || !errors.As(err, &p) || p.Value != "x" {
			t.Errorf("%d, %v", n, err)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := Do(t.Context(), "drained", func(context.Context) (int, error) { return 7, nil }, WithRunner(r)); n != 0 || err != ErrDraining {
			t.Errorf("%d, %v", n, err)
		}
		var results []any
		for _, s := range b.ended() {
			results = append(results, s.Name, s.Attributes()["worker.task.result"])
		}
		wantEqual(t, "results", results, []any{"load", "failure", "look", "skip", "panic", "panic", "panic", "panic"})
	})
}

type job struct {
	ID      int `trace:"id"`
	Payload string
}

func TestWrap(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		opts := []TaskOption{WithRunner(b.runner), WithAttempt(1)}

		n, err := Wrap("length", length, opts...)(t.Context(), "four")
		if n != 4 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		work := func(_ context.Context, j *job) (int, error) { return j.ID, errTyped }
		wrapped := Wrap("work", work, append(opts, WithInput(embedded{"eu"}))...)
		for _, id := range []int{1, 2} {
			if n, err := wrapped(t.Context(), &job{ID: id}); n != id || err != errTyped {
				t.Errorf("%d, %v", n, err)
			}
		}
		described := Wrap("described", work, append(opts, WithInput(func(j *job) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("payload", j.Payload)}
		}))...)
		_, _ = described(t.Context(), &job{ID: 1, Payload: "p"})
		none := Wrap("none", work, append(opts, WithInput((func(*job) []attribute.KeyValue)(nil)))...)
		_, _ = none(t.Context(), &job{ID: 1})
		anything := Wrap("any", func(context.Context, any) (int, error) { return 0, nil }, opts...)
		for _, v := range []any{nil, 1, "s", customer{ID: 3}, &job{ID: 4}, struct{}{}} {
			if _, err := anything(t.Context(), v); err != nil {
				t.Error(err)
			}
		}
		b.WantHandled()

		var got []any
		for _, s := range b.ended() {
			in := make(kv)
			for k, v := range s.Attributes() {
				if len(k) > len(inputPrefix) && k[:len(inputPrefix)] == inputPrefix {
					in[k[len(inputPrefix):]] = v
				}
			}
			if s.Attributes()["worker.task.attempt"] != int64(1) {
				t.Errorf("%+v", s)
			}
			got = append(got, s.Name, in)
		}
		wantEqual(t, "inputs", got, []any{
			"length", kv{},
			"work", kv{"id": int64(1), "region": "eu"},
			"work", kv{"id": int64(2), "region": "eu"},
			"described", kv{"payload": "p"},
			"none", kv{},
			"any", kv{}, "any", kv{}, "any", kv{}, "any", kv{"id": int64(3)}, "any", kv{"id": int64(4)}, "any", kv{},
		})
		if fn := b.ended()[0].Attributes()["code.function.name"]; fn != "github.com/taskspan/taskspan/worker.length" {
			t.Errorf("function %v", fn)
		}
	})
}

func TestWrapEnds(t *testing.T) {
	b := newBackend(t)
	wrapped := Wrap("load", func(_ context.Context, how string) (int, error) {
		switch how {
		case "panic":
			panic(how)
		case "exit":
			runtime.Goexit()
		}
		return 1, Skip(errBoom)
	}, WithRunner(b.runner))
	if v := caught(func() { _, _ = wrapped(t.Context(), "panic") }); v != "panic" {
		t.Errorf("panicked with %v", v)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = wrapped(t.Context(), "exit")
		t.Error("Goexit did not go on")
	}()
	<-done
	if n, err := wrapped(t.Context(), ""); n != 1 || err != errBoom {
		t.Errorf("%d, %v", n, err)
	}
	if err := b.runner.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := wrapped(t.Context(), ""); n != 0 || err != ErrDraining {
		t.Errorf("%d, %v", n, err)
	}
	if n := len(b.ended()); n != 3 {
		t.Errorf("%d spans", n)
	}
}

type service struct{}

func (service) work(context.Context) error { return nil }

// A method value has the name of its method.
func TestFunctionName(t *testing.T) {
	if got := functionName(functionPC(service{}.work)); got != "github.com/taskspan/taskspan/worker.service.work" {
		t.Error(got)
	}
	if got := functionName(1); got != "" {
		t.Error(got)
	}
}

// WithFunction replaces the name, or takes it away.
func TestWithFunction(t *testing.T) {
	b := newBackend(t)
	for _, tt := range []struct {
		fn   any
		want any
	}{
		{service{}.work, "github.com/taskspan/taskspan/worker.service.work"},
		{length, "github.com/taskspan/taskspan/worker.length"},
		{nil, nil},
		{(func())(nil), nil},
		{"length", nil},
	} {
		if err := Run(t.Context(), "load", nothing, WithRunner(b.runner), WithFunction(tt.fn)); err != nil {
			t.Fatal(err)
		}
		want := kv{"worker.task.name": "load", "worker.task.result": "success"}
		if tt.want != nil {
			want["code.function.name"] = tt.want
		}
		spans := b.ended()
		if got := spans[len(spans)-1].Attributes(); !maps.Equal(got, want) {
			t.Errorf("the attributes are %v, want %v", got, want)
		}
	}
}
