package telemetry

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector receives OTLP over HTTP.
type collector struct {
	URL     string
	handler http.Handler

	mu      sync.Mutex
	spans   []received[*trace.Span]
	metrics []received[*metrics.Metric]
	logs    []received[*logs.LogRecord]
}

// received is an item with the resource and the scope that it came with.
type received[T any] struct {
	resource map[string]string
	scope    string
	item     T
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", c.handle(func(body []byte) (proto.Message, error) {
		var r coltrace.ExportTraceServiceRequest
		err := proto.Unmarshal(body, &r)
		for _, rs := range r.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					c.spans = append(c.spans, received[*trace.Span]{resourceOf(rs.GetResource()), ss.GetScope().GetName(), s})
				}
			}
		}
		return &coltrace.ExportTraceServiceResponse{}, err
	}))
	mux.HandleFunc("POST /v1/metrics", c.handle(func(body []byte) (proto.Message, error) {
		var r colmetrics.ExportMetricsServiceRequest
		err := proto.Unmarshal(body, &r)
		for _, rm := range r.GetResourceMetrics() {
			for _, sm := range rm.GetScopeMetrics() {
				for _, m := range sm.GetMetrics() {
					c.metrics = append(c.metrics, received[*metrics.Metric]{resourceOf(rm.GetResource()), sm.GetScope().GetName(), m})
				}
			}
		}
		return &colmetrics.ExportMetricsServiceResponse{}, err
	}))
	mux.HandleFunc("POST /v1/logs", c.handle(func(body []byte) (proto.Message, error) {
		var r collogs.ExportLogsServiceRequest
		err := proto.Unmarshal(body, &r)
		for _, rl := range r.GetResourceLogs() {
			for _, sl := range rl.GetScopeLogs() {
				for _, l := range sl.GetLogRecords() {
					c.logs = append(c.logs, received[*logs.LogRecord]{resourceOf(rl.GetResource()), sl.GetScope().GetName(), l})
				}
			}
		}
		return &collogs.ExportLogsServiceResponse{}, err
	}))
	c.handler = mux
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *collector) handle(receive func(body []byte) (proto.Message, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var reader io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			reader = z
		}
		body, err := io.ReadAll(reader)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		response, err := receive(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		encoded, err := proto.Marshal(response)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.Write(encoded) //nolint:errcheck // the exporter would report it
	}
}

func resourceOf(r *resource.Resource) map[string]string { return attributesOf(r.GetAttributes()) }

func attributesOf(kvs []*common.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, kv := range kvs {
		m[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return m
}
