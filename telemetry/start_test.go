package telemetry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// record makes one span, one count and one log record through the globals, and returns the span.
func record(t *testing.T) trace.SpanContext {
	t.Helper()
	ctx, span := otel.Tracer("test").Start(context.Background(), "a task")
	defer span.End()
	counter, err := otel.Meter("test").Int64Counter("jobs")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 3)
	slog.New(NewLogHandler(slog.NewTextHandler(io.Discard, nil))).InfoContext(ctx, "indexed", "packages", 12)
	return span.SpanContext()
}

func TestOTLP(t *testing.T) {
	for _, list := range []string{"", "otlp", " otlp ,"} {
		t.Run("exporter="+list, func(t *testing.T) {
			errs := captureErrors(t)
			c := newCollector(t)
			tel, err := start(t, map[string]string{
				envOTLPEndpoint:            c.URL,
				"OTEL_TRACES_EXPORTER":     list,
				"OTEL_METRICS_EXPORTER":    list,
				"OTEL_LOGS_EXPORTER":       list,
				"OTEL_RESOURCE_ATTRIBUTES": "team=data",
			}, WithServiceName("indexer"), WithServiceVersion("v1.2.3"))
			if err != nil {
				t.Fatal(err)
			}
			sc := record(t)
			if err := tel.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()

			host, err := os.Hostname()
			if err != nil {
				t.Fatal(err)
			}
			checkResource := func(got map[string]string) {
				t.Helper()
				for k, v := range map[string]string{
					"service.name": "indexer", "service.version": "v1.2.3", "team": "data", "host.name": host,
					"telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "go",
					"os.type": runtime.GOOS, "process.runtime.name": "go", "process.runtime.version": runtime.Version(),
				} {
					if got[k] != v {
						t.Errorf("resource: %s=%q, want %q", k, got[k], v)
					}
				}
				if got["service.instance.id"] == "" {
					t.Error("resource: no service.instance.id")
				}
				for _, secret := range []string{"process.command_args", "process.owner", "process.executable.path"} {
					if v, ok := got[secret]; ok {
						t.Errorf("resource: %s=%q", secret, v)
					}
				}
			}
			if len(c.spans) != 1 || len(c.metrics) != 1 || len(c.logs) != 1 {
				t.Fatalf("%d spans, %d metrics, %d logs; errors: %v", len(c.spans), len(c.metrics), len(c.logs), errs.all())
			}
			s, m, l := c.spans[0], c.metrics[0], c.logs[0]
			checkResource(s.resource)
			checkResource(m.resource)
			checkResource(l.resource)
			traceID, spanID := sc.TraceID(), sc.SpanID()
			if s.scope != "test" || s.item.GetName() != "a task" ||
				!bytes.Equal(s.item.GetTraceId(), traceID[:]) || !bytes.Equal(s.item.GetSpanId(), spanID[:]) {
				t.Errorf("span %s %v", s.scope, s.item)
			}
			points := m.item.GetSum().GetDataPoints()
			if m.scope != "test" || m.item.GetName() != "jobs" || len(points) != 1 || points[0].GetAsInt() != 3 {
				t.Fatalf("metric %s %v", m.scope, m.item)
			}
			if e := points[0].GetExemplars(); len(e) != 1 || hex.EncodeToString(e[0].GetTraceId()) != traceID.String() {
				t.Errorf("exemplars %v", e)
			}
			if l.scope != logScope || l.item.GetBody().GetStringValue() != "indexed" || l.item.GetSeverityText() != "INFO" ||
				!bytes.Equal(l.item.GetTraceId(), traceID[:]) || !bytes.Equal(l.item.GetSpanId(), spanID[:]) ||
				len(l.item.GetAttributes()) != 1 || l.item.GetAttributes()[0].GetKey() != "packages" ||
				l.item.GetAttributes()[0].GetValue().GetIntValue() != 12 {
				t.Errorf("log %s %v", l.scope, l.item)
			}
			if got := errs.all(); len(got) != 0 {
				t.Errorf("errors: %v", got)
			}
		})
	}
}

