package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/worker"
)

func Example() {
	ctx := context.Background()
	errFull := errors.New("disk full")

	err := worker.Run(ctx, "compact", func(ctx context.Context) error {
		// Queries with this ctx are children of the task's span.
		return errFull
	})
	fmt.Println(err == errFull)
	// Output: true
}

func ExampleNew() {
	spans := tracetest.NewInMemoryExporter()
	runner, err := worker.New(
		worker.WithTracerProvider(trace.NewTracerProvider(trace.WithSyncer(spans))),
		worker.WithLogger(slog.New(slog.DiscardHandler)),
		worker.WithSchedule("compact", 26*time.Hour),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = runner.Run(context.Background(), "compact", func(context.Context) error { return nil })
	fmt.Println(err, spans.GetSpans()[0].Name)
	// Output: <nil> compact
}

func ExampleDo() {
	n, err := worker.Do(context.Background(), "count", func(context.Context) (int, error) {
		return 42, nil
	})
	fmt.Println(n, err)
	// Output: 42 <nil>
}

// A job's ID is recorded, its payload is not.
type Job struct {
	ID      int `trace:"job_id"`
	Payload string
}

func ExampleWrap() {
	length := worker.Wrap("length", func(_ context.Context, j Job) (int, error) {
		return len(j.Payload), nil
	})
	// The span of this call has worker.task.input.job_id = 7.
	n, err := length(context.Background(), Job{ID: 7, Payload: "four"})
	fmt.Println(n, err)
	// Output: 4 <nil>
}

func ExampleSkip() {
	errUpToDate := errors.New("index is up to date")

	// The result is skip: no error in the trace, in the metrics or in the log.
	err := worker.Run(context.Background(), "reindex", func(context.Context) error {
		return worker.Skip(errUpToDate)
	})
	fmt.Println(err == errUpToDate)
	// Output: true
}

func ExampleGo() {
	ctx := context.Background()
	report := worker.Go(ctx, "report", func(context.Context) (string, error) {
		return "all is well", nil
	})
	// The report is made while other things are done.
	text, err := report.Wait()
	fmt.Println(text, err)
	// Output: all is well <nil>
}

func ExampleGroup() {
	g, _ := worker.NewGroup(context.Background())
	g.SetLimit(2)
	sizes := make([]int, 3)
	for i, part := range []string{"a", "bb", "ccc"} {
		g.Go("measure", func(context.Context) error {
			sizes[i] = len(part)
			return nil
		})
	}
	fmt.Println(g.Wait(), sizes)
	// Output: <nil> [1 2 3]
}

func ExampleInject() {
	runner, err := worker.New(
		worker.WithTracerProvider(trace.NewTracerProvider()),
		worker.WithPropagator(propagation.TraceContext{}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()

	// One process puts a message into a queue …
	headers := propagation.MapCarrier{}
	_ = runner.Run(ctx, "enqueue", func(ctx context.Context) error {
		worker.Inject(ctx, headers)
		return nil
	})
	enqueued := time.Now()

	// … and another one works on it, in a trace of its own that is linked.
	err = runner.Run(ctx, "work", func(context.Context) error { return nil },
		worker.FromCarrier(headers), worker.WithEnqueuedAt(enqueued), worker.WithAttempt(1))
	fmt.Println(len(headers["traceparent"]), err)
	// Output: 55 <nil>
}

func ExampleRunner_Drain() {
	runner, err := worker.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	var running *worker.DrainError
	if err := runner.Drain(ctx); errors.As(err, &running) {
		for _, task := range running.Running {
			fmt.Println("still running:", task)
		}
	}
	fmt.Println(runner.Run(ctx, "late", func(context.Context) error { return nil }))
	// Output: worker: the runner is draining, the task was not run
}

func ExampleWithInput() {
	err := worker.Run(context.Background(), "import", func(context.Context) error { return nil },
		worker.WithInput(func() []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("source", "upload")}
		}))
	fmt.Println(err)
	// Output: <nil>
}

// A job is a part of the trace that put it into the queue.
func ExampleContinueFrom() {
	runner, err := worker.New(
		worker.WithTracerProvider(trace.NewTracerProvider()),
		worker.WithPropagator(propagation.TraceContext{}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	headers := propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	err = runner.Run(context.Background(), "work", func(ctx context.Context) error {
		report, _ := worker.CurrentReport(ctx)
		fmt.Println(report.Span.TraceID())
		return nil
	}, worker.ContinueFrom(headers))
	fmt.Println(err)
	// Output:
	// 0af7651916cd43dd8448eb211c80319c
	// <nil>
}

// Of an attempt that is not the last one, a failure is a retry, unless no attempt will
// help.
func ExamplePermanent() {
	errNoCustomer := errors.New("there is no such customer")

	runner, err := worker.New(worker.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer runner.Watch(func(_ context.Context, r worker.Report) { fmt.Println(r.Result) })()
	for _, err := range []error{errNoCustomer, worker.Permanent(errNoCustomer)} {
		err := runner.Run(context.Background(), "invoice", func(context.Context) error { return err },
			worker.WithAttempt(1), worker.WithMaxAttempts(3))
		fmt.Println(err == errNoCustomer)
	}
	// Output:
	// retry
	// true
	// failure
	// true
}

// The page of tasks, and the log record of a task that runs for long, show how far it is.
func ExampleProgress() {
	orders := []string{"a", "b", "c"}
	err := worker.Run(context.Background(), "ship", func(ctx context.Context) error {
		for i := range orders {
			worker.Progress(ctx, int64(i+1), int64(len(orders)))
		}
		report, _ := worker.CurrentReport(ctx)
		fmt.Println(report.Done, "of", report.Total)
		return nil
	})
	fmt.Println(err)
	// Output:
	// 3 of 3
	// <nil>
}

// A task can look at what it has done to its databases.
func ExampleCurrentReport() {
	err := worker.Run(context.Background(), "import", func(ctx context.Context) error {
		if report, ok := worker.CurrentReport(ctx); ok {
			fmt.Println(report.Name, report.DB.Operations, "operations")
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// import 0 operations
	// <nil>
}

func ExampleSetDefault() {
	runner, err := worker.New(worker.WithRecoverPanics())
	if err != nil {
		fmt.Println(err)
		return
	}
	worker.SetDefault(runner) // whose tasks worker.Run, Do, Wrap and Go run
	defer worker.SetDefault(nil)
	fmt.Println(worker.Default() == runner)
	// Output: true
}
