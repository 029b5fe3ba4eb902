package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/taskz"
)

// flushTimeout bounds how long the program waits for a collector at its end.
const flushTimeout = 5 * time.Second

// serve runs the service until ctx is done. Everything is then taken down
// in reverse: the listener, the requests, the tasks, the database, and last the
// telemetry, which has then seen all of it.
func serve(ctx context.Context, f flags, stdout, stderr io.Writer) (err error) {
	mux := http.NewServeMux()
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("taskspan-http"), telemetry.WithPrometheus())
	if err != nil {
		slog.WarnContext(ctx, "telemetry is incomplete", "error", err)
	}
	defer func() {
		// A collector that is down is no failure of the service.
		if err := within(ctx, flushTimeout, tel.Shutdown); err != nil {
			slog.WarnContext(ctx, "telemetry was lost", "error", err)
		}
	}()
	mux.Handle("GET /metrics", tel.MetricsHandler())

	logger := slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(stderr, nil)))
	runner, err := worker.New(worker.WithLogger(logger), worker.WithRecoverPanics())
	if err != nil {
		return err
	}
	worker.SetDefault(runner)
	defer func() { err = errors.Join(err, within(ctx, f.grace, runner.Drain)) }()

	page := taskz.New(runner, taskz.WithTitle("taskspan-http"))
	defer page.Close()
	mux.Handle("/debug/tasks", page)

	store, closeStore, err := openStore(ctx, f.dsn)
	if err != nil {
		return err
	}
	// Tasks in the background need the database, so they end before it does.
	defer func() { err = errors.Join(err, within(ctx, f.grace, runner.Drain), closeStore()) }()

	newService(store).routes(mux)
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", f.addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      requestTimeout + 5*time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
		return err
	case <-ctx.Done():
	}
	logger.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "shutting down")
	err = within(ctx, f.grace, server.Shutdown)
	if err != nil {
		// Requests that are still open are cut off.
		err = errors.Join(err, server.Close())
	}
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// within calls f with a context that ends after d, but not with ctx.
func within(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	defer cancel()
	return f(ctx)
}
