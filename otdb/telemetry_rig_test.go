package otdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
)

// rig holds everything that is exported, from a sampler's first look at a span
// to the points of the metrics.
type rig struct {
	t      *testing.T
	tp     *sdktrace.TracerProvider
	mp     *sdkmetric.MeterProvider
	reader *sdkmetric.ManualReader

	mu      sync.Mutex
	decide  func(sdktrace.SamplingParameters) sdktrace.SamplingDecision
	sampled []sdktrace.SamplingParameters // what the sampler saw, in order
	starts  map[trace.SpanID][]attribute.KeyValue
	names   map[trace.SpanID]string
	ended   []sdktrace.ReadOnlySpan
	handled []error       // what went to otel.Handle
	taken   int           // spans that takeSpans has returned
	end     chan struct{} // signals that a span has ended
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, starts: make(map[trace.SpanID][]attribute.KeyValue), names: make(map[trace.SpanID]string), end: make(chan struct{}, 1)}
	r.tp = sdktrace.NewTracerProvider(sdktrace.WithSampler(rigSampler{r}), sdktrace.WithSpanProcessor(rigProcessor{r}))
	r.reader = sdkmetric.NewManualReader()
	r.mp = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	t.Cleanup(func() {
		if err := errors.Join(r.tp.Shutdown(context.Background()), r.mp.Shutdown(context.Background())); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.handled = append(r.handled, err)
	}))
	t.Cleanup(func() {
		otel.SetErrorHandler(previous)
		for _, err := range r.takeHandled() {
			t.Errorf("reported to otel.Handle: %v", err)
		}
	})
	return r
}

// takeHandled returns and forgets what went to otel.Handle. What a test leaves
// there fails it.
func (r *rig) takeHandled() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.handled
	r.handled = nil
	return h
}

// wantHandled checks the texts of what went to otel.Handle.
func (r *rig) wantHandled(want ...string) {
	r.t.Helper()
	var got []string
	for _, err := range r.takeHandled() {
		got = append(got, err.Error())
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("reported to otel.Handle:\n got %q\nwant %q", got, want)
	}
}

// options are those of a database under observation. Its clock stands still, so
// that no span is the longer for its consumer.
func (r *rig) options(more ...Option) []Option {
	return append([]Option{WithTracerProvider(r.tp), WithMeterProvider(r.mp), withClock(func() time.Duration { return time.Hour })}, more...)
}

// withClock sets the clock. It is not a part of the API.
func withClock(clock func() time.Duration) Option {
	return optionFunc(func(c *config) {
		c.clock = clock
		c.timeAt = func(reading time.Duration) time.Time { return time.Now().Add(reading - clock()) }
	})
}

// open opens a database whose telemetry goes to the rig.
func (r *rig) open(driverName, dsn string, more ...Option) *sql.DB {
	r.t.Helper()
	db, err := Open(driverName, dsn, r.options(more...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			r.t.Errorf("close: %v", err)
		}
	})
	return db
}

// start starts a span around what the test does.
func (r *rig) start(name string) (context.Context, trace.Span) {
	return r.tp.Tracer("test").Start(context.Background(), name)
}

// sample replaces the sampler's decision, which is to record everything.
func (r *rig) sample(decide func(sdktrace.SamplingParameters) sdktrace.SamplingDecision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decide = decide
}

type rigSampler struct{ *rig }

