package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
)

// metricsPath is where metrics are served.
const metricsPath = "/metrics"

// listen opens the address for metrics.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	if _, port, err := net.SplitHostPort(addr); err == nil {
		if n, err := strconv.Atoi(port); err == nil && (n < 0 || n > math.MaxUint16) {
			return nil, fmt.Errorf("telemetry: serving metrics on %s: port %s is not between 0 and 65535", addr, port)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("telemetry: serving metrics on %s: %w", addr, err)
	}
	return l, nil
}

// serveMetrics serves h on l until the returned function is called, which closes l.
func serveMetrics(l net.Listener, h http.Handler) (stop func(context.Context) error) {
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, h)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 16,
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			otel.Handle(fmt.Errorf("telemetry: serving metrics on %s: %w", l.Addr(), err))
		}
	}()
	return func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, server.Close()) // scrapes that take too long are cut off
		}
		<-stopped
		return err
	}
}
