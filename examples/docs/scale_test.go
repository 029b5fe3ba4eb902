package docs

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/taskspan/taskspan/examples/internal/receiver"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
)

// Five tasks of 10,000 statements, with the settings that OpenTelemetry has by default
// and a collector that takes its time: every task arrives, and every failed statement.
func TestFiveBigTasks(t *testing.T) {
	const tasks, statements, failures = 5, 10_000, 20
	c := receiver.New(t, 50*time.Millisecond)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL+"/v1/traces")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	tel, err := telemetry.Start(t.Context(), telemetry.WithServiceName("big"), telemetry.WithPrometheus())
	if err != nil {
		t.Fatal(err)
	}
	runner, err := worker.New(worker.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	db, err := otdb.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE items (id INTEGER PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for task := range tasks {
		err := runner.Run(t.Context(), "fill", func(ctx context.Context) error { return fill(ctx, db, task*statements, statements, failures) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	served := strings.Split(w.Body.String(), "\n")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}

	spans, size := c.Spans()
	t.Logf("%d spans in %d bytes", len(spans), size)
	var arrived, failed, run int64
	for _, s := range spans {
		switch {
		case s.GetName() == "fill":
			arrived++
		case s.GetName() == "INSERT items":
			n := int64(1)
			for _, kv := range s.GetAttributes() {
				if kv.GetKey() == "otdb.folded.count" {
					n = kv.GetValue().GetIntValue()
				}
			}
			run += n
			if s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR {
				failed++
			}
		}
	}
	if arrived != tasks || failed != tasks*failures || run != tasks*statements || len(spans) >= 2000 {
		t.Errorf("%d spans: %d tasks, %d statements, of which %d failed", len(spans), arrived, run, failed)
	}
	for _, want := range []struct {
		metric string
		label  string // that the point has
		not    string // and that it has not
		count  int
	}{
		{"db_client_operation_duration_seconds_count", `db_query_summary="INSERT items"`, "error_type", tasks * (statements - failures)},
		{"db_client_operation_duration_seconds_count", `db_query_summary="INSERT items"`, `error_type=""`, tasks * failures},
		{"worker_task_duration_seconds_count", `worker_task_name="fill"`, "error_type", tasks},
	} {
		if !slices.ContainsFunc(served, func(line string) bool {
			return strings.HasPrefix(line, want.metric+"{") && strings.Contains(line, want.label) && !strings.Contains(line, want.not) &&
				strings.HasSuffix(line, fmt.Sprintf("} %d", want.count))
		}) {
			t.Errorf("/metrics has no %s of %s that is %d", want.metric, want.label, want.count)
		}
	}
}

// fill inserts that many rows, and fails as often in between.
func fill(ctx context.Context, db *sql.DB, first, statements, failures int) error {
	for i := range statements {
		id := first + i
		if i%(statements/failures) == statements/failures-1 {
			id-- // is there already
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO items (id) VALUES (?)", id); (err != nil) != (id != first+i) {
			return fmt.Errorf("insert %d: %w", id, err)
		}
	}
	return nil
}
