package riverworker

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/propagation"
)

// metadata reads a trace context from the metadata of a job, where each key of
// the propagator is a key of the JSON object.
type metadata map[string]json.RawMessage

var _ propagation.TextMapCarrier = metadata(nil)

// parseMetadata returns nil, from which nothing can be read, for what is not a
// JSON object.
func parseMetadata(text []byte) metadata {
	var m metadata
	if json.Unmarshal(text, &m) != nil {
		return nil
	}
	return m
}

// Get implements [propagation.TextMapCarrier]. A value that is no string is not of a
// propagator's making.
func (m metadata) Get(key string) string {
	var s string
	if raw, ok := m[key]; !ok || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Set implements [propagation.TextMapCarrier]. Nothing is set in what is only
// read.
func (metadata) Set(string, string) {}

// Keys implements [propagation.TextMapCarrier].
func (m metadata) Keys() []string { return slices.Collect(maps.Keys(m)) }

// withContext returns the metadata with the keys of a trace context added, and
// every byte of it kept. Metadata that has one of the keys already, or is not a
// JSON object, is returned as it is: it was made by hand, or copied from
// another job.
func withContext(text []byte, c propagation.MapCarrier) []byte {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}")
	}
	present := parseMetadata(text)
	if present == nil || len(c) == 0 {
		return text
	}
	for key := range c {
		if _, ok := present[key]; ok {
			return text
		}
	}
	head := bytes.TrimSuffix(bytes.TrimSpace(text), []byte("}"))
	out := slices.Clone(head) // the array may be that of the caller's options
	comma := len(present) > 0
	for _, key := range slices.Sorted(maps.Keys(c)) {
		if strings.ContainsRune(c[key], 0) {
			continue // PostgreSQL's jsonb would not take it
		}
		if comma {
			out = append(out, ',')
		}
		out = appendString(out, key)
		out = append(out, ':')
		out = appendString(out, c[key])
		comma = true
	}
	return append(out, '}')
}

// appendString appends a string as JSON has it.
func appendString(out []byte, s string) []byte {
	quoted, _ := json.Marshal(s) //nolint:errchkjson // a string can always be encoded
	return append(out, quoted...)
}
