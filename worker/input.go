package worker

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/taskspan/taskspan/internal/instrument"
)

// inputTag is the struct tag that puts a field on the list of what is recorded.
const inputTag = "trace"

// appendInput adds the attributes of an input.
func appendInput(kv []attribute.KeyValue, v any) []attribute.KeyValue {
	switch f := v.(type) {
	case nil:
		return kv
	case func() []attribute.KeyValue:
		if f == nil {
			return kv
		}
		return appendInputFunc(kv, f)
	}
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return kv
		}
		rv = rv.Elem()
	}
	p := planOf(rv.Type())
	if p.err != nil && p.reported.CompareAndSwap(false, true) {
		instrument.Handle(fmt.Errorf("worker: input %v: %w", rv.Type(), p.err))
	}
	for i := range p.fields {
		kv = p.fields[i].append(kv, rv)
	}
	return kv
}

func appendInputFunc(kv []attribute.KeyValue, f func() []attribute.KeyValue) (out []attribute.KeyValue) {
	out = kv
	defer scope.Guard("an input function")
	for _, a := range f() {
		if a.Valid() {
			out = append(out, attribute.KeyValue{Key: inputPrefix + a.Key, Value: a.Value})
		}
	}
	return out
}

// inputPlan lists the fields of a struct type are recorded.
type inputPlan struct {
	fields   []inputField
	tagged   bool  // that there are tags, good or bad
	err      error // what is wrong with them
	reported atomic.Bool
}

// inputField is one of them.
type inputField struct {
	key   attribute.Key
	index []int
	read  reader
}

// reader returns the value of a field: a bool, int64, float64, string or a
// slice of these, and false for nil.
type reader func(reflect.Value) (any, bool)

// inputPlans holds an *inputPlan for each reflect.Type that was an input.
var inputPlans sync.Map

// planOf returns the plan of a type.
func planOf(t reflect.Type) *inputPlan {
	if p, ok := inputPlans.Load(t); ok {
		return p.(*inputPlan)
	}
	p, _ := inputPlans.LoadOrStore(t, newInputPlan(t))
	return p.(*inputPlan)
}

func newInputPlan(t reflect.Type) *inputPlan {
	if t.Kind() != reflect.Struct {
		return &inputPlan{err: errors.New("neither a struct nor a func() []attribute.KeyValue")}
	}
	b := planBuilder{keys: make(map[string]bool)}
	b.add(t, "", nil, []reflect.Type{t})
	isTagged := len(b.fields)+len(b.errs) > 0
	if !isTagged {
		b.mistake("no field has a tag " + inputTag)
	}
	return &inputPlan{fields: b.fields, tagged: isTagged, err: errors.Join(b.errs...)}
}

// tagged reports whether values of a type, or what they point to, have fields
// to record.
func tagged(t reflect.Type) bool { return planOf(elem(t)).tagged }

type planBuilder struct {
	fields []inputField
	keys   map[string]bool
	errs   []error
}

func (b *planBuilder) mistake(text string) { b.errs = append(b.errs, errors.New(text)) }

// add adds the fields of a struct type. around are the types that it is in, and
// itself.
func (b *planBuilder) add(t reflect.Type, prefix string, index []int, around []reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clone(index), i)
		key, ok := f.Tag.Lookup(inputTag)
		switch {
		case key == "-":
		case ok:
			b.addField(f, prefix, key, at, around)
		case f.Anonymous:
			if e := elem(f.Type); e.Kind() == reflect.Struct && !slices.Contains(around, e) {
				b.add(e, prefix, at, append(slices.Clone(around), e))
			}
		}
	}
}

func (b *planBuilder) addField(f reflect.StructField, prefix, key string, at []int, around []reflect.Type) {
	switch {
	case !validKey(key):
		b.mistake(fmt.Sprintf("field %s: %q cannot be a key", f.Name, key))
		return
	case !f.IsExported():
		b.mistake(fmt.Sprintf("field %s is not exported", f.Name))
		return
	}
	key = prefix + key
	e := elem(f.Type)
	read := readerOf(e)
	if read == nil && e.Kind() == reflect.Struct {
		if slices.Contains(around, e) {
			b.mistake(fmt.Sprintf("field %s: %v contains itself", f.Name, e))
			return
		}
		before := len(b.fields) + len(b.errs)
		b.add(e, key+".", at, append(slices.Clone(around), e))
		if len(b.fields)+len(b.errs) == before {
			b.mistake(fmt.Sprintf("field %s: no field of %v has a tag %s", f.Name, e, inputTag))
		}
		return
	}
	switch {
	case read == nil:
		b.mistake(fmt.Sprintf("field %s: cannot record a %v", f.Name, f.Type))
	case b.keys[key]:
		b.mistake(fmt.Sprintf("field %s: the key %q is there twice", f.Name, key))
	default:
		b.keys[key] = true
		b.fields = append(b.fields, inputField{key: attribute.Key(inputPrefix + key), index: at, read: read})
	}
}

// elem returns what a pointer type points to, in the end.
func elem(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// validKey reports whether a key is made of letters, digits and - _ . inside.
func validKey(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}) < 0
}

