// Package observe records everything that a test's databases and tasks export,
// in a form that can be compared whole.
//
// It is not internal/oteltest, because soak tests count millions of spans
// without keeping them, and because the expected spans are files of one line for
// each.
package observe

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/integration/internal/oteltest"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// The scopes of the library.
const (
	ScopeDatabase = "github.com/taskspan/taskspan/otdb"
	ScopeWorker   = "github.com/taskspan/taskspan/worker"
)

// durationMetric is the histogram that has a point for every operation.
const durationMetric = "db.client.operation.duration"

// Attributes of the spans that stand for folded operations.
const (
	foldedCount    = attribute.Key("otdb.folded.count")
	foldedDuration = attribute.Key("otdb.folded.duration") // of all of them, in seconds
)

// Recorder is where a test's telemetry goes.
type Recorder struct {
	TracerProvider *sdktrace.TracerProvider
	MeterProvider  *metric.MeterProvider
	Logger         *slog.Logger

	reader *metric.ManualReader
	mu     sync.Mutex
	keep   bool
	spans  []sdktrace.ReadOnlySpan
	count  map[string]int // spans by scope
	starts map[string]int // spans that were started, by scope
	folds  int            // spans that stand for operations without spans of their own
	folded int            // these operations
	totals map[attribute.Distinct]*total
	logs   syncBuffer
}

// total is what the spans, or the points, with the same attributes add up to.
type total struct {
	set   attribute.Set
	count uint64
	sum   float64 // seconds
}

// New returns a recorder that samples every span and keeps it.
func New() *Recorder {
	r := NewCounter()
	r.keep = true
	return r
}

// NewCounter returns a recorder that samples every span and counts it, so that
// it needs no memory for long runs.
func NewCounter() *Recorder {
	r := &Recorder{
		reader: metric.NewManualReader(),
		count:  make(map[string]int),
		starts: make(map[string]int),
		totals: make(map[attribute.Distinct]*total),
	}
	r.TracerProvider = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSyncer(exporter{r}), sdktrace.WithSpanProcessor(starter{r}))
	r.MeterProvider = metric.NewMeterProvider(metric.WithReader(r.reader))
	r.Logger = slog.New(slog.NewTextHandler(&r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return r
}

// Options directs a database's telemetry to the recorder.
func (r *Recorder) Options(more ...otdb.Option) []otdb.Option {
	return append([]otdb.Option{
		otdb.WithTracerProvider(r.TracerProvider),
		otdb.WithMeterProvider(r.MeterProvider),
	}, more...)
}

// Runner returns a runner of tasks whose telemetry goes to the recorder.
func (r *Recorder) Runner(tb testing.TB, more ...worker.Option) *worker.Runner {
	tb.Helper()
	runner, err := worker.New(append([]worker.Option{
		worker.WithTracerProvider(r.TracerProvider),
		worker.WithMeterProvider(r.MeterProvider),
		worker.WithLogger(r.Logger),
	}, more...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return runner
}

// exporter keeps the spans.
type exporter struct{ r *Recorder }

var _ sdktrace.SpanExporter = exporter{}

// ExportSpans implements sdktrace.SpanExporter.
func (e exporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.r.mu.Lock()
	defer e.r.mu.Unlock()
	for _, s := range spans {
		e.r.count[s.InstrumentationScope().Name]++
		if s.InstrumentationScope().Name == ScopeDatabase {
			e.r.add(s)
		}
	}
	if e.r.keep {
		e.r.spans = append(e.r.spans, spans...)
	}
	return nil
}

// add adds a span to the total of those that have the same point in the metric.
func (r *Recorder) add(s sdktrace.ReadOnlySpan) {
	set, _ := attribute.NewSetWithFiltered(s.Attributes(), func(kv attribute.KeyValue) bool {
		switch kv.Key {
		case semconv.DBQueryTextKey, "otdb.connection.wait",
			foldedCount, "otdb.folded.errors", foldedDuration, "otdb.folded.max", "otdb.folded.rows",
			"otdb.driver.duration", "otdb.rows_affected", "otdb.rows_leaked", semconv.DBResponseReturnedRowsKey:
			return false
		case semconv.DBQuerySummaryKey: // for PREPARE too, but not in the metric
			return s.Name() != "PREPARE"
		}
		return !strings.HasPrefix(string(kv.Key), "db.query.parameter.")
	})
	t := r.totals[set.Equivalent()]
	if t == nil {
		t = &total{set: set}
		r.totals[set.Equivalent()] = t
	}
	fold := attribute.NewSet(s.Attributes()...)
	if n, folded := fold.Value(foldedCount); folded {
		sum, _ := fold.Value(foldedDuration)
		r.folds++
		r.folded += int(n.AsInt64())
		t.count += uint64(n.AsInt64())
		t.sum += sum.AsFloat64()
		return
	}
	t.count++
	t.sum += s.EndTime().Sub(s.StartTime()).Seconds()
}

// Shutdown implements sdktrace.SpanExporter.
func (exporter) Shutdown(context.Context) error { return nil }

// starter counts the spans that start.
type starter struct{ r *Recorder }

var _ sdktrace.SpanProcessor = starter{}

// OnStart implements sdktrace.SpanProcessor.
func (s starter) OnStart(_ context.Context, span sdktrace.ReadWriteSpan) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.starts[span.InstrumentationScope().Name]++
}

// OnEnd implements sdktrace.SpanProcessor.
func (starter) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown implements sdktrace.SpanProcessor.
func (starter) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (starter) ForceFlush(context.Context) error { return nil }

// syncBuffer is a buffer that several goroutines may write to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written.
func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Logs returns the records that were logged.
func (r *Recorder) Logs() string { return r.logs.String() }

// Spans returns the finished spans of one scope in the order of their ends.
func (r *Recorder) Spans(scope string) []sdktrace.ReadOnlySpan {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []sdktrace.ReadOnlySpan
	for _, s := range r.spans {
		if s.InstrumentationScope().Name == scope {
			out = append(out, s)
		}
	}
	return out
}

// Reset forgets the spans that were recorded so far, but not the metrics.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = nil
}

// Collect returns the metrics by name.
func (r *Recorder) Collect(tb testing.TB) map[string]metricdata.Metrics {
	tb.Helper()
	var rm metricdata.ResourceMetrics
	// The context must outlive the test's own, for use in clean-up.
	if err := r.reader.Collect(context.Background(), &rm); err != nil {
		tb.Fatalf("collecting metrics: %v", err)
	}
	out := make(map[string]metricdata.Metrics)
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			out[m.Name] = m
		}
	}
	return out
}

