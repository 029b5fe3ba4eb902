package oteltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// complaints is a test that a rig reports to, and that does not fail of it.
type complaints struct {
	testing.TB

	list []string
	ends []func()
}

func (c *complaints) Helper()           {}
func (c *complaints) Cleanup(f func())  { c.ends = append(c.ends, f) }
func (c *complaints) Error(args ...any) { c.list = append(c.list, fmt.Sprint(args...)) }
func (c *complaints) Errorf(format string, args ...any) {
	c.list = append(c.list, fmt.Sprintf(format, args...))
}

// end ends the test.
func (c *complaints) end() {
	for _, f := range slices.Backward(c.ends) {
		f()
	}
}

var scope = Scope{Name: "scope", Version: "1", SchemaURL: "https://example.com/schema"}

// export exports a span below another one, and a point.
func export(r *Rig) {
	ctx, parent := r.Start("parent")
	tracer := r.TracerProvider.Tracer(scope.Name, trace.WithInstrumentationVersion(scope.Version), trace.WithSchemaURL(scope.SchemaURL))
	start := time.Unix(1, 0)
	_, s := tracer.Start(ctx, "child", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("a", "x")),
		trace.WithTimestamp(start), trace.WithLinks(trace.LinkFromContext(ctx)))
	s.SetAttributes(attribute.Int("b", 1), attribute.Float64("clock", 7))
	s.AddEvent("e", trace.WithAttributes(attribute.Bool("c", true)))
	s.SetStatus(codes.Error, "failed")
	s.AddLink(trace.Link{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}})})
	s.End(trace.WithTimestamp(start.Add(time.Second)))
	parent.End()
	meter := r.MeterProvider.Meter(scope.Name, metric.WithInstrumentationVersion(scope.Version), metric.WithSchemaURL(scope.SchemaURL))
	h, _ := meter.Float64Histogram("h", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 2))
	h.Record(context.Background(), 1.5, metric.WithAttributes(attribute.String("k", "v")))
}

func child() Span {
	return Span{
		Name: "child", Kind: trace.SpanKindClient, Parent: "parent", Start: Attrs{"a": "x"}, End: Attrs{"b": 1},
		Events: []Event{{"e", Attrs{"c": true}}}, Links: []string{"parent", Remote}, Failed: true, Status: "failed", Length: time.Second,
	}
}

func histogram(value float64) metricdata.Metrics {
	return metricdata.Metrics{Name: "h", Unit: "s", Data: Histogram([]float64{1, 2}, []Observation{
		{Attributes: attribute.NewSet(attribute.String("k", "v")), Value: value},
	})}
}

// TestRig shows that a rig has nothing to say of what is as it should be.
func TestRig(t *testing.T) {
	r := New(t, scope)
	r.Ignore, r.Lengths = []attribute.Key{"clock"}, true
	export(r)
	r.WantSpans(child())
	r.WantSpans() // since then
	r.WantMetric(histogram(1.5))
	r.WantNothingOf("canary")
	r.WantHandled()
	if n, m := len(r.Spans()), len(r.Ended()); n != 1 || m != 2 || r.Started() != 2 {
		t.Errorf("%d spans of the scope, %d in all", n, m)
	}
}

