package worker

import (
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/taskspan/taskspan/internal/oteltest"
)

// secret hides itself from logs, by a method on the value.
type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("hidden") }
func (s secret) String() string     { return string(s) }

// pointerText has its method on the pointer.
type pointerText struct{ s string }

func (p *pointerText) MarshalText() ([]byte, error) {
	if p.s == "" {
		return nil, errBoom
	}
	return []byte("text " + p.s), nil
}

type identifier [2]byte

func (i identifier) String() string { return fmt.Sprintf("%x", i[:]) }

type panicsInString int

func (panicsInString) String() string { panic("String") }

type customer struct {
	ID    int    `trace:"id"`
	Name  string // not on the list
	Owner *customer
}

type embedded struct {
	Region string `trace:"region"`
}

type wide struct {
	embedded
	*slog.Source // untagged, and none of its fields are

	Bool     bool            `trace:"bool"`
	Int      int8            `trace:"int"`
	Uint     uint16          `trace:"uint"`
	Uint64   uint64          `trace:"uint64"`
	Small    uint64          `trace:"small"`
	Float    float32         `trace:"float"`
	String   string          `json:"s" trace:"string"`
	Bytes    [2]bool         `trace:"bools"`
	Ints     []int32         `trace:"ints"`
	Floats   []float64       `trace:"floats"`
	Strings  []string        `trace:"strings"`
	None     []string        `trace:"none"`
	Time     time.Time       `trace:"time"`
	Duration time.Duration   `trace:"duration"`
	Times    []time.Time     `trace:"times"`
	Waits    []time.Duration `trace:"waits"`
	Secret   secret          `trace:"secret"`
	Secrets  []secret        `trace:"secrets"`
	Text     pointerText     `trace:"text"`
	NoText   pointerText     `trace:"no_text"`
	Texts    []pointerText   `trace:"texts"`
	ID       identifier      `trace:"id"`
	Stringer fmt.Stringer    `trace:"stringer"`
	NoString fmt.Stringer    `trace:"no_stringer"`
	Pointer  **int           `trace:"pointer"`
	Nil      *int            `trace:"nil"`
	Customer *customer       `trace:"customer"`
	Missing  *customer       `trace:"missing"`
	Left     string          `trace:"-"`
	Untagged string
	hidden   string
}

// inputs returns what is recorded of an input.
func inputs(v any) kv { return oteltest.AttrsOf(appendInput(nil, v)) }

func TestInputFields(t *testing.T) {
	f := oteltest.RecordHandled(t)
	n := 7
	pn := &n
	at := time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC)
	v := wide{
		embedded: embedded{"eu"},
		Bool:     true, Int: -1, Uint: 2, Uint64: math.MaxUint64, Small: 9, Float: .5, String: "s\xff",
		Bytes: [2]bool{true, false}, Ints: []int32{1, 2}, Floats: []float64{.5}, Strings: []string{"a", "b"},
		Time: at, Duration: 1500 * time.Millisecond, Times: []time.Time{at}, Waits: []time.Duration{time.Minute},
		Secret: "s3cr3t", Secrets: []secret{"s3cr3t"}, Text: pointerText{"t"}, Texts: []pointerText{{"t"}, {""}},
		ID: identifier{1, 2}, Stringer: identifier{3, 4}, Pointer: &pn,
		Customer: &customer{ID: 1, Name: "s3cr3t"}, Left: "s3cr3t", Untagged: "s3cr3t", hidden: "s3cr3t",
	}
	want := kv{
		"region": "eu", "bool": true, "int": int64(-1), "uint": int64(2), "uint64": "18446744073709551615", "small": int64(9),
		"float": .5, "string": "s\uFFFD", "bools": []bool{true, false}, "ints": []int64{1, 2}, "floats": []float64{.5},
		"strings": []string{"a", "b"}, "time": "2026-02-03T04:05:06.000000007Z", "duration": 1.5,
		"times": []string{"2026-02-03T04:05:06.000000007Z"}, "waits": []float64{60}, "secret": "hidden",
		"secrets": []string{"hidden"}, "text": "text t", "id": "0102", "stringer": "0304", "pointer": int64(7), "customer.id": int64(1),
	}
	prefixed := make(kv)
	for k, v := range want {
		prefixed["worker.task.input."+k] = v
	}
	p := &v
	for _, in := range []any{v, p, &p} {
		wantEqual(t, fmt.Sprintf("%T", in), inputs(in), prefixed)
	}
	for _, in := range []any{nil, (*wide)(nil), (func() []attribute.KeyValue)(nil)} {
		wantEqual(t, fmt.Sprintf("%T", in), inputs(in), kv{})
	}
	f.WantHandled()
}

