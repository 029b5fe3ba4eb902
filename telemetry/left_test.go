package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what the exporters compress with
	"google.golang.org/grpc/stats"
)

// connections counts those that a server has.
type connections struct {
	mu   sync.Mutex
	cond *sync.Cond
	all  int
	open int
}

func newConnections() *connections {
	c := &connections{}
	c.cond = sync.NewCond(&c.mu)
	return c
}

func (c *connections) changed(open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open += open; open > 0 {
		c.all++
	}
	c.cond.Broadcast()
}

// none waits until all are closed, which the server learns a little later than the client, and returns how many
// there were.
func (c *connections) none() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open > 0 {
		c.cond.Wait()
	}
	return c.all
}

// watch is told of the connections and calls of a server over gRPC.
type watch struct {
	*connections
	compression map[string]string // of each method
}

type method struct{}

func (watch) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (w watch) HandleConn(_ context.Context, s stats.ConnStats) {
	switch s.(type) {
	case *stats.ConnBegin:
		w.changed(1)
	case *stats.ConnEnd:
		w.changed(-1)
	}
}

func (watch) TagRPC(ctx context.Context, i *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, method{}, i.FullMethodName)
}

func (w watch) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if header, ok := s.(*stats.InHeader); ok {
		name, _ := ctx.Value(method{}).(string)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.compression[name] = header.Compression
	}
}

type traceService struct {
	coltrace.UnimplementedTraceServiceServer
}

func (traceService) Export(context.Context, *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	return &coltrace.ExportTraceServiceResponse{}, nil
}

type metricsService struct {
	colmetrics.UnimplementedMetricsServiceServer
}

func (metricsService) Export(context.Context, *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}

type logsService struct {
	collogs.UnimplementedLogsServiceServer
}

func (logsService) Export(context.Context, *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	return &collogs.ExportLogsServiceResponse{}, nil
}

// After Shutdown no goroutine and no connection is left, with a collector that lives on and would keep them.
func TestNothingIsLeft(t *testing.T) {
	for _, protocol := range []string{protocolHTTP, protocolGRPC} {
		for _, compression := range []string{"none", "gzip"} {
			t.Run(protocol+", "+compression, func(t *testing.T) {
				failures := captureErrors(t)
				open := newConnections()
				calls := watch{open, make(map[string]string)}
				var url string
				if protocol == protocolHTTP {
					c := newCollector(t)
					server := httptest.NewUnstartedServer(c.handler)
					server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
						switch state {
						case http.StateNew:
							open.changed(1)
						case http.StateClosed:
							open.changed(-1)
						}
					}
					server.Start()
					t.Cleanup(server.Close)
					url = server.URL
				} else {
					l, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					server := grpc.NewServer(grpc.StatsHandler(calls))
					coltrace.RegisterTraceServiceServer(server, traceService{})
					colmetrics.RegisterMetricsServiceServer(server, metricsService{})
					collogs.RegisterLogsServiceServer(server, logsService{})
					var wg sync.WaitGroup
					wg.Go(func() { server.Serve(l) }) //nolint:errcheck // it is stopped
					t.Cleanup(func() {
						server.Stop()
						wg.Wait()
					})
					url = "http://" + l.Addr().String()
				}
				works := newWorking(t)
				before := goleak.IgnoreCurrent()
				tel, err := start(t, map[string]string{
					envOTLPEndpoint: url, envOTLPProtocol: protocol, "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
				}, works.options()...)
				if err != nil {
					t.Fatal(err)
				}
				works.check(t)
				if err := tel.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				if err := goleak.Find(before); err != nil { // those of a connection, at both of its ends, are among them
					t.Fatal(err)
				}
				if n := open.none(); n == 0 {
					t.Error("the collector had no connection")
				}
				for _, err := range failures.all() {
					t.Error(err)
				}
				if protocol == protocolGRPC {
					want := compression
					if want == "none" {
						want = ""
					}
					if len(calls.compression) != 3 {
						t.Errorf("the collector was called for %v", calls.compression)
					}
					for name, got := range calls.compression {
						if got != want {
							t.Errorf("%s has compression %q", name, got)
						}
					}
				}
			})
		}
	}
}

// The collector's certificate, and the client's, are those of the variables.
func TestCertificates(t *testing.T) {
	c := newCollector(t)
	server := httptest.NewUnstartedServer(c.handler)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, content []byte) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	certificate := file("cert.pem", "CERTIFICATE", pair.Certificate[0])
	tel, err := start(t, map[string]string{
		envOTLPEndpoint:                         server.URL,
		"OTEL_EXPORTER_OTLP_CERTIFICATE":        certificate,
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificate,
		"OTEL_EXPORTER_OTLP_CLIENT_KEY":         file("key.pem", "PRIVATE KEY", key),
		"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": certificate,
	})
	if err != nil {
		t.Fatal(err)
	}
	record(t)
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 1 || len(c.metrics) != 1 || len(c.logs) != 1 {
		t.Errorf("%d spans, %d metrics, %d logs reach the collector", len(c.spans), len(c.metrics), len(c.logs))
	}
}
