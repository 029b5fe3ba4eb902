package drivers

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// TestFindingsOfRealQueries runs tasks on a real database: what they should not
// do to it is found, and what is fine is not.
func TestFindingsOfRealQueries(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	db, err := otdb.Open("sqlite3", "file:findings?mode=memory&cache=shared", otdb.WithTracerProvider(tracers))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var log bytes.Buffer
	runner, err := worker.New(worker.WithTracerProvider(tracers), worker.WithLogger(slog.New(slog.NewJSONHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := runner.Run(ctx, "migrate", func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "CREATE TABLE customers (id INTEGER PRIMARY KEY); INSERT INTO customers VALUES (1), (2), (3)")
		return err
	}); err != nil {
		t.Fatal(err)
	}

	const n = 25
	var leaked *sql.Rows
	tasks := []struct {
		name string
		run  func(context.Context) error
		want map[string]any // the finding's log record
	}{
		{"one query for each", func(ctx context.Context) error {
			for i := range n {
				var id int
				if err := db.QueryRowContext(ctx, "SELECT id FROM customers WHERE id = ?", i%3+1).Scan(&id); err != nil {
					return err
				}
			}
			return nil
		}, map[string]any{"worker.finding.kind": "repeated_statement", "db.query.summary": "SELECT customers", "worker.finding.count": float64(n)}},
		{"one query for all", func(ctx context.Context) error {
			rows, err := db.QueryContext(ctx, "SELECT a.id FROM customers a JOIN customers b WHERE a.id <> ?", 7)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		}, nil},
		{"rows left open", func(ctx context.Context) error {
			var err error
			leaked, err = db.QueryContext(context.WithoutCancel(ctx), "SELECT id FROM customers ORDER BY id")
			leaked.Next()
			return err
		}, map[string]any{"worker.finding.kind": "rows_leaked", "db.query.summary": "SELECT customers", "worker.finding.count": 1.0, "worker.finding.rows": 1.0}},
	}
	for _, task := range tasks {
		log.Reset()
		if err := runner.Run(ctx, task.name, task.run); err != nil {
			t.Fatal(task.name, err)
		}
		var got map[string]any
		if log.Len() > 0 {
			if err := json.Unmarshal(log.Bytes(), &got); err != nil {
				t.Fatalf("%s: not one record: %v\n%s", task.name, err, log.String())
			}
		}
		if task.want == nil && got != nil {
			t.Errorf("%s: found %v", task.name, got)
		}
		for key, want := range task.want {
			if got[key] != want {
				t.Errorf("%s: %s is %v, want %v, in %v", task.name, key, got[key], want, got)
			}
		}
	}

	// The rows stay usable, and their span has ended with the task.
	var id int
	if !leaked.Next() || leaked.Scan(&id) != nil || id != 2 || leaked.Close() != nil {
		t.Errorf("the rows that were left open: id %d, %v", id, leaked.Err())
	}
	if started, ended := len(spans.Started()), len(spans.Ended()); started != ended {
		t.Errorf("%d spans started, %d ended", started, ended)
	}
}
