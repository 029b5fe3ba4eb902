package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// forest is a Processor with a tracer whose spans have times that tests choose.
type forest struct {
	*Processor
	out    bytes.Buffer
	tracer trace.Tracer
}

var epoch = time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)

func newForest(t *testing.T, opts ...Option) *forest {
	t.Helper()
	t.Setenv("COLUMNS", "")
	t.Setenv("OTEL_TRACES_SAMPLER", "")
	f := &forest{}
	f.Processor = New(&f.out, opts...)
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(f.Processor))
	t.Cleanup(func() {
		if err := tp.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f.tracer = tp.Tracer("test")
	return f
}

func at(d time.Duration) trace.SpanEventOption { return trace.WithTimestamp(epoch.Add(d)) }

// start begins a span.
func (f *forest) start(ctx context.Context, name string, from time.Duration) (context.Context, trace.Span) {
	return f.tracer.Start(ctx, name, at(from))
}

// leaf makes a span without children.
func (f *forest) leaf(ctx context.Context, name string, from, to time.Duration) {
	_, s := f.start(ctx, name, from)
	s.End(at(to))
}

func fail(s trace.Span, errType, text string) {
	if errType != "" {
		s.SetAttributes(attribute.String("error.type", errType))
	}
	s.SetStatus(codes.Error, text)
}

func (f *forest) expect(t *testing.T, want string) {
	t.Helper()
	want = strings.TrimPrefix(want, "\n")
	if got := f.out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	f.out.Reset()
}

const ms = time.Millisecond

func TestTree(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "load packages", 0)
	f.leaf(ctx, "BEGIN", 0, 50*time.Microsecond)
	for i := range 312 {
		from := 75*ms + time.Duration(i)*2*ms
		f.leaf(ctx, "INSERT packages", from, from+1314*time.Microsecond)
	}
	inner, resolve := f.start(ctx, "resolve", 700*ms)
	f.leaf(inner, "SELECT imports", 700*ms, 900*ms)
	_, failed := f.start(inner, "INSERT imports", 900*ms)
	fail(failed, "23505", "unique constraint \"imports_pkey\"")
	failed.End(at(1000 * ms))
	resolve.End(at(1000 * ms))
	f.leaf(ctx, "COMMIT", 1798*ms, 1820*ms)
	f.expect(t, "") // nothing before the end
	root.End(at(1820 * ms))
	f.expect(t, `
load packages              1.82 s ▕████████████████████████▏
├─ BEGIN                  50.0 µs ▕▏                       ▏
├─ INSERT packages ×312    410 ms ▕░░░░░░░░░░              ▏ mean 1.31 ms, max 1.31 ms
├─ resolve                 300 ms ▕         ████▏          ▏
│  ├─ SELECT imports       200 ms ▕         ██▉            ▏
│  └─ INSERT imports       100 ms ▕           ██▏          ▏ ✗ 23505: unique constraint "imports_pkey"
└─ COMMIT                 22.0 ms ▕                       ▎▏

`)
	f.leaf(context.Background(), "alone", 0, ms)
	f.expect(t, `
alone   1.00 ms ▕████████████████████████▏
`)
}

// The order does not depend on the order in which spans end.
func TestOrder(t *testing.T) {
	f := newForest(t, WithRepeats(9))
	ctx, root := f.start(context.Background(), "r", 0)
	f.leaf(ctx, "c", 5*ms, 6*ms)
	f.leaf(ctx, "b", 5*ms, 8*ms)
	f.leaf(ctx, "b", 5*ms, 7*ms)
	f.leaf(ctx, "a", 9*ms, 10*ms)
	f.leaf(ctx, "z", 1*ms, 2*ms)
	root.End(at(10 * ms))
	f.expect(t, `
r      10.0 ms ▕████████████████████████▏
├─ z   1.00 ms ▕  ██▊                   ▏
├─ b   2.00 ms ▕            ████▊       ▏
├─ b   3.00 ms ▕            ███████▎    ▏
├─ c   1.00 ms ▕            ██▍         ▏
└─ a   1.00 ms ▕                     ███▏

`)
}