func TestInputFunc(t *testing.T) {
	f := oteltest.RecordHandled(t)
	got := inputs(func() []attribute.KeyValue {
		return []attribute.KeyValue{attribute.Int("n", 1), {}, attribute.String("a.b", "c")}
	})
	wantEqual(t, "input", got, kv{"worker.task.input.n": int64(1), "worker.task.input.a.b": "c"})
	wantEqual(t, "input", inputs(func() []attribute.KeyValue { panic("input") }), kv{})
	f.WantHandled("worker: an input function panicked with a string")
}

type loops struct {
	Next *loops `trace:"next"`
	N    int    `trace:"n"`
}

type embedsItself struct {
	*embedsItself
	N int `trace:"n"`
}

type mistakes struct {
	Empty    int             `trace:""`
	Space    int             `trace:"a b"`
	Comma    int             `trace:"a,omitempty"`
	Dot      int             `trace:".a"`
	Map      map[string]int  `trace:"map"`
	Any      any             `trace:"any"`
	Func     func()          `trace:"func"`
	Blob     []byte          `trace:"blob"`
	Uints    []uint64        `trace:"uints"`
	Pointers []*int          `trace:"pointers"`
	Maps     []map[int]int   `trace:"maps"`
	Bare     struct{ N int } `trace:"bare"`
	hidden   int             `trace:"hidden"`
	Good     int             `trace:"good"`
	Twice    int             `trace:"good"`
}

func TestInputMistakes(t *testing.T) {
	inputPlans.Clear() // the test may have run before
	f := oteltest.RecordHandled(t)
	for range 2 { // they are reported once
		wantEqual(t, "mistakes", inputs(mistakes{Good: 1, Twice: 2, hidden: 3}), kv{"worker.task.input.good": int64(1)})
		wantEqual(t, "loops", inputs(loops{Next: &loops{N: 2}, N: 1}), kv{"worker.task.input.n": int64(1)})
		wantEqual(t, "embeds itself", inputs(embedsItself{embedsItself: &embedsItself{N: 2}, N: 1}), kv{"worker.task.input.n": int64(1)})
		wantEqual(t, "no tags", inputs(struct{ N int }{1}), kv{})
		wantEqual(t, "no struct", inputs(17), kv{})
		wantEqual(t, "function", inputs(func(int) []attribute.KeyValue { return nil }), kv{})
	}
	faults := f.TakeHandled()
	if len(faults) != 5 {
		t.Fatalf("faults %q", faults)
	}
	for i, want := range []string{
		"worker.mistakes", "Next: worker.loops contains itself", "no field has a tag trace",
		"input int: neither a struct nor", "neither a struct nor",
	} {
		if !strings.Contains(faults[i].Error(), want) {
			t.Errorf("fault %d: %q, want %q", i, faults[i], want)
		}
	}
	for _, want := range []string{
		`field Empty: "" cannot be a key`, `field Space: "a b" cannot be a key`, `field Comma: "a,omitempty" cannot be a key`,
		`field Dot: ".a" cannot be a key`, "field Map: cannot record a map[string]int", "field Any: cannot record a interface {}",
		"field Func: cannot record a func()", "field Blob: cannot record a []uint8", "field Uints: cannot record a []uint64",
		"field Pointers: cannot record a []*int", "field Maps: cannot record a []map[int]int",
		"field Bare: no field of struct { N int } has a tag trace", "field hidden is not exported", `field Twice: the key "good" is there twice`,
	} {
		if !strings.Contains(faults[0].Error(), want) {
			t.Errorf("no %q in %s", want, faults[0])
		}
	}
}