// Describe returns one line for each span of a database in the order of their
// starts, whole: its name, all
// attributes except the target's, which every span must have exactly, and the
// failure. Times are checked for plausibility and left out.
//
//	SELECT people | db.query.text="SELECT id FROM people" | ! 42P01: undefined table
func (r *Recorder) Describe(tb testing.TB, target ...attribute.KeyValue) []string {
	tb.Helper()
	var out []string
	spans := r.Spans(ScopeDatabase)
	slices.SortStableFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	for _, s := range spans {
		out = append(out, describe(tb, s, target))
	}
	return out
}

func describe(tb testing.TB, s sdktrace.ReadOnlySpan, target []attribute.KeyValue) string {
	tb.Helper()
	if s.SpanKind() != trace.SpanKindClient {
		tb.Errorf("span %q: its kind is %v", s.Name(), s.SpanKind())
	}
	if s.EndTime().Before(s.StartTime()) {
		tb.Errorf("span %q ends before it starts", s.Name())
	}
	have := attribute.NewSet(s.Attributes()...)
	if have.Len() != len(s.Attributes()) {
		tb.Errorf("span %q has an attribute twice: %v", s.Name(), s.Attributes())
	}
	skip := map[attribute.Key]bool{semconv.DBQuerySummaryKey: true, semconv.ErrorTypeKey: true, semconv.DBResponseStatusCodeKey: true}
	for _, kv := range target {
		if v, ok := have.Value(kv.Key); !ok || v != kv.Value {
			tb.Errorf("span %q: %s = %v, want %v", s.Name(), kv.Key, v.String(), kv.Value.String())
		}
		skip[kv.Key] = true
	}
	if v, ok := have.Value("otdb.driver.duration"); ok {
		skip["otdb.driver.duration"] = true
		if d := v.AsFloat64(); d < 0 || d > s.EndTime().Sub(s.StartTime()).Seconds() {
			tb.Errorf("span %q: %v s in the driver, which is not within the span", s.Name(), d)
		}
	}
	// Whether a statement waits for a connection depends on the machine.
	if v, ok := have.Value("otdb.connection.wait"); ok {
		skip["otdb.connection.wait"] = true
		if d := v.AsFloat64(); d < 0.001 {
			tb.Errorf("span %q: waited %v s for a connection, which is less than a millisecond", s.Name(), d)
		}
	}
	var b strings.Builder
	b.WriteString(s.Name())
	if v, ok := have.Value(semconv.DBQuerySummaryKey); ok && v.AsString() != s.Name() {
		fmt.Fprintf(&b, " | db.query.summary=%q", v.AsString())
	}
	for _, kv := range have.ToSlice() {
		switch {
		case skip[kv.Key]:
		case kv.Key == semconv.DBOperationNameKey && kv.Value.AsString() == s.Name():
		case kv.Value.Type() == attribute.STRING:
			fmt.Fprintf(&b, " | %s=%q", kv.Key, kv.Value.AsString())
		default:
			fmt.Fprintf(&b, " | %s=%s", kv.Key, kv.Value.String())
		}
	}
	for _, e := range s.Events() {
		fmt.Fprintf(&b, " | event %s %v", e.Name, e.Attributes)
	}
	errorType, failed := have.Value(semconv.ErrorTypeKey)
	code, hasCode := have.Value(semconv.DBResponseStatusCodeKey)
	if failed {
		fmt.Fprintf(&b, " | ! %s", errorType.AsString())
	}
	if hasCode && code != errorType {
		fmt.Fprintf(&b, " code %s", code.AsString())
	}
	status := s.Status()
	switch {
	case status.Code == codes.Error && failed && (code == errorType || !hasCode):
		fmt.Fprintf(&b, ": %s", status.Description)
	case status.Code != codes.Unset || failed:
		tb.Errorf("span %q: status %v %q and error.type %q do not go together", s.Name(), status.Code, status.Description, errorType.AsString())
	}
	return b.String()
}

