package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/internal/oteltest"
)

func TestMain(m *testing.M) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(unexpectedFault))
	goleak.VerifyTestMain(tests{m})
}

// tests fail if telemetry failed in a way that no test expects.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code := m.M.Run()
	if unexpected.Load() > 0 {
		return max(code, 1)
	}
	return code
}

var unexpected atomic.Int64

func unexpectedFault(err error) {
	unexpected.Add(1)
	fmt.Fprintln(os.Stderr, "a fault that no test expects:", err)
}

// backend is where the telemetry of a test goes.
type backend struct {
	*oteltest.Rig

	t      *testing.T
	log    *logRecorder
	runner *Runner
}

func newBackend(t *testing.T, opts ...Option) *backend {
	t.Helper()
	rig := oteltest.New(t, oteltest.Scope{Name: scope.Name, Version: Version, SchemaURL: scope.SchemaURL})
	rig.Lengths = true
	b := &backend{Rig: rig, t: t, log: new(logRecorder)}
	b.runner = b.newRunner(opts...)
	return b
}

// newRunner returns a runner that sends its telemetry to b.
func (b *backend) newRunner(opts ...Option) *Runner {
	b.t.Helper()
	opts = append([]Option{
		WithTracerProvider(b.TracerProvider),
		WithMeterProvider(b.MeterProvider),
		WithLogger(slog.New(b.log)),
		withClock(time.Now()),
	}, opts...)
	r, err := New(opts...)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// withClock makes a runner read the time of the test's bubble.
func withClock(start time.Time) Option {
	return optionFunc(func(c *config) {
		c.clock = func() time.Duration { return time.Since(start) }
		c.now = time.Now
	})
}

// The rig's types have short names here.
type (
	kv    = oteltest.Attrs
	span  = oteltest.Span
	event = oteltest.Event
)

// ended returns the spans that have ended, in that order.
func (b *backend) ended() (out []span) {
	b.t.Helper()
	spans := b.Ended()
	if n := b.Started(); n != len(spans) {
		b.t.Errorf("%d spans started, %d ended", n, len(spans))
	}
	for _, s := range spans {
		if is := s.InstrumentationScope(); is.Name != scope.Name || is.Version != Version || is.SchemaURL != scope.SchemaURL {
			b.t.Errorf("span %s: scope %+v", s.Name(), is)
		}
		out = append(out, b.Span(s))
		if s := out[len(out)-1]; s.Failed != (s.Status != "") {
			b.t.Errorf("%+v", s)
		}
	}
	return out
}

// wantEqual compares values by their fields, and shows them one to a line.
func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		show := func(v any) string { return strings.ReplaceAll(fmt.Sprintf("%+v", v), " ", "\n    ") }
		t.Errorf("%s\ngot\n    %s\nwant\n    %s", what, show(got), show(want))
	}
}

// wantMetrics compares all metrics except the gauges.
func (b *backend) wantMetrics(want ...metricdata.Metrics) {
	b.t.Helper()
	if scopes := b.Scopes(); len(scopes) != 1 {
		b.t.Errorf("metrics of %q", scopes)
	}
	got := b.Collect()
	for _, gauge := range []string{"oldest.age", "last_success.timestamp", "schedule.interval", "schedule.start.timestamp"} {
		delete(got, "worker.task."+gauge)
	}
	for _, w := range want {
		b.WantMetric(w)
		delete(got, w.Name)
	}
	if len(got) > 0 {
		b.t.Errorf("unexpected metrics %v", slices.Collect(maps.Keys(got)))
	}
}

func set(attrs kv) attribute.Set { return attribute.NewSet(attrs.Slice()...) }

// observations are what a histogram has recorded with the same attributes.
func observations(attrs kv, values ...float64) (out []oteltest.Observation) {
	for _, v := range values {
		out = append(out, oteltest.Observation{Attributes: set(attrs), Value: v})
	}
	return out
}

// histogram is a histogram of seconds.
func histogram(name, description string, recorded ...[]oteltest.Observation) metricdata.Metrics {
	return metricdata.Metrics{
		Name: name, Description: description, Unit: "s",
		Data: oteltest.Histogram(durationBuckets, slices.Concat(recorded...)),
	}
}

func durationMetric(recorded ...[]oteltest.Observation) metricdata.Metrics {
	return histogram("worker.task.duration", "Duration of worker tasks.", recorded...)
}

func activeMetric(byName map[string]int64) metricdata.Metrics {
	sum := metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		sum.DataPoints = append(sum.DataPoints, metricdata.DataPoint[int64]{
			Attributes: set(kv{"worker.task.name": name}), Value: byName[name],
		})
	}
	return metricdata.Metrics{
		Name:        "worker.task.active",
		Description: "Worker tasks that are running.",
		Unit:        "{task}",
		Data:        sum,
	}
}

// logRecorder is a slog.Handler that keeps the records.
type logRecorder struct {
	mu      sync.Mutex
	level   slog.Level
	records []record
}

// record is a log record, with the name of the span in its context.
type record struct {
	Level   slog.Level
	Message string
	Span    string
	Attrs   kv
}

var _ slog.Handler = (*logRecorder)(nil)

func (l *logRecorder) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }
func (l *logRecorder) WithAttrs([]slog.Attr) slog.Handler               { panic("not used") }
func (l *logRecorder) WithGroup(string) slog.Handler                    { panic("not used") }

func (l *logRecorder) Handle(ctx context.Context, r slog.Record) error {
	rec := record{Level: r.Level, Message: r.Message, Attrs: make(kv)}
	if s, ok := trace.SpanFromContext(ctx).(sdktrace.ReadOnlySpan); ok {
		rec.Span = s.Name()
	}
	r.Attrs(func(a slog.Attr) bool {
		rec.Attrs[attribute.Key(a.Key)] = a.Value.Any()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, rec)
	return nil
}

func (b *backend) wantLog(want ...record) {
	b.t.Helper()
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	for i := range max(len(b.log.records), len(want)) {
		var g, w record
		if i < len(b.log.records) {
			g = b.log.records[i]
		}
		if i < len(want) {
			w = want[i]
		}
		wantEqual(b.t, fmt.Sprintf("record %d", i), g, w)
	}
}

// inBubble runs a test with a clock that stands still unless everybody sleeps.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

var errBoom = errors.New("boom")
