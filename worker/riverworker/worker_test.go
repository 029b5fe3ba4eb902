package riverworker

import (
	"context"
	"testing"

	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/attribute"
)

type byPointer struct{ river.WorkerDefaults[args] }

func (*byPointer) Work(context.Context, *river.Job[args]) error { return nil }

type byValue struct{ river.WorkerDefaults[args] }

func (byValue) Work(context.Context, *river.Job[args]) error { return nil }

type embedding struct{ *byPointer }

type aliased struct{}

func (aliased) Kind() string { return "aliased" }

func (aliased) KindAliases() []string { return []string{"alias"} }

type ofAliased struct{ river.WorkerDefaults[aliased] }

func (ofAliased) Work(context.Context, *river.Job[aliased]) error { return nil }

// functionOf works a job of that kind, and returns the function of its span.
func functionOf(t *testing.T, kind string) any {
	t.Helper()
	o := observe(t, nil)
	job := row(nil)
	job.Kind = kind
	if err := o.plugin.Work(t.Context(), job, succeed); err != nil {
		t.Fatal(err)
	}
	return o.ended()[0].attributes["code.function.name"]
}

func TestAddWorker(t *testing.T) {
	const pkg = "github.com/taskspan/taskspan/worker/riverworker."
	for name, tt := range map[string]struct {
		worker river.Worker[args]
		want   any
	}{
		"pointer":  {new(byPointer), pkg + "(*byPointer).Work"},
		"value":    {byValue{}, pkg + "byValue.Work"},
		"embedded": {embedding{new(byPointer)}, pkg + "embedding.Work"},
		"function": {river.WorkFunc(func(context.Context, *river.Job[args]) error { return nil }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			defer methods.Clear()
			AddWorker(river.NewWorkers(), tt.worker)
			AddWorker(river.NewWorkers(), tt.worker) // to another client
			if got := functionOf(t, "report"); got != tt.want {
				t.Errorf("code.function.name is %v, want %v", got, tt.want)
			}
			if got := functionOf(t, "other"); got != nil {
				t.Errorf("that of a kind without a worker is %v", got)
			}
		})
	}
}

func TestAddWorkerSafely(t *testing.T) {
	defer methods.Clear()
	workers := river.NewWorkers()
	if err := AddWorkerSafely(workers, new(byPointer)); err != nil {
		t.Fatal(err)
	}
	if err := AddWorkerSafely(workers, byValue{}); err == nil {
		t.Error("a kind has two workers")
	}
	if got := functionOf(t, "report"); got != "github.com/taskspan/taskspan/worker/riverworker.(*byPointer).Work" {
		t.Errorf("code.function.name is %v", got)
	}
	AddWorker(river.NewWorkers(), byValue{})
	if got := functionOf(t, "report"); got != nil {
		t.Errorf("code.function.name of two workers is %v", got)
	}
	AddWorker(river.NewWorkers(), new(byPointer))
	if got := functionOf(t, "report"); got != nil {
		t.Errorf("code.function.name of two workers is %v", got)
	}
	AddWorker(river.NewWorkers(), ofAliased{})
	for _, kind := range []string{"aliased", "alias"} {
		if got := functionOf(t, kind); got != "github.com/taskspan/taskspan/worker/riverworker.ofAliased.Work" {
			t.Errorf("code.function.name of %s is %v", kind, got)
		}
	}
}

// TestWorkerOfClient lets a client work a job of a worker that was added.
func TestWorkerOfClient(t *testing.T) {
	defer methods.Clear()
	q := startQueue(t, observe(t, nil), nil, func(c *river.Config) {
		c.Workers = river.NewWorkers()
		AddWorker(c.Workers, new(byPointer))
	})
	q.insert(t.Context(), args{"a"}, nil)
	q.next()
	q.stop()
	q.expect(inserted(""), attempt(1, "success", map[attribute.Key]any{
		"code.function.name": "github.com/taskspan/taskspan/worker/riverworker.(*byPointer).Work",
	}))
}
