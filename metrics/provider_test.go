package metrics

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const openMetrics = "application/openmetrics-text; version=1.0.0"

// scope is what every series of the meter of these tests carries.
var scope = map[string]string{"otel_scope_name": "test", "otel_scope_version": "v1", "otel_scope_schema_url": ""}

func newMeter(p metric.MeterProvider) metric.Meter {
	return p.Meter("test", metric.WithInstrumentationVersion("v1"))
}

// must is for instruments, whose names are constants.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newProvider(t *testing.T, opts ...Option) *Provider {
	t.Helper()
	p, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func scrape(h http.Handler, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// scrapeOpenMetrics returns the families by name.
func scrapeOpenMetrics(t *testing.T, h http.Handler) map[string]*omFamily {
	t.Helper()
	w := scrape(h, openMetrics)
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), openMetrics) {
		t.Fatalf("status %d, content type %q: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	list, err := parseOpenMetrics(w.Body.String())
	if err != nil {
		t.Fatalf("%v in:\n%s", err, w.Body)
	}
	families := make(map[string]*omFamily)
	for _, f := range list {
		families[f.name] = f
	}
	return families
}

func with(base map[string]string, kv ...string) map[string]string {
	m := maps.Clone(base)
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

// captureErrors collects what is passed to otel.Handle during a test.
func captureErrors(t *testing.T) func() []error {
	t.Helper()
	var mu sync.Mutex
	var errs []error
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}))
	t.Cleanup(func() { otel.SetErrorHandler(previous) })
	return func() []error {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(errs)
	}
}

func TestExemplarsAreRealSpans(t *testing.T) {
	p := newProvider(t)
	m := newMeter(p)
	duration := must(m.Float64Histogram("db.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("How long it took."), metric.WithExplicitBucketBoundaries(.001, .01, 1)))
	findings := must(m.Int64Counter("worker.task.findings", metric.WithUnit("{finding}")))

	tp := sdktrace.NewTracerProvider()
	defer tp.Shutdown(context.Background()) //nolint:errcheck // it has no processors
	ctx, span := tp.Tracer("test").Start(context.Background(), "a task")
	attrs := metric.WithAttributes(attribute.String("error.type", "_OTHER"))
	duration.Record(ctx, .005, attrs)
	findings.Add(ctx, 2)
	span.End()
	duration.Record(context.Background(), .5, attrs) // no span: no exemplar

	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	defer unsampled.Shutdown(context.Background()) //nolint:errcheck // it has no processors
	ctx, span2 := unsampled.Tracer("test").Start(context.Background(), "not sampled")
	duration.Record(ctx, 5, attrs)
	span2.End()

	families := scrapeOpenMetrics(t, p.Handler())
	ids := map[string]string{
		"trace_id": span.SpanContext().TraceID().String(),
		"span_id":  span.SpanContext().SpanID().String(),
	}

	f := families["db_client_operation_duration_seconds"]
	if f == nil {
		t.Fatal("no db_client_operation_duration_seconds")
	}
	if f.kind != "histogram" || f.help != "How long it took." {
		t.Errorf("type %q, help %q", f.kind, f.help)
	}
	labels := with(scope, "error_type", "_OTHER")
	const name = "db_client_operation_duration_seconds"
	want := []omSample{
		{name: name + "_bucket", labels: with(labels, "le", "0.001"), value: 0},
		{name: name + "_bucket", labels: with(labels, "le", "0.01"), value: 1, exemplar: &omExemplar{labels: ids, value: .005}},
		{name: name + "_bucket", labels: with(labels, "le", "1.0"), value: 2},
		{name: name + "_bucket", labels: with(labels, "le", "+Inf"), value: 3},
		{name: name + "_sum", labels: labels, value: 5.505},
		{name: name + "_count", labels: labels, value: 3},
	}
	compareSamples(t, f.samples, want)

	f = families["worker_task_findings"]
	if f == nil || f.kind != "counter" {
		t.Fatalf("worker_task_findings: %+v", f)
	}
	compareSamples(t, f.samples, []omSample{
		{name: "worker_task_findings_total", labels: scope, value: 2, exemplar: &omExemplar{labels: ids, value: 2}},
	})
}

// compareSamples compares everything but the time of exemplars, which has to be there.
func compareSamples(t *testing.T, got, want []omSample) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d: %+v", len(got), len(want), got)
	}
	for i, g := range got {
		w := want[i]
		if g.name != w.name || !maps.Equal(g.labels, w.labels) || g.value != w.value {
			t.Errorf("sample %d:\n got %s%v %v\nwant %s%v %v", i, g.name, g.labels, g.value, w.name, w.labels, w.value)
		}
		switch {
		case (g.exemplar == nil) != (w.exemplar == nil):
			t.Errorf("sample %d, %s%v: exemplar %+v, want %+v", i, g.name, g.labels, g.exemplar, w.exemplar)
		case g.exemplar == nil:
		case !maps.Equal(g.exemplar.labels, w.exemplar.labels) || g.exemplar.value != w.exemplar.value || g.exemplar.timestamp <= 0:
			t.Errorf("sample %d: exemplar %+v, want %+v", i, g.exemplar, w.exemplar)
		}
	}
}

