package main

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector receives traces by OTLP over HTTP.
type collector struct {
	URL string

	mu    sync.Mutex
	spans []*trace.Span
}

func newCollector(t *testing.T) *collector {
	c := new(collector)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = z
		}
		data, err := io.ReadAll(body)
		var request coltrace.ExportTraceServiceRequest
		if err == nil && r.URL.Path == "/v1/traces" {
			err = proto.Unmarshal(data, &request)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// trace returns the names of a trace's spans, by the name of their parent.
func (c *collector) trace(id string) map[string][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make(map[string]string)
	for _, s := range c.spans {
		names[hex.EncodeToString(s.GetSpanId())] = s.GetName()
	}
	children := make(map[string][]string)
	for _, s := range c.spans {
		if hex.EncodeToString(s.GetTraceId()) == id {
			parent := names[hex.EncodeToString(s.GetParentSpanId())]
			children[parent] = append(children[parent], s.GetName())
		}
	}
	return children
}