func TestFailures(t *testing.T) {
	f := newForest(t)
	for _, test := range []struct{ errType, text, want string }{
		{"23505", "duplicate", "✗ 23505: duplicate"},
		{"23505", "", "✗ 23505"},
		{"", "duplicate", "✗ duplicate"},
		{"", "", "✗ failed"},
		{"context.Canceled", "context.Canceled", "✗ context.Canceled"},
		{"x", "line\nanother\x1b[31m", `✗ x: line\nanother\x1b[31m`},
		{"x", strings.Repeat("y", 200), "✗ x: " + strings.Repeat("y", 114) + "…"},
	} {
		_, s := f.start(context.Background(), "s", 0)
		fail(s, test.errType, test.text)
		s.End(at(ms))
		f.expect(t, "s   1.00 ms ▕████████████████████████▏ "+test.want+"\n")
	}
	// error.type alone is not a failure.
	_, s := f.start(context.Background(), "s", 0)
	s.SetAttributes(attribute.String("error.type", "x"))
	s.End(at(ms))
	f.expect(t, "s   1.00 ms ▕████████████████████████▏\n")
}

// Spans of one name become one line, whether they have children or not, and failures among them count.
func TestRepeats(t *testing.T) {
	f := newForest(t, WithRepeats(0)) // at least 1
	ctx, root := f.start(context.Background(), "r", 0)
	for i := range 6 {
		from := time.Duration(i) * 10 * ms
		inner, s := f.start(ctx, "statement", from)
		if i%2 == 1 {
			f.leaf(inner, "inner", from, from+ms)
		}
		if i >= 4 {
			fail(s, fmt.Sprint("E", i), "")
		}
		s.End(at(from + time.Duration(i+1)*ms))
	}
	f.leaf(ctx, "once", 1*ms, 2*ms)
	root.End(at(60 * ms))
	f.expect(t, `
r                 60.0 ms ▕████████████████████████▏
├─ statement ×6   21.0 ms ▕░░░░░░░░░░░░░░░░░░░░░░░ ▏ mean 3.50 ms, max 6.00 ms, 3 spans inside, ✗ E4: 2 of them
└─ once           1.00 ms ▕▍                       ▏

`)
	if len(f.spans) != 0 || len(f.traces) != 0 {
		t.Errorf("%d spans and %d traces are left", len(f.spans), len(f.traces))
	}
}

// Twenty thousand statements take no room, and are counted exactly.
func TestOfManyRepeats(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "r", 0)
	const n = 20_000
	for i := range n {
		f.leaf(ctx, "SELECT", time.Duration(i)*ms, time.Duration(i+1)*ms)
	}
	if len(f.spans) > 10 || root == nil {
		t.Errorf("%d spans are kept", len(f.spans))
	}
	root.End(at(n * ms))
	f.expect(t, `
r                   20.0 s ▕████████████████████████▏
└─ SELECT ×20000    20.0 s ▕░░░░░░░░░░░░░░░░░░░░░░░░▏ mean 1.00 ms, max 1.00 ms

`)
}

// A child that outlives its root is shown as running, and printed once it has ended.
func TestLateChildren(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "root", 0)
	lateCtx, late := f.start(ctx, "late", 5*ms)
	f.leaf(lateCtx, "early grandchild", 6*ms, 7*ms)
	root.End(at(10 * ms))
	f.expect(t, `
root      10.0 ms ▕████████████████████████▏
└─ late         … ▕            ············▏ still running

`)
	f.leaf(lateCtx, "late grandchild", 12*ms, 15*ms)
	f.leaf(ctx, "child of the ended root", 13*ms, 14*ms)
	f.expect(t, `
child of the ended root   1.00 ms ▕████████████████████████▏ parent not shown
`)
	late.End(at(25 * ms))
	f.expect(t, `
late                  20.0 ms ▕████████████████████████▏ outlived root
├─ early grandchild   1.00 ms ▕ █▍                     ▏
└─ late grandchild    3.00 ms ▕        ████            ▏

`)
	if len(f.spans) != 0 || len(f.traces) != 0 {
		t.Errorf("%d spans and %d traces are left", len(f.spans), len(f.traces))
	}
}

