// Package receiver receives the traces that a program exports, and counts them.
package receiver

import (
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Receiver receives traces by OTLP over HTTP. It is safe for concurrent use.
type Receiver struct {
	URL string

	mu    sync.Mutex
	spans []*trace.Span
	bytes int
}

// New starts a receiver that takes so long for each request. The test ends it.
func New(t testing.TB, delay time.Duration) *Receiver {
	r, stop, err := Start(delay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return r
}

// Start is New outside of tests: stop ends the receiver.
func Start(delay time.Duration) (r *Receiver, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not block
	if err != nil {
		return nil, nil, err
	}
	r = &Receiver{URL: "http://" + listener.Addr().String()}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if err := r.receive(request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(delay)
	})}
	server.SetKeepAlivesEnabled(false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return r, func() { _ = server.Close(); <-done }, nil
}

func (r *Receiver) receive(request *http.Request) error {
	var body io.Reader = request.Body
	if request.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err != nil || request.URL.Path != "/v1/traces" {
		return err
	}
	var export coltrace.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &export); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += len(data)
	for _, resource := range export.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
	return nil
}

// Spans returns the spans so far, and how many bytes they were before compression.
func (r *Receiver) Spans() (spans []*trace.Span, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans), r.bytes
}