// TestRigComplains shows that every comparison can fail.
func TestRigComplains(t *testing.T) {
	change := func(f func(*Span)) func(*Rig) {
		return func(r *Rig) {
			s := child()
			f(&s)
			r.WantSpans(s)
		}
	}
	for name, wrong := range map[string]func(*Rig){
		"name":           change(func(s *Span) { s.Name = "other" }),
		"kind":           change(func(s *Span) { s.Kind = trace.SpanKindInternal }),
		"parent":         change(func(s *Span) { s.Parent = "" }),
		"value":          change(func(s *Span) { s.Start = Attrs{"a": "y"} }),
		"type":           change(func(s *Span) { s.End = Attrs{"b": "1"} }),
		"start and end":  change(func(s *Span) { s.Start, s.End = Attrs{}, Attrs{"a": "x", "b": 1} }),
		"more":           change(func(s *Span) { s.End = Attrs{"b": 1, "d": true} }),
		"less":           change(func(s *Span) { s.End = nil }),
		"no event":       change(func(s *Span) { s.Events = nil }),
		"event":          change(func(s *Span) { s.Events = []Event{{"e", Attrs{"c": false}}} }),
		"link":           change(func(s *Span) { s.Links = []string{"child", Remote} }),
		"length":         change(func(s *Span) { s.Length++ }),
		"wrong":          change(func(s *Span) { s.Wrong = []string{"lost"} }),
		"status":         change(func(s *Span) { s.Status = "" }),
		"no status":      change(func(s *Span) { s.Failed = false }),
		"no span":        func(r *Rig) { r.WantSpans() },
		"two spans":      func(r *Rig) { r.WantSpans(child(), child()) },
		"scope":          func(r *Rig) { r.Scope.Version = "2"; r.WantSpans(child()) },
		"clock":          func(r *Rig) { r.Ignore = nil; r.WantSpans(child()) },
		"point":          func(r *Rig) { r.WantMetric(histogram(1.25)) },
		"no metric":      func(r *Rig) { m := histogram(1.5); m.Name = "g"; r.WantMetric(m) },
		"unit":           func(r *Rig) { m := histogram(1.5); m.Unit = "ms"; r.WantMetric(m) },
		"metric's scope": func(r *Rig) { r.Scope.Version = "2"; r.Collect() },
		"secret":         func(r *Rig) { r.WantNothingOf("x") },
		"secret label":   func(r *Rig) { r.WantNothingOf(`"v"`) },
		"handled":        func(r *Rig) { otel.Handle(errors.New("e")); r.WantHandled() },
		"not handled":    func(r *Rig) { r.WantHandled("e") },
		"left":           func(*Rig) { otel.Handle(errors.New("e")) },
	} {
		t.Run(name, func(t *testing.T) {
			c := &complaints{TB: t}
			r := New(c, scope)
			r.Ignore, r.Lengths = []attribute.Key{"clock"}, true
			export(r)
			wrong(r)
			c.end()
			if len(c.list) == 0 {
				t.Error("no complaint")
			}
		})
	}
}

// TestRigFindsWrong shows what a rig finds in spans that no test expects.
func TestRigFindsWrong(t *testing.T) {
	r := New(t, scope, sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
		AttributeCountLimit: 1, AttributeValueLengthLimit: -1, EventCountLimit: 1, AttributePerEventCountLimit: 9, LinkCountLimit: 1, AttributePerLinkCountLimit: 1,
	}))
	ctx, s := r.Start("s")
	s.End()
	_, s = r.TracerProvider.Tracer(scope.Name).Start(ctx, "wrong", trace.WithTimestamp(time.Unix(9, 0)),
		trace.WithAttributes(attribute.Int("a", 1), attribute.Int("b", 2)),
		trace.WithLinks(trace.Link{SpanContext: s.SpanContext(), Attributes: []attribute.KeyValue{attribute.Int("c", 3)}}))
	s.SetStatus(codes.Ok, "")
	s.AddEvent("e", trace.WithAttributes(attribute.Int("d", 4), attribute.Int("d", 5)))
	s.End(trace.WithTimestamp(time.Unix(8, 0)))
	got := r.Span(r.Spans()[0])
	if want := []string{"lost b = INT64 \"2\"", "link with c = INT64 \"3\"", "ends before its start", "has the status Ok"}; !slices.Equal(got.Wrong, want) {
		t.Errorf("%q, want %q", got.Wrong, want)
	}
	if d := got.Events[0].Attrs["d"]; d != "attribute is there twice" {
		t.Errorf("d = %v", d)
	}
}

func TestDiff(t *testing.T) {
	c := &complaints{TB: t}
	Diff(c, "things", "a", "a")
	Diff(c, "things", "a", "b")
	if len(c.list) != 1 || !strings.HasPrefix(c.list[0], "things differ") {
		t.Errorf("complaints %q", c.list)
	}
}
