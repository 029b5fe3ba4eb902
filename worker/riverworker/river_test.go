package riverworker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/worker"
)

// attributes are those of an attempt at the job 1, and what the test adds.
func attributes(attempt int, more map[attribute.Key]any) map[attribute.Key]any {
	m := map[attribute.Key]any{
		"messaging.system":           "river",
		"messaging.operation.type":   "process",
		"messaging.operation.name":   "work",
		"messaging.destination.name": "default",
		"messaging.message.id":       "1",
		"messaging.client.id":        "client-1",
		"worker.task.name":           "report",
		"worker.task.id":             "1",
		"worker.task.attempt":        int64(attempt),
	}
	for k, v := range more {
		m[k] = v
	}
	return m
}

// inserted is the span of the insert of job 1.
func inserted(parent string) span {
	return span{name: "insert default", kind: trace.SpanKindProducer, parent: parent, attributes: map[attribute.Key]any{
		"messaging.system":           "river",
		"messaging.operation.type":   "send",
		"messaging.operation.name":   "insert",
		"messaging.destination.name": "default",
		"messaging.message.id":       "1",
		"river.job.kind":             "report",
	}}
}

// attempt is the span of an attempt at job 1.
func attempt(n int, result string, more map[attribute.Key]any) span {
	a := attributes(n, more)
	a["worker.task.result"] = result
	return span{name: "report", kind: trace.SpanKindConsumer, links: "insert default", attributes: a}
}

func durations(results ...string) map[string]uint64 {
	m := make(map[string]uint64)
	for _, r := range results {
		m["worker.task.name=report,worker.task.result="+r]++
	}
	return m
}

