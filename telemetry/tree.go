package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Defaults and bounds of a Tree.
const (
	defaultTreeColumns = 100
	minTreeColumns     = 60
	defaultTreeRepeats = 3
	maxTreeTraces      = 128
	maxTreeSpans       = 4096
)

// TreeOption configures a [Tree]. Options come from this package alone.
type TreeOption interface {
	applyTree(*Tree)
}

type treeOptionFunc func(*Tree)

func (f treeOptionFunc) applyTree(t *Tree) { f(t) }

// WithTreeColumns sets the length of a line in characters, errors at its end not counted. By default it
// is the environment variable COLUMNS, if that is a number, and otherwise 100. It is at least 60.
func WithTreeColumns(n int) TreeOption {
	return treeOptionFunc(func(t *Tree) { t.columns = max(n, minTreeColumns) })
}

// WithTreeRepeats sets how many finished spans of the same name a parent may have before they become one
// line, with their number and the sum of their durations. The default is 3; at least 1 is used.
func WithTreeRepeats(n int) TreeOption {
	return treeOptionFunc(func(t *Tree) { t.repeats = max(n, 1) })
}

// Tree is a span processor that prints each trace as a tree, with the duration of every span and a bar
// for its place in the time of the trace, as soon as the span ends that the trace begins with in this
// process. It is for people: for seeing what a program does without any backend.
//
//	load packages              1.82 s ▕████████████████████████▏
//	├─ BEGIN                  50.0 µs ▕▏                       ▏
//	├─ INSERT packages ×312    410 ms ▕░░░░░░░░░░              ▏ mean 1.31 ms, max 9.02 ms
//	├─ INSERT imports          100 ms ▕           ██▏          ▏ ✗ 23505: unique constraint "imports_pkey"
//	└─ COMMIT                 22.0 ms ▕                       ▎▏
//
// Children are sorted by their start, then by name. Where spans are nested so deeply that the branches
// would take the room of the names, the branches begin anew, after ⋯ and the depth so far. Spans that are
// still running when their trace is printed are shown as such, and printed on their own when they have
// ended. Failed spans show error.type and the status description; control characters in any text are shown
// escaped.
//
// The buffer is bounded. At most 128 traces are kept at a time: the oldest is given up for a new one, and
// a line says so. Of one trace at most 4096 spans are kept, and the number of the others is printed;
// finished spans without children that repeat (see [WithTreeRepeats]) are only counted, and take no room.
//
// Spans are written as they end, by the goroutine that ends them, in one Write for each trace. The writer
// must not end spans itself. Its first error is reported to otel.Handle. All methods may be called
// concurrently.
type Tree struct {
	columns int
	repeats int

	mu       sync.Mutex
	w        io.Writer
	failed   bool // the writer has, and this was reported
	stopped  bool
	spans    map[spanKey]*treeSpan // everything that is not yet printed
	traces   []*treeTrace          // oldest first
	buf      bytes.Buffer
	maxSpans int
}

var _ sdktrace.SpanProcessor = (*Tree)(nil)

