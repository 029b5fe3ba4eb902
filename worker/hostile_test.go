package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/oteltest"
)

// exitingError ends the goroutine in whatever method it has.
type exitingError struct{ method string }

func (e exitingError) exit(method string) {
	if e.method == method {
		runtime.Goexit()
	}
}

func (e exitingError) Error() string { e.exit("Error"); return "an error" }
func (e exitingError) Is(error) bool { e.exit("Is"); return false }
func (e exitingError) As(any) bool   { e.exit("As"); return false }
func (e exitingError) Unwrap() error { e.exit("Unwrap"); return nil }

type exitingValue struct{}

func (exitingValue) String() string { runtime.Goexit(); return "" }

// exitingLog ends the goroutine instead of logging.
type exitingLog struct{ *logRecorder }

func (exitingLog) Handle(context.Context, slog.Record) error { runtime.Goexit(); return nil }

// A function of the application that ends the goroutine, wherever it is called, ends
// the task too, whose span and duration are recorded.
func TestGoexitAnywhere(t *testing.T) {
	input := struct {
		Value exitingValue `trace:"value"`
	}{}
	returns := func(err error) func(context.Context) error {
		return func(context.Context) error { return err }
	}
	for name, tc := range map[string]struct {
		fn         func(context.Context) error
		opts       []Option
		task       []TaskOption
		result     string
		errorType  string
		notStarted bool
	}{
		"Error()":  {fn: returns(exitingError{"Error"}), result: "failure", errorType: "worker.exitingError"},
		"Is()":     {fn: returns(exitingError{"Is"}), result: "failure"},
		"As()":     {fn: returns(exitingError{"As"}), result: "failure"},
		"Unwrap()": {fn: returns(exitingError{"Unwrap"}), result: "failure", errorType: "_OTHER"},
		"text": {
			fn: fails, opts: []Option{WithErrorText(func(error) string { runtime.Goexit(); return "" })},
			result: "failure", errorType: "*worker.typedError",
		},
		"handler": {fn: fails, opts: []Option{WithLogger(slog.New(exitingLog{new(logRecorder)}))}, result: "failure", errorType: "*worker.typedError"},
		"handler of a finding": {
			fn:   func(ctx context.Context) error { query(ctx, "SELECT a", 25, 1); return errTyped },
			opts: []Option{WithLogger(slog.New(exitingLog{new(logRecorder)}))}, result: "failure", errorType: "*worker.typedError",
		},
		"panic": {fn: func(context.Context) error { panic(exitingError{"Error"}) }, result: "panic", errorType: "worker.exitingError"},
		"input function": {
			fn: nothing, task: []TaskOption{WithInput(func() []attribute.KeyValue { runtime.Goexit(); return nil })}, notStarted: true,
		},
		"String()": {fn: nothing, task: []TaskOption{WithInput(input)}, notStarted: true},
	} {
		for _, async := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", async), func(t *testing.T) {
				b := newBackend(t, tc.opts...)
				b.log.level = slog.LevelDebug
				done := make(chan struct{})
				go func() {
					defer close(done)
					if async {
						g, _ := NewGroup(t.Context())
						g.Go("load", tc.fn, append(tc.task, WithRunner(b.runner))...)
						if err := g.Wait(); err == nil {
							t.Error("the group does not know of it")
						}
						return
					}
					_ = b.runner.Run(t.Context(), "load", tc.fn, tc.task...)
				}()
				<-done
				b.WantMetric(activeMetric(map[string]int64{"load": 0}))
				if err := b.runner.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				if tc.notStarted {
					if got := b.ended(); len(got) != 0 {
						t.Errorf("%+v", got)
					}
					return
				}
				s := b.ended()[0]
				if s.Attributes()["worker.task.result"] != tc.result || s.Attributes()["error.type"] == nil || s.Status == "" {
					t.Errorf("%+v", s)
				}
				if tc.errorType != "" && s.Attributes()["error.type"] != tc.errorType {
					t.Errorf("error.type %v", s.Attributes()["error.type"])
				}
			})
		}
	}
}

// noContexts is a tracer provider whose tracers return a span and no context.
type noContexts struct {
	tracenoop.TracerProvider
	tracer trace.Tracer
}

type noContext struct {
	tracenoop.Tracer
	tracer trace.Tracer
}

func (p noContexts) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return noContext{tracer: p.tracer}
}

func (n noContext) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	_, span := n.tracer.Start(ctx, name, opts...)
	return nil, span
}

// A span that comes without a context is in the task's context all the same.
func TestTracerWithoutContext(t *testing.T) {
	b := newBackend(t)
	tracer, err := scope.Tracer(b.TracerProvider)
	if err != nil {
		t.Fatal(err)
	}
	r := b.newRunner(WithTracerProvider(noContexts{tracer: tracer}))
	_ = r.Run(context.WithValue(t.Context(), key{}, 1), "outer", func(ctx context.Context) error {
		if ctx.Value(key{}) != 1 {
			t.Error("the context is another one")
		}
		return b.runner.Run(ctx, "inner", nothing)
	})
	if got := b.ended(); len(got) != 2 || got[0].Parent != "outer" {
		t.Errorf("%+v", got)
	}
}

