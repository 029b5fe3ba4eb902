package instrument

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// Valid replaces what is no UTF-8 in keys and values by U+FFFD, in place, and returns kv:
// one bad byte makes an exporter drop a whole batch.
func Valid(kv []attribute.KeyValue) []attribute.KeyValue {
	for i := range kv {
		kv[i].Key = attribute.Key(ValidString(string(kv[i].Key)))
		kv[i].Value = validValue(kv[i].Value)
	}
	return kv
}

func validValue(v attribute.Value) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(ValidString(v.AsString()))
	case attribute.STRINGSLICE:
		s := v.AsStringSlice()
		for i := range s {
			s[i] = ValidString(s[i])
		}
		return attribute.StringSliceValue(s)
	case attribute.SLICE:
		s := v.AsSlice()
		for i := range s {
			s[i] = validValue(s[i])
		}
		return attribute.SliceValue(s...)
	case attribute.MAP:
		return attribute.MapValue(Valid(v.AsMap())...)
	default:
		return v
	}
}

// ValidString is [Valid] for a string.
func ValidString(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