// A parent that has ended may still get children while its own parent runs.
func TestChildOfEndedSpan(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "root", 0)
	queryCtx, query := f.start(ctx, "query", 0)
	f.leaf(queryCtx, "during", 0, ms)
	query.End(at(2 * ms))
	f.leaf(queryCtx, "after", 3*ms, 4*ms)
	root.End(at(4 * ms))
	f.expect(t, `
root           4.00 ms ▕████████████████████████▏
└─ query       2.00 ms ▕████████████            ▏
   ├─ during   1.00 ms ▕██████                  ▏
   └─ after    1.00 ms ▕                  ██████▏

`)
}

func TestRemoteParent(t *testing.T) {
	f := newForest(t)
	remote := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
	f.leaf(trace.ContextWithSpanContext(context.Background(), remote), "job", 0, ms)
	f.expect(t, "job   1.00 ms ▕████████████████████████▏\n")
}

func TestIgnoresWhatIsNotSampled(t *testing.T) {
	var out bytes.Buffer
	tree := New(&out)
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tree), sdktrace.WithSampler(recordOnly{}))
	_, s := tp.Tracer("test").Start(context.Background(), "s")
	s.End()
	if err := tp.Shutdown(context.Background()); err != nil || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}

type recordOnly struct{}

func (recordOnly) ShouldSample(sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordOnly}
}
func (recordOnly) Description() string { return "recordOnly" }

// Shutdown prints what is not finished, with everything that is known of it.
func TestShutdown(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "root", 0)
	openCtx, open := f.start(ctx, "open", ms)
	f.leaf(openCtx, "finished", 2*ms, 4*ms)
	_, other := f.start(context.Background(), "other", 0)
	if err := f.ForceFlush(context.Background()); err != nil {
		t.Error(err)
	}
	f.expect(t, "")
	for range 2 {
		if err := f.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	f.expect(t, `
root                   … ▕························▏ still running
└─ open                … ▕      ··················▏ still running
   └─ finished   2.00 ms ▕            ████████████▏

other         … ▕························▏ still running
`)
	// What comes after it is ignored.
	open.End()
	root.End()
	other.End()
	f.leaf(context.Background(), "late", 0, ms)
	f.expect(t, "")
}

func TestBoundOfSpans(t *testing.T) {
	f := newForest(t)
	f.maxSpans = 3
	ctx, root := f.start(context.Background(), "r", 0)
	f.leaf(ctx, "a", 0, ms)
	f.leaf(ctx, "b", 0, ms)
	deeper, c := f.start(ctx, "c", 0)
	f.leaf(deeper, "d", 0, ms)
	f.leaf(deeper, "d", 0, ms)
	c.End()
	root.End(at(2 * ms))
	f.expect(t, `
r      2.00 ms ▕████████████████████████▏
├─ a   1.00 ms ▕████████████            ▏
└─ b   1.00 ms ▕████████████            ▏
… 3 spans of this trace not shown: no room

`)
	if len(f.spans) != 0 {
		t.Errorf("%d spans are left", len(f.spans))
	}
}

func TestBoundOfTraces(t *testing.T) {
	f := newForest(t)
	ctx, oldest := f.start(context.Background(), "the oldest\n", 0)
	f.leaf(ctx, "child", 0, ms)
	var spans []trace.Span
	for range maxTraces {
		_, s := f.start(context.Background(), "s", 0)
		spans = append(spans, s)
	}
	f.expect(t, `… the oldest\n: given up, with 2 spans kept: more than 128 traces at a time`+"\n")
	oldest.End()
	f.expect(t, "")
	for _, s := range spans {
		s.End(at(ms))
	}
	f.expect(t, strings.Repeat("s   1.00 ms ▕████████████████████████▏\n", maxTraces))
	if len(f.spans) != 0 || len(f.traces) != 0 {
		t.Errorf("%d spans and %d traces are left", len(f.spans), len(f.traces))
	}
}

// Many children that outlive their root do not overrun the bound either.
func TestBoundOfLateChildren(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "r", 0)
	var spans []trace.Span
	for range 2 * maxTraces {
		_, s := f.start(ctx, "s", 0)
		spans = append(spans, s)
	}
	root.End(at(ms))
	if len(f.spans) != maxTraces || len(f.traces) != maxTraces {
		t.Errorf("%d spans and %d traces are kept", len(f.spans), len(f.traces))
	}
	for _, s := range spans {
		s.End(at(2 * ms))
	}
	if len(f.spans) != 0 || len(f.traces) != 0 {
		t.Errorf("%d spans and %d traces are left", len(f.spans), len(f.traces))
	}
}