func TestEndpointOfOneSignal(t *testing.T) {
	c := newCollector(t)
	tel, err := start(t, map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": c.URL + "/v1/metrics"})
	if err != nil {
		t.Fatal(err)
	}
	sc := record(t)
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if sc.IsValid() || len(c.spans) != 0 || len(c.metrics) != 1 || len(c.logs) != 0 {
		t.Errorf("valid span %t, %d spans, %d metrics, %d logs", sc.IsValid(), len(c.spans), len(c.metrics), len(c.logs))
	}
}

func TestNothingAsked(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"empty": nil,
		"blank": {"OTEL_TRACES_EXPORTER": " , ", "OTEL_METRICS_EXPORTER": " ", "OTEL_LOGS_EXPORTER": ",", envOTLPEndpoint: " "},
		"none": {
			"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
			envOTLPEndpoint: "http://localhost:1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tp, mp, lp := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider()
			tel, err := start(t, env, nil)
			if err != nil {
				t.Fatal(err)
			}
			if otel.GetTracerProvider() != tp || otel.GetMeterProvider() != mp || otel.GetLoggerProvider() != lp {
				t.Error("a global provider was changed")
			}
			if got := otel.GetTextMapPropagator().Fields(); !slices.Equal(sorted(got), []string{"baggage", "traceparent", "tracestate"}) {
				t.Errorf("propagator of %q", got)
			}
			if err := tel.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

func TestSDKDisabled(t *testing.T) {
	tp, mp, lp := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider()
	recorder := tracetest.NewSpanRecorder()
	tel, err := start(t, map[string]string{
		envSDKDisabled: "True", envPropagators: "b3", "OTEL_TRACES_EXPORTER": "no such thing", "OTEL_METRICS_EXPORTER": "prometheus",
	}, WithSpanProcessor(recorder), WithMetricsAddr("256.0.0.1:0"), WithPrometheus())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusNotFound || tel.MetricsAddr() != nil {
		t.Errorf("metrics with status %d at %v", w.Code, tel.MetricsAddr())
	}
	if otel.GetTracerProvider() != tp || otel.GetMeterProvider() != mp || otel.GetLoggerProvider() != lp {
		t.Error("a global provider was changed")
	}
	if got := otel.GetTextMapPropagator().Fields(); !slices.Contains(got, "x-b3-traceid") && !slices.Contains(got, "b3") {
		t.Errorf("propagator of %q", got)
	}
	record(t)
	if n := len(recorder.Started()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

func TestPropagators(t *testing.T) {
	if _, err := start(t, map[string]string{envPropagators: " tracecontext , b3 "}); err != nil {
		t.Fatal(err)
	}
	if got := sorted(otel.GetTextMapPropagator().Fields()); slices.Contains(got, "baggage") || !slices.Contains(got, "traceparent") {
		t.Errorf("%q", got)
	}
}

// What is wrong in the environment is said in full: variable, value, and what there is.
func TestMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		opts []Option
		want string
	}{
		"unknown traces exporter": {
			env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"},
			want: `telemetry: OTEL_TRACES_EXPORTER="zipkin": unknown exporter or metrics producer ` +
				`(known: console, none, otlp, tree, and what is registered with autoexport); nothing is exported`,
		},
		"unknown traces exporter in a list": {
			env:  map[string]string{"OTEL_TRACES_EXPORTER": "console, zipkin"},
			want: `telemetry: OTEL_TRACES_EXPORTER="console, zipkin": "zipkin" cannot be used in a list (known: console, none, otlp, tree); it is left out`,
		},
		"unknown metrics exporter": {
			env: map[string]string{"OTEL_METRICS_EXPORTER": "statsd", "OTEL_TRACES_EXPORTER": "otlp"},
			want: `telemetry: OTEL_METRICS_EXPORTER="statsd": unknown exporter or metrics producer ` +
				`(known: console, none, otlp, prometheus, and what is registered with autoexport); nothing is exported`,
		},
		"unknown logs exporter": {
			env: map[string]string{"OTEL_LOGS_EXPORTER": "syslog", "OTEL_TRACES_EXPORTER": "console,otlp"},
			want: `telemetry: OTEL_LOGS_EXPORTER="syslog": unknown exporter or metrics producer ` +
				`(known: console, none, otlp, and what is registered with autoexport); nothing is exported`,
		},
		"tree for logs": {
			env: map[string]string{"OTEL_LOGS_EXPORTER": "tree"},
			want: `telemetry: OTEL_LOGS_EXPORTER="tree": unknown exporter or metrics producer ` +
				`(known: console, none, otlp, and what is registered with autoexport); nothing is exported`,
		},
		"none and another": {
			env:  map[string]string{"OTEL_TRACES_EXPORTER": "none,tree"},
			want: `telemetry: OTEL_TRACES_EXPORTER="none,tree": none cannot be combined with other exporters`,
		},
		"none and another, metrics": {
			env:  map[string]string{"OTEL_METRICS_EXPORTER": "otlp,none"},
			want: `telemetry: OTEL_METRICS_EXPORTER="otlp,none": none cannot be combined with other exporters`,
		},
		"none and another, logs": {
			env:  map[string]string{"OTEL_LOGS_EXPORTER": "none,otlp"},
			want: `telemetry: OTEL_LOGS_EXPORTER="none,otlp": none cannot be combined with other exporters`,
		},
		"unknown protocol": {
			env:  map[string]string{"OTEL_TRACES_EXPORTER": "otlp", envOTLPProtocol: "http/json"},
			want: `telemetry: OTEL_EXPORTER_OTLP_PROTOCOL="http/json": unknown (known: http/protobuf, grpc); using http/protobuf`,
		},
		"unknown protocol of a signal": {
			env: map[string]string{
				"OTEL_LOGS_EXPORTER": "otlp", envOTLPProtocol: "grpc", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "udp",
			},
			want: `telemetry: OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="udp": unknown (known: http/protobuf, grpc); using http/protobuf`,
		},
		"endpoint without scheme": {
			env:  map[string]string{envOTLPEndpoint: "user:password@collector:4318"},
			want: `telemetry: OTEL_EXPORTER_OTLP_ENDPOINT: not a URL such as http://localhost:4318`,
		},
		"endpoint of a signal without host": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http:///v1/metrics"},
			want: `telemetry: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: not a URL such as http://localhost:4318`,
		},
		"endpoint that is no target for gRPC either": {
			env:  map[string]string{envOTLPEndpoint: "127.0.0.1:4317", envOTLPProtocol: "grpc"},
			want: `telemetry: OTEL_EXPORTER_OTLP_ENDPOINT: not a URL such as http://localhost:4317`,
		},
		"unknown propagator": {
			env: map[string]string{envPropagators: "tracecontext,b4"},
			want: `telemetry: OTEL_PROPAGATORS="tracecontext,b4": unknown propagator: b4 ` +
				`(known: tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, none); using tracecontext,baggage`,
		},
		"unknown producer": {
			env:  map[string]string{"OTEL_METRICS_EXPORTER": "otlp", envProducers: "x"},
			want: `telemetry: OTEL_METRICS_PRODUCERS="x": unknown producer "x" (known: none, prometheus); it is left out`,
		},
		"producers for Prometheus": {
			env: map[string]string{"OTEL_METRICS_EXPORTER": "prometheus", envPrometheusPort: "0", envProducers: "prometheus"},
			want: `telemetry: OTEL_METRICS_PRODUCERS="prometheus": metrics served to Prometheus have no producers; ` +
				`the program's own metrics are served with telemetry.WithRegistry(prometheus.DefaultRegisterer)`,
		},
		"malformed address": {
			opts: []Option{WithMetricsAddr("9464")},
			want: `telemetry: WithMetricsAddr("9464"): missing port in address`,
		},
		"port out of range": {
			opts: []Option{WithMetricsAddr("localhost:99999")},
			want: `telemetry: serving metrics on localhost:99999: port 99999 is not between 0 and 65535`,
		},
		"port out of range, environment": {
			env:  map[string]string{envPrometheusPort: "-1"},
			opts: []Option{WithMetricsAddr("localhost:0")},
			want: `telemetry: OTEL_EXPORTER_PROMETHEUS_PORT="-1": not a whole number from 0 to 65535; using 0`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			captureErrors(t) // no collector is there
			discardStdout(t)
			works := newWorking(t)
			tel, err := start(t, test.env, append(test.opts, works.options()...)...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			works.check(t)
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			defer cancel()
			tel.Shutdown(ctx) //nolint:errcheck // no collector is there
		})
	}
}

// working shows that telemetry works, whatever mistakes there are.
type working struct {
	spans *tracetest.SpanRecorder
	logs  *recordingLogs
	reads *sdkmetric.ManualReader
}

func newWorking(t *testing.T) *working {
	t.Helper()
	return &working{tracetest.NewSpanRecorder(), &recordingLogs{}, sdkmetric.NewManualReader()}
}

func (w *working) options() []Option {
	return []Option{WithSpanProcessor(w.spans), WithLogProcessor(w.logs), WithReader(w.reads)}
}

func (w *working) check(t *testing.T) {
	t.Helper()
	sc := record(t)
	if n := len(w.spans.Ended()); n != 1 || !sc.IsSampled() {
		t.Errorf("%d spans, sampled %t", n, sc.IsSampled())
	}
	if !slices.Equal(w.logs.bodies, []string{"indexed"}) {
		t.Errorf("logs %q", w.logs.bodies)
	}
	var got metricdata.ResourceMetrics
	if err := w.reads.Collect(t.Context(), &got); err != nil || len(got.ScopeMetrics) != 1 || got.ScopeMetrics[0].Metrics[0].Name != "jobs" {
		t.Errorf("metrics %v, %v", got.ScopeMetrics, err)
	}
	if !slices.Contains(otel.GetTextMapPropagator().Fields(), "traceparent") {
		t.Errorf("propagator of %q", otel.GetTextMapPropagator().Fields())
	}
}

// fake is what a program has registered with autoexport.
type fake struct {
	sdktrace.SpanExporter
	stopped chan struct{}
}

func (f fake) Shutdown(context.Context) error {
	close(f.stopped)
	return nil
}

var registeredFake fake

func init() {
	autoexport.RegisterSpanExporter("telemetry-test", func(context.Context) (sdktrace.SpanExporter, error) {
		registeredFake = fake{tracetest.NewInMemoryExporter(), make(chan struct{})}
		return registeredFake, nil
	})
}

// A mistake in one signal leaves the others as they are.
func TestMistakeInOneSignal(t *testing.T) {
	tel, err := start(t, map[string]string{"OTEL_TRACES_EXPORTER": "telemetry-test", "OTEL_LOGS_EXPORTER": "x"})
	if err == nil {
		t.Fatal("no error")
	}
	record(t)
	if err := tel.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	if spans := registeredFake.SpanExporter.(*tracetest.InMemoryExporter).GetSpans(); len(spans) != 1 {
		t.Errorf("spans %v", spans)
	}
}

func TestRegisteredExporter(t *testing.T) {
	tel, err := start(t, map[string]string{"OTEL_TRACES_EXPORTER": "telemetry-test"})
	if err != nil {
		t.Fatal(err)
	}
	record(t)
	if err := otel.GetTracerProvider().(*sdktrace.TracerProvider).ForceFlush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if spans := registeredFake.SpanExporter.(*tracetest.InMemoryExporter).GetSpans(); len(spans) != 1 || spans[0].Name != "a task" {
		t.Errorf("spans %v", spans)
	}
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	<-registeredFake.stopped
}

func TestResourcePrecedence(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	_, err := start(t, map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.version=env,team=env", "OTEL_SERVICE_NAME": "env"},
		WithServiceName("code"), WithServiceVersion("code"),
		WithResourceAttributes(attribute.String("team", "code"), attribute.String("host.name", "code"), attribute.String("a", "1")),
		WithResourceAttributes(attribute.String("a", "2")),
		WithSpanProcessor(recorder), WithSpanProcessor(nil))
	if err != nil {
		t.Fatal(err)
	}
	record(t)
	set := recorder.Ended()[0].Resource().Set()
	for key, want := range map[attribute.Key]string{
		"service.name": "env", "service.version": "env", "team": "env", "host.name": "code", "a": "2",
	} {
		if got, _ := set.Value(key); got.AsString() != want {
			t.Errorf("%s=%q, want %q", key, got.AsString(), want)
		}
	}
}

func TestMalformedResource(t *testing.T) {
	errs := captureErrors(t)
	recorder := tracetest.NewSpanRecorder()
	if _, err := start(t, map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "nonsense"}, WithSpanProcessor(recorder)); err != nil {
		t.Fatal(err)
	}
	got := errs.all()
	if len(got) == 0 || !strings.HasPrefix(got[0].Error(), "telemetry: detecting the resource: ") {
		t.Errorf("%v", got)
	}
}

// An empty name is none, wherever it comes from, and bad bytes do not leave.
func TestEmptyServiceName(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		opt  Option
		want string
	}{
		"option":              {nil, WithServiceName(""), ""},
		"attribute":           {nil, WithResourceAttributes(attribute.String("service.name", "")), ""},
		"resource attributes": {map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.name="}, WithServiceName("code"), "code"},
		"variable":            {map[string]string{"OTEL_SERVICE_NAME": " "}, WithServiceName(""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := tracetest.NewSpanRecorder()
			_, err := start(t, test.env, test.opt, WithServiceVersion("v1\xff"), WithSpanProcessor(recorder))
			if err != nil {
				t.Fatal(err)
			}
			record(t)
			set := recorder.Ended()[0].Resource().Set()
			if got, _ := set.Value("service.name"); got.AsString() != cmp.Or(test.want, "unknown_service:telemetry.test") {
				t.Errorf("service.name=%q", got.AsString())
			}
			if got, _ := set.Value("service.version"); got.AsString() != "v1\ufffd" {
				t.Errorf("service.version=%q", got.AsString())
			}
		})
	}
}

func TestDefaultServiceName(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	if _, err := start(t, nil, WithSpanProcessor(recorder)); err != nil {
		t.Fatal(err)
	}
	record(t)
	if got, _ := recorder.Ended()[0].Resource().Set().Value("service.name"); !strings.HasPrefix(got.AsString(), "unknown_service:") {
		t.Errorf("%q", got.AsString())
	}
}

func TestSamplerFromEnvironment(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	if _, err := start(t, map[string]string{"OTEL_TRACES_SAMPLER": "always_off"}, WithSpanProcessor(recorder)); err != nil {
		t.Fatal(err)
	}
	if sc := record(t); !sc.IsValid() || sc.IsSampled() || len(recorder.Started()) != 0 {
		t.Errorf("%v, %d spans", sc, len(recorder.Started()))
	}
}

// A panic's value may be a secret.
func TestPanicValueIsNotRecorded(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	if _, err := start(t, nil, WithSpanProcessor(recorder)); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_, span := otel.Tracer("test").Start(context.Background(), "a task")
		defer span.End()
		panic("canary")
	}()
	if events := recorder.Ended()[0].Events(); len(events) != 0 {
		t.Errorf("events %v", events)
	}
}

