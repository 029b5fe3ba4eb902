package docs

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/metrics"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/riverworker"
)

type riverJob struct{}

func (riverJob) Kind() string { return "docs" }

// emitRiver inserts a job, and one that is not inserted, and has it fail. The metrics of
// that are e's of River.
func emitRiver(t *testing.T, e *emitted) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	meter, err := metrics.New(metrics.WithReader(reader))
	check(t, err)
	defer func() { check(t, meter.Shutdown(context.WithoutCancel(t.Context()))) }()
	runner, err := worker.New(worker.WithTracerProvider(noop.NewTracerProvider()), worker.WithLogger(slog.New(slog.DiscardHandler)))
	check(t, err)

	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "river.db")+"?_journal_mode=WAL&_txlock=immediate") //otdbvet:ignore River's own
	check(t, err)
	defer func() { check(t, db.Close()) }()
	db.SetMaxOpenConns(1)
	driver := riversqlite.New(db)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	check(t, err)
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[riverJob]) error { return errAny }))
	fails := true
	client, err := river.NewClient(driver, &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1}},
		Workers: workers,
		Plugins: []rivertype.Plugin{riverworker.New(riverworker.WithRunner(runner),
			riverworker.WithTracerProvider(noop.NewTracerProvider()), riverworker.WithMeterProvider(meter))},
		Middleware: []rivertype.Middleware{river.JobInsertMiddlewareFunc(func(
			ctx context.Context, _ []*rivertype.JobInsertParams, insert func(context.Context) ([]*rivertype.JobInsertResult, error),
		) ([]*rivertype.JobInsertResult, error) {
			if fails {
				return nil, errAny
			}
			return insert(ctx)
		})},
		FetchCooldown: 5 * time.Millisecond, FetchPollInterval: 10 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler), TestOnly: true,
	})
	check(t, err)
	stop, err := riverworker.ObserveQueues(client, riverworker.WithMeterProvider(meter))
	check(t, err)
	defer stop()

	if _, err := client.Insert(t.Context(), riverJob{}, nil); err == nil {
		t.Error("the insert did not fail")
	}
	fails = false
	_, err = client.Insert(t.Context(), riverJob{}, nil)
	check(t, err)
	events, unsubscribe := client.Subscribe(river.EventKindJobFailed)
	defer unsubscribe()
	check(t, client.Start(context.WithoutCancel(t.Context())))
	<-events
	check(t, client.Stop(context.WithoutCancel(t.Context())))

	var data metricdata.ResourceMetrics
	e.river.served = scrape(t, meter, "messaging_", "river_")
	check(t, reader.Collect(t.Context(), &data))
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			e.river.metrics[m.Name] = newInstrument(m)
		}
	}
}