// The same in the protobuf format, read by Prometheus' own decoder.
func TestExemplarsInProtobuf(t *testing.T) {
	p := newProvider(t)
	h := must(newMeter(p).Float64Histogram("worker.task.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1)))
	tp := sdktrace.NewTracerProvider()
	defer tp.Shutdown(context.Background()) //nolint:errcheck // it has no processors
	ctx, span := tp.Tracer("test").Start(context.Background(), "a task")
	h.Record(ctx, .25)
	span.End()

	w := scrape(p.Handler(), string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	decoder := expfmt.NewDecoder(w.Body, expfmt.ResponseFormat(w.Header()))
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); err != nil {
			t.Fatalf("worker_task_duration_seconds not found: %v", err)
		}
		if f.GetName() != "worker_task_duration_seconds" {
			continue
		}
		e := f.GetMetric()[0].GetHistogram().GetBucket()[0].GetExemplar()
		got := make(map[string]string)
		for _, l := range e.GetLabel() {
			got[l.GetName()] = l.GetValue()
		}
		want := map[string]string{
			"trace_id": span.SpanContext().TraceID().String(),
			"span_id":  span.SpanContext().SpanID().String(),
		}
		if !maps.Equal(got, want) || e.GetValue() != .25 || !span.SpanContext().IsSampled() {
			t.Errorf("exemplar %v of %v, want %v of 0.25", got, e.GetValue(), want)
		}
		return
	}
}

func TestExemplarFilterFromEnvironment(t *testing.T) {
	sampled := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	})
	for _, test := range []struct {
		value                      string
		withSampled, withUnsampled bool
	}{
		{"", true, false},
		{"trace_based", true, false},
		{"always_on", true, true},
		{"always_off", false, false},
	} {
		t.Run(test.value, func(t *testing.T) {
			t.Setenv("OTEL_METRICS_EXEMPLAR_FILTER", test.value)
			p := newProvider(t)
			c := must(newMeter(p).Int64Counter("c"))
			c.Add(trace.ContextWithSpanContext(context.Background(), sampled), 1, metric.WithAttributes(attribute.Bool("sampled", true)))
			c.Add(trace.ContextWithSpanContext(context.Background(), sampled.WithTraceFlags(0)), 1,
				metric.WithAttributes(attribute.Bool("sampled", false)))
			for _, s := range scrapeOpenMetrics(t, p.Handler())["c"].samples {
				want := test.withUnsampled
				if s.labels["sampled"] == "true" {
					want = test.withSampled
				}
				if got := s.exemplar != nil; got != want {
					t.Errorf("sampled=%s: exemplar %t, want %t", s.labels["sampled"], got, want)
				}
			}
		})
	}
}

