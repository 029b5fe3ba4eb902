package drivers

import (
	"context"
	"slices"
	"testing"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
)

// A database and the default runner, made before the first Start, follow each.
func TestSecondStartIsFollowed(t *testing.T) {
	tp, mp, p := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetTextMapPropagator()
	t.Cleanup(func() {
		otel.SetTracerProvider(tp)
		otel.SetMeterProvider(mp)
		otel.SetTextMapPropagator(p)
	})
	db, err := otdb.Open("sqlite3", sqliteFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 3 {
		spans, reader := tracetest.NewSpanRecorder(), sdkmetric.NewManualReader()
		tel, err := telemetry.Start(t.Context(), telemetry.WithSpanProcessor(spans), telemetry.WithReader(reader))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := worker.Run(t.Context(), "look", func(ctx context.Context) error { return db.PingContext(ctx) }); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), "SELECT 1"); err != nil {
				t.Fatal(err)
			}
		}
		var names []string
		for _, s := range spans.Ended() {
			names = append(names, s.Name())
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == "CONNECT" })
		if want := []string{"look", "SELECT", "look", "SELECT"}; !slices.Equal(names, want) {
			t.Errorf("spans %q, want %q", names, want)
		}
		var data metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		var metrics []string
		for _, scope := range data.ScopeMetrics {
			for _, m := range scope.Metrics {
				metrics = append(metrics, m.Name)
			}
		}
		for _, want := range []string{"db.client.operation.duration", "db.client.connection.count", "worker.task.duration", "worker.task.active"} {
			if !slices.Contains(metrics, want) {
				t.Errorf("no %s among %q", want, metrics)
			}
		}
		if err := tel.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
