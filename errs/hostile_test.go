package errs_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mssql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mysql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/ncruces"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pq"
	modernc "github.com/taskspan/taskspan/errs/internal/lookalike/sqlite"
)

// trap panics whatever it is asked.
type trap struct{}

func (trap) Error() string     { panic(canary) }
func (trap) Unwrap() error     { panic(canary) }
func (trap) Is(error) bool     { panic(canary) }
func (trap) As(any) bool       { panic(canary) }
func (trap) Timeout() bool     { panic(canary) }
func (trap) SafeToRetry() bool { panic(canary) }
func (trap) SQLState() string  { panic(canary) }

func (trap) ErrorClass() errs.Class { panic(canary) }

// traps panics when it is asked for what it joins.
type traps struct{}

func (traps) Error() string   { return canary }
func (traps) Unwrap() []error { panic(canary) }

// bag cannot be compared.
type bag struct{ list []error }

func (b bag) Error() string   { return "bag" }
func (b bag) Unwrap() []error { return b.list }
func (b bag) Is(error) bool   { return false }

// ring wraps itself.
type ring struct{ text string }

func (r *ring) Error() string { return r.text }
func (r *ring) Unwrap() error { return r }

// web joins itself with itself.
type web struct{}

func (w *web) Error() string   { return "web" }
func (w *web) Unwrap() []error { return []error{w, nil, w, w} }

// agreeable says yes to everything.
type agreeable struct{ err error }

func (agreeable) Error() string   { return "yes" }
func (agreeable) Is(error) bool   { return true }
func (a agreeable) Unwrap() error { return a.err }

// embedding has a driver's error within it, which may be missing.
type embedding struct {
	*pgconn.PgError
	extra string
}

// restless says something else each time.
type restless struct {
	n   *int
	err error
}

func (r restless) Error() string {
	*r.n++
	return fmt.Sprint(*r.n, r.err)
}
func (r restless) Unwrap() error { return r.err }

func hostile() map[string]error {
	loop := &errs.PanicError{}
	loop.Value = fmt.Errorf("x: %w", error(&mutePanic{loop}))
	self := &errs.PanicError{}
	self.Value = error(&mutePanic{self})
	deep := error(cast)
	for i := range 10_000 {
		deep = &numbered{i, deep}
	}
	wide := make([]error, 10_000)
	for i := range wide {
		wide[i] = fmt.Errorf("item %d", i)
	}
	wide[9_999] = cast
	return map[string]error{
		"trap":                trap{},
		"trap pointer":        (*trap)(nil),
		"wrapped trap":        mute{trap{}},
		"joined trap":         bag{[]error{trap{}, cast}},
		"traps":               traps{},
		"bag":                 bag{[]error{nil, cast, nil}},
		"empty bag":           bag{},
		"ring":                &ring{"ring"},
		"web":                 &web{},
		"agreeable":           agreeable{},
		"agreeable driver":    agreeable{cast},
		"embedding":           embedding{cast, canary},
		"embedding nothing":   embedding{nil, canary},
		"embedding pointer":   &embedding{nil, canary},
		"restless":            restless{new(int), cast},
		"panic of a panic":    loop,
		"panic of itself":     self,
		"deep":                deep,
		"wide":                &twisted{"wide", bag{wide}},
		"nil pgx":             (*pgconn.PgError)(nil),
		"nil lib/pq":          (*pq.Error)(nil),
		"nil MySQL":           (*mysql.MySQLError)(nil),
		"nil go-mysql":        (*mysql.MyError)(nil),
		"nil modernc":         (*modernc.Error)(nil),
		"nil ncruces":         (*ncruces.Error)(nil),
		"nil SQL Server":      (*mssql.Error)(nil),
		"nil own":             (*fault)(nil),
		"nil wrapper":         (*appError)(nil),
		"wrapper of nothing":  &appError{"x", nil},
		"wrapper of nil":      &appError{"x", (*fault)(nil)},
		"nil list":            list(nil),
		"joined nothing":      errors.Join(nil, bag{}),
		"connect of nothing":  &pgconn.ConnectError{},
		"panic with a trap":   &errs.PanicError{Value: trap{}},
		"panic with a string": &errs.PanicError{Value: stringer{}},
	}
}

// mutePanic wraps a panic without printing it.
type mutePanic struct{ p *errs.PanicError }

func (e *mutePanic) Error() string { return "mute" }
func (e *mutePanic) Unwrap() error { return e.p }

// numbered is one link of a long chain.
type numbered struct {
	n   int
	err error
}

func (e *numbered) Error() string { return fmt.Sprint("link ", e.n) }
func (e *numbered) Unwrap() error { return e.err }

// stringer panics when it is printed.
type stringer struct{}

func (stringer) String() string { panic(canary) }

func TestHostile(t *testing.T) {
	for name, err := range hostile() {
		t.Run(name, func(t *testing.T) {
			for _, err := range []error{err, mute{err}, bag{[]error{err, err}}, &errs.PanicError{Value: err}} {
				class := errs.Classify(err)
				if class.Kind == errs.KindNone || class.Type == "" {
					t.Errorf("%T: class %+v", err, class)
				}
				if text := errs.Message(err); text == "" || strings.Contains(text, canary) && name != "traps" {
					t.Errorf("%T: message %q", err, text)
				}
			}
		})
	}
}

