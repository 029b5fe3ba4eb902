package worker

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/taskspan/taskspan/internal/instrument"
)

// The attributes of this package. Those of the OpenTelemetry conventions come
// from semconv.
const (
	keyTaskName         = attribute.Key("worker.task.name")
	keyTaskID           = attribute.Key("worker.task.id")
	keyTaskAttempt      = attribute.Key("worker.task.attempt")
	keyTaskResult       = attribute.Key("worker.task.result")
	keyTaskCancelCause  = attribute.Key("worker.task.cancel.cause")
	keyTaskDBOperations = attribute.Key("worker.task.db.operations")
	keyTaskDBDuration   = attribute.Key("worker.task.db.duration")
	keyTaskDBRows       = attribute.Key("worker.task.db.rows")
	keyTaskDBErrors     = attribute.Key("worker.task.db.errors")
	keyTaskDBWait       = attribute.Key("worker.task.db.wait")
	keyTaskFindings     = attribute.Key("worker.task.findings")
	keyTaskRetryable    = attribute.Key("worker.task.error.retryable")
	// Of a task that is still running.
	keyTaskAge             = attribute.Key("worker.task.age")
	keyTaskProgressDone    = attribute.Key("worker.task.progress.done")
	keyTaskProgressTotal   = attribute.Key("worker.task.progress.total")
	keyTaskDBInProgress    = attribute.Key("worker.task.db.in_progress")
	keyTaskDBInProgressAge = attribute.Key("worker.task.db.in_progress.age")
	keyTaskDBHeld          = attribute.Key("worker.task.db.held")

	keyFindingKind    = attribute.Key("worker.finding.kind")
	keyFindingCount   = attribute.Key("worker.finding.count")
	keyFindingRows    = attribute.Key("worker.finding.rows")
	keyFindingSlowest = attribute.Key("worker.finding.slowest")

	inputPrefix = "worker.task.input."
)

var (
	// durationBuckets reach from a quick query to an hour's batch.
	durationBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}
	// operationBuckets are even on a logarithmic scale.
	operationBuckets = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}
)

// instruments are the synchronous instruments of one runner.
type instruments struct {
	duration      metric.Float64Histogram
	queueDuration metric.Float64Histogram
	dbOperations  metric.Int64Histogram
	dbDuration    metric.Float64Histogram
	dbWait        metric.Float64Histogram
	findings      metric.Int64Counter
}

func newInstruments(m *instrument.Meter) *instruments {
	return &instruments{
		duration: m.Float64Histogram("worker.task.duration",
			metric.WithUnit("s"),
			metric.WithDescription("Duration of worker tasks."),
			metric.WithExplicitBucketBoundaries(durationBuckets...)),
		queueDuration: m.Float64Histogram("worker.task.queue.duration",
			metric.WithUnit("s"),
			metric.WithDescription("Time that worker tasks waited in a queue before they started."),
			metric.WithExplicitBucketBoundaries(durationBuckets...)),
		dbOperations: m.Int64Histogram("worker.task.db.operations",
			metric.WithUnit("{operation}"),
			metric.WithDescription("Database operations of a worker task, if it had any."),
			metric.WithExplicitBucketBoundaries(operationBuckets...)),
		dbDuration: m.Float64Histogram("worker.task.db.duration",
			metric.WithUnit("s"),
			metric.WithDescription("Time of a worker task inside database drivers, if it had database operations."),
			metric.WithExplicitBucketBoundaries(durationBuckets...)),
		dbWait: m.Float64Histogram("worker.task.db.wait",
			metric.WithUnit("s"),
			metric.WithDescription("Time that a worker task waited for database connections, if it waited."),
			metric.WithExplicitBucketBoundaries(durationBuckets...)),
		findings: m.Int64Counter("worker.task.findings",
			metric.WithUnit("{finding}"),
			metric.WithDescription("Findings of worker tasks, by kind.")),
	}
}
