package oteltest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Attrs are attributes in short. An int is an int64.
type Attrs map[attribute.Key]any

// Slice returns the attributes as OpenTelemetry has them.
func (a Attrs) Slice() []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(a))
	for k, v := range a {
		switch v := v.(type) {
		case string:
			out = append(out, k.String(v))
		case int:
			out = append(out, k.Int(v))
		case bool:
			out = append(out, k.Bool(v))
		case float64:
			out = append(out, k.Float64(v))
		default:
			panic(fmt.Sprintf("attribute %s: %T", k, v))
		}
	}
	return out
}

// With returns the attributes of both.
func (a Attrs) With(b Attrs) Attrs {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// Span is a whole span in short: all of it but its times and ids.
type Span struct {
	Name   string
	Kind   trace.SpanKind
	Parent string // the parent's name, "" for a root
	Start  Attrs  // what a sampler sees
	End    Attrs  // what is added after the start
	Events []Event
	Failed bool   // has the status Error
	Status string // its text
}

// Event is a whole event of a span, but for its time.
type Event struct {
	Name  string
	Attrs Attrs
}

func (s Span) text(scope Scope) string {
	status := statusUnset
	if s.Failed {
		status = fmt.Sprintf("%v %q", codes.Error, s.Status)
	}
	text := spanText(s.Name, s.Kind, s.Parent, s.Start.Slice(), s.End.Slice(), status,
		strings.TrimSpace(strings.Join([]string{scope.Name, scope.Version, scope.SchemaURL}, " ")))
	for _, e := range s.Events {
		text += eventText(e.Name, e.Attrs.Slice())
	}
	return text
}

const statusUnset = "unset"

// Text renders everything that is exported of a span but its times and ids.
func (r *Rig) Text(s sdktrace.ReadOnlySpan) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	started := r.starts[s.SpanContext().SpanID()]
	isStart := make(map[attribute.KeyValue]bool)
	for _, kv := range started {
		isStart[kv] = true
	}
	var added []attribute.KeyValue
	for _, kv := range s.Attributes() {
		if isStart[kv] {
			delete(isStart, kv)
			continue
		}
		if slices.Contains(r.Ignore, kv.Key) {
			continue
		}
		added = append(added, kv)
	}
	parent := ""
	if s.Parent().IsValid() {
		if parent = r.names[s.Parent().SpanID()]; parent == "" {
			parent = "unknown"
		}
	}
	status := statusUnset
	if s.Status().Code != codes.Unset {
		status = fmt.Sprintf("%v %q", s.Status().Code, s.Status().Description)
	}
	lib := s.InstrumentationScope()
	text := spanText(s.Name(), s.SpanKind(), parent, started, added, status,
		strings.TrimSpace(strings.Join([]string{lib.Name, lib.Version, lib.SchemaURL, strings.Join(KeyValues(lib.Attributes.ToSlice()), " ")}, " ")))
	for _, e := range s.Events() {
		text += eventText(e.Name, e.Attributes)
	}
	for range s.Links() {
		text += "  link\n"
	}
	if s.EndTime().Before(s.StartTime()) {
		text += "  ends before its start\n"
	}
	for kv := range isStart {
		text += "  lost " + KeyValue(kv) + "\n"
	}
	return text
}

func spanText(name string, kind trace.SpanKind, parent string, start, added []attribute.KeyValue, status, scope string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %v of %q by %s\n", name, kind, parent, scope)
	for _, kv := range KeyValues(start) {
		fmt.Fprintf(&b, "  start %s\n", kv)
	}
	for _, kv := range KeyValues(added) {
		fmt.Fprintf(&b, "  end   %s\n", kv)
	}
	fmt.Fprintf(&b, "  status %s\n", status)
	return b.String()
}

func eventText(name string, kv []attribute.KeyValue) string {
	text := fmt.Sprintf("  event %q\n", name)
	for _, kv := range KeyValues(kv) {
		text += "    " + kv + "\n"
	}
	return text
}

// KeyValue renders an attribute with its type.
func KeyValue(kv attribute.KeyValue) string {
	return fmt.Sprintf("%s = %v %q", kv.Key, kv.Value.Type(), kv.Value.String())
}

// KeyValues renders attributes in the order of their keys.
func KeyValues(kv []attribute.KeyValue) []string {
	out := make([]string, 0, len(kv))
	for _, kv := range kv {
		out = append(out, KeyValue(kv))
	}
	slices.Sort(out)
	return out
}

// Lines renders attributes, one a line.
func Lines(kv []attribute.KeyValue) string { return strings.Join(KeyValues(kv), "\n") }

// Without returns kv without a key.
func Without(kv []attribute.KeyValue, key attribute.Key) []attribute.KeyValue {
	return slices.DeleteFunc(slices.Clone(kv), func(kv attribute.KeyValue) bool { return kv.Key == key })
}
