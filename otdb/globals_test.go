package otdb

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/internal/oteltest"
	"github.com/taskspan/taskspan/worker"
)

// inChild says that the test binary runs once more for a test that changes what
// a process can change but once: the global providers delegate to the first
// ones that are set.
const inChild = "TASKSPAN_OTDB_CHILD"

// A program may open its databases before it sets its providers up.
func TestGlobalProvidersThatAreSetLater(t *testing.T) {
	if os.Getenv(inChild) == "" {
		binary, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), binary, "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
		cmd.Env = append(os.Environ(), inChild+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}

	d := &listening{}
	db := OpenDB(dsnConnector{d, sqliteFile(t)}, WithSystem("sqlite"), WithNamespace("shop.db"), WithCommenter(CommentFull))
	defer db.Close()
	ctx := context.Background()
	if _, err := db.ExecContext(ctx, "DELETE FROM otdb_numbers"); err != nil { // nobody hears
		t.Fatal(err)
	}

	r := newRig(t)
	otel.SetTracerProvider(r.TracerProvider)
	otel.SetMeterProvider(r.MeterProvider)
	otel.SetTextMapPropagator(propagation.TraceContext{})

	d.texts = nil
	if err := worker.Run(ctx, "users.clean", func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "DELETE FROM otdb_users")
		return err
	}); err != nil {
		t.Fatal(err)
	}

	spans := r.TakeSpans()
	if len(spans) != 1 {
		t.Fatalf("%d spans", len(spans))
	}
	r.Untake()
	r.wantSpans(span{name: "DELETE otdb_users", parent: "users.clean", start: attrs{
		"db.system.name": "sqlite", "db.namespace": "shop.db",
		"db.query.summary": "DELETE otdb_users", "db.query.text": "DELETE FROM otdb_users",
	}})
	wantTexts(t, d.texts, "/*task='users.clean',"+traceparent(spans[0].SpanContext())+"*/ DELETE FROM otdb_users")
	task := slices.IndexFunc(r.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.Name() == "users.clean" })
	if task < 0 {
		t.Fatal("the task has no span")
	}
	counted := false
	for _, kv := range r.Ended()[task].Attributes() {
		counted = counted || kv.Key == "worker.task.db.operations" && kv.Value.AsInt64() == 1
	}
	if !counted {
		t.Errorf("the task's attributes: %v", oteltest.KeyValues(r.Ended()[task].Attributes()))
	}
	r.wantDurations()
	r.wantPools(map[string]poolNumbers{"sqlite/shop.db": {idle: 1, limit: -1, target: attrs{
		"db.system.name": "sqlite", "db.namespace": "shop.db",
	}}})
}