// NewTree returns a Tree that prints to w, for [WithSpanProcessor] or sdktrace.WithSpanProcessor. Where
// OTEL_TRACES_EXPORTER names tree, [Start] makes one by itself, which prints to standard error.
func NewTree(w io.Writer, opts ...TreeOption) *Tree {
	t := &Tree{
		columns:  defaultTreeColumns,
		repeats:  defaultTreeRepeats,
		maxSpans: maxTreeSpans,
		w:        w,
		spans:    make(map[spanKey]*treeSpan),
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil {
		t.columns = max(n, minTreeColumns)
	}
	for _, opt := range opts {
		if opt != nil {
			opt.applyTree(t)
		}
	}
	return t
}

// spanKey identifies a span.
type spanKey struct {
	trace trace.TraceID
	span  trace.SpanID
}

// treeTrace is what is printed at once: a span that has no parent to wait for, and what is below it.
type treeTrace struct {
	root    *treeSpan
	spans   int // kept
	dropped int // not kept, for want of room
}

// treeSpan is what is kept of a span.
type treeSpan struct {
	key        spanKey
	in         *treeTrace
	parent     *treeSpan // nil for the root of in
	remark     string    // on a root that is not the beginning of its trace
	name       string
	start, end time.Time
	ended      bool
	dropped    bool // not kept; only here to recognise its children
	failed     bool
	errType    string
	errText    string
	children   []*treeSpan
	leaves     map[string]int // finished children without children, by name
	folds      map[string]*treeFold
}

// treeFold is what is kept of spans that repeat.
type treeFold struct {
	count      int
	failed     int
	inside     int // spans below them
	errType    string
	sum        [2]uint64 // of the durations, the high half first: it may exceed a duration
	max        time.Duration
	start, end time.Time // of the first and the last
}

func (f *treeFold) add(s *treeSpan) {
	d := s.duration()
	f.count++
	var carry uint64
	f.sum[1], carry = bits.Add64(f.sum[1], uint64(d), 0)
	f.sum[0] += carry
	f.max = max(f.max, d)
	if f.start.IsZero() || s.start.Before(f.start) {
		f.start = s.start
	}
	if s.end.After(f.end) {
		f.end = s.end
	}
	if s.failed {
		f.failed++
		if f.errType == "" {
			f.errType = s.errType
		}
	}
}

// total returns the sum of the durations, or the longest duration if that is less.
func (f *treeFold) total() time.Duration {
	if f.sum[0] > 0 {
		return math.MaxInt64
	}
	return time.Duration(min(f.sum[1], math.MaxInt64))
}

func (f *treeFold) mean() time.Duration {
	mean, _ := bits.Div64(f.sum[0], f.sum[1], uint64(f.count))
	return time.Duration(mean)
}

// duration is never negative.
func (s *treeSpan) duration() time.Duration {
	return max(s.end.Sub(s.start), 0)
}

// OnStart implements sdktrace.SpanProcessor.
func (t *Tree) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	sc, parent := s.SpanContext(), s.Parent()
	if !sc.IsSampled() {
		return
	}
	n := &treeSpan{key: spanKey{sc.TraceID(), sc.SpanID()}, name: s.Name(), start: s.StartTime()}

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if parent.IsValid() && !parent.IsRemote() {
		n.parent = t.spans[spanKey{parent.TraceID(), parent.SpanID()}]
		if n.parent == nil {
			n.remark = "parent not shown"
		}
	}
	t.spans[n.key] = n
	switch {
	case n.parent == nil:
		t.begin(n)
	case n.parent.dropped || n.parent.in.spans >= t.maxSpans:
		n.in = n.parent.in
		n.in.dropped++
		n.dropped = true
	default:
		n.in = n.parent.in
		n.in.spans++
		n.parent.children = append(n.parent.children, n)
	}
}

// begin makes root the root of a trace of its own, and gives up the oldest if there are too many.
func (t *Tree) begin(root *treeSpan) {
	root.in = &treeTrace{root: root, spans: 1}
	t.traces = append(t.traces, root.in)
	if len(t.traces) <= maxTreeTraces {
		return
	}
	oldest := t.traces[0]
	t.forget(oldest)
	t.buf.Reset()
	fmt.Fprintf(&t.buf, "… %s: given up, with %s kept: more than %d traces at a time\n",
		printable(oldest.root.name), plural(oldest.spans, "span"), maxTreeTraces)
	t.write()
}

// forget removes a trace and whatever belongs to it.
func (t *Tree) forget(tr *treeTrace) {
	t.remove(tr)
	for key, s := range t.spans {
		if s.in == tr {
			delete(t.spans, key)
		}
	}
}

