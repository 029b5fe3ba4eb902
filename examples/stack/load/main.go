// Load is a worker that never runs out of work, with all that dashboards and
// alerts are there to show: tasks that succeed, fail, panic, are cancelled and
// time out, a query per row, rows that nobody closes, and a pool that is too
// small.
//
//	go run ./stack/load -addr localhost:9464
//
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
	if err := set.Parse(args); err != nil || set.NArg() > 0 || *interval <= 0 {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		fmt.Fprintln(stderr, "usage: load [-addr address] [-interval duration]")
		return 2
	}
	if err := work(ctx, *addr, *interval); err != nil {
		fmt.Fprintf(stderr, "load: %s\n", errs.Message(err))
		return 1
	}
	return 0
}

// work runs rounds of tasks until ctx is done.
func work(ctx context.Context, addr string, interval time.Duration) (err error) {
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("taskspan-load"), telemetry.WithMetricsAddr(addr))
	if err != nil {
		slog.WarnContext(ctx, "telemetry is incomplete", "error", err)
	}
	end := func(f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return f(ctx)
	}
	defer func() {
		if err := end(tel.Shutdown); err != nil {
			slog.WarnContext(ctx, "telemetry was lost", "error", err)
		}
	}()
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
	l := &load{db: db}
	if err := worker.Run(ctx, "load.schema", l.schema); err != nil {
		return err
	}

	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	batch := worker.Go(ctx, "load.batch", l.batch)
	for {
		select {
		case <-ctx.Done():
			return end(func(ctx context.Context) error { return errors.Join(ignore(batch), runner.Drain(ctx)) })
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