// A method that panics costs its own field only.
func TestInputPanics(t *testing.T) {
	f := oteltest.RecordHandled(t)
	type input struct {
		Bad  panicsInString `trace:"bad"`
		Good int            `trace:"good"`
	}
	wantEqual(t, "input", inputs(input{Good: 1}), kv{"worker.task.input.good": int64(1)})
	f.WantHandled("worker: a method of an input panicked with a string")
}

func TestInputConcurrent(t *testing.T) {
	inputPlans.Clear() // the test may have run before
	f := oteltest.RecordHandled(t)
	type input struct {
		Bad  chan int `trace:"bad"`
		Good int      `trace:"good"`
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { inputs(input{}) })
	}
	wg.Wait()
	f.WantHandled("worker: input worker.input: field Bad: cannot record a chan int")
}

// Whatever a tag says, nothing panics, keys are valid, and untagged fields stay
// out.
func FuzzInputTag(f *testing.F) {
	for _, tag := range []string{`trace:"key"`, `trace:"-"`, `trace:""`, `trace:"a b"`, `trace:"a.b"`, `json:"x" trace:"y"`, `trace:"`, "", "\xff", `trace:".."`} {
		f.Add(tag, "value")
	}
	f.Fuzz(func(t *testing.T, tag, value string) {
		oteltest.RecordHandled(t)
		typ := reflect.StructOf([]reflect.StructField{
			{Name: "A", Type: reflect.TypeFor[string](), Tag: reflect.StructTag(tag)},
			{Name: "B", Type: reflect.TypeFor[string]()},
		})
		v := reflect.New(typ).Elem()
		v.Field(0).SetString(value)
		v.Field(1).SetString("canary")
		for k, got := range oteltest.AttrsOf(newInputPlan(typ).fields0(v)) {
			key, ok := strings.CutPrefix(string(k), inputPrefix)
			if !ok || !validKey(key) || got != valid(value) {
				t.Errorf("tag %q: %s=%v", tag, k, got)
			}
		}
	})
}

// fields0 reads the fields of v without the cache.
func (p *inputPlan) fields0(v reflect.Value) (kv []attribute.KeyValue) {
	for i := range p.fields {
		kv = p.fields[i].append(kv, v)
	}
	return kv
}

func TestTaskOptions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		err := b.runner.Run(t.Context(), "load", nothing,
			WithAttributes(attribute.Int("custom", 1), attribute.String("worker.task.name", "not this one")),
			WithAttributes(attribute.Bool("more", true)),
			WithID("id\xff"), WithAttempt(2), WithInput(embedded{"eu"}), WithInput(&customer{ID: 3}))
		if err != nil {
			t.Fatal(err)
		}
		want := ok("load")
		want.Start["custom"] = int64(1)
		want.Start["more"] = true
		want.Start["worker.task.id"] = "id\uFFFD"
		want.Start["worker.task.attempt"] = int64(2)
		want.Start["worker.task.input.region"] = "eu"
		want.Start["worker.task.input.id"] = int64(3)
		b.WantSpans(want)
	})
}

// What is left out stays out.
func TestEmptyTaskOptions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		if err := b.runner.Run(t.Context(), "load", nothing, WithID(""), WithAttempt(0), WithEnqueuedAt(time.Time{}), WithAttributes(), WithInput(nil)); err != nil {
			t.Fatal(err)
		}
		b.WantSpans(ok("load"))
		if m, ok := b.Collect()["worker.task.queue.duration"]; ok {
			t.Errorf("%v", m)
		}
	})
}

// A task's identity is in its log records.
func TestLoggedIdentity(t *testing.T) {
	b := newBackend(t)
	_ = b.runner.Run(t.Context(), "load", fails, WithID("17"), WithAttempt(3))
	want := typedRecord("load")
	want.Attrs["worker.task.id"], want.Attrs["worker.task.attempt"] = "17", int64(3)
	b.wantLog(want)
}
