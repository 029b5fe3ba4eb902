package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/mattn/go-sqlite3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

// A worker that is killed takes its job along. River gives it to another one
// after this time, which is the longest that a job may take.
const rescueAfter = 5 * time.Second

// connectTimeout is how long a database may take to answer for the first time.
const connectTimeout = 15 * time.Second

// client is what this program needs of a River client, whatever the database.
type client interface {
	Start(context.Context) error
	Stop(context.Context) error
	StopAndCancel(context.Context) error
	Insert(context.Context, river.JobArgs, *river.InsertOpts) (*rivertype.JobInsertResult, error)
	JobGet(context.Context, int64) (*rivertype.JobRow, error)
}

// queue is River on a pool of its own, which is not traced: River polls.
type queue struct {
	client
	migrate  func(context.Context) error // creates and updates River's tables
	validate func(context.Context) error // reports arguments that are not as they should be
	resign   func(context.Context) error // makes the leader of the clients step down
	close    func()
}

// openQueue connects to the database of a queue.
func openQueue(ctx context.Context, d dsn, config *river.Config) (*queue, error) {
	config.JobTimeout = rescueAfter
	config.RescueStuckJobsAfter = rescueAfter
	config.RetryPolicy = soon{}
	config.FetchPollInterval = 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if d.driver == "pgx" {
		pool, err := pgxpool.New(ctx, d.source)
		if err != nil {
			return nil, err
		}
		if err := pool.Ping(ctx); err != nil {
			pool.Close()
			return nil, err
		}
		return newQueue(riverpgxv5.New(pool), config, pool.Close)
	}
	db, err := sql.Open(d.driver, d.source) //otdbvet:ignore River's own statements, such as its polling, are no task's
	if err != nil {
		return nil, err
	}
	closeDB := func() { _ = db.Close() }
	db.SetMaxOpenConns(1) // one writer at a time is all that SQLite has
	if err := db.PingContext(ctx); err != nil {
		closeDB()
		return nil, err
	}
	return newQueue(riversqlite.New(db), config, closeDB)
}

func newQueue[TTx any](driver riverdriver.Driver[TTx], config *river.Config, closePool func()) (*queue, error) {
	c, err := river.NewClient(driver, config)
	if err != nil {
		closePool()
		return nil, err
	}
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		closePool()
		return nil, err
	}
	return &queue{
		client: c,
		migrate: func(ctx context.Context) error {
			_, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
			return err
		},
		validate: func(ctx context.Context) error {
			result, err := m.Validate(ctx, nil)
			switch {
			case err != nil:
				return err
			case !result.OK:
				return errors.New("there is no queue yet, or an older one: run -role producer first")
			}
			return nil
		},
		resign: func(ctx context.Context) error { return c.Notify().RequestResign(ctx) },
		close:  closePool,
	}, nil
}

// stop lets running jobs finish, and cancels those that do not in time.
func (q *queue) stop(ctx context.Context) error {
	finish, cancel := context.WithTimeout(ctx, rescueAfter)
	defer cancel()
	if err := q.Stop(finish); err == nil || ctx.Err() != nil {
		return err
	}
	if err := q.StopAndCancel(ctx); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// soon tries a job again soon.
type soon struct{}

// NextRetry implements river.ClientRetryPolicy.
func (soon) NextRetry(*rivertype.JobRow) time.Time { return time.Now().Add(100 * time.Millisecond) }