// below returns the file and line below that of its caller.
func below() string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprint(filepath.Base(file), ":", line+1)
}

// sources is a handler that keeps where records come from.
type sources struct {
	logRecorder
	lines []string
}

func (s *sources) Handle(_ context.Context, r slog.Record) error {
	src := r.Source()
	s.lines = append(s.lines, fmt.Sprint(filepath.Base(src.File), ":", src.Line))
	return nil
}

// The source of a record is the line of the application that started the task.
func TestLogSource(t *testing.T) {
	defer SetDefault(nil)
	h := new(sources)
	b := newBackend(t, WithLogger(slog.New(h)), WithRecoverPanics())
	SetDefault(b.runner)
	ctx := t.Context()
	number := func(ctx context.Context) (int, error) { return 1, fails(ctx) }
	wrapped := Wrap("load", func(ctx context.Context, _ int) (int, error) { return number(ctx) })
	deep := func(ctx context.Context) error { panicDeep(20); return nil }
	var at string
	for name, run := range map[string]func(){
		"Run": func() {
			at = below()
			_ = Run(ctx, "load", fails)
		},
		"method": func() {
			at = below()
			_ = b.runner.Run(ctx, "load", fails)
		},
		"nil runner": func() {
			at = below()
			_ = (*Runner)(nil).Run(ctx, "load", fails)
		},
		"Do": func() {
			at = below()
			_, _ = Do(ctx, "load", number)
		},
		"Wrap": func() {
			at = below()
			_, _ = wrapped(ctx, 1)
		},
		"Go": func() {
			at = below()
			f := Go(ctx, "load", number)
			_, _ = f.Wait()
		},
		"Group": func() {
			g, _ := NewGroup(ctx)
			at = below()
			g.Go("load", fails)
			_ = g.Wait()
		},
		"TryGo": func() {
			g, _ := NewGroup(ctx)
			at = below()
			g.TryGo("load", fails)
			_ = g.Wait()
		},
		"panic": func() {
			at = below()
			_ = Run(ctx, "load", deep)
		},
		"deferred": func() {
			defer func() {
				at = below()
				_ = Run(ctx, "load", fails)
				_ = recover()
			}()
			panic("on its way")
		},
	} {
		h.lines = nil
		if run(); len(h.lines) != 1 || h.lines[0] != at {
			t.Errorf("%s: %q, want %q", name, h.lines, at)
		}
	}
}

func panicDeep(n int) {
	if n == 0 {
		panic("deep")
	}
	panicDeep(n - 1)
}

// A task that a panic has left is still on the stack when the next one ends.
func TestLogSourceOfPassingPanic(t *testing.T) {
	h := new(sources)
	b := newBackend(t, WithLogger(slog.New(h)), WithRepeatedStatements(1))
	var outer, inner string
	caught(func() {
		outer = below()
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			query(ctx, "SELECT a", 2, 1)
			inner = below()
			return b.runner.Run(ctx, "inner", aPanic)
		})
	})
	wantEqual(t, "sources of the panic and the finding", h.lines, []string{inner, outer})
}

type stepper struct{ n int }

//go:noinline
func (w *stepper) Do(context.Context) error { return w.step() }
func (w *stepper) step() error              { w.n++; return nil }

//go:noinline
func beginsInlined(ctx context.Context) error { return (&stepper{}).step() }

// The name is that of the function, or of the method that is bound.
func TestFunctionNameOfMethod(t *testing.T) {
	const pkg = "github.com/taskspan/taskspan/worker."
	w := new(stepper)
	var doer interface{ Do(context.Context) error } = w
	for want, fn := range map[string]func(context.Context) error{
		"(*stepper).Do": w.Do, "beginsInlined": beginsInlined, "nothing": nothing, "TestFunctionNameOfMethod.func1": func(context.Context) error { return w.step() },
	} {
		if got := functionName(functionPC(fn)); got != pkg+want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := functionName(functionPC(doer.Do)); !strings.HasSuffix(got, ".Do") {
		t.Error(got)
	}
}

// However many attributes options add, a span has the result, the error and the
// account, and as many of the others as its limit lets through.
func TestLimitsOfSpans(t *testing.T) {
	for _, limit := range []int{32, 128, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			limits := sdktrace.NewSpanLimits()
			limits.AttributeCountLimit = limit
			var many []attribute.KeyValue
			for i := range 200 {
				many = append(many, attribute.Int(fmt.Sprint("k", i), i))
			}
			many[0] = keyTaskID.String("theirs")
			b := newBackend(t)
			b.Rig = oteltest.New(t, b.Scope, sdktrace.WithRawSpanLimits(limits))
			r := b.newRunner(WithLabelKeys("label"))
			ctx, cancel := context.WithCancelCause(t.Context())
			_ = r.Run(ctx, "load", func(ctx context.Context) error {
				query(ctx, "SELECT a", 1, time.Second)
				cancel(errBoom)
				return errBoom
			}, WithAttributes(many...), WithID("7"), WithAttempt(2), WithLabel("label", "x"), WithInput(func() []attribute.KeyValue { return many }))
			got := b.ended()[0].Attributes()
			for key, want := range (kv{
				"worker.task.name": "load", "worker.task.id": "7", "worker.task.attempt": int64(2), "worker.task.result": "failure",
				"error.type": "*errors.errorString", "worker.task.cancel.cause": "boom", "worker.task.db.operations": int64(1),
				"worker.task.db.duration": 1., "worker.task.db.rows": int64(1), "worker.task.db.errors": int64(0), "k1": int64(1),
			}) {
				if got[key] != want {
					t.Errorf("%s = %v, want %v", key, got[key], want)
				}
			}
			if got["code.function.name"] == nil || len(got) > limit || limit == 1000 && (got["k199"] == nil || got["label"] != "x" || got["worker.task.input.k199"] == nil) {
				t.Errorf("%d attributes: %v", len(got), got)
			}
		})
	}
}

