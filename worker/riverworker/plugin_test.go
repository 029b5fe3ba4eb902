package riverworker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"

	"github.com/taskspan/taskspan/worker"
)

// row is a job that was inserted with the metadata.
func row(metadata []byte) *rivertype.JobRow {
	now := time.Now()
	return &rivertype.JobRow{ID: 1, Attempt: 1, AttemptedBy: []string{"client-0", "client-1"}, Kind: "report", Queue: "default",
		CreatedAt: now, ScheduledAt: now, Metadata: metadata}
}

// insertOne returns the metadata that an insert makes of some.
func insertOne(t *testing.T, p *Plugin, ctx context.Context, metadata string) []byte { //nolint:revive // t comes first in every helper
	t.Helper()
	params := []*rivertype.JobInsertParams{{Kind: "report", Queue: "default", Metadata: []byte(metadata)}}
	if _, err := p.InsertMany(ctx, params, func(context.Context) ([]*rivertype.JobInsertResult, error) {
		return []*rivertype.JobInsertResult{{Job: &rivertype.JobRow{ID: 1}}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	return params[0].Metadata
}

func succeed(context.Context) error { return nil }

func TestIdenticalErrors(t *testing.T) {
	for name, err := range map[string]error{
		"error":           errors.New("x"),
		"snooze":          river.JobSnooze(time.Minute),
		"wrapped snooze":  fmt.Errorf("x: %w", river.JobSnooze(time.Minute)),
		"cancel":          river.JobCancel(errors.New("x")),
		"joined cancel":   errors.Join(errors.New("x"), river.JobCancel(errors.New("y"))),
		"cancel of nil":   river.JobCancel(nil),
		"skip of worker":  worker.Skip(errors.New("x")),
		"canceled":        context.Canceled,
		"of another task": worker.ErrDraining,
		"none":            nil,
	} {
		t.Run(name, func(t *testing.T) {
			o := observe(t, nil)
			if got := o.plugin.Work(t.Context(), row(nil), func(context.Context) error { return err }); got != err {
				t.Errorf("Work = %v, want %v", got, err)
			}
		})
	}
}

func TestResults(t *testing.T) {
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errors.New("stopping"))
	ownError := func(ctx context.Context) error { return fmt.Errorf("x: %w", ctx.Err()) }
	for name, tt := range map[string]struct {
		ctx    context.Context
		f      func(context.Context) error
		result string
	}{
		"stop":                    {stopped, ownError, "cancellation"},
		"snooze when stopped":     {stopped, func(context.Context) error { return river.JobSnooze(0) }, "skip"},
		"failure when stopped":    {stopped, func(context.Context) error { return errors.New("x") }, "failure"},
		"success when stopped":    {stopped, succeed, "success"},
		"snooze joined to cancel": {t.Context(), func(context.Context) error { return errors.Join(river.JobCancel(nil), river.JobSnooze(0)) }, "skip"},
	} {
		t.Run(name, func(t *testing.T) {
			o := observe(t, nil)
			_ = o.plugin.Work(tt.ctx, row(nil), tt.f)
			if got := o.ended()[0].attributes["worker.task.result"]; got != tt.result {
				t.Errorf("the result is %v, want %s", got, tt.result)
			}
		})
	}
}

func TestAvailableAt(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct{ created, scheduled, want time.Time }{
		"at once":       {now, now, now},
		"later":         {now, now.Add(time.Hour), now.Add(time.Hour)},
		"in the past":   {now, now.Add(-time.Hour), now},
		"not scheduled": {now, time.Time{}, now},
	} {
		if got := availableAt(&rivertype.JobRow{CreatedAt: tt.created, ScheduledAt: tt.scheduled}); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestQueueTime works a job that was inserted an hour ago and scheduled for a
// minute ago.
func TestQueueTime(t *testing.T) {
	o := observe(t, nil)
	job := row(nil)
	job.CreatedAt, job.ScheduledAt = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
	if err := o.plugin.Work(t.Context(), job, succeed); err != nil {
		t.Fatal(err)
	}
	if _, sum := o.counts("worker.task.queue.duration"); sum < 60 || sum > 120 {
		t.Errorf("it waited %v s", sum)
	}
}

func TestBaggageArrives(t *testing.T) {
	o := observe(t, nil)
	member, err := baggage.NewMember("tenant", "acme")
	if err != nil {
		t.Fatal(err)
	}
	b, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	metadata := insertOne(t, o.plugin, baggage.ContextWithBaggage(t.Context(), b), `{}`)
	if err := o.plugin.Work(t.Context(), row(metadata), func(ctx context.Context) error {
		if got := baggage.FromContext(ctx).Member("tenant").Value(); got != "acme" {
			t.Errorf("the baggage is %q", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestForwarded works a job whose metadata was copied from another one: it
// belongs to the first insert.
func TestForwarded(t *testing.T) {
	o := observe(t, nil)
	first := insertOne(t, o.plugin, t.Context(), `{"a":1}`)
	second := insertOne(t, o.plugin, t.Context(), string(first))
	if string(second) != string(first) {
		t.Errorf("metadata became %s", second)
	}
}

func TestAsParent(t *testing.T) {
	o := observe(t, nil, WithAsParent())
	metadata := insertOne(t, o.plugin, t.Context(), ``)
	if err := o.plugin.Work(t.Context(), row(metadata), succeed); err != nil {
		t.Fatal(err)
	}
	want := attempt(1, "success", nil)
	want.links, want.parent = "", "insert default"
	o.expect(inserted(""), want)
}

// TestWithoutContext works jobs that a client without the plugin inserted.
func TestWithoutContext(t *testing.T) {
	for _, metadata := range []string{"", "{}", "null", "x", `{"traceparent":7}`, `{"traceparent":"no"}`} {
		o := observe(t, nil)
		// What is started around the client is not where its jobs come from.
		ctx, around := o.tracers.Tracer("test").Start(t.Context(), "main")
		if err := o.plugin.Work(ctx, row([]byte(metadata)), succeed); err != nil {
			t.Fatal(err)
		}
		around.End()
		want := attempt(1, "success", nil)
		want.links = ""
		o.expect(span{name: "main", kind: trace.SpanKindInternal}, want)
	}
}

func TestTaskOptions(t *testing.T) {
	o := observe(t, []worker.Option{worker.WithLabelKeys("tenant")}, nil, WithTaskOptions(func(job *rivertype.JobRow) []worker.TaskOption {
		if job.Priority == 4 {
			panic("no")
		}
		return []worker.TaskOption{worker.WithLabel("tenant", "acme")}
	}))
	job := row(nil)
	if err := o.plugin.Work(t.Context(), job, succeed); err != nil {
		t.Fatal(err)
	}
	job.Priority = 4
	if err := o.plugin.Work(t.Context(), job, succeed); err != nil {
		t.Fatal(err)
	}
	with, without := attempt(1, "success", map[attribute.Key]any{"tenant": "acme"}), attempt(1, "success", nil)
	with.links, without.links = "", ""
	o.expect(with, without)
}

func TestInsertFails(t *testing.T) {
	params := []*rivertype.JobInsertParams{{Kind: "report", Queue: "default"}}
	want := inserted("")
	delete(want.attributes, "messaging.message.id")

	t.Run("error", func(t *testing.T) {
		o := observe(t, nil)
		failed := errors.New("database is closed")
		_, err := o.plugin.InsertMany(t.Context(), params, func(context.Context) ([]*rivertype.JobInsertResult, error) { return nil, failed })
		if err != failed {
			t.Errorf("InsertMany = %v", err)
		}
		want.status = "Error: database is closed"
		want.attributes["error.type"] = "*errors.errorString"
		o.expect(want)
	})
	for name, f := range map[string]func(){
		"panic":  func() { panic("hunter2-canary") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			o := observe(t, nil)
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_, _ = o.plugin.InsertMany(t.Context(), params, func(context.Context) ([]*rivertype.JobInsertResult, error) {
					f()
					return nil, nil
				})
			}()
			if v := <-done; (v == "hunter2-canary") != (name == "panic") {
				t.Errorf("recovered %v", v)
			}
			want.status = "Error: the insert did not return"
			want.attributes["error.type"] = "_OTHER"
			o.expect(want)
		})
	}
}

func TestInsertNothing(t *testing.T) {
	o := observe(t, nil)
	if _, err := o.plugin.InsertMany(t.Context(), nil, func(context.Context) ([]*rivertype.JobInsertResult, error) { return nil, nil }); err != nil {
		t.Error(err)
	}
	o.expect()
}

// brokenProvider is a provider that has no tracer, or one that panics.
type brokenProvider struct {
	embedded.TracerProvider
	none bool
}

type brokenTracer struct{ embedded.Tracer }

func (b brokenProvider) Tracer(string, ...trace.TracerOption) trace.Tracer {
	if b.none {
		return nil
	}
	return brokenTracer{}
}

func (brokenTracer) Start(context.Context, string, ...trace.SpanStartOption) (context.Context, trace.Span) {
	panic("broken")
}

// TestBrokenTelemetry expects inserts to go through whatever a provider does.
func TestBrokenTelemetry(t *testing.T) {
	for _, none := range []bool{true, false} {
		insertOne(t, New(nil, WithTracerProvider(brokenProvider{none: none})), t.Context(), `{}`)
	}
	insertOne(t, New(), t.Context(), `{}`)
}

// TestInsertWithoutRows inserts as InsertManyFast does, which has no rows to
// return.
func TestInsertWithoutRows(t *testing.T) {
	o := observe(t, nil)
	params := []*rivertype.JobInsertParams{{Kind: "report", Queue: "default"}}
	if _, err := o.plugin.InsertMany(t.Context(), params, func(context.Context) ([]*rivertype.JobInsertResult, error) {
		return make([]*rivertype.JobInsertResult, 1), nil
	}); err != nil {
		t.Fatal(err)
	}
	want := inserted("")
	delete(want.attributes, "messaging.message.id")
	o.expect(want)
}

// What a panic of telemetry held is not reported.
func TestGuardTellsNoValue(t *testing.T) {
	previous := otel.GetErrorHandler()
	defer otel.SetErrorHandler(previous)
	var reported []string
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { reported = append(reported, err.Error()) }))
	func() {
		defer guard("testing")
		panic("hunter2-" + "canary")
	}()
	if len(reported) != 1 || !strings.HasPrefix(reported[0], "riverworker: panic while testing: a string\n") || strings.Contains(reported[0], "hunter2-canary") {
		t.Errorf("reported %q", reported)
	}
}
