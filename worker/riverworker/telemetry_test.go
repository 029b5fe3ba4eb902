package riverworker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/worker"
)

// observed is a runner and a plugin, and all that they report. This module may
// import no internal/ of the root, and a copy of internal/oteltest would be
// longer than this.
type observed struct {
	t        *testing.T
	spans    *tracetest.SpanRecorder
	tracers  *sdktrace.TracerProvider
	reader   *sdkmetric.ManualReader
	meters   *sdkmetric.MeterProvider
	runner   *worker.Runner
	plugin   *Plugin
	logLines *logLines
}

func observe(t *testing.T, runnerOptions []worker.Option, opts ...Option) *observed {
	t.Helper()
	o := &observed{t: t, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader(), logLines: new(logLines)}
	o.tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(o.spans))
	o.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(o.reader))
	runner, err := worker.New(append([]worker.Option{
		worker.WithTracerProvider(o.tracers),
		worker.WithMeterProvider(o.meters),
		worker.WithLogger(slog.New(o.logLines)),
	}, runnerOptions...)...)
	if err != nil {
		t.Fatal(err)
	}
	o.runner = runner
	o.plugin = New(append([]Option{WithRunner(runner), WithTracerProvider(o.tracers), WithMeterProvider(o.meters)}, opts...)...)
	return o
}

// span is all of a span that does not differ from run to run.
type span struct {
	name       string
	kind       trace.SpanKind
	parent     string // the name of the span, "" for none
	links      string // the names of the spans
	attributes map[attribute.Key]any
	status     string
	events     int
}

// ended returns the spans that have ended, in the order of their start.
func (o *observed) ended() []span {
	o.t.Helper()
	if started, ended := len(o.spans.Started()), len(o.spans.Ended()); started != ended {
		o.t.Errorf("%d spans started, and %d ended", started, ended)
	}
	stubs := tracetest.SpanStubsFromReadOnlySpans(o.spans.Ended())
	slices.SortStableFunc(stubs, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	names := make(map[trace.SpanID]string)
	for _, s := range stubs {
		names[s.SpanContext.SpanID()] = s.Name
	}
	nameOf := func(from, to trace.SpanContext, sameTrace bool) string {
		name, known := names[to.SpanID()]
		switch {
		case !known:
			return "unknown"
		case from.TraceID() == to.TraceID() != sameTrace:
			return "in the wrong trace: " + name
		}
		return name
	}
	out := make([]span, 0, len(stubs))
	for _, s := range stubs {
		x := span{name: s.Name, kind: s.SpanKind, attributes: make(map[attribute.Key]any), events: len(s.Events)}
		if s.Parent.IsValid() {
			x.parent = nameOf(s.SpanContext, s.Parent, true)
		}
		for _, l := range s.Links {
			x.links += nameOf(s.SpanContext, l.SpanContext, false)
		}
		for _, kv := range s.Attributes {
			x.attributes[kv.Key] = kv.Value.AsInterface()
		}
		if s.Status.Code != 0 {
			x.status = s.Status.Code.String() + ": " + s.Status.Description
		}
		out = append(out, x)
	}
	return out
}

// expect compares all spans that ended with those that should have.
func (o *observed) expect(want ...span) {
	o.t.Helper()
	got := o.ended()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			o.t.Errorf("span %d is missing: %+v", i, want[i])
		case i >= len(want):
			o.t.Errorf("span %d is too many: %+v", i, got[i])
		default:
			if d, ok := got[i].attributes["worker.task.db.duration"].(float64); ok && d > 0 {
				got[i].attributes["worker.task.db.duration"] = "positive"
			}
			if g, w := fmt.Sprintf("%+v", got[i]), fmt.Sprintf("%+v", want[i]); g != w {
				o.t.Errorf("span %d:\n%s, want\n%s", i, g, w)
			}
		}
	}
}

// collect returns the metrics of all scopes.
func (o *observed) collect() []metricdata.ScopeMetrics {
	o.t.Helper()
	var all metricdata.ResourceMetrics
	if err := o.reader.Collect(context.Background(), &all); err != nil {
		o.t.Fatal(err)
	}
	return all.ScopeMetrics
}

// scopeMetrics returns the metrics of the package's own scope, as text: names,
// units, and for each series its attributes, and its value or its count.
func (o *observed) scopeMetrics() []string {
	o.t.Helper()
	var lines []string
	for _, scope := range o.collect() {
		if scope.Scope.Name != scopeName {
			continue
		}
		if scope.Scope.Version != Version || scope.Scope.SchemaURL != semconv.SchemaURL {
			o.t.Errorf("the scope is %+v", scope.Scope)
		}
		for _, m := range scope.Metrics {
			add := func(set attribute.Set, value any) {
				lines = append(lines, fmt.Sprintf("%s %s {%s} %v", m.Name, m.Unit, set.Encoded(attribute.DefaultEncoder()), value))
			}
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					if !slices.Equal(p.Bounds, messagingBuckets) || p.Sum <= 0 {
						o.t.Errorf("%s has the bounds %v and the sum %v", m.Name, p.Bounds, p.Sum)
					}
					add(p.Attributes, p.Count)
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			default:
				o.t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// expectMetrics compares all metrics of the package's own scope.
func (o *observed) expectMetrics(want ...string) {
	o.t.Helper()
	slices.Sort(want)
	if got := o.scopeMetrics(); !slices.Equal(got, want) {
		o.t.Errorf("the metrics are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// counts returns how many values each series of a histogram holds, and their
// sum over all.
func (o *observed) counts(name string) (counts map[string]uint64, sum float64) {
	o.t.Helper()
	counts = make(map[string]uint64)
	for _, scope := range o.collect() {
		for _, m := range scope.Metrics {
			h, ok := m.Data.(metricdata.Histogram[float64])
			if !ok || m.Name != name {
				continue
			}
			for _, p := range h.DataPoints {
				counts[p.Attributes.Encoded(attribute.DefaultEncoder())] = p.Count
				sum += p.Sum
			}
		}
	}
	return counts, sum
}

// active returns how many tasks run.
func (o *observed) active() (n int64) {
	o.t.Helper()
	for _, scope := range o.collect() {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "worker.task.active" {
				for _, p := range sum.DataPoints {
					n += p.Value
				}
			}
		}
	}
	return n
}

// expectDurations compares the counts of worker.task.duration.
func (o *observed) expectDurations(want map[string]uint64) {
	o.t.Helper()
	if got, _ := o.counts("worker.task.duration"); fmt.Sprint(got) != fmt.Sprint(want) {
		o.t.Errorf("worker.task.duration counts %v, want %v", got, want)
	}
	if n := o.active(); n != 0 {
		o.t.Errorf("%d tasks are active", n)
	}
}
