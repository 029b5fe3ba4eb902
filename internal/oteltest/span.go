package oteltest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
		case int64:
			out = append(out, k.Int64(v))
		case bool:
			out = append(out, k.Bool(v))
		case float64:
			out = append(out, k.Float64(v))
		case []string:
			out = append(out, k.StringSlice(v))
		case []int64:
			out = append(out, k.Int64Slice(v))
		case []bool:
			out = append(out, k.BoolSlice(v))
		case []float64:
			out = append(out, k.Float64Slice(v))
		default:
			panic(fmt.Sprintf("attribute %s: %T", k, v))
		}
	}
	return out
}

// AttrsOf is the opposite of Slice: a whole number becomes an int64. A key that
// is there twice has a value that no attribute has.
func AttrsOf(kv []attribute.KeyValue) Attrs {
	out := make(Attrs)
	for _, kv := range kv {
		if _, twice := out[kv.Key]; twice {
			out[kv.Key] = "attribute is there twice"
			continue
		}
		out[kv.Key] = kv.Value.AsInterface()
	}
	return out
}

// With returns the attributes of both.
func (a Attrs) With(b Attrs) Attrs {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// Span is a whole span in short: all of it except its start and its ids.
type Span struct {
	Name   string
	Kind   trace.SpanKind // internal if it is 0
	Parent string         // the parent's name, "" for a root, or Remote
	Start  Attrs          // what a sampler sees
	End    Attrs          // what is added after the start
	Events []Event
	Links  []string // the names of their spans, or Remote
	Failed bool     // has the status Error
	Status string   // its text
	Length time.Duration
	Wrong  []string // what no span should have
}

// Remote stands for the name of a span that the rig has not seen.
const Remote = "remote"

// Attributes returns those of the start and those of the end.
func (s Span) Attributes() Attrs { return s.Start.With(s.End) }

// Event is a whole event of a span except its time.
type Event struct {
	Name  string
	Attrs Attrs
}

// Span returns a span in short.
func (r *Rig) Span(s sdktrace.ReadOnlySpan) Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Span{
		Name: s.Name(), Kind: s.SpanKind(), Parent: r.name(s.Parent()),
		Failed: s.Status().Code == codes.Error, Status: s.Status().Description, Length: s.EndTime().Sub(s.StartTime()),
	}
	started := r.starts[s.SpanContext().SpanID()]
	atStart := func(kv attribute.KeyValue) bool { return slices.Contains(started, kv) }
	out.Start = AttrsOf(slices.DeleteFunc(slices.Clone(s.Attributes()), func(kv attribute.KeyValue) bool { return !atStart(kv) }))
	out.End = AttrsOf(slices.DeleteFunc(slices.Clone(s.Attributes()), atStart))
	for _, kv := range started {
		if !slices.Contains(s.Attributes(), kv) {
			out.Wrong = append(out.Wrong, "lost "+KeyValue(kv))
		}
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, Event{e.Name, AttrsOf(e.Attributes)})
	}
	for _, l := range s.Links() {
		out.Links = append(out.Links, r.name(l.SpanContext))
		if len(l.Attributes) > 0 {
			out.Wrong = append(out.Wrong, "link with "+Lines(l.Attributes))
		}
	}
	if out.Length < 0 {
		out.Wrong = append(out.Wrong, "ends before its start")
	}
	if s.Status().Code == codes.Ok {
		out.Wrong = append(out.Wrong, "has the status Ok")
	}
	return out
}

// name returns the name of a span, "" if there is none. It expects r.mu to be held.
func (r *Rig) name(sc trace.SpanContext) string {
	switch name, ok := r.names[sc.SpanID()]; {
	case !sc.IsValid():
		return ""
	case !ok:
		return Remote
	default:
		return name
	}
}

// Text renders everything that is exported of a span except its start and ids,
// and its length only if the rig has Lengths.
func (r *Rig) Text(s sdktrace.ReadOnlySpan) string {
	short := r.Span(s)
	for _, key := range r.Ignore {
		delete(short.End, key)
	}
	if !r.Lengths {
		short.Length = 0
	}
	lib := s.InstrumentationScope()
	return short.text(Scope{lib.Name, lib.Version, lib.SchemaURL}, KeyValues(lib.Attributes.ToSlice())...)
}

func (s Span) text(scope Scope, scopeAttributes ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %v of %q by %s\n", s.Name, cmp.Or(s.Kind, trace.SpanKindInternal), s.Parent,
		strings.TrimSpace(strings.Join([]string{scope.Name, scope.Version, scope.SchemaURL, strings.Join(scopeAttributes, " ")}, " ")))
	for _, kv := range KeyValues(s.Start.Slice()) {
		fmt.Fprintf(&b, "  start %s\n", kv)
	}
	for _, kv := range KeyValues(s.End.Slice()) {
		fmt.Fprintf(&b, "  end   %s\n", kv)
	}
	if s.Failed {
		fmt.Fprintf(&b, "  status %v %q\n", codes.Error, s.Status)
	}
	for _, e := range s.Events {
		fmt.Fprintf(&b, "  event %q\n", e.Name)
		for _, kv := range KeyValues(e.Attrs.Slice()) {
			fmt.Fprintf(&b, "    %s\n", kv)
		}
	}
	for _, l := range s.Links {
		fmt.Fprintf(&b, "  link %q\n", l)
	}
	if s.Length != 0 {
		fmt.Fprintf(&b, "  length %v\n", s.Length)
	}
	for _, w := range s.Wrong {
		fmt.Fprintf(&b, "  %s\n", w)
	}
	return b.String()
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
