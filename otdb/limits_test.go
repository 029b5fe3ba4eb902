package otdb

import (
	"errors"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/internal/fakedb"
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