func TestHostileResults(t *testing.T) {
	checkClass(t, trap{}, errs.Class{Kind: errs.KindOther, Type: "errs_test.trap"})
	checkClass(t, bag{[]error{trap{}, cast}}, errs.Classify(cast))
	checkClass(t, agreeable{}, errs.Class{Kind: errs.KindCanceled, Type: "context.Canceled"})
	checkClass(t, embedding{cast, ""}, errs.Classify(cast))
	checkMessages(t, []message{
		{"trap", trap{}, "other (errs_test.trap)"},
		{"joined trap", bag{[]error{trap{}, cast}}, "bag: other (errs_test.trap): " + castText},
		{"embedding", embedding{cast, canary}, castText},
		{"embedding with names", &embedding{duplicate, canary}, duplicateText},
		{"restless", restless{new(int), cast}, "? " + castText},
		{"agreeable", agreeable{cast}, "yes: " + castText},
		{"ring", &ring{"a"}, "a"},
	})
}

// The time to look at a tree is bounded, whatever its size.
func TestHostileIsFast(t *testing.T) {
	long := strings.Repeat("ab", 20_000)
	err := error(&twisted{long, &twisted{"ab", cast}})
	for range 40 {
		err = &twisted{long, errors.Join(err, err, cast)}
	}
	took := fastest(2*time.Second, func() {
		errs.Classify(err)
		errs.Message(err)
	})
	if took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// fastest is the shortest time that f takes in a few attempts: others may use the
// processors too. It is content with one within the limit.
func fastest(limit time.Duration, f func()) time.Duration {
	took := time.Duration(math.MaxInt64)
	for attempt := 0; attempt < 5 && took > limit; attempt++ {
		start := time.Now()
		f()
		took = min(took, time.Since(start))
	}
	return took
}

// So is the time to look for wordings in a text, whatever it repeats.
func TestLongTextIsFast(t *testing.T) {
	for _, part := range []string{
		"://", `"https://cdn.example.com/123.png",`, "Key (", "Incorrect ", "strconv.", "Error 1062 (", `value "`, "near ", "parse ",
		"panic: ", ": ", "ERROR: ", "(SQLSTATE ", "A: ", "sql: converting argument $1", "sql: Scan error on column index 0, name \"",
	} {
		text := strings.Repeat(part, 4<<20/len(part))
		took := fastest(time.Second, func() {
			errs.Message(errors.New(text))
			errs.Message(fmt.Errorf("%s: %w", text, cast))
		})
		if took > time.Second {
			t.Errorf("%q: took %v", part, took)
		}
	}
}

// A value may be of any length.
func TestLongValue(t *testing.T) {
	for _, n := range []int{10, 100, 5_000, 70_000, 1_000_000} {
		value := canary + strings.Repeat("x", n)
		for text, want := range map[string]string{
			"load: odd value " + value:                          "load: odd value ?",
			"load: odd value '" + value + "' at the end":        "load: odd value ?",
			"load: " + strings.Repeat("no value ", n) + " here": "",
		} {
			got := errs.Message(errors.New(text))
			if want != "" && strings.TrimSuffix(got, " at the end") != want || len(got) > errs.MaxMessage {
				t.Errorf("%d: message %.100q, want %q", n, got, want)
			}
		}
	}
}

func TestPanicError(t *testing.T) {
	inner := errors.New("inner")
	e := &errs.PanicError{Value: inner, Stack: []byte("goroutine 1 [running]")}
	if got := e.Error(); got != "panic: inner" {
		t.Errorf("Error() = %q", got)
	}
	if !errors.Is(e, inner) {
		t.Error("the value is not unwrapped")
	}
	text := &errs.PanicError{Value: "boom"}
	if got := text.Error(); got != "panic: boom" || text.Unwrap() != nil {
		t.Errorf("Error() = %q, Unwrap() = %v", got, text.Unwrap())
	}
	none := (*errs.PanicError)(nil)
	if got := none.Error(); got != "panic" || none.Unwrap() != nil {
		t.Errorf("nil: Error() = %q, Unwrap() = %v", got, none.Unwrap())
	}
	if got := (&errs.PanicError{Value: stringer{}}).Error(); !strings.HasPrefix(got, "panic: ") {
		t.Errorf("Error() of a value that panics = %q", got)
	}
	checkClass(t, text, errs.Class{Kind: errs.KindPanic, Type: "panic"})
	checkClass(t, none, errs.Class{Kind: errs.KindPanic, Type: "panic"})
	checkClass(t, e, errs.Class{Kind: errs.KindPanic, Type: "*errors.errorString"})
	checkClass(t, fmt.Errorf("task: %w", &errs.PanicError{Value: &pgconn.PgError{Code: "40001"}}), errs.Class{Kind: errs.KindPanic, Type: "40001", Code: "40001"})
}

func TestTypeName(t *testing.T) {
	for want, v := range map[string]any{
		"int": 1, "*errs_test.fault": &fault{}, "_OTHER": struct{ X string }{}, "string": "",
		"errs_test.pair[int,string]": pair[int, string]{},
	} {
		if got := errs.TypeName(reflect.TypeOf(v)); got != want {
			t.Errorf("TypeName(%T) = %q, want %q", v, got, want)
		}
	}
}
