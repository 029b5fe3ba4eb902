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
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
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
	t      *testing.T
	spans  *tracetest.SpanRecorder
	tracer *sdktrace.TracerProvider
	reader *sdkmetric.ManualReader
	meter  *sdkmetric.MeterProvider
	log    *logRecorder
	runner *Runner
}

func newBackend(t *testing.T, opts ...Option) *backend {
	t.Helper()
	b := &backend{t: t, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader(), log: new(logRecorder)}
	b.tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(b.spans))
	b.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.reader), sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter))
	b.runner = b.newRunner(opts...)
	return b
}

// newRunner returns a runner that sends its telemetry to b.
func (b *backend) newRunner(opts ...Option) *Runner {
	b.t.Helper()
	opts = append([]Option{
		WithTracerProvider(b.tracer),
		WithMeterProvider(b.meter),
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

// kv is a set of attributes, by key.
type kv map[string]any

func toKV(attrs []attribute.KeyValue) kv {
	out := make(kv)
	for _, a := range attrs {
		if _, ok := out[string(a.Key)]; ok {
			out[string(a.Key)] = "attribute is there twice"
			continue
		}
		out[string(a.Key)] = a.Value.AsInterface()
	}
	return out
}

// span is all of a span that does not change from run to run. Its kind is
// internal unless it says otherwise.
type span struct {
	Name       string
	Kind       trace.SpanKind
	Parent     string // its name, or "remote", or "" for a root
	Attributes kv
	Events     []event
	Links      []string // the names of their spans, or "remote"
	Status     string   // "" if unset, else the description
	Duration   time.Duration
}

type event struct {
	Name       string
	Attributes kv
}

// ended returns the spans that have ended, in that order.
func (b *backend) ended() []span {
	b.t.Helper()
	if s, e := len(b.spans.Started()), len(b.spans.Ended()); s != e {
		b.t.Errorf("%d spans started, %d ended", s, e)
	}
	names := make(map[trace.SpanID]string)
	for _, s := range b.spans.Ended() {
		names[s.SpanContext().SpanID()] = s.Name()
	}
	name := func(sc trace.SpanContext) string {
		if n, ok := names[sc.SpanID()]; ok || !sc.IsValid() {
			return n
		}
		return "remote"
	}
	var out []span
	for _, s := range b.spans.Ended() {
		o := span{
			Name:       s.Name(),
			Kind:       s.SpanKind(),
			Parent:     name(s.Parent()),
			Attributes: toKV(s.Attributes()),
			Status:     s.Status().Description,
			Duration:   s.EndTime().Sub(s.StartTime()),
		}
		if o.Kind == trace.SpanKindInternal {
			o.Kind = 0
		}
		if (s.Status().Code == codes.Error) != (o.Status != "") || s.Status().Code == codes.Ok {
			b.t.Errorf("span %s: status %v with description %q", s.Name(), s.Status().Code, o.Status)
		}
		for _, e := range s.Events() {
			o.Events = append(o.Events, event{e.Name, toKV(e.Attributes)})
		}
		for _, l := range s.Links() {
			o.Links = append(o.Links, name(l.SpanContext))
		}
		if is := s.InstrumentationScope(); is.Name != scope.Name || is.Version != Version || is.SchemaURL != scope.SchemaURL {
			b.t.Errorf("span %s: scope %+v", s.Name(), is)
		}
		out = append(out, o)
	}
	return out
}

func (b *backend) wantSpans(want ...span) {
	b.t.Helper()
	got := b.ended()
	for i := range max(len(got), len(want)) {
		var g, w span
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		wantEqual(b.t, fmt.Sprintf("span %d", i), g, w)
	}
}

// wantEqual compares values by their fields, and shows them one to a line.
func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		show := func(v any) string { return strings.ReplaceAll(fmt.Sprintf("%+v", v), " ", "\n    ") }
		t.Errorf("%s\ngot\n    %s\nwant\n    %s", what, show(got), show(want))
	}
}

// collect returns all metrics, by name.
func (b *backend) collect() map[string]metricdata.Metrics {
	b.t.Helper()
	var rm metricdata.ResourceMetrics
	if err := b.reader.Collect(context.Background(), &rm); err != nil {
		b.t.Fatal(err)
	}
	out := make(map[string]metricdata.Metrics)
	for _, sm := range rm.ScopeMetrics {
		if sm.Scope.Name != scope.Name || sm.Scope.Version != Version {
			b.t.Errorf("scope %+v", sm.Scope)
		}
		for _, m := range sm.Metrics {
			out[m.Name] = m
		}
	}
	return out
}

// wantMetrics compares all metrics but the gauges.
func (b *backend) wantMetrics(want ...metricdata.Metrics) {
	b.t.Helper()
	got := b.collect()
	delete(got, "worker.task.oldest.age")
	delete(got, "worker.task.last_success.timestamp")
	delete(got, "worker.task.schedule.interval")
	delete(got, "worker.task.schedule.start.timestamp")
	for _, w := range want {
		metricdatatest.AssertEqual(b.t, w, got[w.Name], metricdatatest.IgnoreTimestamp())
		delete(got, w.Name)
	}
	if len(got) > 0 {
		b.t.Errorf("unexpected metrics %v", slices.Collect(maps.Keys(got)))
	}
}

// wantMetric compares one metric.
func (b *backend) wantMetric(want metricdata.Metrics) {
	b.t.Helper()
	metricdatatest.AssertEqual(b.t, want, b.collect()[want.Name], metricdatatest.IgnoreTimestamp())
}

func set(attrs kv) attribute.Set {
	var out []attribute.KeyValue
	for k, v := range attrs {
		out = append(out, attribute.String(k, v.(string)))
	}
	return attribute.NewSet(out...)
}

// histogram makes the data point of a histogram from what was recorded.
func histogram[N int64 | float64](bounds []float64, attrs kv, values ...N) metricdata.HistogramDataPoint[N] {
	p := metricdata.HistogramDataPoint[N]{
		Attributes:   set(attrs),
		Count:        uint64(len(values)),
		Bounds:       bounds,
		BucketCounts: make([]uint64, len(bounds)+1),
		Min:          metricdata.NewExtrema(slices.Min(values)),
		Max:          metricdata.NewExtrema(slices.Max(values)),
	}
	for _, v := range values {
		i, _ := slices.BinarySearch(bounds, float64(v))
		p.BucketCounts[i]++
		p.Sum += v
	}
	return p
}

func durationMetric(points ...metricdata.HistogramDataPoint[float64]) metricdata.Metrics {
	return metricdata.Metrics{
		Name:        "worker.task.duration",
		Description: "Duration of worker tasks.",
		Unit:        "s",
		Data:        metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: points},
	}
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
		rec.Attrs[a.Key] = a.Value.Any()
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

// faults collects what a test reports to otel.Handle.
type faults struct {
	mu   sync.Mutex
	errs []string
}

var faultsMu sync.Mutex // one test at a time has the global handler

func recordFaults(t *testing.T) *faults {
	t.Helper()
	faultsMu.Lock()
	f := new(faults)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.errs = append(f.errs, err.Error())
	}))
	t.Cleanup(func() {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(unexpectedFault))
		faultsMu.Unlock()
	})
	return f
}

func (f *faults) want(t *testing.T, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) != len(want) {
		t.Fatalf("faults %q, want %q", f.errs, want)
	}
	for i := range want {
		if !strings.Contains(f.errs[i], want[i]) {
			t.Errorf("fault %d: %q, want %q", i, f.errs[i], want[i])
		}
	}
}

// inBubble runs a test with a clock that stands still unless everybody sleeps.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

var errBoom = errors.New("boom")
