// Load is a worker that never runs out of work, with all that dashboards and
// alerts are there to show: tasks that succeed, fail, panic, are cancelled and
// time out, a query per row, rows that nobody closes, and a pool that is too
// small.
//
//	go run ./stack/load -addr localhost:9464
//	go run ./stack/load -scenario pool
//	go run ./stack/load -measure 30s
//
// The last measures what one such process exports, for docs/scale.md.
//
// A scenario is one kind of trouble and nothing else: see scenario.go.
// It serves /metrics at that address until it is interrupted; the OTEL_*
// variables export traces and logs. Its database is SQLite, in a temporary file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stderr io.Writer) int {
	set := flag.NewFlagSet("load", flag.ContinueOnError)
	set.SetOutput(stderr)
	addr := set.String("addr", "localhost:9464", "where /metrics is served")
	interval := set.Duration("interval", 200*time.Millisecond, "time between two rounds of tasks")
	name := set.String("scenario", "", "one of those below, instead of all that can go wrong")
	length := set.Duration("measure", 0, "run for so long, and print what the process exported")
	set.Usage = func() {
		fmt.Fprintln(stderr, "usage: load [-addr address] [-interval duration] [-scenario name] [-measure duration]")
		set.PrintDefaults()
		for _, s := range scenarios {
			fmt.Fprintf(stderr, "  %-20s %s\n", s.name, s.about)
		}
	}
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	played, ok := find(*name)
	if err != nil || set.NArg() > 0 || *interval <= 0 || !ok && *name != "" {
		if err == nil {
			set.Usage()
		}
		return 2
	}
	switch {
	case ok:
		err = play(ctx, *addr, played, stderr)
	case *length > 0:
		var c costs
		if c, err = measure(ctx, *addr, *interval, *length); err == nil {
			c.print(stderr)
		}
	default:
		err = work(ctx, *addr, *interval)
	}
	if err != nil {
		fmt.Fprintf(stderr, "load: %s\n", errs.Message(err))
		return 1
	}
	return 0
}

// start sets telemetry up.
func start(ctx context.Context, addr string) (shutdown func()) {
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("taskspan-load"), telemetry.WithMetricsAddr(addr))
	if err != nil {
		slog.WarnContext(ctx, "telemetry is incomplete", "error", err)
	}
	return func() {
		if err := end(ctx, tel.Shutdown); err != nil {
			slog.WarnContext(ctx, "telemetry was lost", "error", err)
		}
	}
}

// end calls f with a context that outlives ctx by a few seconds.
func end(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return f(ctx)
}

// play plays a scenario, and goes on serving metrics until ctx is done. The runner's
// log goes to stderr as well.
func play(ctx context.Context, addr string, p scenario, stderr io.Writer) (err error) {
	defer start(ctx, addr)()
	logger := slog.New(telemetry.NewLogHandler(slog.NewTextHandler(stderr, nil)))
	runner, err := worker.New(append([]worker.Option{worker.WithLogger(logger), worker.WithStillRunning(10 * time.Second)}, p.options...)...)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "taskspan-load-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newScene(ctx, dir, ctx.Done(), runner)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(ctx, runner.Drain), s.db.Close()) }()
	if err := p.play(ctx, s); err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// work runs rounds of tasks until ctx is done.
func work(ctx context.Context, addr string, interval time.Duration) (err error) {
	defer start(ctx, addr)()
	runner, err := worker.New(worker.WithRecoverPanics(), worker.WithSlowStatements(50*time.Millisecond),
		worker.WithLogger(slog.New(telemetry.NewLogHandler(nil))), worker.WithSchedule("load.never", time.Minute), worker.WithSchedule("load.insert", time.Minute))
	if err != nil {
		return err
	}
	worker.SetDefault(runner)

	dir, err := os.MkdirTemp("", "taskspan-load-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := otdb.Open("sqlite3", "file:"+filepath.Join(dir, "load.db")+"?_busy_timeout=5000&_journal_mode=wal",
		otdb.WithNamespace("load"), otdb.WithRowCounts(), otdb.WithRequireParent())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(1)
	q, err := startQueue(ctx, filepath.Join(dir, "queue.db"))
	if q != nil {
		defer func() { err = errors.Join(err, end(ctx, q.stop)) }()
	}
	if err != nil {
		return err
	}
	l := &load{db: db, queue: q}
	if err := worker.Run(ctx, "load.schema", l.schema); err != nil {
		return err
	}

	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	batch := worker.Go(ctx, "load.batch", l.batch)
	for {
		select {
		case <-ctx.Done():
			return end(ctx, func(ctx context.Context) error { return errors.Join(ignore(batch), runner.Drain(ctx)) })
		case <-batch.Done():
			batch = worker.Go(ctx, "load.batch", l.batch)
		case <-ticks.C:
			l.round(ctx)
		}
	}
}

// ignore waits for a task whose error is of no use to anybody.
func ignore(f *worker.Future[int]) error {
	if _, err := f.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
