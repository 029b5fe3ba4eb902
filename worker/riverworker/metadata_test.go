package riverworker

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/propagation"
)

func TestWithContext(t *testing.T) {
	c := propagation.MapCarrier{"traceparent": "00-a-b-01", "baggage": `k="v"`}
	const added = `"baggage":"k=\"v\"","traceparent":"00-a-b-01"`
	tests := map[string]struct{ text, want string }{
		"nothing":           {"", "{" + added + "}"},
		"empty":             {"{}", "{" + added + "}"},
		"space":             {" { } \n", "{ " + added + "}"},
		"another's key":     {`{"a":1}`, `{"a":1,` + added + "}"},
		"every byte":        {`{ "b" : 1.000, "a": 10000000000000000000001 }`, `{ "b" : 1.000, "a": 10000000000000000000001 ,` + added + "}"},
		"nested key":        {`{"a":{"traceparent":"x"}}`, `{"a":{"traceparent":"x"},` + added + "}"},
		"key is present":    {`{"traceparent":"mine"}`, `{"traceparent":"mine"}`},
		"one key of it":     {`{"baggage":null}`, `{"baggage":null}`},
		"no object":         {`[1]`, `[1]`},
		"null":              {`null`, `null`},
		"no JSON":           {`{"a":`, `{"a":`},
		"more than one":     {`{}{}`, `{}{}`},
		"escaped brace":     {`{"a":"}"}`, `{"a":"}",` + added + "}"},
		"duplicate of ours": {`{"x":1,"x":2}`, `{"x":1,"x":2,` + added + "}"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := []byte(tt.text)
			if got := string(withContext(text, c)); got != tt.want {
				t.Errorf("withContext = %s, want %s", got, tt.want)
			}
			if string(text) != tt.text {
				t.Errorf("the caller's array is now %s", text)
			}
		})
	}
	if got := string(withContext([]byte(`{"a":1}`), nil)); got != `{"a":1}` {
		t.Errorf("without a context = %s", got)
	}
	if got := string(withContext(nil, propagation.MapCarrier{"k": "a\x00b", "l": "m"})); got != `{"l":"m"}` {
		t.Errorf("with a NUL = %s", got)
	}
}

func TestMetadataCarrier(t *testing.T) {
	m := parseMetadata([]byte(`{"traceparent":"00","baggage":7,"tags":["x"],"none":null}`))
	for key, want := range map[string]string{"traceparent": "00", "baggage": "", "tags": "", "none": "", "absent": ""} {
		if got := m.Get(key); got != want {
			t.Errorf("Get(%q) = %q, want %q", key, got, want)
		}
	}
	m.Set("traceparent", "01")
	if got := m.Get("traceparent"); got != "00" {
		t.Errorf("Set changed it to %q", got)
	}
	if got := slices.Sorted(slices.Values(m.Keys())); !slices.Equal(got, []string{"baggage", "none", "tags", "traceparent"}) {
		t.Errorf("Keys = %q", got)
	}
	for _, text := range []string{"", "x", "[]", "null", `"a"`} {
		if m := parseMetadata([]byte(text)); m.Get("traceparent") != "" || len(m.Keys()) != 0 {
			t.Errorf("%q holds %v", text, m)
		}
	}
}

// FuzzWithContext checks that what comes out is JSON with all keys of both,
// or else what went in, and that doing it twice changes nothing more.
func FuzzWithContext(f *testing.F) {
	for _, text := range []string{"", "{}", " {\n} ", `{"a":1}`, `{"traceparent":1}`, `{"a":{"b":[{}]}}`, "null", "{", `{"a":"}"} `} {
		f.Add([]byte(text), "00-a-b-01")
	}
	f.Fuzz(func(t *testing.T, text []byte, value string) {
		c := propagation.MapCarrier{"traceparent": value, "tracestate": "k=v"}
		before := bytes.Clone(text)
		got := withContext(text, c)
		if !bytes.Equal(text, before) {
			t.Fatalf("the input %q became %q", before, text)
		}
		if again := withContext(got, c); !bytes.Equal(again, got) {
			t.Fatalf("twice: %q, then %q", got, again)
		}
		if bytes.Equal(got, text) {
			return
		}
		var in, out map[string]json.RawMessage
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatalf("%q became %q: %v", text, got, err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			if err := json.Unmarshal(text, &in); err != nil {
				t.Fatalf("%q is no JSON, and became %q", text, got)
			}
		}
		delete(out, "traceparent")
		delete(out, "tracestate")
		if !maps.EqualFunc(in, out, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