// sameIDs gives every span the same identity.
type sameIDs struct{}

func (sameIDs) NewIDs(context.Context) (trace.TraceID, trace.SpanID) {
	return trace.TraceID{1}, trace.SpanID{1}
}
func (sameIDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return trace.SpanID{1} }

// Odd data is printed somehow, without a panic.
func TestOddData(t *testing.T) {
	t.Run("same ids", func(t *testing.T) {
		var out bytes.Buffer
		tree := New(&out)
		tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tree), sdktrace.WithIDGenerator(sameIDs{}))
		ctx, a := tp.Tracer("test").Start(context.Background(), "a")
		ctx, b := tp.Tracer("test").Start(ctx, "b") // its own parent
		_, c := tp.Tracer("test").Start(ctx, "c")
		c.End()
		b.End()
		a.End()
		if err := tp.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"a", "b", "c"} {
			if !strings.Contains(out.String(), name+" ") {
				t.Errorf("no %s in:\n%s", name, out.String())
			}
		}
	})
	t.Run("times", func(t *testing.T) {
		f := newForest(t)
		ctx, root := f.start(context.Background(), "root", 0)
		f.leaf(ctx, "backwards", 8*ms, 2*ms)
		f.leaf(ctx, "before the root", -10*ms, -5*ms)
		f.leaf(ctx, "after the root", 25*ms, 30*ms)
		root.End(at(20 * ms))
		f.expect(t, `
root                 20.0 ms ▕      ████████████      ▏
├─ before the root   5.00 ms ▕███                     ▏
├─ backwards            0 ns ▕          ▏             ▏
└─ after the root    5.00 ms ▕                     ███▏

`)
		ctx, root = f.start(context.Background(), "no time", 0)
		f.leaf(ctx, "child", 0, 0)
		root.End(at(0))
		f.expect(t, `
no time       0 ns ▕▏                       ▏
└─ child      0 ns ▕▏                       ▏

`)
		ctx, root = f.tracer.Start(context.Background(), "eternal", trace.WithTimestamp(time.Unix(-1<<40, 0)))
		f.leaf(ctx, "child", 0, ms)
		root.End(trace.WithTimestamp(time.Unix(1<<40, 0)))
		f.out.Reset()
	})
	t.Run("names", func(t *testing.T) {
		f := newForest(t)
		for name, want := range map[string]string{
			"":                      "(no name)",
			"a\nb\tc\r\x00":         `a\nb\tc\r\x00`,
			"\x1b[2J\x1b]0;title\a": `\x1b[2J\x1b]0;title\a`,
			"\u202egnp.exe":         `\u202egnp.exe`,
			"c1 \u009b31m":          `c1 \u009b31m`,
			"bad \xff utf8":         `bad \xff utf8`,
			"ok \ufffd":             "ok \ufffd",
			"日本 ÄÖ ✓":               "日本 ÄÖ ✓",
			"\U000e0041":            `\U000e0041`,
		} {
			f.leaf(context.Background(), name, 0, ms)
			f.expect(t, want+"   1.00 ms ▕████████████████████████▏\n")
		}
		ctx, root := f.start(context.Background(), "r", 0)
		for range 5 {
			f.leaf(ctx, "", 0, ms)
		}
		root.End(at(ms))
		f.expect(t, `
r                 1.00 ms ▕████████████████████████▏
└─ (no name) ×5   5.00 ms ▕░░░░░░░░░░░░░░░░░░░░░░░░▏ mean 1.00 ms, max 1.00 ms

`)
	})
	t.Run("end without start", func(t *testing.T) {
		var out bytes.Buffer
		tree := New(&out)
		tp := sdktrace.NewTracerProvider()
		ctx, s := tp.Tracer("test").Start(context.Background(), "unseen")
		tp.RegisterSpanProcessor(tree)
		_, child := tp.Tracer("test").Start(ctx, "child")
		child.End()
		s.End()
		if got := out.String(); !strings.HasPrefix(got, "child ") || !strings.HasSuffix(got, "▏ parent not shown\n") {
			t.Errorf("%q", got)
		}
		if err := tp.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestWidth(t *testing.T) {
	long := strings.Repeat("x", 200)
	line := func(f *forest, nameWidth int) {
		t.Helper()
		f.leaf(context.Background(), long, 0, ms)
		f.expect(t, strings.Repeat("x", nameWidth-1)+"…   1.00 ms ▕████████████████████████▏\n")
	}
	line(newForest(t), 63)
	line(newForest(t, WithColumns(120)), 83)
	line(newForest(t, WithColumns(1), nil), 23)
	t.Setenv("COLUMNS", "80")
	if tree := New(&bytes.Buffer{}); tree.columns != 80 {
		t.Errorf("%d columns", tree.columns)
	}
	t.Setenv("COLUMNS", "wide")
	if tree := New(&bytes.Buffer{}); tree.columns != 0 || tree.terminal.columns() != defaultColumns {
		t.Errorf("%d columns", tree.columns)
	}
}

// brokenWriter fails.
type brokenWriter struct{}

var errWriter = errors.New("closed pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errWriter }

func TestWriterFails(t *testing.T) {
	errs := captureErrors(t)
	f := newForest(t)
	f.w = brokenWriter{}
	f.leaf(context.Background(), "a", 0, ms)
	f.leaf(context.Background(), "b", 0, ms)
	if got := errs.all(); len(got) != 1 || !errors.Is(got[0], errWriter) {
		t.Errorf("%v", got)
	}
}

func TestConcurrent(t *testing.T) {
	f := newForest(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				ctx, root := f.start(context.Background(), "root", 0)
				var children sync.WaitGroup
				for range 3 {
					children.Go(func() { f.leaf(ctx, "child", 0, ms) })
				}
				children.Wait()
				root.End(at(ms))
			}
		})
	}
	wg.Wait()
	if n := strings.Count(f.out.String(), "root "); n != 400 {
		t.Errorf("%d trees", n)
	}
	if n := strings.Count(f.out.String(), "─ child "); n != 1200 {
		t.Errorf("%d children", n)
	}
}