func TestTreeAndOTLP(t *testing.T) {
	c := newCollector(t)
	var printed bytes.Buffer
	tel, err := start(t, map[string]string{
		"OTEL_TRACES_EXPORTER": "tree,otlp", envOTLPEndpoint: c.URL, "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
	}, optionFunc(func(c *config) { c.treeOutput = &printed }))
	if err != nil {
		t.Fatal(err)
	}
	record(t)
	if !strings.HasPrefix(printed.String(), "a task  ") {
		t.Errorf("printed %q before shutdown", printed.String())
	}
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 1 || len(c.metrics) != 0 || len(c.logs) != 0 {
		t.Errorf("%d spans, %d metrics, %d logs", len(c.spans), len(c.metrics), len(c.logs))
	}
}

// Metrics go to all readers from one provider.
func TestPrometheusAndOTLPAndReader(t *testing.T) {
	c := newCollector(t)
	reader := sdkmetric.NewManualReader()
	rename := sdkmetric.NewView(sdkmetric.Instrument{Name: "jobs"}, sdkmetric.Stream{Name: "tasks"})
	tel, err := start(t, map[string]string{
		"OTEL_METRICS_EXPORTER": "otlp, prometheus", envPrometheusHost: "127.0.0.1", envPrometheusPort: "0",
		envOTLPEndpoint: c.URL, "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
	}, WithReader(reader), WithReader(nil), WithView(rename, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	handler := tel.MetricsHandler()
	record(t)
	body := get(t, handler)
	if !strings.Contains(body, "\ntasks_total{") || !strings.Contains(body, "\ngo_goroutines ") {
		t.Errorf("scraped:\n%s", body)
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &got); err != nil {
		t.Fatal(err)
	}
	if name := got.ScopeMetrics[0].Metrics[0].Name; name != "tasks" {
		t.Errorf("manual reader: %s", name)
	}
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.metrics) != 1 || c.metrics[0].item.GetName() != "tasks" {
		t.Errorf("OTLP: %v", c.metrics)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("after shutdown: status %d", w.Code)
	}
}

func get(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestWithRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := start(t, nil, WithRegistry(reg)); err != nil {
		t.Fatal(err)
	}
	record(t)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if !slices.Equal(names, []string{"jobs_total", "target_info"}) {
		t.Errorf("%q", names)
	}
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// httpGet does not keep its connection.
func httpGet(url string) (int, string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestMetricsListener(t *testing.T) {
	for _, test := range []struct {
		name string
		env  func(host, port string) map[string]string
		opts func(host, port string) []Option
	}{
		{"option", nil, func(host, port string) []Option { return []Option{WithMetricsAddr(net.JoinHostPort(host, port))} }},
		{"option, exporter none",
			func(string, string) map[string]string { return map[string]string{"OTEL_METRICS_EXPORTER": "none"} },
			func(host, port string) []Option { return []Option{WithMetricsAddr(net.JoinHostPort(host, port))} }},
		{"environment",
			func(host, port string) map[string]string {
				return map[string]string{"OTEL_METRICS_EXPORTER": "prometheus", envPrometheusHost: host, envPrometheusPort: port}
			}, nil},
		{"environment over option",
			func(_, port string) map[string]string { return map[string]string{envPrometheusPort: port} },
			func(host, _ string) []Option { return []Option{WithMetricsAddr(host + ":1")} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr := freeAddr(t)
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				t.Fatal(err)
			}
			var env map[string]string
			var opts []Option
			if test.env != nil {
				env = test.env(host, port)
			}
			if test.opts != nil {
				opts = test.opts(host, port)
			}
			tel, err := start(t, env, opts...)
			if err != nil {
				t.Fatal(err)
			}
			record(t)
			status, body, err := httpGet("http://" + addr + "/metrics")
			if err != nil || status != http.StatusOK || !strings.Contains(body, "\njobs_total{") {
				t.Errorf("status %d, %v:\n%s", status, err, body)
			}
			if status, _, err := httpGet("http://" + addr + "/"); err != nil || status != http.StatusNotFound {
				t.Errorf("/: status %d, %v", status, err)
			}
			if err := tel.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if _, _, err := httpGet("http://" + addr + "/metrics"); err == nil {
				t.Error("still served after shutdown")
			}
		})
	}
}

// The address is the one that is listened on, whoever chose it.
func TestMetricsAddr(t *testing.T) {
	free := freeAddr(t)
	_, port, err := net.SplitHostPort(free)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  map[string]string
		opts []Option
		want string // "": any that is served
	}{
		"option":                  {opts: []Option{WithMetricsAddr(free)}, want: free},
		"any port":                {opts: []Option{WithMetricsAddr("127.0.0.1:0")}},
		"environment over option": {env: map[string]string{envPrometheusPort: port}, opts: []Option{WithMetricsAddr("127.0.0.1:1")}, want: free},
		"environment": {
			env:  map[string]string{"OTEL_METRICS_EXPORTER": "prometheus", envPrometheusHost: "127.0.0.1", envPrometheusPort: port},
			want: free,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tel, err := start(t, test.env, test.opts...)
			if err != nil {
				t.Fatal(err)
			}
			addr := tel.MetricsAddr().String()
			if test.want != "" && addr != test.want {
				t.Fatalf("address %q, want %q", addr, test.want)
			}
			if status, _, err := httpGet("http://" + addr + "/metrics"); err != nil || status != http.StatusOK {
				t.Errorf("%s: status %d, %v", addr, status, err)
			}
			if err := tel.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	for name, env := range map[string]map[string]string{"nothing asks": nil, "disabled": {envSDKDisabled: "true", "OTEL_METRICS_EXPORTER": "prometheus"}} {
		t.Run(name, func(t *testing.T) {
			tel, err := start(t, env, WithPrometheus())
			if err != nil {
				t.Fatal(err)
			}
			if addr := tel.MetricsAddr(); addr != nil {
				t.Errorf("served at %s", addr)
			}
		})
	}
}

func TestAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	works := newWorking(t)
	tel, err := start(t, nil, append(works.options(), WithMetricsAddr(addr))...)
	if err == nil || !strings.HasPrefix(err.Error(), "telemetry: serving metrics on "+addr+": ") {
		t.Errorf("%v", err)
	}
	works.check(t)
	if body := get(t, tel.MetricsHandler()); !strings.Contains(body, "jobs_total") {
		t.Errorf("not collected for the handler:\n%s", body)
	}
	if tel.MetricsAddr() != nil {
		t.Errorf("served at %s", tel.MetricsAddr())
	}
}

// A registry that refuses leaves nobody listening, and the other readers at work.
func TestRegistryRefuses(t *testing.T) {
	reg := refusing{Registry: prometheus.NewRegistry()}
	addr := freeAddr(t)
	works := newWorking(t)
	_, err := start(t, nil, append(works.options(), WithRegistry(reg), WithMetricsAddr(addr))...)
	if err == nil || !strings.HasPrefix(err.Error(), "metrics: registering with the Prometheus registry: ") {
		t.Errorf("%v", err)
	}
	works.check(t)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// refusing is a registry that takes nothing.
type refusing struct{ *prometheus.Registry }

func (refusing) Register(prometheus.Collector) error { return errors.New("no") }

func TestPrometheusAddr(t *testing.T) {
	for _, test := range []struct{ option, host, port, want string }{
		{"", "", "", "localhost:9464"},
		{":1234", "", "", ":1234"},
		{"example.org:1234", "", "99", "example.org:99"},
		{"example.org:1234", "::1", "", "[::1]:1234"},
		{"", "[::1]", "0", "[::1]:0"},
	} {
		setEnv(t, map[string]string{envPrometheusHost: test.host, envPrometheusPort: test.port})
		if got, err := prometheusAddr(test.option); err != nil || got != test.want {
			t.Errorf("%+v: got %s, %v", test, got, err)
		}
	}
}

// discardStdout keeps what console exporters print out of the way.
func discardStdout(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	previous := os.Stdout
	os.Stdout = null
	t.Cleanup(func() {
		os.Stdout = previous
		null.Close()
	})
}

// The exporters of a list are the ones that are asked for; nothing is exported to find out.
func TestListsOfEveryProtocol(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			captureErrors(t)
			discardStdout(t)
			tel, err := start(t, map[string]string{
				"OTEL_TRACES_EXPORTER": "otlp,console", "OTEL_METRICS_EXPORTER": "otlp,console", "OTEL_LOGS_EXPORTER": "otlp,console",
				envOTLPProtocol: protocol, envOTLPEndpoint: "http://" + freeAddr(t),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			tel.Shutdown(ctx) //nolint:errcheck // no collector: the metrics reader may say so
		})
	}
}

func TestSingleGRPC(t *testing.T) {
	captureErrors(t)
	if _, err := start(t, map[string]string{
		"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "none",
		envOTLPProtocol: "grpc", envOTLPEndpoint: "http://" + freeAddr(t),
	}); err != nil {
		t.Fatal(err)
	}
}

// recordingLogs is a log processor.
type recordingLogs struct{ bodies []string }

func (p *recordingLogs) OnEmit(_ context.Context, r *sdklog.Record) error {
	p.bodies = append(p.bodies, r.Body().AsString())
	return nil
}
func (*recordingLogs) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*recordingLogs) Shutdown(context.Context) error                         { return nil }
func (*recordingLogs) ForceFlush(context.Context) error                       { return nil }

func TestWithLogProcessor(t *testing.T) {
	p := &recordingLogs{}
	if _, err := start(t, nil, WithLogProcessor(p), WithLogProcessor(nil)); err != nil {
		t.Fatal(err)
	}
	record(t)
	var r otellog.Record
	r.SetBody(attribute.StringValue("direct"))
	otel.Logger("test").Emit(context.Background(), r)
	if !slices.Equal(p.bodies, []string{"indexed", "direct"}) {
		t.Errorf("%q", p.bodies)
	}
}
