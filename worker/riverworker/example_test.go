package riverworker_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	_ "github.com/mattn/go-sqlite3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/riverworker"
)

// Greeting is a job.
type Greeting struct {
	Name string `json:"name"`
}

// Kind is the name of the task.
func (Greeting) Kind() string { return "greet" }

// A job is inserted and worked by one process here; two are no different.
func Example() {
	ctx := context.Background()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	runner, err := worker.New(worker.WithTracerProvider(provider))
	if err != nil {
		log.Fatal(err)
	}

	// The database of the queue is not traced: River polls it.
	dir, err := os.MkdirTemp("", "riverworker-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite3", filepath.Join(dir, "queue.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	driver := riversqlite.New(db)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		log.Fatal(err)
	}

	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(_ context.Context, job *river.Job[Greeting]) error {
		fmt.Println("hello,", job.Args.Name)
		return nil
	}))
	client, err := river.NewClient(driver, &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}},
		Workers: workers,
		Plugins: []rivertype.Plugin{riverworker.New(
			riverworker.WithRunner(runner),
			riverworker.WithTracerProvider(provider))},
	})
	if err != nil {
		log.Fatal(err)
	}
	completed, unsubscribe := client.Subscribe(river.EventKindJobCompleted)
	defer unsubscribe()
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	if _, err := client.Insert(ctx, Greeting{"world"}, nil); err != nil {
		log.Fatal(err)
	}
	<-completed
	if err := client.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	if err := runner.Drain(ctx); err != nil {
		log.Fatal(err)
	}

	for _, s := range spans.Ended() {
		fmt.Println(s.SpanKind(), s.Name())
	}
	// Output:
	// hello, world
	// producer insert default
	// consumer greet
}

// What the arguments of a job hold is not recorded, unless it is asked for.
func ExampleWithTaskOptions() {
	plugin := riverworker.New(riverworker.WithTaskOptions(func(job *rivertype.JobRow) []worker.TaskOption {
		var greeting Greeting
		if err := json.Unmarshal(job.EncodedArgs, &greeting); err != nil {
			return nil
		}
		return []worker.TaskOption{worker.WithAttributes(attribute.Int("greeting.length", len(greeting.Name)))}
	}))
	_ = river.Config{Plugins: []rivertype.Plugin{plugin}}
}

// GreetWorker works on greetings.
type GreetWorker struct{ river.WorkerDefaults[Greeting] }

// Work implements river.Worker.
func (*GreetWorker) Work(_ context.Context, job *river.Job[Greeting]) error {
	fmt.Println("hello,", job.Args.Name)
	return nil
}

// The spans of its jobs have GreetWorker's Work as code.function.name.
func ExampleAddWorker() {
	workers := river.NewWorkers()
	riverworker.AddWorker(workers, &GreetWorker{})
	// Where a mistake must not panic:
	if err := riverworker.AddWorkerSafely(river.NewWorkers(), &GreetWorker{}); err != nil {
		log.Fatal(err)
	}
	_ = river.Config{Workers: workers, Plugins: []rivertype.Plugin{riverworker.New()}}
}

// Gauges of the jobs that wait, and of how long, from one process of all.
func ExampleObserveQueues() {
	observe := func(client *river.Client[*sql.Tx]) (stop func()) {
		stop, err := riverworker.ObserveQueues(client)
		if err != nil {
			log.Print(err)
		}
		return stop
	}
	_ = observe
}
