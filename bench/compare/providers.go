package main

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// providers are where the telemetry of one subject goes. Each has its own.
type providers struct {
	traces trace.TracerProvider
	meters metric.MeterProvider
}

// discard is the cheapest processor: the span is made ready for export and
// dropped.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

// sdkProviders are the SDK's, with nothing behind them.
func sdkProviders() providers {
	return providers{
		sdktrace.NewTracerProvider(
			sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
			sdktrace.WithSpanProcessor(discard{})),
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	}
}

// noopProviders are those of a program that has set up no telemetry.
func noopProviders() providers {
	return providers{tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider()}
}

// The attributes and the text of every statement.
const (
	system  = "postgresql"
	query   = "SELECT id, customer, total FROM orders WHERE customer = ? AND total > ?"
	summary = "SELECT orders"
)

var (
	systemAttribute   = semconv.DBSystemNameKey.String(system)
	summaryAttribute  = semconv.DBQuerySummary(summary)
	summaryAttributes = []attribute.KeyValue{summaryAttribute}
)

// parent is the context that the work is done in.
type parent struct {
	name    string
	span    bool // has a span
	sampled bool
}

var (
	sampled   = parent{"sampled", true, true}
	unsampled = parent{"unsampled", true, false}
	noParent  = parent{"no parent", false, true}
	parents   = []parent{sampled, unsampled, noParent}
)

func (p parent) context() context.Context {
	if !p.span {
		return context.Background()
	}
	cfg := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}
	if p.sampled {
		cfg.TraceFlags = trace.FlagsSampled
	}
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(cfg))
}
