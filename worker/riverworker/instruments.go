package riverworker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/errs"
)

// messagingBuckets are those that the conventions advise.
var messagingBuckets = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// instruments are the instruments of a plugin.
type instruments struct {
	operation metric.Float64Histogram // of inserts
	sent      metric.Int64Counter
	process   metric.Float64Histogram
	queues    queueNames
}

// meter returns a meter of p, or of the global provider if p is nil.
func meter(p metric.MeterProvider) (metric.Meter, error) {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	m := p.Meter(scopeName, metric.WithInstrumentationVersion(Version), metric.WithSchemaURL(semconv.SchemaURL))
	if m == nil {
		return nil, errors.New("riverworker: the meter provider returned no meter; nothing is measured")
	}
	return m, nil
}

// newInstruments returns instruments that can be used whatever the provider does.
func newInstruments(p metric.MeterProvider) (in *instruments) {
	in = &instruments{operation: noop.Float64Histogram{}, sent: noop.Int64Counter{}, process: noop.Float64Histogram{}}
	defer guard("making instruments")
	m, err := meter(p)
	if err != nil {
		otel.Handle(err)
		return in
	}
	operation, err1 := m.Float64Histogram("messaging.client.operation.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Duration of messaging operation initiated by a producer or consumer client."),
		metric.WithExplicitBucketBoundaries(messagingBuckets...))
	sent, err2 := m.Int64Counter("messaging.client.sent.messages",
		metric.WithUnit("{message}"),
		metric.WithDescription("Number of messages producer attempted to send to the broker."))
	process, err3 := m.Float64Histogram("messaging.process.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Duration of processing operation."),
		metric.WithExplicitBucketBoundaries(messagingBuckets...))
	if err := errors.Join(err1, err2, err3); err != nil {
		otel.Handle(fmt.Errorf("riverworker: nothing is measured: %w", err))
		return in
	}
	in.operation, in.sent, in.process = operation, sent, process
	return in
}

// attributes returns those that all messaging metrics have. A queue that is not
// known, or one too many, is left out.
func (in *instruments) attributes(operation, queue, errorType string, more ...attribute.KeyValue) metric.MeasurementOption {
	kv := make([]attribute.KeyValue, 0, 5)
	kv = append(kv, more...)
	kv = append(kv, messagingSystem, semconv.MessagingOperationName(operation))
	if queue != "" && in.queues.known(queue) {
		kv = append(kv, semconv.MessagingDestinationName(queue))
	}
	if errorType != "" {
		kv = append(kv, semconv.ErrorTypeKey.String(errorType))
	}
	return metric.WithAttributeSet(attribute.NewSet(kv...))
}

// inserted records one insert, of how many jobs into which queues.
func (in *instruments) inserted(ctx context.Context, d time.Duration, queue string, counts map[string]int64, errorType string) {
	defer guard("recording an insert")
	in.operation.Record(ctx, d.Seconds(), in.attributes(operationInsert, queue, errorType, semconv.MessagingOperationTypeSend))
	for queue, n := range counts {
		in.sent.Add(ctx, n, in.attributes(operationInsert, queue, errorType))
	}
}

// worked records one attempt at a job.
func (in *instruments) worked(ctx context.Context, d time.Duration, queue, errorType string) {
	defer guard("recording an attempt")
	in.process.Record(ctx, d.Seconds(), in.attributes(operationWork, queue, errorType))
}

// errorTypeOf returns the error.type of an error, which is never empty.
func errorTypeOf(err error) (errorType string) {
	errorType = semconv.ErrorTypeOther.Value.AsString()
	defer guard("looking at an error") // its methods are the application's
	if kind := errs.Classify(err).Type; kind != "" {
		errorType = kind
	}
	return errorType
}

// maxQueues is how many queues the metrics of a plugin, and those of
// [ObserveQueues], distinguish.
const maxQueues = 256

// queueNames are the first names of queues, at most maxQueues.
type queueNames struct {
	mu    sync.RWMutex
	names map[string]bool
}

// known reports whether the queue is one of them.
func (q *queueNames) known(name string) bool {
	q.mu.RLock()
	known, full := q.names[name], len(q.names) >= maxQueues
	q.mu.RUnlock()
	if known || full {
		return known
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.names == nil {
		q.names = make(map[string]bool)
	}
	if len(q.names) < maxQueues {
		q.names[name] = true
	}
	return q.names[name]
}
