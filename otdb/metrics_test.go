package otdb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	mnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/fakedb"
)

// script runs an exec, a query of two rows and a failing exec.
func script(t *testing.T, ctx context.Context, db *sql.DB) {
	t.Helper()
	if _, err := db.ExecContext(ctx, "INSERT INTO otdb_users (id, email) VALUES (?, ?)", 3, "canary-3@example.com"); err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(ctx, "SELECT id, email FROM otdb_users WHERE id < ?", 3)
	if err != nil {
		t.Fatal(err)
	}
	readUsers(t, rows)
	if _, err := db.ExecContext(ctx, "INSERT INTO otdb_users (id, email) VALUES (?, ?)", 3, "canary-4@example.com"); err == nil {
		t.Fatal("no error")
	}
}

// scriptMetric is what the script leaves in db.client.operation.duration, on a
// ticking driver: a tick for each exec, and for the query one for the call, two
// for its rows and one for their end.
func scriptMetric() metricdata.Metrics {
	set := func(kv ...attribute.KeyValue) attribute.Set {
		return attribute.NewSet(append(kv, attribute.String("db.system.name", "sqlite"), attribute.String("db.namespace", "shop.db"))...)
	}
	insert, failed := attribute.String("db.query.summary", "INSERT otdb_users"), attribute.String("error.type", "1555")
	return metricdata.Metrics{
		Name:        "db.client.operation.duration",
		Description: "Duration of database client operations.",
		Unit:        "s",
		Data: histogram([]float64{.001, .005, .01, .05, .1, .5, 1, 5, 10}, []observation{
			{set(attribute.String("db.operation.name", "CONNECT")), .001},
			{set(insert), .001},
			{set(attribute.String("db.query.summary", "SELECT otdb_users")), .004},
			{set(insert, failed, attribute.String("db.response.status_code", "1555")), .001},
		}),
	}
}

func TestDurationWithoutTheSpansTimes(t *testing.T) {
	for _, test := range []struct {
		name string
		opts func(r *rig) []Option
	}{
		{"no-op provider", func(*rig) []Option { return []Option{WithTracerProvider(noop.NewTracerProvider())} }},
		{"dropped by the sampler", func(r *rig) []Option {
			r.Sample(func(sdktrace.SamplingParameters) sdktrace.SamplingDecision { return sdktrace.Drop })
			return nil
		}},
		{"suppressed by the filter", func(*rig) []Option {
			return []Option{WithSpanFilter(func(context.Context, SpanInfo) bool { return false })}
		}},
		{"suppressed without a parent", func(*rig) []Option { return []Option{WithRequireParent()} }},
		{"spans that tell no times", func(r *rig) []Option { return []Option{WithTracerProvider(foreignProvider{tp: r.TracerProvider})} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			db, _ := r.openTicking(test.opts(r)...)
			script(t, context.Background(), db)
			if test.name != "spans that tell no times" {
				r.wantSpans()
			}
			r.WantMetric(scriptMetric())
			r.WantNothingOf("canary")
		})
	}
}

// foreignProvider is a provider whose spans have nothing but trace.Span's methods.
type foreignProvider struct {
	embedded.TracerProvider
	tp trace.TracerProvider
}

func (p foreignProvider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return foreignTracer{t: p.tp.Tracer(name, opts...)}
}

type foreignTracer struct {
	embedded.Tracer
	t trace.Tracer
}

func (t foreignTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, s := t.t.Start(ctx, name, opts...)
	s = foreignSpan{s}
	return trace.ContextWithSpan(ctx, s), s
}

type foreignSpan struct{ trace.Span }

// The point of a statement is the length of its span, on any clock of otdb's.
func TestDurationIsThatOfTheSpan(t *testing.T) {
	r := newRig(t)
	db, _ := r.openTicking()
	script(t, context.Background(), db)
	if n := len(r.Spans()); n != 4 {
		t.Errorf("%d spans", n)
	}
	r.wantDurations()
}

func TestExemplarsPointAtTheStatement(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t))
	ctx, task := r.Start("task")
	script(t, ctx, db)
	task.End()
	want := make(map[string]bool)
	for _, s := range r.Spans() {
		want[fmt.Sprintf("%v %v %v", s.SpanContext().TraceID(), s.SpanContext().SpanID(), s.EndTime().Sub(s.StartTime()).Seconds())] = true
	}
	got := make(map[string]bool)
	for _, p := range r.Collect()["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		for _, e := range p.Exemplars {
			got[fmt.Sprintf("%v %v %v", trace.TraceID(e.TraceID), trace.SpanID(e.SpanID), e.Value)] = true
			if len(e.FilteredAttributes) > 0 {
				t.Errorf("filtered attributes %v", e.FilteredAttributes)
			}
		}
	}
	// A reservoir may drop a value where two are in one bucket. Every point of
	// the script is in a series of its own.
	if len(got) != 4 {
		t.Errorf("%d exemplars, want 4", len(got))
	}
	for e := range got {
		if !want[e] {
			t.Errorf("exemplar %s is no span's", e)
		}
	}
}

