package metrics_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/taskspan/taskspan/metrics"
)

func Example() {
	ctx := context.Background()
	m, err := metrics.New(metrics.WithRegistry(prometheus.NewRegistry())) // without options, Go and process metrics are there too
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Shutdown(ctx) //nolint:errcheck // nothing is pushed anywhere

	imports, err := m.Meter("example").Int64Counter("indexer.imports", metric.WithUnit("{import}"))
	if err != nil {
		fmt.Println(err)
		return
	}
	imports.Add(ctx, 312, metric.WithAttributes(attribute.String("db.system.name", "sqlite")))

	server := httptest.NewServer(m.Handler())
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "indexer") {
			fmt.Print(line)
		}
	}
	// Output:
	// indexer_imports_total{db_system_name="sqlite",otel_scope_name="example",otel_scope_schema_url="",otel_scope_version=""} 312
}