func (s rigSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Attributes = slices.Clone(p.Attributes)
	s.sampled = append(s.sampled, p)
	decision := sdktrace.RecordAndSample
	if s.decide != nil {
		decision = s.decide(p)
	}
	return sdktrace.SamplingResult{Decision: decision, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

func (rigSampler) Description() string { return "rig" }

type rigProcessor struct{ *rig }

// OnStart takes the sampler's last look for the span's: tests start spans one
// after the other, or do not look at start attributes.
func (p rigProcessor) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts[s.SpanContext().SpanID()] = p.sampled[len(p.sampled)-1].Attributes
	p.names[s.SpanContext().SpanID()] = s.Name()
}

func (p rigProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = append(p.ended, s)
	select {
	case p.end <- struct{}{}:
	default: // there is a signal already
	}
}

func (rigProcessor) Shutdown(context.Context) error   { return nil }
func (rigProcessor) ForceFlush(context.Context) error { return nil }

// spans returns the spans of otdb that have ended, in the order of their ends.
func (r *rig) spans() []sdktrace.ReadOnlySpan {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []sdktrace.ReadOnlySpan
	for _, s := range r.ended {
		if s.InstrumentationScope().Name == scope {
			out = append(out, s)
		}
	}
	return out
}

// takeSpans returns the spans that have ended since the last call.
func (r *rig) takeSpans() []sdktrace.ReadOnlySpan {
	all := r.spans()
	taken := r.taken
	r.taken = len(all)
	return all[taken:]
}

// waitSpans waits until n spans of otdb have ended, and returns them.
func (r *rig) waitSpans(n int) []sdktrace.ReadOnlySpan {
	r.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		if spans := r.spans(); len(spans) >= n {
			return spans
		}
		select {
		case <-r.end:
		case <-timeout:
			r.t.Fatalf("%d spans after 10 s, want %d", len(r.spans()), n)
		}
	}
}

// attrs are attributes in short. An int is an int64.
type attrs map[attribute.Key]any

// span is a whole span in short.
type span struct {
	name   string
	parent string // the parent's name, "" for a root
	start  attrs  // what a sampler sees
	end    attrs  // what is added after the start
	err    error  // whose safe text is the status, nil for no status
	status string // the status's text, where there is no err
	failed bool   // with status
}

const statusUnset = "unset"

// wantSpans checks that these and no other spans of otdb have ended since the
// last call, in this order, and that nothing about them is different.
func (r *rig) wantSpans(want ...span) {
	r.t.Helper()
	var got, wanted []string
	for _, s := range r.takeSpans() {
		got = append(got, r.text(s))
	}
	for _, w := range want {
		wanted = append(wanted, w.text())
	}
	diff(r.t, "spans", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
}

// text renders everything that is exported of a span but its times and ids.
func (r *rig) text(s sdktrace.ReadOnlySpan) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	started := r.starts[s.SpanContext().SpanID()]
	isStart := make(map[attribute.KeyValue]bool)
	for _, kv := range started {
		isStart[kv] = true
	}
	var added []attribute.KeyValue
	for _, kv := range s.Attributes() {
		if isStart[kv] {
			delete(isStart, kv)
			continue
		}
		added = append(added, kv)
	}
	parent := ""
	if s.Parent().IsValid() {
		if parent = r.names[s.Parent().SpanID()]; parent == "" {
			parent = "unknown"
		}
	}
	status := statusUnset
	if s.Status().Code != codes.Unset {
		status = fmt.Sprintf("%v %q", s.Status().Code, s.Status().Description)
	}
	lib := s.InstrumentationScope()
	text := spanText(s.Name(), s.SpanKind(), parent, started, added, status,
		strings.TrimSpace(strings.Join([]string{lib.Name, lib.Version, lib.SchemaURL, strings.Join(keyValues(lib.Attributes.ToSlice()), " ")}, " ")))
	for _, e := range s.Events() {
		text += "  event " + e.Name + "\n"
	}
	for range s.Links() {
		text += "  link\n"
	}
	if s.EndTime().Before(s.StartTime()) {
		text += "  ends before its start\n"
	}
	for kv := range isStart {
		text += "  lost " + keyValue(kv) + "\n"
	}
	return text
}

func (w span) text() string {
	status := statusUnset
	switch {
	case w.err != nil:
		status = fmt.Sprintf("%v %q", codes.Error, errs.Message(w.err))
	case w.failed:
		status = fmt.Sprintf("%v %q", codes.Error, w.status)
	}
	return spanText(w.name, trace.SpanKindClient, w.parent, w.start.slice(), w.end.slice(), status,
		"github.com/taskspan/taskspan/otdb "+Version+" "+semconv.SchemaURL)
}

