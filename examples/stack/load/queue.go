package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/taskspan/taskspan/worker/riverworker"
)

// shipment is a job of River's, of which the odd ones fail.
type shipment struct {
	N int `json:"n"`
}

// Kind is the name of the task.
func (shipment) Kind() string { return "load.ship" }

var errOdd = errors.New("as it is meant to")

// queue is a queue of River's. Its database is its own, and not traced: River polls.
type queue struct {
	client *river.Client[*sql.Tx]
	stop   func(context.Context) error
}

func startQueue(ctx context.Context, file string) (*queue, error) {
	db, err := sql.Open("sqlite3", "file:"+file+"?_busy_timeout=5000&_journal_mode=wal&_txlock=immediate") //otdbvet:ignore River's own statements, such as its polling, are no task's
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	q := &queue{stop: func(context.Context) error { return db.Close() }}
	driver := riversqlite.New(db)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return q, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return q, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(_ context.Context, job *river.Job[shipment]) error {
		if job.Args.N%2 == 1 {
			return errOdd
		}
		return nil
	}))
	q.client, err = river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}},
		Workers:           workers,
		Plugins:           []rivertype.Plugin{riverworker.New()},
		FetchPollInterval: 100 * time.Millisecond,
		Logger:            slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return q, err
	}
	stopObserving, err := riverworker.ObserveQueues(q.client)
	if err != nil {
		return q, err
	}
	// The client outlives ctx: it is stopped when the program ends.
	if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
		stopObserving()
		return q, err
	}
	q.stop = func(ctx context.Context) error {
		stopObserving()
		return errors.Join(q.client.Stop(ctx), db.Close())
	}
	return q, nil
}

// insert inserts a job that has one attempt.
func (q *queue) insert(ctx context.Context, n int) error {
	_, err := q.client.Insert(ctx, shipment{N: n}, &river.InsertOpts{MaxAttempts: 1})
	return err
}
