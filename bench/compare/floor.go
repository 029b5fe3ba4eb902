package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// statementFloor is the least that a traced statement can cost: a span with its
// attributes, a record in a histogram with a set that was made beforehand, and
// two readings of the clock.
func statementFloor(p providers) (func(context.Context), error) {
	tracer := p.traces.Tracer("floor")
	histogram, err := p.meters.Meter("floor").Float64Histogram("db.client.operation.duration",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10))
	if err != nil {
		return nil, err
	}
	start := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(systemAttribute, summaryAttribute, semconv.DBQueryText(query)),
	}
	record := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(systemAttribute, summaryAttribute))}
	return func(ctx context.Context) {
		began := time.Now()
		ctx, span := tracer.Start(ctx, summary, start...)
		span.End()
		histogram.Record(ctx, time.Since(began).Seconds(), record...)
	}, nil
}

// The attributes of a task.
const (
	taskName   = attribute.Key("worker.task.name")
	taskResult = attribute.Key("worker.task.result")
	task       = "reindex"
)

// taskFloor is the least that a traced task can cost: what a statement does,
// with a task's attributes.
func taskFloor(p providers) (func(context.Context, func(context.Context) error) error, error) {
	tracer, meter := p.traces.Tracer("floor"), p.meters.Meter("floor")
	histogram, err := meter.Float64Histogram("worker.task.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(
		.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600))
	if err != nil {
		return nil, err
	}
	name, success := taskName.String(task), taskResult.String("success")
	start := []trace.SpanStartOption{trace.WithAttributes(name, semconv.CodeFunctionName("main.nothing"))}
	record := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(name, success))}
	result := []attribute.KeyValue{success}
	return func(ctx context.Context, fn func(context.Context) error) error {
		began := time.Now()
		ctx, span := tracer.Start(ctx, task, start...)
		err := fn(ctx)
		span.SetAttributes(result...)
		span.End()
		histogram.Record(ctx, time.Since(began).Seconds(), record...)
		return err
	}, nil
}
