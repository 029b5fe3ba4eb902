package otdb

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/oteltest"
	"github.com/taskspan/taskspan/worker"
)

// inChild says that the test binary runs once more for a test that changes what
// a process can change but once: the global providers delegate to the first
// ones that are set.
const inChild = "TASKSPAN_OTDB_CHILD"

func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inChild) != "" {
		return true
	}
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
	return false
}

// A program may open its databases before it sets its providers up.
func TestGlobalProvidersThatAreSetLater(t *testing.T) {
	if !alone(t) {
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

// What was opened before follows each provider that is set, whether or not the one before it was shut down, and
// nothing is in two of them.
func TestGlobalProvidersThatAreSetAgain(t *testing.T) {
	if !alone(t) {
		return
	}
	d := &listening{}
	db := OpenDB(dsnConnector{d, sqliteFile(t)}, WithSystem("sqlite"), WithCommenter(CommentFull))
	defer db.Close()
	pools := map[string]poolNumbers{"sqlite": {idle: 1, limit: -1, target: attrs{"db.system.name": "sqlite"}}}
	ctx := context.Background()
	exec := func() {
		t.Helper()
		d.texts = nil
		if _, err := db.ExecContext(ctx, "DELETE FROM otdb_users"); err != nil {
			t.Fatal(err)
		}
	}
	exec() // nobody hears
	field := ""
	set := func(r *rig) {
		otel.SetTracerProvider(r.TracerProvider)
		otel.SetMeterProvider(r.MeterProvider)
		field += "x"
		otel.SetTextMapPropagator(fieldPropagator(field))
	}
	want := func(r *rig) {
		t.Helper()
		exec()
		wantTexts(t, d.texts, "/*"+field+"='1'*/ DELETE FROM otdb_users")
		r.wantSpans(span{name: "DELETE otdb_users", start: attrs{
			"db.system.name": "sqlite", "db.query.summary": "DELETE otdb_users", "db.query.text": "DELETE FROM otdb_users",
		}})
		r.wantDurations()
		r.wantPools(pools)
	}
	first, second, third, fourth := newRig(t), newRig(t), newRig(t), newRig(t)
	set(first)
	want(first)
	set(second) // the first one lives
	want(second)
	wantNoPools(t, first)
	if err := errors.Join(second.TracerProvider.Shutdown(ctx), second.MeterProvider.Shutdown(ctx)); err != nil {
		t.Fatal(err)
	}
	set(third)
	want(third)

	// A pool without statements moves after a collection by the provider before.
	set(fourth)
	third.Collect()
	for len(poolMetrics(fourth)) == 0 {
		runtime.Gosched()
	}
	wantNoPools(t, third)
	fourth.wantPools(pools)

	// One that was set before is another one now.
	set(first)
	exec()
	first.wantPools(pools)
	wantNoPools(t, fourth)

	// Neither is a provider that is not there, nor one that cannot be compared, the application's trouble.
	otel.SetTracerProvider(nil)
	otel.SetMeterProvider(nil)
	exec()
	otel.SetTracerProvider(opaqueTracers{})
	exec()
	otel.SetTracerProvider(opaqueTracers{})
	exec()
	wantNoPools(t, first)
	fourth.WantHandled("otdb: the tracer provider panicked with a runtime.errorString",
		"otdb: the meter provider panicked with a runtime.errorString", // as for the histogram
		"otdb: the meter provider panicked with a runtime.errorString") // as for the pool
}

// poolMetrics returns the names of the metrics of pools that have points.
func poolMetrics(r *rig) (names []string) {
	for name, m := range r.Collect() {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			if len(data.DataPoints) > 0 {
				names = append(names, name)
			}
		case metricdata.Sum[float64]:
			if len(data.DataPoints) > 0 {
				names = append(names, name)
			}
		}
	}
	return names
}

func wantNoPools(t *testing.T, r *rig) {
	t.Helper()
	if names := poolMetrics(r); len(names) > 0 {
		t.Errorf("there are still %q", names)
	}
}

type opaqueTracers struct {
	tracenoop.TracerProvider
	_ []int
}

// fieldPropagator injects a field of that name.
type fieldPropagator string

func (p fieldPropagator) Inject(_ context.Context, c propagation.TextMapCarrier) {
	c.Set(string(p), "1")
}
func (fieldPropagator) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context {
	return ctx
}
func (p fieldPropagator) Fields() []string { return []string{string(p)} }