func spanText(name string, kind trace.SpanKind, parent string, start, added []attribute.KeyValue, status, scope string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %v of %q by %s\n", name, kind, parent, scope)
	for _, kv := range keyValues(start) {
		fmt.Fprintf(&b, "  start %s\n", kv)
	}
	for _, kv := range keyValues(added) {
		fmt.Fprintf(&b, "  end   %s\n", kv)
	}
	fmt.Fprintf(&b, "  status %s\n", status)
	return b.String()
}

func keyValue(kv attribute.KeyValue) string {
	return fmt.Sprintf("%s = %v %q", kv.Key, kv.Value.Type(), kv.Value.String())
}

func keyValues(kv []attribute.KeyValue) []string {
	out := make([]string, 0, len(kv))
	for _, kv := range kv {
		out = append(out, keyValue(kv))
	}
	slices.Sort(out)
	return out
}

func lines(kv []attribute.KeyValue) string { return strings.Join(keyValues(kv), "\n") }

// without returns kv without a key.
func without(kv []attribute.KeyValue, key attribute.Key) []attribute.KeyValue {
	return slices.DeleteFunc(slices.Clone(kv), func(kv attribute.KeyValue) bool { return kv.Key == key })
}

func (a attrs) slice() []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(a))
	for k, v := range a {
		switch v := v.(type) {
		case string:
			out = append(out, k.String(v))
		case int:
			out = append(out, k.Int(v))
		case bool:
			out = append(out, k.Bool(v))
		case float64:
			out = append(out, k.Float64(v))
		default:
			panic(fmt.Sprintf("attribute %s: %T", k, v))
		}
	}
	return out
}

// with returns the attributes of both.
func (a attrs) with(b attrs) attrs {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// diff fails the test with the lines that differ.
func diff(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	t.Errorf("%s differ\n--- got\n%s\n--- want\n%s", what, got, want)
}

// workerScope is that of package worker, which one test uses too.
const workerScope = "github.com/taskspan/taskspan/worker"

// collect returns otdb's metrics by name.
func (r *rig) collect() map[string]metricdata.Metrics {
	r.t.Helper()
	var data metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &data); err != nil {
		r.t.Fatal(err)
	}
	out := make(map[string]metricdata.Metrics)
	for _, s := range data.ScopeMetrics {
		if s.Scope.Name == workerScope {
			continue
		}
		if s.Scope.Name != scope || s.Scope.Version != Version || s.Scope.SchemaURL != semconv.SchemaURL || s.Scope.Attributes.Len() != 0 {
			r.t.Errorf("scope %+v", s.Scope)
		}
		for _, m := range s.Metrics {
			if _, twice := out[m.Name]; twice {
				r.t.Errorf("%s is there twice", m.Name)
			}
			out[m.Name] = m
		}
	}
	return out
}

// wantMetric compares a metric with all that it is but its times and exemplars.
func (r *rig) wantMetric(want metricdata.Metrics) {
	r.t.Helper()
	got, ok := r.collect()[want.Name]
	if !ok {
		r.t.Errorf("there is no metric %s", want.Name)
		return
	}
	if !metricdatatest.AssertEqual(r.t, want, got, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars()) {
		r.t.Errorf("metric %s:\n got %s\nwant %s", want.Name, points(got), points(want))
	}
}

// points renders the attributes and counts of a histogram.
func points(m metricdata.Metrics) string {
	var lines []string
	if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
		for _, p := range h.DataPoints {
			lines = append(lines, fmt.Sprintf("\n\t%v × %d %v", keyValues(p.Attributes.ToSlice()), p.Count, p.Sum))
		}
	}
	slices.Sort(lines)
	return m.Name + " " + m.Unit + strings.Join(lines, "")
}

