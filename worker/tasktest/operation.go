package tasktest

import (
	"context"
	"runtime"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/callsite"
	"github.com/taskspan/taskspan/worker"
)

// operationDuration is the metric that has a point for each operation.
const operationDuration = "db.client.operation.duration"

// operation is a statement that has ended.
type operation struct {
	summary string
	task    trace.SpanID // of the innermost task around it; invalid if there is none
	at      worker.Location
}

// nesting is a span processor that notes which task each span started in: tasks and
// statements, of which the latter may end after their task.
type nesting struct{ h *Harness }

var _ sdktrace.SpanProcessor = nesting{}

// OnStart implements sdktrace.SpanProcessor.
func (n nesting) OnStart(parent context.Context, span sdktrace.ReadWriteSpan) {
	around, ok := worker.CurrentReport(parent)
	if !ok {
		return
	}
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	n.h.parents[span.SpanContext().SpanID()] = around.Span.SpanID()
}

// OnEnd implements sdktrace.SpanProcessor.
func (nesting) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown implements sdktrace.SpanProcessor.
func (nesting) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (nesting) ForceFlush(context.Context) error { return nil }

// meterProvider makes the meters of databases. Their operations are told by
// measurements and not by spans, because there is one for each operation, whatever
// options suppress spans or fold them.
type meterProvider struct {
	noop.MeterProvider
	h *Harness
}

// Meter implements metric.MeterProvider.
func (p meterProvider) Meter(string, ...metric.MeterOption) metric.Meter { return meter{h: p.h} }

type meter struct {
	noop.Meter
	h *Harness
}

// Float64Histogram implements metric.Meter.
func (m meter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	if name != operationDuration {
		return m.Meter.Float64Histogram(name, opts...)
	}
	return durations{h: m.h}, nil
}

// durations is the histogram operationDuration.
type durations struct {
	noop.Float64Histogram
	h *Harness
}

// Enabled implements metric.Float64Histogram.
func (durations) Enabled(context.Context) bool { return true }

// Record implements metric.Float64Histogram.
func (d durations) Record(ctx context.Context, _ float64, opts ...metric.RecordOption) {
	set := metric.NewRecordConfig(opts).Attributes()
	if set.HasValue(semconv.DBOperationNameKey) {
		return // BEGIN and the like
	}
	op := operation{summary: value(set, semconv.DBQuerySummaryKey), at: caller()}
	task, running := worker.CurrentReport(ctx)
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	if running {
		op.task = task.Span.SpanID()
	} else {
		op.task = d.h.parents[trace.SpanContextFromContext(ctx).SpanID()]
	}
	d.h.ran = append(d.h.ran, op)
}

// caller returns the line of code that ended an operation: the call, or for a query
// what came to the end of its rows.
func caller() worker.Location {
	var pcs [64]uintptr
	return worker.Location(callsite.Of(pcs[:runtime.Callers(2, pcs[:])]))
}

func value(set attribute.Set, key attribute.Key) string {
	v, _ := set.Value(key)
	return v.AsString()
}

// outside returns the statements that ran without a task.
func (h *Harness) outside() (ops []operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range h.ran {
		if !op.task.IsValid() {
			ops = append(ops, op)
		}
	}
	return ops
}

// within returns the statements of a task and of those within it, in the order in
// which they ended.
func (h *Harness) within(task trace.SpanID) (ops []operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range h.ran {
		for id := op.task; id.IsValid(); id = h.parents[id] {
			if id == task {
				ops = append(ops, op)
				break
			}
		}
	}
	return ops
}
