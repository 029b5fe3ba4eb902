package instrument

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

func TestValid(t *testing.T) {
	const bad, good = "a\xffb", "a\uFFFDb"
	given := func(s string) []attribute.KeyValue {
		return []attribute.KeyValue{
			attribute.String(s, "key"),
			attribute.String("string", s),
			attribute.StringSlice("strings", []string{"c", s}),
			attribute.Slice("slice", attribute.StringValue(s), attribute.IntValue(1)),
			attribute.Map("map", attribute.String(s, s)),
			attribute.Int("int", 1),
		}
	}
	kv := given(bad)
	strings := []string{"c", bad}
	kv[2] = attribute.StringSlice("strings", strings)
	if got := Valid(kv); !slices.Equal(got, given(good)) {
		t.Errorf("got  %v\nwant %v", got, given(good))
	}
	if strings[1] != bad {
		t.Error("a slice of the user's was changed")
	}
	if got := Valid(given("é")); !slices.Equal(got, given("é")) {
		t.Errorf("valid attributes became %v", got)
	}
}