// TestJob inserts a job within a span, and expects that span, the insert's, the
// job's and those of its queries, and no other: River's own statements are not
// traced.
func TestJob(t *testing.T) {
	q := startQueue(t, observe(t, nil), func(ctx context.Context, q *queue, _ *river.Job[args]) error {
		for range 2 {
			if _, err := q.db.ExecContext(ctx, "SELECT 1"); err != nil {
				return err
			}
		}
		return nil
	})
	// The connection's own spans are not what this is about.
	if err := q.db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	q.spans.Reset()

	ctx, request := q.tracers.Tracer("test").Start(t.Context(), "request")
	job := q.insert(ctx, args{"a"}, &river.InsertOpts{Metadata: []byte(`{"tenant":{"id":12345678901234567890}}`)})
	request.End()
	if e := q.next(); e.Kind != river.EventKindJobCompleted {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	q.stop()

	query := span{name: "SELECT", kind: trace.SpanKindClient, parent: "report", attributes: map[attribute.Key]any{
		"db.system.name": "sqlite", "db.namespace": "queue.db", "db.query.summary": "SELECT", "db.query.text": "SELECT ?",
	}}
	for _, s := range q.ended() {
		if s.name == "SELECT" {
			query.attributes["db.namespace"] = s.attributes["db.namespace"] // the file
		}
	}
	q.expect(
		span{name: "request", kind: trace.SpanKindInternal},
		inserted("request"),
		attempt(1, "success", map[attribute.Key]any{
			"worker.task.db.operations": int64(2), "worker.task.db.duration": "positive",
			"worker.task.db.rows": int64(0), "worker.task.db.errors": int64(0),
		}),
		query, query,
	)
	q.expectDurations(durations("success"))
	if counts, sum := q.counts("worker.task.queue.duration"); counts["worker.task.name=report"] != 1 || sum > deadline.Seconds() {
		t.Errorf("worker.task.queue.duration counts %v, sum %v", counts, sum)
	}

	var metadata map[string]json.RawMessage
	if err := json.Unmarshal(job.Metadata, &metadata); err != nil {
		t.Fatal(err)
	}
	if got := string(metadata["tenant"]); got != `{"id":12345678901234567890}` {
		t.Errorf("the caller's metadata is %s", got)
	}
	if _, ok := metadata["traceparent"]; !ok {
		t.Errorf("no trace context in %s", job.Metadata)
	}
}

// TestBatch inserts jobs of two kinds into two queues at once.
func TestBatch(t *testing.T) {
	q := startQueue(t, observe(t, nil), func(context.Context, *queue, *river.Job[args]) error { return nil })
	if _, err := q.client.InsertMany(t.Context(), []river.InsertManyParams{
		{Args: args{"a"}},
		{Args: args{"b"}, InsertOpts: &river.InsertOpts{Queue: "slow"}},
		{Args: other{}},
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if e := q.next(); e.Kind != river.EventKindJobCompleted {
			t.Fatalf("%s: %+v", e.Kind, e.Job)
		}
	}
	q.stop()
	spans := q.ended()
	if want := (span{name: "insert", kind: trace.SpanKindProducer, attributes: map[attribute.Key]any{
		"messaging.system": "river", "messaging.operation.type": "send", "messaging.operation.name": "insert",
		"messaging.batch.message_count": int64(3),
	}}); fmt.Sprintf("%+v", spans[0]) != fmt.Sprintf("%+v", want) {
		t.Errorf("the insert's span is %+v, want %+v", spans[0], want)
	}
	var jobs []string
	for _, s := range spans[1:] {
		jobs = append(jobs, fmt.Sprint(s.name, " ", s.attributes["messaging.destination.name"], " after ", s.links))
	}
	slices.Sort(jobs)
	if want := []string{"other default after insert", "report default after insert", "report slow after insert"}; !slices.Equal(jobs, want) {
		t.Errorf("jobs are %q, want %q", jobs, want)
	}
}

// TestInsertTx inserts in a traced transaction: what River asks the database for
// is within the insert.
func TestInsertTx(t *testing.T) {
	q := startQueue(t, observe(t, nil), func(context.Context, *queue, *river.Job[args]) error { return nil })
	tx, err := q.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := q.client.InsertTx(t.Context(), tx, args{"a"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if e := q.next(); e.Kind != river.EventKindJobCompleted {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	q.stop()
	within := 0
	for _, s := range q.ended() {
		if s.parent == "insert default" && s.kind == trace.SpanKindClient {
			within++
		}
		if s.kind == trace.SpanKindConsumer && s.links != "insert default" {
			t.Errorf("the job is linked to %q", s.links)
		}
	}
	if within == 0 {
		t.Errorf("the insert has no statements: %+v", q.ended())
	}
}

func TestRetry(t *testing.T) {
	failed := errors.New("not yet")
	q := startQueue(t, observe(t, nil), func(_ context.Context, _ *queue, job *river.Job[args]) error {
		if job.Attempt == 1 {
			return failed
		}
		return nil
	})
	q.insert(t.Context(), args{"a"}, nil)
	if e := q.next(); e.Kind != river.EventKindJobFailed || e.Job.Errors[0].Error != "not yet" {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	if e := q.next(); e.Kind != river.EventKindJobCompleted || e.Job.Attempt != 2 {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	q.stop()
	first := attempt(1, "retry", map[attribute.Key]any{"error.type": "*errors.errorString"})
	first.status, first.events = "Error: not yet", 1
	q.expect(inserted(""), first, attempt(2, "success", nil))
	if got, _ := q.errors.seen(); len(got) != 1 || got[0] != failed {
		t.Errorf("River got %v", got)
	}
	q.expectLog("WARN")
}

func TestSnooze(t *testing.T) {
	first := true
	q := startQueue(t, observe(t, nil), func(context.Context, *queue, *river.Job[args]) error {
		if first {
			first = false
			return fmt.Errorf("not open yet: %w", river.JobSnooze(time.Millisecond))
		}
		return nil
	})
	q.insert(t.Context(), args{"a"}, nil)
	if e := q.next(); e.Kind != river.EventKindJobSnoozed {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	if e := q.next(); e.Kind != river.EventKindJobCompleted || e.Job.Attempt != 1 {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	q.stop()
	q.expect(inserted(""), attempt(1, "skip", nil), attempt(1, "success", nil))
	q.expectDurations(durations("skip", "success"))
	q.expectLog()
}

func TestCancel(t *testing.T) {
	q := startQueue(t, observe(t, nil), func(context.Context, *queue, *river.Job[args]) error {
		return river.JobCancel(errors.New("the account is closed"))
	})
	q.insert(t.Context(), args{"a"}, nil)
	if e := q.next(); e.Kind != river.EventKindJobCancelled || e.Job.State != rivertype.JobStateCancelled {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	q.stop()
	q.expect(inserted(""), attempt(1, "cancellation", map[attribute.Key]any{
		"worker.task.cancel.cause": "JobCancelError: the account is closed",
	}))
	q.expectDurations(durations("cancellation"))
}

func TestCancelRemotely(t *testing.T) {
	running := make(chan struct{})
	q := startQueue(t, observe(t, nil), func(ctx context.Context, _ *queue, _ *river.Job[args]) error {
		close(running)
		<-ctx.Done()
		return fmt.Errorf("gave up: %w", ctx.Err())
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
	q.expect(inserted(""), attempt(1, "cancellation", map[attribute.Key]any{
		"worker.task.cancel.cause": "JobCancelError: job cancelled remotely",
	}))
}

func TestPanic(t *testing.T) {
	value := &struct{ secret string }{"hunter2-canary"}
	work := func(_ context.Context, _ *queue, job *river.Job[args]) error {
		if job.Attempt == 1 {
			panic(value)
		}
		return nil
	}
	t.Run("goes on", func(t *testing.T) {
		q := startQueue(t, observe(t, nil), work)
		q.insert(t.Context(), args{"a"}, nil)
		if e := q.next(); e.Kind != river.EventKindJobFailed {
			t.Fatalf("%s: %+v", e.Kind, e.Job)
		}
		if e := q.next(); e.Kind != river.EventKindJobCompleted {
			t.Fatalf("%s: %+v", e.Kind, e.Job)
		}
		q.stop()
		if _, got := q.errors.seen(); len(got) != 1 || got[0] != any(value) {
			t.Errorf("River got %v", got)
		}
		spans := q.ended()
		if got := spans[1].attributes["worker.task.result"]; got != "panic" {
			t.Errorf("the result is %v", got)
		}
		if n := q.active(); n != 0 {
			t.Errorf("%d tasks are active", n)
		}
	})
	t.Run("is recovered", func(t *testing.T) {
		q := startQueue(t, observe(t, []worker.Option{worker.WithRecoverPanics()}), work)
		q.insert(t.Context(), args{"a"}, nil)
		if e := q.next(); e.Kind != river.EventKindJobFailed {
			t.Fatalf("%s: %+v", e.Kind, e.Job)
		}
		q.stop()
		got, _ := q.errors.seen()
		var p *errs.PanicError
		if len(got) != 1 || !errors.As(got[0], &p) || p.Value != any(value) {
			t.Errorf("River got %v", got)
		}
	})
}

// TestGoexit expects River to hear of a job that ends its goroutine, and to be
// able to stop after it.
func TestGoexit(t *testing.T) {
	q := startQueue(t, observe(t, nil), func(_ context.Context, _ *queue, job *river.Job[args]) error {
		if job.Attempt == 1 {
			runtime.Goexit()
		}
		return nil
	})
	q.insert(t.Context(), args{"a"}, nil)
	if e := q.next(); e.Kind != river.EventKindJobFailed || e.Job.Errors[0].Error != worker.ErrGoexit.Error() {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	if e := q.next(); e.Kind != river.EventKindJobCompleted {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	q.stop()
	first := attempt(1, "retry", map[attribute.Key]any{"error.type": "runtime.Goexit"})
	first.status, first.events = "Error: "+worker.ErrGoexit.Error(), 1
	q.expect(inserted(""), first, attempt(2, "success", nil))
	if n := q.active(); n != 0 {
		t.Errorf("%d tasks are active", n)
	}
}

// TestDraining expects a job that the runner does not take to stay in the queue,
// its attempts uncounted.
func TestDraining(t *testing.T) {
	q := startQueue(t, observe(t, nil), func(context.Context, *queue, *river.Job[args]) error {
		t.Error("the job was worked")
		return nil
	})
	if err := q.runner.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	q.insert(t.Context(), args{"a"}, nil)
	if e := q.next(); e.Kind != river.EventKindJobSnoozed || e.Job.Attempt != 0 || e.Job.State != rivertype.JobStateAvailable {
		t.Fatalf("%s: %+v", e.Kind, e.Job)
	}
	q.stop()
	q.expect(inserted(""))
}

func TestUniqueJob(t *testing.T) {
	release := make(chan struct{})
	q := startQueue(t, observe(t, nil), func(context.Context, *queue, *river.Job[args]) error {
		<-release
		return nil
	})
	opts := &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}}
	for range 2 {
		q.insert(t.Context(), args{"a"}, opts)
	}
	close(release)
	q.next()
	q.stop()
	duplicate := inserted("")
	delete(duplicate.attributes, "messaging.message.id")
	var inserts []span
	for _, s := range q.ended() {
		if s.kind == trace.SpanKindProducer {
			inserts = append(inserts, s)
		}
	}
	if got, want := fmt.Sprintf("%+v", inserts), fmt.Sprintf("%+v", []span{inserted(""), duplicate}); got != want {
		t.Errorf("inserts are\n%s, want\n%s", got, want)
	}
}