// The table of the package documentation.
func TestNames(t *testing.T) {
	p := newProvider(t)
	m := newMeter(p)
	ctx := context.Background()
	histogram := func(name, unit string) { must(m.Float64Histogram(name, metric.WithUnit(unit))).Record(ctx, 1) }
	counter := func(name, unit string) { must(m.Float64Counter(name, metric.WithUnit(unit))).Add(ctx, 1) }
	upDown := func(name, unit string) { must(m.Int64UpDownCounter(name, metric.WithUnit(unit))).Add(ctx, 1) }
	gauge := func(name, unit string) {
		must(m.Float64ObservableGauge(name, metric.WithUnit(unit),
			metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
				o.Observe(1)
				return nil
			})))
	}
	histogram("db.client.operation.duration", "s")
	histogram("db.client.response.returned_rows", "{row}")
	upDown("db.client.connection.count", "{connection}")
	upDown("db.client.connection.max", "{connection}")
	counter("otdb.connection.waits", "{wait}")
	counter("otdb.connection.wait.duration", "s")
	counter("otdb.connection.closed", "{connection}")
	histogram("worker.task.duration", "s")
	upDown("worker.task.active", "{task}")
	gauge("worker.task.oldest.age", "s")
	gauge("worker.task.last_success.timestamp", "s")
	histogram("worker.task.queue.duration", "s")
	histogram("worker.task.db.operations", "{operation}")
	histogram("worker.task.db.duration", "s")
	counter("worker.task.findings", "{finding}")

	got := make(map[string]bool)
	for _, f := range scrapeOpenMetrics(t, p.Handler()) {
		for _, s := range f.samples {
			if s.labels["otel_scope_name"] == "test" {
				got[strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s.name, "_bucket"), "_sum"), "_count")] = true
			}
		}
	}
	// db_client_connection_count loses its ending to the trimming above.
	want := []string{
		"db_client_connection", "db_client_connection_max", "db_client_operation_duration_seconds",
		"db_client_response_returned_rows", "otdb_connection_closed_total", "otdb_connection_wait_duration_seconds_total",
		"otdb_connection_waits_total", "worker_task_active", "worker_task_db_duration_seconds", "worker_task_db_operations",
		"worker_task_duration_seconds", "worker_task_findings_total", "worker_task_last_success_timestamp_seconds",
		"worker_task_oldest_age_seconds", "worker_task_queue_duration_seconds",
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("got  %q\nwant %q", names, want)
	}
}

func TestOwnRegistryHasStandardCollectors(t *testing.T) {
	families := scrapeOpenMetrics(t, newProvider(t).Handler())
	for _, name := range []string{"go_goroutines", "go_build_info", "process_cpu_seconds", "promhttp_metric_handler_errors"} {
		if families[name] == nil {
			t.Errorf("no %s", name)
		}
	}
}

func TestCallersRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	own := prometheus.NewCounter(prometheus.CounterOpts{Name: "own_total", Help: "x"})
	reg.MustRegister(own)
	own.Inc()
	p := newProvider(t, WithRegistry(reg), WithResource(resource.NewSchemaless(attribute.String("service.name", "indexer"))), nil)
	must(newMeter(p).Int64Counter("jobs")).Add(context.Background(), 3)

	families := scrapeOpenMetrics(t, p.Handler())
	if names := slices.Sorted(maps.Keys(families)); !slices.Equal(names, []string{"jobs", "own", "target_info"}) {
		t.Errorf("families %q", names)
	}
	compareSamples(t, families["jobs"].samples, []omSample{{name: "jobs_total", labels: scope, value: 3}})
	if got := families["target_info"].samples[0].labels["service_name"]; got != "indexer" {
		t.Errorf("service_name %q", got)
	}
	// The registry can be gathered by its owner just as well.
	gathered, err := reg.Gather()
	if err != nil || len(gathered) != 3 {
		t.Errorf("%d families, %v", len(gathered), err)
	}
}

