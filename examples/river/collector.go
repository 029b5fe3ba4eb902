package main

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector receives the spans of all processes by OTLP, as any backend would.
type collector struct {
	server *http.Server
	url    string

	mu    sync.Mutex
	spans []span
}

// span is what is shown of a span.
type span struct {
	process    string
	trace      string
	id, parent string
	name       string
	start, end time.Time
	attributes map[string]string
	failed     bool
}

// maxExport is more than a batch of the demo's spans takes.
const maxExport = 16 << 20

func startCollector(ctx context.Context) (*collector, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collector{url: "http://" + listener.Addr().String() + "/v1/traces"}
	c.server = &http.Server{Handler: http.HandlerFunc(c.receive), ReadHeaderTimeout: shutdownTimeout}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

func (c *collector) close() { _ = c.server.Close() }

func (c *collector) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxExport))
	var request collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil {
		http.Error(w, "not an export of traces", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		process := values(resource.GetResource().GetAttributes())["service.instance.id"]
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{
					process:    process,
					trace:      hex.EncodeToString(s.GetTraceId()),
					id:         hex.EncodeToString(s.GetSpanId()),
					parent:     hex.EncodeToString(s.GetParentSpanId()),
					name:       s.GetName(),
					start:      time.Unix(0, int64(s.GetStartTimeUnixNano())), //nolint:gosec // in this century
					end:        time.Unix(0, int64(s.GetEndTimeUnixNano())),   //nolint:gosec // in this century
					attributes: values(s.GetAttributes()),
					failed:     s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
				})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// values returns the attributes that are texts.
func values(attributes []*commonpb.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, kv := range attributes {
		if text, ok := kv.GetValue().GetValue().(*commonpb.AnyValue_StringValue); ok {
			m[kv.GetKey()] = text.StringValue
		}
	}
	return m
}

// of returns the spans of a trace.
func (c *collector) of(id trace.TraceID) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []span
	for _, s := range c.spans {
		if s.trace == id.String() {
			out = append(out, s)
		}
	}
	return out
}

// knows reports whether there is a span of a trace in a process.
func (c *collector) knows(id trace.TraceID, process string) bool {
	return slices.ContainsFunc(c.of(id), func(s span) bool { return s.process == process })
}