func TestHumanDuration(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 ns"}, {999, "999 ns"}, {1000, "1.00 µs"}, {9994, "9.99 µs"}, {9996, "10.0 µs"}, {99949, "99.9 µs"},
		{99951, "100 µs"}, {999499, "999 µs"}, {999500, "1.00 ms"}, {410 * ms, "410 ms"}, {1820 * ms, "1.82 s"},
		{59 * time.Second, "59.0 s"}, {59960 * ms, "1m00s"}, {123 * time.Second, "2m03s"}, {time.Hour - time.Second, "59m59s"},
		{time.Hour, "1h00m"}, {26*time.Hour + 5*time.Minute + 31*time.Second, "26h06m"},
		{1<<63 - 1, "2562047h47m"},
	} {
		if got := humanDuration(test.d); got != test.want {
			t.Errorf("%d: %s, want %s", test.d, got, test.want)
		}
	}
}

// Whatever text comes in, no line break, escape sequence or other control character comes out, and
// escaping what is escaped changes nothing.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "a", "a\nb", "\x1b[31m", "\xff\xfe", "\u202e", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Errorf("%q: %q", s, got)
			}
		}
		if printable(got) != got {
			t.Errorf("%q: %q, then %q", s, got, printable(got))
		}
	})
}

// A sum of durations that is too large for one is the largest, and their mean is still exact.
func TestSumSaturates(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "r", 0)
	for range 6 {
		_, s := f.tracer.Start(ctx, "huge", trace.WithTimestamp(time.Unix(-1<<40, 0)))
		s.End(trace.WithTimestamp(time.Unix(1<<40, 0)))
	}
	root.End(at(ms))
	_, line, _ := strings.Cut(f.out.String(), "└─ ")
	name, rest, _ := strings.Cut(line, "▕")
	_, note, _ := strings.Cut(rest, "▏ ")
	const longest = "2562047h47m"
	if want := "mean " + longest + ", max " + longest + "\n\n"; strings.Join(strings.Fields(name), " ") != "huge ×6 "+longest || note != want {
		t.Errorf("got:\n%s", f.out.String())
	}
	f.out.Reset()
}