func TestExemplarsOfUnsampledSpans(t *testing.T) {
	r := newRig(t)
	r.Sample(func(sdktrace.SamplingParameters) sdktrace.SamplingDecision { return sdktrace.RecordOnly })
	db := r.open("sqlite3", sqliteFile(t))
	script(t, context.Background(), db)
	for _, p := range r.Collect()["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		if len(p.Exemplars) > 0 {
			t.Errorf("exemplars %v", p.Exemplars)
		}
	}
	r.wantDurations() // recording spans tell their times, sampled or not
}

func TestRowCountsAreOffByDefault(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t))
	script(t, context.Background(), db)
	var names []string
	for name := range r.Collect() {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{
		"db.client.connection.count", "db.client.operation.duration",
		"otdb.connection.closed", "otdb.connection.wait.duration", "otdb.connection.waits",
	}
	if !slices.Equal(names, want) {
		t.Errorf("metrics %q", names)
	}
}

// countsBySummary returns how many points each summary has.
func (r *rig) countsBySummary() map[string]uint64 {
	counts := make(map[string]uint64)
	for _, p := range r.Collect()["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		if v, ok := p.Attributes.Value("db.query.summary"); ok {
			counts[v.AsString()] += p.Count
		}
	}
	return counts
}

func TestMaxSummaries(t *testing.T) {
	r := newRig(t)
	db := OpenDB(new(fakedb.DB).Connector(), r.options(WithMaxSummaries(2), WithOperations(0))...)
	defer db.Close()
	ctx := context.Background()
	want := make([]string, 4)
	for range 2 {
		for i := range want {
			want[i] = fmt.Sprintf("UPDATE t%d", i)
			if _, err := db.ExecContext(ctx, want[i]+" WHERE n = 1"); err != nil {
				t.Fatal(err)
			}
		}
	}
	var names []string
	for _, s := range r.Spans() {
		names = append(names, s.Name())
	}
	slices.Sort(names)
	if twice := slices.Sorted(slices.Values(append(want, want...))); !slices.Equal(names, twice) {
		t.Errorf("spans %q, want %q", names, twice)
	}
	if got, want := r.countsBySummary(), (map[string]uint64{names[0]: 2, names[2]: 2, "_OTHER": 4}); !maps.Equal(got, want) {
		t.Errorf("points %v, want %v", got, want)
	}
}

// Definitions and scripts have one place in ten.
func TestMaxSummariesOfMigrations(t *testing.T) {
	r := newRig(t)
	db := OpenDB(new(fakedb.DB).Connector(), r.options(WithMaxSummaries(20), WithOperations(0))...)
	defer db.Close()
	ctx := context.Background()
	for i := range 4 {
		for _, text := range []string{
			fmt.Sprintf("CREATE TABLE t%d (n INTEGER)", i),
			fmt.Sprintf("DELETE FROM t%d; DELETE FROM t%[1]d", i),
			fmt.Sprintf("DELETE FROM t%d", i),
		} {
			if _, err := db.ExecContext(ctx, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	counts := r.countsBySummary()
	if counts["_OTHER"] != 6 || len(counts) != 1+2+4 {
		t.Errorf("points %v, want 6 of the 8 definitions and scripts under _OTHER", counts)
	}
}

// An instrument that cannot be made costs its metric, and nothing else.
func TestMeterThatFails(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithMeterProvider(failingMeters{}), WithRowCounts())
	r.WantHandled(
		"no histogram db.client.operation.duration\nno histogram otdb.transaction.duration\nno histogram db.client.response.returned_rows",
		"no up-down counter db.client.connection.count",
	)
	script(t, context.Background(), db)
	if n := len(r.Spans()); n != 4 {
		t.Errorf("%d spans", n)
	}
	stop, err := ObservePool(db, WithMeterProvider(failingMeters{}))
	if err == nil {
		t.Error("no error")
	}
	stop()
}

type failingMeters struct{ mnoop.MeterProvider }

func (failingMeters) Meter(string, ...metric.MeterOption) metric.Meter { return failingMeter{} }

type failingMeter struct{ mnoop.Meter }

func (failingMeter) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, fmt.Errorf("no histogram %s", name)
}

func (failingMeter) Int64Histogram(name string, _ ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return nil, fmt.Errorf("no histogram %s", name)
}

func (failingMeter) Int64ObservableUpDownCounter(name string, _ ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	if name == "db.client.connection.count" {
		return nil, fmt.Errorf("no up-down counter %s", name)
	}
	return mnoop.Int64ObservableUpDownCounter{}, nil
}