// durationMetric is what db.client.operation.duration has to be after spans.
func durationMetric(spans []sdktrace.ReadOnlySpan) metricdata.Metrics {
	var recorded []observation
	for _, s := range spans {
		recorded = append(recorded, observation{metricAttributes(s), s.EndTime().Sub(s.StartTime()).Seconds()})
	}
	return metricdata.Metrics{
		Name:        "db.client.operation.duration",
		Description: "Duration of database client operations.",
		Unit:        "s",
		Data:        histogram([]float64{.001, .005, .01, .05, .1, .5, 1, 5, 10}, recorded),
	}
}

// wantDurations checks that the duration of every span, and nothing else, has
// been recorded.
func (r *rig) wantDurations() {
	r.t.Helper()
	r.wantMetric(durationMetric(r.spans()))
}

// observation is one recording of a histogram.
type observation struct {
	attributes attribute.Set
	value      float64
}

func histogram(bounds []float64, recorded []observation) metricdata.Histogram[float64] {
	at := make(map[attribute.Distinct]int)
	h := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for _, o := range recorded {
		i, ok := at[o.attributes.Equivalent()]
		if !ok {
			i = len(h.DataPoints)
			at[o.attributes.Equivalent()] = i
			h.DataPoints = append(h.DataPoints, metricdata.HistogramDataPoint[float64]{
				Attributes: o.attributes, Bounds: bounds, BucketCounts: make([]uint64, len(bounds)+1),
				Min: metricdata.NewExtrema(o.value), Max: metricdata.NewExtrema(o.value),
			})
		}
		p := &h.DataPoints[i]
		p.Count++
		p.Sum += o.value
		bucket, _ := slices.BinarySearch(bounds, o.value)
		p.BucketCounts[bucket]++
		if v, _ := p.Min.Value(); o.value < v {
			p.Min = metricdata.NewExtrema(o.value)
		}
		if v, _ := p.Max.Value(); o.value > v {
			p.Max = metricdata.NewExtrema(o.value)
		}
	}
	return h
}

// metricAttributes are those of a span that its point in the metrics has.
func metricAttributes(s sdktrace.ReadOnlySpan) attribute.Set {
	var kv []attribute.KeyValue
	lifecycle := slices.ContainsFunc(s.Attributes(), func(kv attribute.KeyValue) bool { return kv.Key == semconv.DBOperationNameKey })
	for _, a := range s.Attributes() {
		switch a.Key {
		case semconv.DBQueryTextKey, semconv.DBResponseReturnedRowsKey, rowsAffectedKey, rowsLeakedKey, driverDurationKey:
			continue
		case semconv.DBQuerySummaryKey:
			if lifecycle {
				continue
			}
		}
		if !strings.HasPrefix(string(a.Key), "db.query.parameter.") {
			kv = append(kv, a)
		}
	}
	return attribute.NewSet(kv...)
}

// wantNothingOf fails the test if a secret is anywhere in what is exported.
func (r *rig) wantNothingOf(secrets ...string) {
	r.t.Helper()
	var all strings.Builder
	r.mu.Lock()
	for _, p := range r.sampled {
		fmt.Fprintln(&all, p.Name, keyValues(p.Attributes))
	}
	for _, s := range r.ended {
		fmt.Fprintln(&all, s.Name(), keyValues(s.Attributes()), s.Status(), s.Events(), s.Links())
	}
	for _, err := range r.handled {
		fmt.Fprintln(&all, err)
	}
	r.mu.Unlock()
	for _, m := range r.collect() {
		fmt.Fprintf(&all, "%+v\n", m)
		if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
			for _, p := range h.DataPoints {
				fmt.Fprintln(&all, keyValues(p.Attributes.ToSlice()))
			}
		}
	}
	for _, secret := range secrets {
		if i := strings.Index(all.String(), secret); i >= 0 {
			r.t.Errorf("%s is exported: …%s…", strconv.Quote(secret), all.String()[max(0, i-80):min(all.Len(), i+len(secret)+80)])
		}
	}
}
