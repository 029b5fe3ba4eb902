package tasktest

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// defaultRepeats is from how many runs of one text on [Task.NoRepeats] fails. It
// is low because tests have little data: what runs once a row runs three times for
// three rows.
const defaultRepeats = 3

// Harness runs tasks, and keeps what is known of them. It may be used by several
// goroutines.
type Harness struct {
	tb     testing.TB
	runner *worker.Runner
	tracer *sdktrace.TracerProvider

	mu    sync.Mutex
	began bool // the first task has
	runs  []run
	calls map[trace.SpanID]call // of operations that have not ended
	ran   []operation
}

// run is a run that has ended.
type run struct {
	report     worker.Report
	ledger     *ledger.Ledger
	statements int64
}

// New returns a harness for one test. The options are those of its runner; its
// providers cannot be replaced. Two defaults differ from those of worker.New:
// nothing is logged, and a statement counts as repeated when its text has run three
// times, which [worker.WithRepeatedStatements] changes.
//
// A mistake in the options fails the test at once.
func New(t testing.TB, opts ...worker.Option) *Harness {
	t.Helper()
	h := &Harness{tb: t, calls: make(map[trace.SpanID]call)}
	h.tracer = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithSpanProcessor(starts{h}),
	)
	runner, err := worker.New(slices.Concat(
		[]worker.Option{
			worker.WithLogger(slog.New(slog.DiscardHandler)),
			worker.WithRepeatedStatements(defaultRepeats),
		},
		opts,
		[]worker.Option{
			worker.WithTracerProvider(h.tracer),
			worker.WithMeterProvider(noop.NewMeterProvider()),
			worker.WithMaxOperationSpans(0), // so that each statement has a span
		},
	)...)
	if err != nil {
		t.Fatalf("tasktest: options of the runner: %v", err)
	}
	h.runner = runner
	t.Cleanup(ledger.LocateLeaks())
	t.Cleanup(runner.Watch(h.ended))
	return h
}

// ended is called with each run.
func (h *Harness) ended(ctx context.Context, r worker.Report) {
	l := ledger.FromContext(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs = append(h.runs, run{r, l, l.Totals().Statements})
}

// Open opens a database as [otdb.Open] does, and closes it at the end of the test.
// Its statements are the harness's to see, whatever the options suppress. An error
// fails the test at once.
func (h *Harness) Open(driverName, dsn string, opts ...otdb.Option) *sql.DB {
	h.tb.Helper()
	db, err := otdb.Open(driverName, dsn, append(slices.Clone(opts),
		otdb.WithTracerProvider(h.tracer),
		otdb.WithMeterProvider(meterProvider{h: h}),
	)...)
	if err != nil {
		h.tb.Fatalf("tasktest: opening the database: %v", err)
	}
	h.tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			h.tb.Errorf("tasktest: closing the database: %v", err)
		}
	})
	return db
}

// Context returns the test's context with the harness's runner: tasks below it are
// the harness's, those included that code starts with worker.Run. Like that of
// testing.TB.Context, it is done just before the functions given to Cleanup run.
func (h *Harness) Context() context.Context { return h.runner.Context(h.tb.Context()) }

// Run runs fn as a task of that name, as worker.Run does, and returns the run.
// Tasks that fn starts are the harness's too.
func (h *Harness) Run(name string, fn func(context.Context) error, opts ...worker.TaskOption) *Task {
	h.tb.Helper()
	var task *ledger.Ledger
	err := h.runner.Run(h.Context(), name, func(ctx context.Context) error {
		task = ledger.FromContext(ctx)
		return fn(ctx)
	}, opts...)
	r, ok := h.find(func(r *run) bool { return r.ledger == task })
	if !ok {
		h.tb.Fatalf("tasktest: the task %q was not run: %v", name, err)
	}
	return &Task{Report: r.report, Err: err, h: h, run: r}
}

// Task returns the last run of that name that has ended. If there is none it fails
// the test at once, and names those that there are.
func (h *Harness) Task(name string) *Task {
	h.tb.Helper()
	r, ok := h.find(func(r *run) bool { return r.report.Name == name })
	if !ok {
		h.tb.Fatalf("tasktest: no task %q has ended; %s", name, h.names())
	}
	return &Task{Report: r.report, h: h, run: r}
}

// find returns the newest run that match accepts.
func (h *Harness) find(match func(*run) bool) (run, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.runs) - 1; i >= 0; i-- {
		if match(&h.runs[i]) {
			return h.runs[i], true
		}
	}
	return run{}, false
}

// names lists the tasks that have ended, and those that run.
func (h *Harness) names() string {
	var ended, running []string
	for _, r := range h.runner.Running() {
		running = append(running, r.Name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.runs {
		ended = append(ended, h.runs[i].report.Name)
	}
	if len(ended)+len(running) == 0 {
		return "none has; a task that code starts with worker.Run needs the context of Harness.Context"
	}
	return "ended: " + list(ended) + "; running: " + list(running)
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}
