package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/examples/internal/page"
	"github.com/taskspan/taskspan/examples/internal/problem"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/riverworker"
)

// collectorVariable has the address where the demo collects its processes' spans.
// Such a process also ends when its standard input does, which is when the demo
// has been killed.
const collectorVariable = "RIVER_DEMO_COLLECTOR"

// shutdownTimeout bounds what is left to do when a process ends.
const shutdownTimeout = 15 * time.Second

// process is what all roles have in common: telemetry, a runner, a queue, and a
// database for what is not River's.
type process struct {
	name   string
	runner *worker.Runner
	queue  *queue
	db     *store
	undo   []func(context.Context) error
}

// open sets a process up. It must be closed even if there is an error.
func open(ctx context.Context, name string, d dsn, collector string, queues map[string]river.QueueConfig) (p *process, err error) {
	p = &process{name: name}
	defer func() {
		if err != nil {
			err = problem.New(d.name, err)
		}
	}()
	options := []telemetry.Option{
		telemetry.WithServiceName("taskspan-river"),
		telemetry.WithResourceAttributes(semconv.ServiceInstanceID(name)),
	}
	if collector != "" {
		exporter, err := otlptracehttp.New(ctx,
			otlptracehttp.WithEndpointURL(collector), otlptracehttp.WithCompression(otlptracehttp.NoCompression))
		if err != nil {
			return p, err
		}
		options = append(options, telemetry.WithSpanProcessor(
			sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithBatchTimeout(50*time.Millisecond))))
	}
	tel, err := telemetry.Start(ctx, options...)
	p.undo = append(p.undo, tel.Shutdown)
	if err != nil {
		return p, err
	}

	if p.runner, err = worker.New(worker.WithLogger(slog.New(telemetry.NewLogHandler(slog.NewTextHandler(os.Stderr, nil))))); err != nil {
		return p, err
	}
	worker.SetDefault(p.runner)
	p.undo = append(p.undo, p.runner.Drain)

	if p.db, err = openStore(ctx, d); err != nil {
		return p, err
	}
	p.undo = append(p.undo, func(context.Context) error { return p.db.close() })

	workers := river.NewWorkers()
	riverworker.AddWorker(workers, &invoicer{db: p.db})
	p.queue, err = openQueue(ctx, d, &river.Config{
		ID:      name,
		Queues:  queues,
		Workers: workers,
		// A job is a step of its order, and done soon: one trace shows both.
		Plugins: []rivertype.Plugin{riverworker.New(riverworker.WithAsParent())},
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return p, err
	}
	p.undo = append(p.undo, func(context.Context) error { p.queue.close(); return nil })
	return p, nil
}

// prepare creates the tables that the queue and the orders need.
func (p *process) prepare(ctx context.Context, d dsn) error {
	err := p.queue.migrate(ctx)
	if err == nil {
		err = createTables(ctx, p.db)
	}
	if err != nil {
		return problem.New(d.name, err)
	}
	return nil
}

// start starts to work jobs.
func (p *process) start(ctx context.Context) error {
	// The client outlives ctx: it is stopped when the process is closed.
	if err := p.queue.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	p.undo = append(p.undo, p.queue.stop)
	return nil
}

// close undoes what open and start did, the last first: no new jobs, the running
// ones done, their telemetry recorded and exported. The process may have been
// interrupted by now, and all of this is still to be done.
func (p *process) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	var err error
	for len(p.undo) > 0 {
		last := len(p.undo) - 1
		err = errors.Join(err, p.undo[last](ctx))
		p.undo = p.undo[:last]
	}
	return err
}

// runProducer prepares the database and inserts jobs.
func runProducer(ctx context.Context, f flags, stdout io.Writer) (err error) {
	p, err := open(ctx, f.name, f.dsn, "", nil)
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	if err != nil {
		return err
	}
	if err := p.prepare(ctx, f.dsn); err != nil {
		return err
	}
	for range f.orders {
		if _, err := place(ctx, p.db, p.queue, shortWork); err != nil {
			return problem.New(f.dsn.name, err)
		}
	}
	fmt.Fprintf(stdout, "%s has placed %d orders.\n", f.name, f.orders)
	return nil
}

// runWorker works jobs until it is interrupted.
func runWorker(ctx context.Context, f flags, stdout io.Writer) (err error) {
	interrupted := ctx
	if os.Getenv(collectorVariable) != "" {
		// Without its parent, nobody reads what it writes, and it has jobs to finish.
		signal.Ignore(syscall.SIGPIPE)
		var stop context.CancelFunc
		interrupted, stop = context.WithCancel(ctx)
		go func() {
			defer stop()
			_, _ = io.Copy(io.Discard, os.Stdin)
		}()
	}
	queues := map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1}}
	p, err := open(ctx, f.name, f.dsn, os.Getenv(collectorVariable), queues)
	defer func() {
		err = errors.Join(err, p.close(ctx))
		if err == nil {
			fmt.Fprintf(stdout, "%s has drained.\n", f.name)
		}
	}()
	if err != nil {
		return err
	}
	stop, err := page.Serve(ctx, f.tasks, "taskspan-river", p.runner, stdout)
	if err != nil {
		return problem.New("-tasks", err)
	}
	p.undo = append(p.undo, func(context.Context) error { return stop() })
	if err := p.queue.validate(ctx); err != nil {
		return problem.New(f.dsn.name, err)
	}
	if err := p.start(ctx); err != nil {
		return problem.New(f.dsn.name, err)
	}
	fmt.Fprintf(stdout, "%s works.\n", f.name)
	<-interrupted.Done()
	return nil
}
