package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// forest is a Tree with a tracer whose spans have times that tests choose.
type forest struct {
	*Tree
	out    bytes.Buffer
	tracer trace.Tracer
}

var treeEpoch = time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)

func newForest(t *testing.T, opts ...TreeOption) *forest {
	t.Helper()
	t.Setenv("COLUMNS", "")
	t.Setenv("OTEL_TRACES_SAMPLER", "")
	f := &forest{}
	f.Tree = NewTree(&f.out, opts...)
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(f.Tree))
	t.Cleanup(func() {
		if err := tp.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f.tracer = tp.Tracer("test")
	return f
}

func at(d time.Duration) trace.SpanEventOption { return trace.WithTimestamp(treeEpoch.Add(d)) }

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
func TestTreeOrder(t *testing.T) {
	f := newForest(t, WithTreeRepeats(9))
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

func TestTreeFailures(t *testing.T) {
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
func TestTreeRepeats(t *testing.T) {
	f := newForest(t, WithTreeRepeats(0)) // at least 1
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
func TestTreeOfManyRepeats(t *testing.T) {
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
func TestTreeLateChildren(t *testing.T) {
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
func TestTreeChildOfEndedSpan(t *testing.T) {
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

func TestTreeRemoteParent(t *testing.T) {
	f := newForest(t)
	remote := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
	f.leaf(trace.ContextWithSpanContext(context.Background(), remote), "job", 0, ms)
	f.expect(t, "job   1.00 ms ▕████████████████████████▏\n")
}

func TestTreeIgnoresWhatIsNotSampled(t *testing.T) {
	var out bytes.Buffer
	tree := NewTree(&out)
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
func TestTreeShutdown(t *testing.T) {
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

func TestTreeBoundOfSpans(t *testing.T) {
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

func TestTreeBoundOfTraces(t *testing.T) {
	f := newForest(t)
	ctx, oldest := f.start(context.Background(), "the oldest\n", 0)
	f.leaf(ctx, "child", 0, ms)
	var spans []trace.Span
	for range maxTreeTraces {
		_, s := f.start(context.Background(), "s", 0)
		spans = append(spans, s)
	}
	f.expect(t, `… the oldest\n: given up, with 2 spans kept: more than 128 traces at a time`+"\n")
	oldest.End()
	f.expect(t, "")
	for _, s := range spans {
		s.End(at(ms))
	}
	f.expect(t, strings.Repeat("s   1.00 ms ▕████████████████████████▏\n", maxTreeTraces))
	if len(f.spans) != 0 || len(f.traces) != 0 {
		t.Errorf("%d spans and %d traces are left", len(f.spans), len(f.traces))
	}
}

// Many children that outlive their root do not overrun the bound either.
func TestTreeBoundOfLateChildren(t *testing.T) {
	f := newForest(t)
	ctx, root := f.start(context.Background(), "r", 0)
	var spans []trace.Span
	for range 2 * maxTreeTraces {
		_, s := f.start(ctx, "s", 0)
		spans = append(spans, s)
	}
	root.End(at(ms))
	if len(f.spans) != maxTreeTraces || len(f.traces) != maxTreeTraces {
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
func TestTreeOddData(t *testing.T) {
	t.Run("same ids", func(t *testing.T) {
		var out bytes.Buffer
		tree := NewTree(&out)
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
		tree := NewTree(&out)
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

func TestTreeWidth(t *testing.T) {
	long := strings.Repeat("x", 200)
	line := func(f *forest, nameWidth int) {
		t.Helper()
		f.leaf(context.Background(), long, 0, ms)
		f.expect(t, strings.Repeat("x", nameWidth-1)+"…   1.00 ms ▕████████████████████████▏\n")
	}
	line(newForest(t), 63)
	line(newForest(t, WithTreeColumns(120)), 83)
	line(newForest(t, WithTreeColumns(1), nil), 23)
	t.Setenv("COLUMNS", "80")
	if tree := NewTree(&bytes.Buffer{}); tree.columns != 80 {
		t.Errorf("%d columns", tree.columns)
	}
	t.Setenv("COLUMNS", "wide")
	if tree := NewTree(&bytes.Buffer{}); tree.columns != defaultTreeColumns {
		t.Errorf("%d columns", tree.columns)
	}
}

// brokenWriter fails.
type brokenWriter struct{}

var errWriter = errors.New("closed pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errWriter }

func TestTreeWriterFails(t *testing.T) {
	errs := captureErrors(t)
	f := newForest(t)
	f.w = brokenWriter{}
	f.leaf(context.Background(), "a", 0, ms)
	f.leaf(context.Background(), "b", 0, ms)
	if got := errs.all(); len(got) != 1 || !errors.Is(got[0], errWriter) {
		t.Errorf("%v", got)
	}
}

// A tree that was huge leaves no huge buffer behind.
func TestTreeBufferShrinks(t *testing.T) {
	f := newForest(t, WithTreeRepeats(maxTreeSpans))
	ctx, root := f.start(context.Background(), "r", 0)
	for range maxTreeSpans - 1 {
		_, s := f.start(ctx, strings.Repeat("x", 100), 0)
		fail(s, "x", strings.Repeat("y", 200))
		s.End(at(ms))
	}
	root.End(at(ms))
	if n := f.buf.Cap(); n != 0 {
		t.Errorf("%d bytes", n)
	}
	f.out.Reset()
}

func TestTreeConcurrent(t *testing.T) {
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
func TestTreeSumSaturates(t *testing.T) {
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
func TestTreeDepth(t *testing.T) {
	f := newForest(t, WithTreeColumns(60))
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
func TestTreeDeepest(t *testing.T) {
	for _, columns := range []int{60, 100, 1_000_000} {
		f := newForest(t, WithTreeColumns(columns))
		ctx := context.Background()
		var spans []trace.Span
		for i := range maxTreeSpans {
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
		for i := range maxTreeSpans {
			if !strings.Contains(lines[i], fmt.Sprintf(" n%d ", i)) && i > 0 {
				t.Fatalf("%d columns: there is no name n%d in %q", columns, i, lines[i])
			}
		}
		f.out.Reset()
	}
}
