package otdb

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
)

func TestExpectedErrors(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithExpectedErrors(func(err error) bool {
		return errs.Classify(err).Kind == errs.KindConstraint
	}))
	task := ledger.New(nil, "task")
	script(t, ledger.NewContext(context.Background(), task), db) // the last statement of which breaks a constraint
	if got := task.Totals(); got.Errors != 0 || got.Statements != 3 {
		t.Errorf("the task has %+v", got)
	}
	spans := r.Spans()
	failed := spans[len(spans)-1]
	if s := failed.Status(); s.Description != "" || s.Code != 0 {
		t.Errorf("the status is %v", s)
	}
	set := make(map[string]string)
	for _, kv := range failed.Attributes() {
		set[string(kv.Key)] = kv.Value.String()
	}
	if _, ok := set["error.type"]; ok || set["db.response.status_code"] != "1555" {
		t.Errorf("the attributes are %v", set)
	}
	r.wantDurations()
}

// A commit that fails as expected has not committed anything.
func TestExpectedErrorOfACommit(t *testing.T) {
	r := newRig(t)
	fake := &fakedb.DB{Shape: fakedb.Modern}
	fake.On(fakedb.TxCommit, 1, fakedb.Fault{Err: serializationFailure{}})
	db := OpenDB(fake.Connector(), r.options(WithExpectedErrors(func(err error) bool {
		return errs.Classify(err).Kind == errs.KindSerialization
	}))...)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err == nil {
		t.Fatal("Commit returned no error")
	}
	spans := r.Spans()
	if s := spans[len(spans)-1]; s.Name() != "COMMIT" || s.Status().Code != codes.Unset {
		t.Errorf("%s has status %v", s.Name(), s.Status())
	}
	points := r.Collect()["otdb.transaction.duration"].Data.(metricdata.Histogram[float64]).DataPoints
	if outcome, _ := points[0].Attributes.Value(txOutcomeKey); len(points) != 1 || outcome.AsString() != "rollback" {
		t.Errorf("the outcome of %d transactions is %q", len(points), outcome.AsString())
	}
}

func TestExpectedErrorsThatPanic(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithExpectedErrors(func(error) bool { panic("canary") }))
	task := ledger.New(nil, "task")
	script(t, ledger.NewContext(context.Background(), task), db)
	if got := task.Totals(); got.Errors != 1 {
		t.Errorf("the task has %+v", got)
	}
	r.WantHandled("otdb: the function given to WithExpectedErrors panicked with a string")
}

func TestRequireSampledParent(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithRequireSampledParent())
	exec := func(ctx context.Context) {
		t.Helper()
		if _, err := db.ExecContext(ctx, "DELETE FROM otdb_users"); err != nil {
			t.Fatal(err)
		}
	}
	parent := func(flags trace.TraceFlags) context.Context {
		return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags,
		}))
	}
	exec(parent(0))
	if n := r.Started(); n != 0 {
		t.Errorf("the sampler was asked %d times", n)
	}
	exec(context.Background())
	exec(parent(trace.FlagsSampled))
	if n := len(r.Spans()); n != 2 {
		t.Errorf("%d spans, want those without a parent and below one that is sampled", n)
	}
	if got := r.countsBySummary()["DELETE otdb_users"]; got != 3 {
		t.Errorf("%d points, want 3", got)
	}
}

func TestStoredProcedures(t *testing.T) {
	for _, test := range []struct{ system, text, want string }{
		{"mysql", "CALL ship_orders(?)", "ship_orders"},
		{"postgresql", "call shop.ship_orders($1)", "shop.ship_orders"},
		{"microsoft.sql_server", "EXEC ship_orders @p1", "ship_orders"},
		{"microsoft.sql_server", "EXECUTE ship_orders @p1", "ship_orders"},
		{"postgresql", "EXECUTE plan(1)", ""}, // a prepared statement
		{"mysql", "CALL ship_orders(?); SELECT 1", ""},
		{"mysql", "SELECT 1", ""},
	} {
		st := observed(t, WithSystem(test.system)).statement(test.text)
		got := ""
		config := trace.NewSpanStartConfig(st.withArguments...)
		for _, kv := range config.Attributes() {
			if kv.Key == "db.stored_procedure.name" {
				got = kv.Value.AsString()
			}
		}
		if got != test.want {
			t.Errorf("%s: %s: %q, want %q", test.system, test.text, got, test.want)
		}
	}
}

// Everything that leaves is valid UTF-8.
func TestBadBytes(t *testing.T) {
	r := newRig(t)
	d := &shopDriver{}
	name := freshName() + "-sqlite3"
	sql.Register(name, d)
	const bad = "a\xffb"
	db := r.open(name, ":memory:", WithNamespace(bad), WithServer(bad, 1), WithPoolName(bad), WithSystem(bad),
		WithErrorText(func(error) string { return bad }))
	_, err := db.ExecContext(NameQuery(context.Background(), bad), "SELECT '"+bad)
	if err == nil {
		err = errors.New("no error")
	}
	t.Log(err)
	r.WantNothingOf("\xff")
	if n := len(r.Spans()); n != 2 {
		t.Errorf("%d spans", n)
	}
}
