package riverworker

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/taskspan/taskspan/otdb"
)

// deadline is for what should take no time at all.
const deadline = time.Minute

// args are the arguments of all jobs of the tests: what the job does is up to
// the test.
type args struct {
	Step string `json:"step"`
}

func (args) Kind() string { return "report" }

// other is another kind of job.
type other struct{}

func (other) Kind() string { return "other" }

// queue is a River client on a SQLite file, with a traced pool for its jobs.
type queue struct {
	*observed
	client *river.Client[*sql.Tx]
	db     *sql.DB // traced
	events <-chan *river.Event
	errors *errorHandler
	stop   func()
}

// work is what jobs do.
type work func(ctx context.Context, q *queue, job *river.Job[args]) error

// startQueue starts a client whose jobs do f, and whose configuration is changed.
func startQueue(t *testing.T, o *observed, f work, change ...func(*river.Config)) *queue {
	t.Helper()
	source := "file:" + filepath.Join(t.TempDir(), "queue.db") + "?_busy_timeout=10000&_journal_mode=WAL&_txlock=immediate"
	plain, err := sql.Open("sqlite3", source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	plain.SetMaxOpenConns(1)
	q := &queue{observed: o, errors: new(errorHandler)}
	q.db, err = otdb.Open("sqlite3", source, otdb.WithTracerProvider(o.tracers), otdb.WithMeterProvider(o.meters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.db.Close() })

	driver := riversqlite.New(plain)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil); err != nil {
		t.Fatal(err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[args]) error { return f(ctx, q, job) }))
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[other]) error { return nil }))
	config := &river.Config{
		ID:                "client-1",
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}, "slow": {MaxWorkers: 1}},
		Workers:           workers,
		Plugins:           []rivertype.Plugin{o.plugin},
		ErrorHandler:      q.errors,
		FetchCooldown:     5 * time.Millisecond,
		FetchPollInterval: 10 * time.Millisecond,
		RetryPolicy:       atOnce{},
		Logger:            slog.New(slog.DiscardHandler),
		TestOnly:          true,
	}
	for _, f := range change {
		f(config)
	}
	q.client, err = river.NewClient(driver, config)
	if err != nil {
		t.Fatal(err)
	}
	events, unsubscribe := q.client.Subscribe(river.EventKindJobCompleted, river.EventKindJobFailed,
		river.EventKindJobSnoozed, river.EventKindJobCancelled)
	q.events = events
	if err := q.client.Start(context.Background()); err != nil { //nolint:usetesting // stopped below
		t.Fatal(err)
	}
	q.stop = sync.OnceFunc(func() {
		unsubscribe()
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := q.client.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	t.Cleanup(q.stop)
	return q
}

// next waits for the next event.
func (q *queue) next() *river.Event {
	q.t.Helper()
	select {
	case e := <-q.events:
		return e
	case <-time.After(deadline):
		q.t.Fatal("no job has ended")
		return nil
	}
}

func (q *queue) insert(ctx context.Context, a river.JobArgs, opts *river.InsertOpts) *rivertype.JobRow {
	q.t.Helper()
	result, err := q.client.Insert(ctx, a, opts)
	if err != nil {
		q.t.Fatal(err)
	}
	return result.Job
}

// atOnce retries at once.
type atOnce struct{}

func (atOnce) NextRetry(*rivertype.JobRow) time.Time { return time.Now().Add(time.Millisecond) }

// errorHandler keeps what River hands to its error handler.
type errorHandler struct {
	mu     sync.Mutex
	errs   []error
	panics []any
}

func (h *errorHandler) HandleError(_ context.Context, _ *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs = append(h.errs, err)
	return nil
}

func (h *errorHandler) HandlePanic(_ context.Context, _ *rivertype.JobRow, v any, _ string) *river.ErrorHandlerResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.panics = append(h.panics, v)
	return nil
}

func (h *errorHandler) seen() ([]error, []any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.errs, h.panics
}
