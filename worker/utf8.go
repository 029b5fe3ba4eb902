package worker

import (
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// valid returns s without what is not UTF-8: an exporter would drop the whole
// batch for it.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// validAttribute is [valid] for all strings of an attribute.
func validAttribute(kv attribute.KeyValue) attribute.KeyValue {
	return attribute.KeyValue{Key: attribute.Key(valid(string(kv.Key))), Value: validValue(kv.Value)}
}

func validValue(v attribute.Value) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		if s := v.AsString(); !utf8.ValidString(s) {
			return attribute.StringValue(valid(s))
		}
	case attribute.STRINGSLICE:
		list := v.AsStringSlice()
		for i := range list {
			list[i] = valid(list[i])
		}
		return attribute.StringSliceValue(list)
	case attribute.SLICE:
		list := v.AsSlice()
		for i := range list {
			list[i] = validValue(list[i])
		}
		return attribute.SliceValue(list...)
	case attribute.MAP:
		list := v.AsMap()
		for i := range list {
			list[i] = validAttribute(list[i])
		}
		return attribute.MapValue(list...)
	}
	return v
}