// A limit on the length of values cuts the strings of a span between characters.
// Numbers and metrics stay as they are.
func TestLengthLimitOfSpans(t *testing.T) {
	type exported struct {
		attributes     kv
		points, events string
	}
	run := func(t *testing.T, limit string) (e exported) {
		t.Setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", limit)
		b := newBackend(t)
		b.Rig = oteltest.New(t, b.Scope, sdktrace.WithRawSpanLimits(sdktrace.NewSpanLimits()))
		ctx, cancel := context.WithCancelCause(t.Context())
		_ = b.newRunner(WithLabelKeys("tarif")).Run(ctx, "é.load", func(ctx context.Context) error {
			query(ctx, "SELECT péage", 25, time.Second)
			cancel(errBoom)
			return errTyped
		}, WithID("日本語日本語"), WithAttempt(2), WithMaxAttempts(3), WithLabel("tarif", "été"), WithInput(func() []attribute.KeyValue {
			return []attribute.KeyValue{attribute.StringSlice("list", []string{"éé", "😀😀😀"}), attribute.Int("n", 12345678)}
		}))
		span := b.ended()[0]
		e.attributes, e.events = span.Attributes(), fmt.Sprint(span.Events)
		delete(e.attributes, "worker.task.input.list")
		set := oteltest.AttributeSets(b.Collect()["worker.task.duration"].Data)[0]
		e.points = oteltest.Lines(set.ToSlice())
		return e
	}
	whole := run(t, "")
	if whole.attributes["worker.task.result"] != "retry" || whole.attributes["error.type"] != "*worker.typedError" || whole.attributes["worker.task.findings"] != int64(2) {
		t.Fatalf("attributes %v", whole.attributes)
	}
	for _, limit := range []int{20, 4, 1} {
		got := run(t, fmt.Sprint(limit))
		want := maps.Clone(whole.attributes)
		for key, value := range want {
			if text, ok := value.(string); ok {
				runes := []rune(text)
				want[key] = string(runes[:min(len(runes), limit)])
			}
		}
		if !maps.Equal(got.attributes, want) {
			t.Errorf("limit %d:\n got %v\nwant %v", limit, got.attributes, want)
		}
		if got.points != whole.points {
			t.Errorf("limit %d: %s, want %s", limit, got.points, whole.points)
		}
		if text := fmt.Sprint(got); !utf8.ValidString(text) {
			t.Errorf("limit %d: %q", limit, text)
		}
		if limit == 20 && (got.attributes["worker.task.result"] != "retry" || got.attributes["error.type"] != "*worker.typedError") {
			t.Errorf("attributes %v", got.attributes)
		}
	}
}

// Whatever the application names, all that is exported is UTF-8.
func TestValidUTF8(t *testing.T) {
	const bad = "\xff"
	b := newBackend(t, WithLabelKeys("label"))
	_ = b.runner.Run(t.Context(), "task"+bad, func(context.Context) error { return errors.New("error" + bad) },
		WithID(bad), WithLabel("label", bad), WithLabel("other"+bad, bad), WithAttributes(
			attribute.String("k"+bad, bad), attribute.StringSlice("list", []string{"a", bad}),
			attribute.Slice("mixed", attribute.StringValue(bad), attribute.MapValue(attribute.String("m"+bad, bad)))),
		WithInput(func() []attribute.KeyValue { return []attribute.KeyValue{attribute.String("f"+bad, bad)} }),
		WithInput(struct {
			S string   `trace:"s"`
			L []string `trace:"l"`
		}{bad, []string{bad}}))
	b.WantHandled("worker: label \"other\uFFFD\" was not declared with WithLabelKeys, and is dropped")
	for _, text := range []string{fmt.Sprintf("%+v", b.ended()), fmt.Sprintf("%+v", b.log.records), fmt.Sprintf("%+v", b.Collect())} {
		if !utf8.ValidString(text) {
			t.Errorf("%q", text)
		}
	}
	if got := b.ended()[0].Attributes(); len(got) != 12 {
		t.Errorf("%d attributes: %v", len(got), got)
	}
}