// Below some depth the branches begin anew, after the depth, so that there is room for names.
func TestDepth(t *testing.T) {
	f := newForest(t, WithColumns(60))
	ctx := context.Background()
	var spans []trace.Span
	for _, name := range []string{"root", "one", "two", "three", "four", "five", "six", "seven"} {
		var s trace.Span
		ctx, s = f.start(ctx, name, 0)
		spans = append(spans, s)
		if name == "two" || name == "four" {
			f.leaf(ctx, "sibling", 2*ms, 4*ms)
		}
	}
	for _, s := range spans[1:] {
		s.End(at(4 * ms))
	}
	spans[0].End(at(4 * ms))
	f.expect(t, `
root               4.00 ms ▕████████████████████████▏
└─ one             4.00 ms ▕████████████████████████▏
   └─ two          4.00 ms ▕████████████████████████▏
      ├─ three     4.00 ms ▕████████████████████████▏
⋯3 └─ four         4.00 ms ▕████████████████████████▏
⋯3    ├─ five      4.00 ms ▕████████████████████████▏
⋯3    │  └─ six    4.00 ms ▕████████████████████████▏
⋯6 └─ seven        4.00 ms ▕████████████████████████▏
⋯3    └─ sibling   2.00 ms ▕            ████████████▏
      └─ sibling   2.00 ms ▕            ████████████▏

`)
}

// The deepest trace that is kept shows every name, and takes no more room than a wide one.
func TestDeepest(t *testing.T) {
	for _, columns := range []int{60, 100, 1_000_000} {
		f := newForest(t, WithColumns(columns))
		ctx := context.Background()
		var spans []trace.Span
		for i := range maxSpans {
			var s trace.Span
			ctx, s = f.start(ctx, fmt.Sprintf("n%d", i), 0)
			spans = append(spans, s)
		}
		for _, s := range spans[1:] {
			s.End(at(ms))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		spans[0].End(at(ms))
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%d columns: printing allocates %d bytes", columns, took)
		}
		lines := strings.Split(f.out.String(), "\n")
		for i := range maxSpans {
			if !strings.Contains(lines[i], fmt.Sprintf(" n%d ", i)) && i > 0 {
				t.Fatalf("%d columns: there is no name n%d in %q", columns, i, lines[i])
			}
		}
		f.out.Reset()
	}
}

// folded makes a span that stands for several operations, as package otdb does.
func (f *forest) folded(ctx context.Context, name string, from, to time.Duration, count, errs int64, sum, longest float64) {
	_, s := f.start(ctx, name, from)
	s.SetAttributes(attribute.Int64("otdb.folded.count", count), attribute.Int64("otdb.folded.errors", errs),
		attribute.Float64("otdb.folded.duration", sum), attribute.Float64("otdb.folded.max", longest))
	s.End(at(to))
}

func TestFolded(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "load", 0)
	for i := range 5 {
		f.leaf(ctx, "INSERT a", time.Duration(i)*ms, time.Duration(i+1)*ms)
	}
	f.folded(ctx, "INSERT a", 5*ms, 15*ms, 95, 2, 0.095, 0.004) // with those that have spans
	f.folded(ctx, "INSERT a", 15*ms, 20*ms, 100, 0, 0.1, 0.002) // of the next minute
	f.leaf(ctx, "INSERT b", 20*ms, 21*ms)
	f.folded(ctx, "INSERT b", 21*ms, 22*ms, 2, 0, 0.0004, 0.0003) // too few to hide the span
	f.folded(ctx, "PING", 22*ms, 30*ms, 1, 0, 0.008, 0.008)
	root.End(at(30 * ms))
	f.expect(t, `
load               30.0 ms ▕████████████████████████▏
├─ INSERT a ×200    200 ms ▕░░░░░░░░░░░░░░░░        ▏ mean 1.00 ms, max 4.00 ms, ✗ 2 of them
├─ INSERT b        1.00 ms ▕                ▊       ▏
├─ INSERT b ×2      400 µs ▕                ░░      ▏ mean 200 µs, max 300 µs
└─ PING ×1         8.00 ms ▕                 ░░░░░░░▏ mean 8.00 ms, max 8.00 ms

`)
}

