// Worker is a complete worker for production: copy it, and put your tasks in place of invoices.go.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/taskz"
)

func main() {
	slog.SetDefault(slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(os.Stderr, nil))))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("invoices"), telemetry.WithPrometheus())
	warn("telemetry is incomplete", err)
	err = run(ctx, tel.MetricsHandler())
	warn("telemetry was lost", within(5*time.Second, tel.Shutdown)) // no reason to fail
	if err != nil {
		slog.Error("the worker failed", "error", errs.Message(err)) // without the values in it
		os.Exit(1)
	}
}

func run(ctx context.Context, metrics http.Handler) error {
	db, err := otdb.Open("sqlite3", "file:invoices.db?_busy_timeout=5000&_journal_mode=wal&_txlock=immediate", otdb.WithRequireParent())
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(8) // all replicas together: less than the server allows
	db.SetMaxIdleConns(8)
	db.SetConnMaxLifetime(time.Hour)
	runner, err := worker.New(worker.WithRecoverPanics(), worker.WithStillRunning(5*time.Second), worker.WithSchedule("invoices.send", 5*time.Minute))
	if err != nil {
		return err
	}
	worker.SetDefault(runner)
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics)
	mux.Handle("/debug/tasks", taskz.New(runner)) // not in front of the public
	failed := make(chan error, 2)
	go func() { failed <- serve(mux) }()
	go func() { failed <- (&invoices{db}).work(ctx) }()
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	return errors.Join(err, within(20*time.Second, runner.Drain)) // Kubernetes kills after 30 seconds
}