func TestResourceFromEnvironment(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,team=data")
	t.Setenv("OTEL_SERVICE_NAME", "from-environment")
	p := newProvider(t, WithRegistry(prometheus.NewRegistry()), WithResource(resource.NewSchemaless(attribute.String("team", "code"))))
	want := map[string]string{"deployment_environment_name": "test", "team": "code", "service_name": "from-environment"}
	if got := scrapeOpenMetrics(t, p.Handler())["target_info"].samples[0].labels; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadersAndViews(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	rename := sdkmetric.NewView(sdkmetric.Instrument{Name: "before"}, sdkmetric.Stream{Name: "after"})
	p := newProvider(t, WithReader(reader), WithReader(nil), WithView(rename, nil), WithRegistry(prometheus.NewRegistry()))
	must(newMeter(p).Int64Counter("before")).Add(context.Background(), 7)

	if f := scrapeOpenMetrics(t, p.Handler())["after"]; f == nil || f.samples[0].value != 7 {
		t.Errorf("Prometheus: %+v", f)
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &got); err != nil {
		t.Fatal(err)
	}
	want := metricdata.Metrics{Name: "after", Data: metricdata.Sum[int64]{
		Temporality: metricdata.CumulativeTemporality, IsMonotonic: true, DataPoints: []metricdata.DataPoint[int64]{{Value: 7}},
	}}
	metricdatatest.AssertEqual(t, want, got.ScopeMetrics[0].Metrics[0], metricdatatest.IgnoreTimestamp())
}

// failingReader stands for a reader whose collector is gone.
type failingReader struct{ sdkmetric.Reader }

var errReader = errors.New("no collector")

func (failingReader) ForceFlush(context.Context) error { return errReader }
func (failingReader) Shutdown(context.Context) error   { return errReader }

func TestShutdown(t *testing.T) {
	p, err := New(WithReader(failingReader{sdkmetric.NewManualReader()}))
	if err != nil {
		t.Fatal(err)
	}
	c := must(newMeter(p).Int64Counter("c"))
	c.Add(context.Background(), 1)
	if err := p.ForceFlush(context.Background()); !errors.Is(err, errReader) {
		t.Errorf("ForceFlush: %v", err)
	}
	if w := scrape(p.Handler(), openMetrics); w.Code != http.StatusOK {
		t.Errorf("before: status %d", w.Code)
	}
	if err := p.Shutdown(context.Background()); !errors.Is(err, errReader) {
		t.Errorf("first Shutdown: %v", err)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
	c.Add(context.Background(), 1)
	newMeter(p)
	w := scrape(p.Handler(), openMetrics)
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != "metrics are shut down\n" {
		t.Errorf("after: status %d, %q", w.Code, w.Body)
	}
}

// Recording, scraping and stopping at the same time: for the race detector.
func TestConcurrentUse(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := must(newMeter(p).Int64Counter("c"))
			for range 100 {
				c.Add(context.Background(), 1)
			}
		})
		wg.Go(func() {
			for range 5 {
				if w := scrape(p.Handler(), openMetrics); w.Code != http.StatusOK && w.Code != http.StatusServiceUnavailable {
					t.Errorf("status %d: %s", w.Code, w.Body)
				}
			}
		})
		wg.Go(func() {
			if err := p.ForceFlush(context.Background()); err != nil {
				t.Error(err)
			}
			if err := p.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// collectorFunc is an unchecked collector.
type collectorFunc func(chan<- prometheus.Metric)

func (collectorFunc) Describe(chan<- *prometheus.Desc)      {}
func (f collectorFunc) Collect(ch chan<- prometheus.Metric) { f(ch) }

func TestFailingCollector(t *testing.T) {
	errs := captureErrors(t)
	reg := prometheus.NewRegistry()
	broken := errors.New("broken collector")
	reg.MustRegister(collectorFunc(func(ch chan<- prometheus.Metric) {
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(broken), broken)
	}))
	p := newProvider(t, WithRegistry(reg))
	must(newMeter(p).Int64Counter("c")).Add(context.Background(), 1)

	if f := scrapeOpenMetrics(t, p.Handler())["c"]; f == nil || f.samples[0].value != 1 {
		t.Errorf("the others are not served: %+v", f)
	}
	got := errs()
	if len(got) != 1 || !strings.HasPrefix(got[0].Error(), "metrics: serving a scrape: ") || !strings.Contains(got[0].Error(), "broken collector") {
		t.Errorf("errors %v", got)
	}
}

func TestNothingToServeBesidesTheError(t *testing.T) {
	captureErrors(t)
	reg := prometheus.NewRegistry()
	broken := errors.New("broken collector")
	reg.MustRegister(collectorFunc(func(ch chan<- prometheus.Metric) {
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(broken), broken)
	}))
	p := newProvider(t)
	w := scrape(p.newHandler(reg, reg, false), openMetrics)
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d", w.Code)
	}
}