// A fold whose task is not shown, and attributes that make no sense.
func TestFoldedAlone(t *testing.T) {
	f := newForest(t)
	f.folded(context.Background(), "INSERT a", 0, ms, 7, 0, 0.007, 0.001)
	f.expect(t, "INSERT a ×7   7.00 ms ▕░░░░░░░░░░░░░░░░░░░░░░░░▏ mean 1.00 ms, max 1.00 ms\n")
	f.folded(context.Background(), "INSERT a", 0, ms, 1, -1, math.Inf(1), math.NaN())
	f.expect(t, "INSERT a ×1  2562047h47m ▕░░░░░░░░░░░░░░░░░░░░░░░░▏ mean 2562047h47m, max 0 ns\n")
	f.folded(context.Background(), "INSERT a", 0, ms, -3, 0, -1, -1)
	f.expect(t, "INSERT a   1.00 ms ▕████████████████████████▏\n")
}

func TestPrepareHasItsSummary(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "load", 0)
	for i := range 5 {
		_, s := f.start(ctx, "PREPARE", time.Duration(i)*ms)
		s.SetAttributes(attribute.String("db.query.summary", "INSERT a"))
		s.End(at(time.Duration(i+1) * ms))
	}
	_, s := f.start(ctx, "PREPARE", 5*ms)
	s.End(at(6 * ms))
	root.End(at(6 * ms))
	f.expect(t, `
load                     6.00 ms ▕████████████████████████▏
├─ PREPARE INSERT a ×5   5.00 ms ▕░░░░░░░░░░░░░░░░░░░░    ▏ mean 1.00 ms, max 1.00 ms
└─ PREPARE               1.00 ms ▕                    ████▏

`)
}

// On a terminal no line is longer than it, failures are red, and no text is lost.
func TestNotesFitTheTerminal(t *testing.T) {
	f := newForest(t, WithColumns(60))
	f.terminal = terminal{fd: 0, color: true}
	ctx, root := f.start(context.Background(), "load", 0)
	for range 5 {
		f.leaf(ctx, "SELECT a", 0, ms)
	}
	_, s := f.start(ctx, "INSERT orders", ms)
	fail(s, "23505", "constraint (23505): duplicate key, constraint orders_pkey")
	s.End(at(2 * ms))
	fail(root, "", "")
	root.End(at(2 * ms))
	f.expect(t, `
load               2.00 ms ▕████████████████████████▏
  `+red+`✗ failed`+plain+`
├─ SELECT a ×5     5.00 ms ▕░░░░░░░░░░░░            ▏
│    mean 1.00 ms, max 1.00 ms
└─ INSERT orders   1.00 ms ▕            ████████████▏
     `+red+`✗ 23505: constraint (23505): duplicate key, constraint`+plain+`
     `+red+`orders_pkey`+plain+`

`)
}

// A long name gives way to the number.
func TestCountIsNotCut(t *testing.T) {
	f := newForest(t, WithColumns(60))
	f.folded(context.Background(), strings.Repeat("x", 100), 0, ms, 12345, 0, 0.001, 0.001)
	f.expect(t, strings.Repeat("x", 15)+"… ×12345   1.00 ms ▕░░░░░░░░░░░░░░░░░░░░░░░░▏ mean 81 ns, max 1.00 ms\n")
}

// The writer and the handler of errors are called outside the lock: they may use whatever they like of it.
func TestCalledOutsideTheLock(t *testing.T) {
	f := newForest(t)
	w := &curiousWriter{forest: f}
	f.w = w
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { w.look() }))
	t.Cleanup(func() { otel.SetErrorHandler(previous) })
	f.leaf(context.Background(), "a", 0, ms)
	if w.looked != 2 {
		t.Errorf("looked %d times", w.looked)
	}
}

type curiousWriter struct {
	*forest
	looked int
}

// look starts a span, which needs the lock.
func (w *curiousWriter) look() {
	w.looked++
	w.start(context.Background(), "b", 0)
}

func (w *curiousWriter) Write([]byte) (int, error) {
	w.look()
	return 0, errWriter
}

func TestColorOnTerminalsOnly(t *testing.T) {
	if got := newTerminal(&bytes.Buffer{}); got != (terminal{fd: -1}) {
		t.Errorf("a buffer is %+v", got)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := newTerminal(file); got != (terminal{fd: -1}) {
		t.Errorf("a file is %+v", got)
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminals here")
	}
	defer master.Close()
	for _, test := range []struct {
		noColor, term string
		color         bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		t.Setenv("NO_COLOR", test.noColor)
		t.Setenv("TERM", test.term)
		if got := newTerminal(master); got.fd < 0 || got.color != test.color {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}