// remove takes a trace off the list.
func (t *Tree) remove(tr *treeTrace) {
	for i, other := range t.traces {
		if other == tr {
			t.traces = append(t.traces[:i], t.traces[i+1:]...)
			return
		}
	}
}

// OnEnd implements sdktrace.SpanProcessor. Spans whose start it has not seen are ignored.
func (t *Tree) OnEnd(s sdktrace.ReadOnlySpan) {
	sc := s.SpanContext()
	key := spanKey{sc.TraceID(), sc.SpanID()}

	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.spans[key]
	if n == nil || n.ended {
		return
	}
	if n.dropped {
		delete(t.spans, key)
		return
	}
	n.ended = true
	n.name, n.start, n.end = s.Name(), s.StartTime(), s.EndTime()
	if status := s.Status(); status.Code == codes.Error {
		n.failed, n.errText = true, status.Description
		for _, kv := range s.Attributes() {
			if kv.Key == semconv.ErrorTypeKey {
				n.errType = kv.Value.String()
			}
		}
	}
	if n.parent != nil {
		t.fold(n)
		return
	}
	t.print(n.in, false)
	t.remove(n.in)
	t.release(n)
}

// fold forgets a finished span and counts it instead, if it has no children and repeats.
func (t *Tree) fold(n *treeSpan) {
	if len(n.children) > 0 || len(n.folds) > 0 {
		return
	}
	p := n.parent
	if p.leaves[n.name] <= t.repeats {
		if p.leaves == nil {
			p.leaves = make(map[string]int)
		}
		p.leaves[n.name]++
		return
	}
	f := p.folds[n.name]
	if f == nil {
		f = &treeFold{}
		if p.folds == nil {
			p.folds = make(map[string]*treeFold)
		}
		p.folds[n.name] = f
	}
	f.add(n)
	for i := len(p.children) - 1; i >= 0; i-- {
		if p.children[i] == n {
			p.children = append(p.children[:i], p.children[i+1:]...)
			break
		}
	}
	n.in.spans--
	t.drop(n)
}

// drop removes a span from the index, unless another span of the same identity has taken its place.
func (t *Tree) drop(n *treeSpan) {
	if t.spans[n.key] == n {
		delete(t.spans, n.key)
	}
}

// release lets go of what has been printed. Spans that are still running become traces of their own.
func (t *Tree) release(n *treeSpan) {
	t.drop(n)
	for _, c := range n.children {
		if c.ended {
			t.release(c)
			continue
		}
		c.parent, c.remark = nil, "outlived "+n.name
		t.begin(c)
		c.in.spans = adopt(c, c.in)
	}
}

// adopt makes a span and those below it belong to a trace, and returns how many they are.
func adopt(n *treeSpan, tr *treeTrace) int {
	n.in = tr
	count := 1
	for _, c := range n.children {
		count += adopt(c, tr)
	}
	return count
}

// ForceFlush implements sdktrace.SpanProcessor. There is nothing to do: what is finished is printed.
func (t *Tree) ForceFlush(context.Context) error { return nil }

// Shutdown prints the traces that are not finished, oldest first, and stops the printing.
func (t *Tree) Shutdown(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return nil
	}
	t.stopped = true
	for _, tr := range t.traces {
		t.print(tr, true)
	}
	t.traces, t.spans = nil, nil
	return nil
}

// print writes a trace. Below spans that are still running it shows nothing, unless it is the last chance.
func (t *Tree) print(tr *treeTrace, last bool) {
	t.buf.Reset()
	layTree(&t.buf, tr, t.columns, t.repeats, last)
	t.write()
}

// write writes the buffer.
func (t *Tree) write() {
	if _, err := t.w.Write(t.buf.Bytes()); err != nil && !t.failed {
		t.failed = true
		otel.Handle(fmt.Errorf("telemetry: printing a trace: %w", err))
	}
	if t.buf.Cap() > 1<<20 {
		t.buf = bytes.Buffer{} // one huge trace must not hold its memory for good
	}
}
