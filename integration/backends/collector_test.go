package backends

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	_ "modernc.org/sqlite"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
)

var errFailed = errors.New("the task's own failure")

// collector is the OpenTelemetry Collector's OTLP receiver, in this process.
type collector struct {
	grpc, http string // addresses

	mu      sync.Mutex
	spans   []received[ptrace.Span]
	logs    []received[plog.LogRecord]
	metrics map[string]pmetric.Metric // the newest of each name
}

// received is something with the resource that it came with.
type received[T any] struct {
	item    T
	service string
}

type host struct{}

// GetExtensions implements component.Host.
func (host) GetExtensions() map[component.ID]component.Component { return nil }

// freeAddress returns an address of the loopback interface that is free.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startCollector(tb testing.TB) *collector {
	tb.Helper()
	c := &collector{grpc: freeAddress(tb), http: freeAddress(tb), metrics: make(map[string]pmetric.Metric)}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": c.grpc},
		"http": map[string]any{"endpoint": c.http},
	}}).Unmarshal(config); err != nil {
		tb.Fatal(err)
	}
	settings := receiver.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger:         zap.NewNop(),
			TracerProvider: tracenoop.NewTracerProvider(),
			MeterProvider:  metricnoop.NewMeterProvider(),
			Resource:       pcommon.NewResource(),
		},
	}
	ctx := context.Background()
	traces, err1 := consumer.NewTraces(c.traces)
	metrics, err2 := consumer.NewMetrics(c.points)
	logs, err3 := consumer.NewLogs(c.records)
	if err := errors.Join(err1, err2, err3); err != nil {
		tb.Fatal(err)
	}
	t, err1 := factory.CreateTraces(ctx, settings, config, traces)
	m, err2 := factory.CreateMetrics(ctx, settings, config, metrics)
	l, err3 := factory.CreateLogs(ctx, settings, config, logs)
	if err := errors.Join(err1, err2, err3); err != nil {
		tb.Fatal(err)
	}
	for _, r := range []component.Component{t, m, l} {
		if err := r.Start(ctx, host{}); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := r.Shutdown(ctx); err != nil {
				tb.Error(err)
			}
		})
	}
	return c
}

func serviceOf(r pcommon.Resource) string {
	v, _ := r.Attributes().Get("service.name")
	return v.AsString()
}

func (c *collector) traces(_ context.Context, td ptrace.Traces) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				c.spans = append(c.spans, received[ptrace.Span]{s, serviceOf(rs.Resource())})
			}
		}
	}
	return nil
}

func (c *collector) points(_ context.Context, md pmetric.Metrics) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				c.metrics[m.Name()] = m
			}
		}
	}
	return nil
}

func (c *collector) records(_ context.Context, ld plog.Logs) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				c.logs = append(c.logs, received[plog.LogRecord]{r, serviceOf(rl.Resource())})
			}
		}
	}
	return nil
}

// service is a small worker that does everything: its own database, tasks that
// succeed and tasks that fail.
type service struct {
	db     *sql.DB
	runner *worker.Runner
}

func newService(tb testing.TB) *service {
	tb.Helper()
	db, err := otdb.Open("sqlite", "file:"+filepath.Join(tb.TempDir(), "jobs.db")+"?_pragma=synchronous(0)&_pragma=journal_mode(MEMORY)")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	runner, err := worker.New(worker.WithLogger(slog.New(telemetry.NewLogHandler(nil))))
	if err != nil {
		tb.Fatal(err)
	}
	s := &service{db, runner}
	if _, err := db.ExecContext(tb.Context(), "CREATE TABLE jobs (id INTEGER PRIMARY KEY, payload TEXT)"); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *service) index(ctx context.Context) error {
	return s.runner.Run(ctx, "index", func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "INSERT INTO jobs (payload) VALUES (?)", "x")
		return err
	})
}

func (s *service) explode(ctx context.Context) error {
	return s.runner.Run(ctx, "explode", func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "SELECT * FROM nothing")
		if err == nil {
			return errors.New("the table is there")
		}
		return errFailed
	})
}

// start sets up telemetry from the environment.
func start(tb testing.TB, opts ...telemetry.Option) *telemetry.Telemetry {
	tb.Helper()
	tel, err := telemetry.Start(tb.Context(), append([]telemetry.Option{telemetry.WithServiceName("the worker")}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return tel
}

// errorsOf counts what is reported to OpenTelemetry's error handler.
func errorsOf(tb testing.TB) *atomic.Int64 {
	tb.Helper()
	n := new(atomic.Int64)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { n.Add(1) }))
	return n
}

// A collector that is not ours receives all three signals over both protocols,
// and finds them related: log and exemplar lead to the span.
func TestCollectorFindsSignalsRelated(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			t.Attr("database", "SQLite")
			t.Attr("driver", "modernc.org/sqlite")
			t.Attr("verified", "traces, metrics and logs reach a collector and are related")
			c := startCollector(t)
			address := c.http
			if protocol == "grpc" {
				address = c.grpc
			}
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+address)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			failures := errorsOf(t)
			tel := start(t)
			s := newService(t)
			if err := s.index(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.explode(t.Context()); !errors.Is(err, errFailed) {
				t.Fatal(err)
			}
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if n := failures.Load(); n != 0 {
				t.Errorf("%d errors of telemetry", n)
			}
			c.check(t)
		})
	}
}

