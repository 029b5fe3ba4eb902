package tasktest

import (
	"context"
	"runtime"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/callsite"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/worker"
)

// operationDuration is the metric that has a point for each operation.
const operationDuration = "db.client.operation.duration"

// operation is a statement that has ended.
type operation struct {
	call
	summary string
}

// call is the start of an operation.
type call struct {
	task *ledger.Ledger // the innermost task that ran around it; nil if there was none
	// prepares reports that it was called before any task: the test prepares its data.
	prepares bool
	site     []uintptr
}

// call returns what starts now, in a call of somebody's code. The caller holds h.mu.
func (h *Harness) call(ctx context.Context) call {
	var pcs [64]uintptr
	return call{
		task:     ledger.FromContext(ctx).Innermost(),
		prepares: !h.began,
		site:     slices.Clone(pcs[:runtime.Callers(3, pcs[:])]),
	}
}

// location returns the line of code that made the call.
func (c *call) location() worker.Location { return worker.Location(callsite.Of(c.site)) }

// starts is a span processor that notes in which task each operation starts, and
// where: it may end elsewhere, and behind its task.
type starts struct{ h *Harness }

var _ sdktrace.SpanProcessor = starts{}

// OnStart implements sdktrace.SpanProcessor.
func (s starts) OnStart(parent context.Context, span sdktrace.ReadWriteSpan) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if span.SpanKind() != trace.SpanKindClient { // a task's
		s.h.began = true
		return
	}
	s.h.calls[span.SpanContext().SpanID()] = s.h.call(parent)
}

// OnEnd implements sdktrace.SpanProcessor. The measurement, which comes later, ends
// the operation.
func (starts) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown implements sdktrace.SpanProcessor.
func (starts) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (starts) ForceFlush(context.Context) error { return nil }

// meterProvider makes the meters of databases. Operations are counted by
// measurements and not by spans, because there is one for each operation, whatever
// options suppress spans.
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
	span := trace.SpanContextFromContext(ctx).SpanID()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	c, ok := d.h.calls[span]
	delete(d.h.calls, span)
	if set.HasValue(semconv.DBOperationNameKey) {
		return // BEGIN and the like
	}
	if !ok { // it has no span: this is its end
		c = d.h.call(ctx)
	}
	d.h.ran = append(d.h.ran, operation{c, value(set, semconv.DBQuerySummaryKey)})
}

func value(set attribute.Set, key attribute.Key) string {
	v, _ := set.Value(key)
	return v.AsString()
}

// outside returns the statements that ran without a task, those left out that ran
// before there was any.
func (h *Harness) outside() (ops []operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range h.ran {
		if op.task == nil && (!op.prepares || !h.began) {
			ops = append(ops, op)
		}
	}
	return ops
}

// within returns the statements of a task and of those within it, in the order in
// which they ended.
func (h *Harness) within(task *ledger.Ledger) (ops []operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range h.ran {
		if op.task.Within(task) {
			ops = append(ops, op)
		}
	}
	return ops
}
