package worker

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
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
	findings      metric.Int64Counter
}

// newInstruments returns instruments that can be used even if there is an
// error: one that could not be made records nothing.
func newInstruments(m metric.Meter) (*instruments, error) {
	var (
		in = new(instruments)
		e  [5]error
	)
	in.duration, e[0] = m.Float64Histogram("worker.task.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Duration of worker tasks."),
		metric.WithExplicitBucketBoundaries(durationBuckets...))
	in.queueDuration, e[1] = m.Float64Histogram("worker.task.queue.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Time that worker tasks waited in a queue before they started."),
		metric.WithExplicitBucketBoundaries(durationBuckets...))
	in.dbOperations, e[2] = m.Int64Histogram("worker.task.db.operations",
		metric.WithUnit("{operation}"),
		metric.WithDescription("Database operations of a worker task that had any."),
		metric.WithExplicitBucketBoundaries(operationBuckets...))
	in.dbDuration, e[3] = m.Float64Histogram("worker.task.db.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Time inside database drivers, of a worker task that had database operations."),
		metric.WithExplicitBucketBoundaries(durationBuckets...))
	in.findings, e[4] = m.Int64Counter("worker.task.findings",
		metric.WithUnit("{finding}"),
		metric.WithDescription("What worker tasks did to their databases and should not."))

	if in.duration == nil || e[0] != nil {
		in.duration = noop.Float64Histogram{}
	}
	if in.queueDuration == nil || e[1] != nil {
		in.queueDuration = noop.Float64Histogram{}
	}
	if in.dbOperations == nil || e[2] != nil {
		in.dbOperations = noop.Int64Histogram{}
	}
	if in.dbDuration == nil || e[3] != nil {
		in.dbDuration = noop.Float64Histogram{}
	}
	if in.findings == nil || e[4] != nil {
		in.findings = noop.Int64Counter{}
	}
	return in, errors.Join(e[:]...)
}