func (c *collector) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	byName := make(map[string]ptrace.Span)
	for _, s := range c.spans {
		if s.service != "the worker" {
			t.Errorf("span %q comes from %q", s.item.Name(), s.service)
		}
		byName[s.item.Name()] = s.item
	}
	for child, parent := range map[string]string{"INSERT jobs": "index", "SELECT nothing": "explode"} {
		s, ok := byName[child]
		p, okParent := byName[parent]
		if !ok || !okParent || s.TraceID() != p.TraceID() || s.ParentSpanID() != p.SpanID() {
			t.Errorf("%q is not a child of %q", child, parent)
		}
	}
	failed := byName["explode"]
	if failed.Status().Code() != ptrace.StatusCodeError || failed.Events().Len() != 1 || failed.Events().At(0).Name() != "exception" {
		t.Errorf("explode: status %v, %d events", failed.Status().Code(), failed.Events().Len())
	}
	found := false
	for _, l := range c.logs {
		if l.item.SeverityNumber() == plog.SeverityNumberError {
			found = true
			if l.item.TraceID() != failed.TraceID() || l.item.SpanID() != failed.SpanID() || l.service != "the worker" {
				t.Errorf("the log record %q is not related to the span of its task", l.item.Body().AsString())
			}
		}
	}
	if !found {
		t.Error("no log record of the failure")
	}
	for metric, spans := range map[string][]string{
		"worker.task.duration":         {"index", "explode"},
		"db.client.operation.duration": {"INSERT jobs", "SELECT nothing"},
	} {
		exemplars := make(map[pcommon.SpanID]bool)
		m, ok := c.metrics[metric]
		if !ok || m.Type() != pmetric.MetricTypeHistogram {
			t.Errorf("no histogram %s", metric)
			continue
		}
		for _, p := range m.Histogram().DataPoints().All() {
			for _, e := range p.Exemplars().All() {
				exemplars[e.SpanID()] = true
			}
		}
		for _, span := range spans {
			if !exemplars[byName[span].SpanID()] {
				t.Errorf("%s: no exemplar leads to the span %q", metric, span)
			}
		}
	}
}

// A collector that is down for the whole run costs the application nothing: it
// sees the same results, and ends in time.
func TestCollectorIsDown(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			t.Attr("database", "SQLite")
			t.Attr("driver", "modernc.org/sqlite")
			t.Attr("verified", "faults: collector down, collector slow")
			before := goleak.IgnoreCurrent()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+freeAddress(t))
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
			t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1000") // for what is given up in the background
			failures := errorsOf(t)
			tel := start(t)
			s := newService(t)
			for range 3000 { // more than the queues hold
				if err := s.index(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var n int
			if err := s.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM jobs").Scan(&n); err != nil || n != 3000 {
				t.Error(n, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			err := tel.Shutdown(ctx)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("shutdown took %v, its context one second", took)
			}
			if err == nil && failures.Load() == 0 {
				t.Error("nobody was told that nothing could be exported")
			}
			_ = s.db.Close()
			for deadline := time.Now().Add(30 * time.Second); ; {
				err := goleak.Find(before)
				if err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
		})
	}
}

// A collector that is slow delays nothing but itself, and gets everything once.
func TestCollectorIsSlow(t *testing.T) {
	t.Attr("database", "SQLite")
	t.Attr("driver", "modernc.org/sqlite")
	t.Attr("verified", "faults: collector down, collector slow")
	c := startCollector(t)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "collector", "127.0.0.1:0", c.http)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer proxy.Stop()
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"name": "slow", "type": "latency", "stream": "downstream", "attributes": {"latency": 200}}`)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+proxy.Listen)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	failures := errorsOf(t)
	tel := start(t)
	s := newService(t)
	for range 500 {
		if err := s.index(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := failures.Load(); n != 0 {
		t.Errorf("%d errors of telemetry", n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	count := make(map[string]int)
	ids := make(map[pcommon.SpanID]bool)
	for _, s := range c.spans {
		count[s.item.Name()]++
		if ids[s.item.SpanID()] {
			t.Errorf("the span %v came twice", s.item.SpanID())
		}
		ids[s.item.SpanID()] = true
	}
	if count["index"] != 500 || count["INSERT jobs"] != 500 {
		t.Errorf("%v", count)
	}
}

// Metrics that are scraped while they are shut down are whole or refused.
func TestMetricsScrapedDuringShutdown(t *testing.T) {
	t.Attr("database", "SQLite")
	t.Attr("driver", "modernc.org/sqlite")
	t.Attr("verified", "faults: /metrics scraped during shutdown")
	address := freeAddress(t)
	failures := errorsOf(t)
	tel := start(t, telemetry.WithMetricsAddr(address))
	s := newService(t)
	if err := s.index(t.Context()); err != nil {
		t.Fatal(err)
	}
	var whole, refused atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, body, err := get(client, "http://"+address+"/metrics")
				switch {
				case err != nil, status == http.StatusServiceUnavailable:
					refused.Add(1)
				case status == http.StatusOK && strings.Contains(body, "worker_task_duration_seconds_count") && strings.HasSuffix(body, "\n"):
					whole.Add(1)
				default:
					t.Errorf("status %d, %d bytes", status, len(body))
				}
			}
		})
	}
	for whole.Load() < 10 {
		if err := s.index(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for refused.Load() < 10 {
		if err := s.index(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	group.Wait()
	if n := failures.Load(); n != 0 {
		t.Errorf("%d errors of telemetry", n)
	}
}

func get(client *http.Client, url string) (status int, body string, err error) {
	res, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", fmt.Errorf("reading %s: %w", url, err)
	}
	return res.StatusCode, string(b), nil
}
