package otdb_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
)

// recorder is a tracer provider that keeps its spans, and how often each was
// ended. It costs far less than the SDK, which differential tests need.
type recorder struct {
	embedded.TracerProvider

	mu    sync.Mutex
	spans []*recordedSpan
}

var (
	_ trace.TracerProvider = (*recorder)(nil)
	_ trace.Tracer         = recordingTracer{}
	_ trace.Span           = (*recordedSpan)(nil)
)

func (r *recorder) Tracer(string, ...trace.TracerOption) trace.Tracer { return recordingTracer{r: r} }

type recordingTracer struct {
	embedded.Tracer
	r *recorder
}

func (t recordingTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	r := t.r
	r.mu.Lock()
	defer r.mu.Unlock()
	cfg := trace.NewSpanStartConfig(opts...)
	s := &recordedSpan{recorder: r, name: name, attributes: cfg.Attributes()}
	s.context = trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{15: 1},
		SpanID:     trace.SpanID{6: byte((len(r.spans) + 1) >> 8), 7: byte(len(r.spans) + 1)},
		TraceFlags: trace.FlagsSampled,
	})
	r.spans = append(r.spans, s)
	return trace.ContextWithSpan(ctx, s), s
}

// all returns the spans that were started.
func (r *recorder) all() []*recordedSpan {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*recordedSpan(nil), r.spans...)
}

// operations counts the spans by what they are: a lifecycle operation's name,
// or "statement".
func (r *recorder) operations() map[string]int {
	counts := make(map[string]int)
	for _, s := range r.all() {
		counts[s.operation()]++
	}
	return counts
}

// check reports spans that did not end, or that ended twice.
func (r *recorder) check(t testing.TB, what string) {
	t.Helper()
	for _, s := range r.all() {
		if s.ends != 1 {
			t.Errorf("%s: the span %v ended %d times", what, s, s.ends)
		}
		if s.events > 0 {
			t.Errorf("%s: the span %v has events", what, s)
		}
	}
}

type recordedSpan struct {
	noop.Span
	recorder   *recorder
	context    trace.SpanContext
	name       string
	attributes []attribute.KeyValue
	status     codes.Code
	message    string
	events     int
	ends       int
}

func (s *recordedSpan) operation() string {
	if op := s.attribute("db.operation.name"); op != "" {
		return op
	}
	return "statement"
}

func (s *recordedSpan) attribute(key attribute.Key) string {
	for _, a := range s.attributes {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

func (s *recordedSpan) String() string {
	return fmt.Sprintf("%s %s %q error.type=%s", s.operation(), s.status, s.attribute("db.query.text"), s.attribute("error.type"))
}

func (s *recordedSpan) IsRecording() bool              { return true }
func (s *recordedSpan) SpanContext() trace.SpanContext { return s.context }

func (s *recordedSpan) locked(f func()) {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	f()
}

func (s *recordedSpan) End(...trace.SpanEndOption) { s.locked(func() { s.ends++ }) }

func (s *recordedSpan) SetAttributes(kv ...attribute.KeyValue) {
	s.locked(func() { s.attributes = append(s.attributes[:len(s.attributes):len(s.attributes)], kv...) })
}

func (s *recordedSpan) SetStatus(c codes.Code, message string) {
	s.locked(func() { s.status, s.message = c, message })
}

func (s *recordedSpan) AddEvent(string, ...trace.EventOption) { s.locked(func() { s.events++ }) }

func (s *recordedSpan) RecordError(error, ...trace.EventOption) { s.locked(func() { s.events++ }) }
