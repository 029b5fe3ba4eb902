package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/examples/internal/page"
	"github.com/taskspan/taskspan/examples/internal/problem"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/telemetry/tree"
	"github.com/taskspan/taskspan/worker"
)

// flushTimeout bounds how long the program waits for a collector at its end.
const flushTimeout = 10 * time.Second

// index does the main job: it reads the graph before anything else, so that
// what fails early leaves no trace in a database, and prints what there is to
// see even if a task failed.
func index(ctx context.Context, f flags, stdout io.Writer, p *progress) (err error) {
	defer p.clear()
	dir := f.dir
	if dir == "" {
		if dir, err = moduleRoot(); err != nil {
			return err
		}
	}
	p.step("listing packages", 0, 0)
	g, err := readGraph(ctx, dir)
	if err != nil {
		return err
	}

	printed := new(trees)
	summary := newSummary()
	tel, err := telemetry.Start(ctx,
		telemetry.WithServiceName("taskspan-quickstart"),
		telemetry.WithSpanProcessor(tree.New(printed)),
		telemetry.WithSpanProcessor(summary),
		telemetry.WithMetricsAddr(f.serve))
	defer func() {
		// The context may be done by now, and what was recorded is still to be exported.
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := tel.Shutdown(flush); err != nil {
			log.Print(err) // a collector that is down is no failure of the work
		}
	}()
	if err != nil {
		return err // for a real worker it would do to log it
	}
	served := tel.MetricsAddr() // nil: nothing is

	out := bufio.NewWriter(stdout) // keeps the first error of all that is printed
	// Errors go to the logs that are exported, and to this program's reader
	// through the trees: a terminal needs them no third time.
	runner, err := worker.New(worker.WithLogger(slog.New(telemetry.NewLogHandler(nil))))
	if err != nil {
		return err
	}
	worker.SetDefault(runner)
	stop, err := page.Serve(ctx, f.tasks, "taskspan-quickstart", runner, stdout)
	if err != nil {
		return problem.New("-tasks", err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	x := &indexer{graph: g, progress: p}
	if err := x.process(ctx, f.dsn); err != nil {
		printTasks(out, printed, summary)
		return errors.Join(err, writing(out.Flush()))
	}
	printReport(out, g, x.top)
	printTasks(out, printed, summary)
	switch {
	case f.serve == "":
	case served == nil:
		fmt.Fprintln(out, "\nNot serving /metrics: see OTEL_SDK_DISABLED.")
	default:
		fmt.Fprintf(out, "\nServing /metrics at %s until interrupted.\n", served)
	}
	if err := out.Flush(); err != nil {
		return writing(err)
	}
	if f.serve != "" && served != nil || f.tasks != "" {
		<-ctx.Done()
	}
	return nil
}

// process opens the database, runs the tasks, and closes it again.
func (x *indexer) process(ctx context.Context, d dsn) (err error) {
	if d.driver == "" {
		var remove func() error
		if d, remove, err = temporary(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	x.db, err = otdb.Open(d.driver, d.source)
	if err != nil {
		return problem.New(d.name, err)
	}
	defer func() { err = errors.Join(err, x.db.Close()) }()
	if err := x.work(ctx); err != nil {
		return problem.New(d.name, err)
	}
	return nil
}

// printTasks prints what telemetry knows of the tasks.
func printTasks(w io.Writer, printed *trees, s *summary) {
	if s.empty() {
		fmt.Fprintln(w, "\nNo task was traced: see OTEL_SDK_DISABLED and OTEL_TRACES_SAMPLER.")
		return
	}
	fmt.Fprintf(w, "\nWhat each task did:\n\n%s\n\n", printed)
	s.print(w)
}
