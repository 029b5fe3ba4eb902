package otdb

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/oteltest"
)

// However many attributes options and parameters add, a span has how it ended.
func TestLimitsOfSpans(t *testing.T) {
	for _, limit := range []int{64, 128, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			var many []attribute.KeyValue
			args := make([]any, 200)
			for i := range args {
				args[i] = i
				many = append(many, attribute.Int(fmt.Sprint("k", i), i))
			}
			limits := sdktrace.NewSpanLimits()
			limits.AttributeCountLimit = limit
			spans := tracetest.NewSpanRecorder()
			all := func(string) bool { return true }
			for name, opts := range map[string][]Option{
				"attributes": {WithAttributes(many...)},
				"parameters": {WithQueryParameters(all)},
				"both":       {WithAttributes(many...), WithQueryParameters(all)},
			} {
				fake := &fakedb.DB{Shape: fakedb.Modern}
				fake.On(fakedb.ConnExecContext, 1, fakedb.Fault{Err: serializationFailure{}})
				db := OpenDB(fake.Connector(), append(opts, WithRowCounts(), WithTracerProvider(sdktrace.NewTracerProvider(
					sdktrace.WithSpanProcessor(spans), sdktrace.WithRawSpanLimits(limits))))...)
				_, err := db.ExecContext(t.Context(), "UPDATE t SET a = $1", args...)
				if !errors.Is(err, serializationFailure{}) {
					t.Fatal(err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
				ended := spans.Ended()
				got := attribute.NewSet(ended[len(ended)-1].Attributes()...)
				if _, ok := got.Value("k199"); limit == 1000 && ok != (name != "parameters") {
					t.Errorf("%s: the last attribute is there: %t", name, ok)
				}
				for _, key := range []attribute.Key{"db.query.summary", "db.query.text", "db.response.status_code", "error.type"} {
					if _, ok := got.Value(key); !ok {
						t.Errorf("%s: no %s among %d attributes", name, key, got.Len())
					}
				}
			}
		})
	}
}

// A limit on the length of values cuts the strings of spans between characters. Numbers,
// metrics and the account of the task stay as they are.
func TestLengthLimitOfSpans(t *testing.T) {
	type exported struct {
		spans   []oteltest.Attrs
		points  []string
		account ledger.Totals
	}
	export := func(limit string) (e exported) {
		t.Setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", limit)
		spans, reader := tracetest.NewSpanRecorder(), sdkmetric.NewManualReader()
		fake := &fakedb.DB{Shape: fakedb.Modern}
		fake.On(fakedb.ConnExecContext, 2, fakedb.Fault{Err: serializationFailure{}})
		db := OpenDB(fake.Connector(), WithSystem("microsoft.sql_server"), WithNamespace("übüng"), WithPoolName("日本語"),
			WithRowCounts(), WithQueryParameters(func(string) bool { return true }),
			WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
			WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
		task := ledger.New(nil, "task")
		ctx := ledger.NewContext(t.Context(), task)
		for _, query := range []string{"EXEC péage @p1", "UPDATE été SET a = @p1"} {
			if _, err := db.ExecContext(ctx, query, "😀ééé"); err != nil && !errors.Is(err, serializationFailure{}) {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		for _, s := range spans.Ended() {
			e.spans = append(e.spans, oteltest.AttrsOf(s.Attributes()))
		}
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		for _, m := range all.ScopeMetrics[0].Metrics {
			for _, set := range oteltest.AttributeSets(m.Data) {
				e.points = append(e.points, m.Name+"\n"+oteltest.Lines(set.ToSlice()))
			}
		}
		slices.Sort(e.points)
		e.account = task.Totals()
		e.account.Duration = 0
		return e
	}
	whole := export("")
	for _, limit := range []int{40, 20, 5, 1} {
		got := export(fmt.Sprint(limit))
		if !slices.Equal(got.points, whole.points) || got.account != whole.account || got.account.Errors != 1 {
			t.Errorf("limit %d: points %v and account %+v, want %v and %+v", limit, got.points, got.account, whole.points, whole.account)
		}
		if len(got.spans) != 3 {
			t.Fatalf("limit %d: %d spans", limit, len(got.spans))
		}
		for i, attributes := range got.spans {
			want := maps.Clone(whole.spans[i])
			for key, value := range want {
				if text, ok := value.(string); ok {
					runes := []rune(text)
					want[key] = string(runes[:min(len(runes), limit)])
				}
			}
			if !maps.Equal(attributes, want) {
				t.Errorf("limit %d:\n got %v\nwant %v", limit, attributes, want)
			}
			if text := fmt.Sprint(attributes); !utf8.ValidString(text) {
				t.Errorf("limit %d: %q", limit, text)
			}
			if limit < 20 {
				continue
			}
			for _, key := range []attribute.Key{"db.system.name", "db.operation.name", "db.response.status_code"} {
				if attributes[key] != whole.spans[i][key] {
					t.Errorf("limit %d: %s is %v, want %v", limit, key, attributes[key], whole.spans[i][key])
				}
			}
		}
	}
}
