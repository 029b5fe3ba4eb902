package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/worker"
)

const (
	maxAttempts = 5
	taskTimeout = 15 * time.Second // less than a drain waits
)

// attempt runs fn as a task, and again while that may help. A task outlives ctx, so
// that a drain lets it finish; a pause between two attempts does not.
func attempt(ctx context.Context, name string, fn func(context.Context) error) error {
	for n := 1; ; n++ {
		err := once(context.WithoutCancel(ctx), name, fn, n)
		if n == maxAttempts || !errs.Classify(err).Retryable {
			return err
		}
		select {
		case <-time.After(time.Duration(n) * time.Second):
		case <-ctx.Done():
			return err
		}
	}
}

func once(ctx context.Context, name string, fn func(context.Context) error, n int) error {
	ctx, cancel := context.WithTimeout(ctx, taskTimeout)
	defer cancel()
	return worker.Run(ctx, name, func(ctx context.Context) error {
		err := fn(ctx)
		if !errs.Classify(err).Retryable {
			return worker.Permanent(err) // a failure at once, where nothing is tried again
		}
		return err
	}, worker.WithAttempt(n), worker.WithMaxAttempts(maxAttempts))
}

// serve serves metrics and the page of tasks, also while a drain waits.
func serve(h http.Handler) error {
	s := &http.Server{Addr: cmp.Or(os.Getenv("ADDR"), "localhost:9464"), Handler: h, ReadHeaderTimeout: 5 * time.Second}
	return s.ListenAndServe()
}

// within calls f with a context of its own: that of the program is done by then.
func within(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f(ctx)
}

// warn logs what is no reason to end.
func warn(text string, err error) {
	if err != nil {
		slog.Warn(text, "error", err)
	}
}