// CheckDurations fails the test unless the points of the duration histogram are
// exactly those of the spans: one for each, with its attributes and its length.
func (r *Recorder) CheckDurations(tb testing.TB) {
	tb.Helper()
	points := r.DurationPoints(tb)
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := make(map[attribute.Distinct]bool)
	for _, p := range points {
		seen[p.Attributes.Equivalent()] = true
		want := r.totals[p.Attributes.Equivalent()]
		if want == nil {
			want = new(total)
		}
		if p.Count != want.count || math.Abs(p.Sum-want.sum) > 1e-6*float64(1+p.Count) {
			tb.Errorf("%s %s: %d points of %v s in all; the spans are %d of %v s", durationMetric,
				p.Attributes.Encoded(attribute.DefaultEncoder()), p.Count, p.Sum, want.count, want.sum)
		}
	}
	for key, t := range r.totals {
		if !seen[key] {
			tb.Errorf("%s %s: no point for %d spans", durationMetric, t.set.Encoded(attribute.DefaultEncoder()), t.count)
		}
	}
}

// CheckEnded fails the test unless every span that was started has ended. That
// none ended twice is what CheckDurations finds: it would have two points.
func (r *Recorder) CheckEnded(tb testing.TB) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for scope, n := range r.starts {
		if r.count[scope] != n {
			tb.Errorf("%s: %d spans started, %d ended", scope, n, r.count[scope])
		}
	}
}

// Count returns how many spans of one scope have ended.
func (r *Recorder) Count(scope string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[scope]
}

// Folded returns how many spans stand for operations that were folded, and for how many.
func (r *Recorder) Folded() (spans, operations int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.folds, r.folded
}

// DurationPoints returns the points of the histogram of operations.
func (r *Recorder) DurationPoints(tb testing.TB) []metricdata.HistogramDataPoint[float64] {
	tb.Helper()
	m, ok := r.Collect(tb)[durationMetric]
	if !ok {
		return nil
	}
	h, ok := m.Data.(metricdata.Histogram[float64])
	if !ok || m.Unit != "s" || h.Temporality != metricdata.CumulativeTemporality {
		tb.Fatalf("%s is %T in %q", durationMetric, m.Data, m.Unit)
	}
	for _, p := range h.DataPoints {
		if !slices.Equal(p.Bounds, []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10}) {
			tb.Errorf("%s has the buckets %v", durationMetric, p.Bounds)
		}
	}
	return h.DataPoints
}

// Everything returns all that was exported, spelt out: what must not hold a
// secret is searched in it.
func (r *Recorder) Everything(tb testing.TB) string {
	tb.Helper()
	var b strings.Builder
	r.mu.Lock()
	for _, s := range r.spans {
		fmt.Fprintf(&b, "span %q kind=%v status=%v %q scope=%v\n", s.Name(), s.SpanKind(), s.Status().Code, s.Status().Description, s.InstrumentationScope())
		writeAttributes(&b, "attribute", s.Attributes())
		for _, e := range s.Events() {
			fmt.Fprintf(&b, "  event %q\n", e.Name)
			writeAttributes(&b, "event attribute", e.Attributes)
		}
		for _, l := range s.Links() {
			writeAttributes(&b, "link attribute", l.Attributes)
		}
		writeAttributes(&b, "resource", s.Resource().Attributes())
	}
	r.mu.Unlock()
	for name, m := range r.Collect(tb) {
		fmt.Fprintf(&b, "metric %q %q %q %+v\n", name, m.Unit, m.Description, m.Data)
		for _, set := range oteltest.AttributeSets(m.Data) {
			writeAttributes(&b, "label", set.ToSlice())
		}
	}
	b.WriteString(r.Logs())
	return b.String()
}

func writeAttributes(b *strings.Builder, what string, kv []attribute.KeyValue) {
	for _, a := range kv {
		fmt.Fprintf(b, "  %s %s=%s\n", what, a.Key, a.Value.String())
	}
}