// append adds the attribute of the field of v, a struct.
func (f *inputField) append(kv []attribute.KeyValue, v reflect.Value) (out []attribute.KeyValue) {
	out = kv
	defer scope.Guard("a method of an input")
	for _, i := range f.index {
		if v = deref(v); !v.IsValid() {
			return out
		}
		v = v.Field(i)
	}
	if v = deref(v); !v.IsValid() {
		return out
	}
	x, ok := f.read(v)
	if !ok {
		return out
	}
	var a attribute.Value
	switch x := x.(type) {
	case bool:
		a = attribute.BoolValue(x)
	case int64:
		a = attribute.Int64Value(x)
	case float64:
		a = attribute.Float64Value(x)
	case string:
		a = attribute.StringValue(x)
	case []bool:
		a = attribute.BoolSliceValue(x)
	case []int64:
		a = attribute.Int64SliceValue(x)
	case []float64:
		a = attribute.Float64SliceValue(x)
	case []string:
		a = attribute.StringSliceValue(x)
	}
	return append(out, attribute.KeyValue{Key: f.key, Value: a})
}

// deref follows pointers. The result is invalid if one is nil.
func deref(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}

var (
	typeTime        = reflect.TypeFor[time.Time]()
	typeDuration    = reflect.TypeFor[time.Duration]()
	typeLogValuer   = reflect.TypeFor[slog.LogValuer]()
	typeTextMarshal = reflect.TypeFor[encoding.TextMarshaler]()
	typeStringer    = reflect.TypeFor[fmt.Stringer]()
)

// readerOf returns how to read values of a type that is no pointer, or nil if
// they cannot be recorded as one attribute. A method by which the type defines how
// it wants to be shown comes first: it may be there to hide a secret.
func readerOf(t reflect.Type) reader {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		if read := methodReader(t); read != nil {
			return read
		}
		return sliceReader(t)
	}
	return scalarReader(t)
}

func scalarReader(t reflect.Type) reader {
	switch t {
	case typeTime:
		return func(v reflect.Value) (any, bool) {
			return v.Interface().(time.Time).Format(time.RFC3339Nano), true
		}
	case typeDuration:
		return func(v reflect.Value) (any, bool) { return time.Duration(v.Int()).Seconds(), true }
	}
	if read := methodReader(t); read != nil {
		return read
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(v reflect.Value) (any, bool) { return v.Bool(), true }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(v reflect.Value) (any, bool) { return v.Int(), true }
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return func(v reflect.Value) (any, bool) { return int64(v.Uint()), true }
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		return func(v reflect.Value) (any, bool) {
			if u := v.Uint(); u > math.MaxInt64 {
				return strconv.FormatUint(u, 10), true
			}
			return int64(v.Uint()), true
		}
	case reflect.Float32, reflect.Float64:
		return func(v reflect.Value) (any, bool) { return v.Float(), true }
	case reflect.String:
		return func(v reflect.Value) (any, bool) { return valid(v.String()), true }
	default:
		return nil
	}
}

// methodReader returns how to read values of a type that has a method for that,
// on the value or on a pointer to it, or nil.
func methodReader(t reflect.Type) reader {
	for _, m := range []struct {
		iface reflect.Type
		text  func(any) (string, bool)
	}{
		{typeLogValuer, func(x any) (string, bool) {
			return slog.AnyValue(x).Resolve().String(), true
		}},
		{typeTextMarshal, func(x any) (string, bool) {
			b, err := x.(encoding.TextMarshaler).MarshalText()
			return string(b), err == nil
		}},
		{typeStringer, func(x any) (string, bool) { return x.(fmt.Stringer).String(), true }},
	} {
		switch {
		case t.Implements(m.iface):
			return func(v reflect.Value) (any, bool) {
				if v.Kind() == reflect.Interface && v.IsNil() {
					return nil, false
				}
				s, ok := m.text(v.Interface())
				return valid(s), ok
			}
		case reflect.PointerTo(t).Implements(m.iface):
			return func(v reflect.Value) (any, bool) {
				p := reflect.New(t)
				p.Elem().Set(v)
				s, ok := m.text(p.Interface())
				return valid(s), ok
			}
		}
	}
	return nil
}

// sliceReader returns how to read slices and arrays whose elements can be read,
// or nil. Bytes are not numbers.
func sliceReader(t reflect.Type) reader {
	e := t.Elem()
	if e.Kind() == reflect.Pointer || e.Kind() == reflect.Interface {
		return nil
	}
	read := scalarReader(e)
	if read == nil {
		return nil
	}
	switch {
	case e == typeDuration:
		return sliceOf[float64](read)
	case e == typeTime || methodReader(e) != nil:
		return sliceOf[string](read)
	}
	switch e.Kind() {
	case reflect.Bool:
		return sliceOf[bool](read)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32:
		return sliceOf[int64](read)
	case reflect.Float32, reflect.Float64:
		return sliceOf[float64](read)
	case reflect.String:
		return sliceOf[string](read)
	default:
		return nil
	}
}

func sliceOf[T any](read reader) reader {
	return func(v reflect.Value) (any, bool) {
		if v.Kind() == reflect.Slice && v.IsNil() {
			return nil, false
		}
		out := make([]T, 0, v.Len())
		for i := range v.Len() {
			x, ok := read(v.Index(i))
			if !ok {
				return nil, false
			}
			out = append(out, x.(T))
		}
		return out, true
	}
}