func TestErrorLogWithoutError(t *testing.T) {
	errs := captureErrors(t)
	errorLog{}.Println("only", "text")
	errorLog{}.Println()
	if got := errs(); len(got) != 2 || got[0].Error() != "metrics: serving a scrape: onlytext" {
		t.Errorf("%q", got)
	}
}

func TestOtherFormats(t *testing.T) {
	p := newProvider(t)
	must(newMeter(p).Int64Counter("c")).Add(context.Background(), 1)
	w := scrape(p.Handler(), "text/plain")
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("status %d, %q", w.Code, w.Header().Get("Content-Type"))
	}
	var body bytes.Buffer
	if _, err := io.Copy(&body, w.Body); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(body.String(), `c_total{otel_scope_name="test",otel_scope_schema_url="",otel_scope_version="v1"} 1`) {
		t.Error(body.String())
	}
}

// What promauto registers with is a Registerer that is a Gatherer.
func TestWithRegistererOfPromauto(t *testing.T) {
	var registerer prometheus.Registerer = prometheus.NewRegistry()
	p, err := New(WithRegistry(registerer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Shutdown(context.Background()) }) //nolint:errcheck // nothing to flush
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), "target_info{") {
		t.Errorf("served:\n%s", w.Body)
	}
	var none *prometheus.Registry
	if p, err := New(WithRegistry(none)); err != nil || p.handler == nil {
		t.Errorf("a nil registry: %v", err)
	}
	_, err = New(WithRegistry(prometheus.WrapRegistererWithPrefix("p_", registerer)))
	if want := "metrics: WithRegistry: a *prometheus.wrappingRegisterer is no prometheus.Gatherer: its metrics could not be served"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// seriesOf returns how many series a counter keeps of n measurements that differ.
func seriesOf(t *testing.T, n int, opts ...Option) int {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	p, err := New(append(opts, WithReader(reader))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Shutdown(context.Background()) }) //nolint:errcheck // nothing to flush
	counter, err := p.Meter("test").Int64Counter("jobs")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		counter.Add(t.Context(), 1, metric.WithAttributes(attribute.Int("n", i)))
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	return len(got.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints)
}

func TestCardinalityLimit(t *testing.T) {
	if got := seriesOf(t, 20_005); got != 20_000 {
		t.Errorf("%d series by default", got)
	}
	if got := seriesOf(t, 20, WithCardinalityLimit(10)); got != 10 {
		t.Errorf("%d series, want 10", got)
	}
	if got := seriesOf(t, 2_500, WithCardinalityLimit(0)); got != 2_500 {
		t.Errorf("%d series without a limit", got)
	}
	t.Setenv("OTEL_GO_X_CARDINALITY_LIMIT", "5")
	if got := seriesOf(t, 20); got != 5 {
		t.Errorf("%d series, the environment wants 5", got)
	}
	if got := seriesOf(t, 20, WithCardinalityLimit(10)); got != 10 {
		t.Errorf("%d series, the program wants 10", got)
	}
}
