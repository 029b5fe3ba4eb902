package tree

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/bits"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Defaults and bounds of a Processor.
const (
	defaultColumns = 100
	minColumns     = 60
	defaultRepeats = 3
	maxTraces      = 128
	maxSpans       = 4096
)

// Option configures a [Processor]. Options come from this package alone.
type Option interface {
	apply(*Processor)
}

type optionFunc func(*Processor)

func (f optionFunc) apply(t *Processor) { f(t) }

// WithColumns sets the length of a line in characters, at least 60. The notes at the end of a line, such as
// errors, are not counted.
//
// By default it is the environment variable COLUMNS if that is a number, then the width of the terminal that
// the writer is, and otherwise 100. On a terminal, notes that do not fit continue below their line.
func WithColumns(n int) Option {
	return optionFunc(func(t *Processor) { t.columns = max(n, minColumns) })
}

// WithRepeats sets how many finished spans of the same name a parent may have before they become one
// line, with their number and the sum of their durations. The default is 3; at least 1 is used.
func WithRepeats(n int) Option {
	return optionFunc(func(t *Processor) { t.repeats = max(n, 1) })
}

// Processor is a span processor that prints each trace as a tree, with the duration of every span and a bar
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
// would take the room of the names, the branches begin again, after ⋯ and the depth so far. Spans that are
// still running when their trace is printed are shown as such, and printed on their own when they have
// ended. Failed spans show error.type and the status description; control characters in any text are shown
// escaped.
//
// A folded span of package otdb, which stands for many operations, is one of the lines with a count, together
// with the spans of its name. A PREPARE is shown with the summary of its statement.
//
// Notes of failed spans are red if the writer is a terminal, NO_COLOR is not set and TERM is not dumb.
//
// The buffer is bounded. At most 128 traces are kept at a time: the oldest is given up for a new one, and
// a line reports it. At most 4096 spans of a trace are kept, and the number of the others is printed;
// finished spans without children that repeat (see [WithRepeats]) are only counted, and take no room.
//
// Spans are written as they end, by the goroutine that ends them, each trace in one Write. The writer
// must not end spans itself. Its first error is reported to otel.Handle. All methods may be called
// concurrently.
type Processor struct {
	columns  int // 0: those of the terminal
	repeats  int
	terminal terminal

	mu       sync.Mutex
	stopped  bool
	spans    map[spanKey]*span // everything that is not yet printed
	traces   []*localTrace     // oldest first
	buf      bytes.Buffer      // is written when mu is unlocked
	maxSpans int

	writing sync.Mutex
	w       io.Writer
	failed  bool // the writer has, and this was reported
}

var _ sdktrace.SpanProcessor = (*Processor)(nil)

// New returns a Processor that prints to w, for sdktrace.WithSpanProcessor or telemetry.WithSpanProcessor.
// Where OTEL_TRACES_EXPORTER names tree, telemetry.Start makes one by itself, which prints to standard error.
func New(w io.Writer, opts ...Option) *Processor {
	t := &Processor{
		columns:  environmentColumns(),
		terminal: newTerminal(w),
		repeats:  defaultRepeats,
		maxSpans: maxSpans,
		w:        w,
		spans:    make(map[spanKey]*span),
	}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(t)
		}
	}
	return t
}

// spanKey identifies a span.
type spanKey struct {
	trace trace.TraceID
	span  trace.SpanID
}

// localTrace is what is printed at once: a span that has no parent to wait for, and what is below it.
type localTrace struct {
	root    *span
	spans   int // kept
	dropped int // not kept, for want of room
}

// span is what is kept of a span.
type span struct {
	key        spanKey
	in         *localTrace
	parent     *span  // nil for the root of in
	remark     string // on a root that is not the beginning of its trace
	name       string
	start, end time.Time
	ended      bool
	dropped    bool // not kept; only here to recognise its children
	failed     bool
	errType    string
	errText    string
	folded     *fold // of a span that stands for several operations
	children   []*span
	leaves     map[string]int // finished children without children, by name
	folds      map[string]*fold
}

// fold is what is kept of spans that repeat.
type fold struct {
	count      int
	failed     int
	inside     int // spans below them
	errType    string
	sum        [2]uint64 // of the durations, the high half first: it may exceed a duration
	max        time.Duration
	start, end time.Time // of the first and the last
}

// add counts a span, or what it stands for.
func (f *fold) add(s *span) {
	if s.folded != nil {
		f.merge(s.folded)
		return
	}
	d := s.duration()
	one := fold{count: 1, sum: [2]uint64{0, uint64(d)}, max: d, start: s.start, end: s.end}
	if s.failed {
		one.failed, one.errType = 1, s.errType
	}
	f.merge(&one)
}

func (f *fold) merge(other *fold) {
	f.count += other.count
	f.failed += other.failed
	f.inside += other.inside
	if f.errType == "" {
		f.errType = other.errType
	}
	var carry uint64
	f.sum[1], carry = bits.Add64(f.sum[1], other.sum[1], 0)
	f.sum[0] += other.sum[0] + carry
	f.max = max(f.max, other.max)
	if f.start.IsZero() || other.start.Before(f.start) {
		f.start = other.start
	}
	if other.end.After(f.end) {
		f.end = other.end
	}
}

// Attributes of the folded spans of package otdb.
const (
	foldedCountKey    = attribute.Key("otdb.folded.count")
	foldedErrorsKey   = attribute.Key("otdb.folded.errors")
	foldedDurationKey = attribute.Key("otdb.folded.duration")
	foldedMaxKey      = attribute.Key("otdb.folded.max")
)

// read takes over what an ended span's attributes have.
func (s *span) read(attributes []attribute.KeyValue) {
	var f fold
	var sum float64
	var summary string
	for _, kv := range attributes {
		switch kv.Key {
		case semconv.ErrorTypeKey:
			s.errType = kv.Value.String()
		case semconv.DBQuerySummaryKey:
			summary = kv.Value.AsString()
		case foldedCountKey:
			f.count = int(max(kv.Value.AsInt64(), 0))
		case foldedErrorsKey:
			f.failed = int(max(kv.Value.AsInt64(), 0))
		case foldedDurationKey:
			sum = kv.Value.AsFloat64()
		case foldedMaxKey:
			f.max = seconds(kv.Value.AsFloat64())
		}
	}
	if s.name == "PREPARE" && summary != "" {
		s.name += " " + summary
	}
	if f.count > 0 {
		f.sum[1] = uint64(seconds(sum))
		f.start, f.end = s.start, s.end
		s.folded = &f
	}
}

// seconds returns a duration of so many seconds, or the nearest that there is from 0 on.
func seconds(s float64) time.Duration {
	switch ns := s * float64(time.Second); {
	case !(ns > 0): // NaN as well
		return 0
	case ns >= math.MaxInt64:
		return math.MaxInt64
	default:
		return time.Duration(math.Round(ns))
	}
}

// total returns the sum of the durations, or the longest duration if that is less.
func (f *fold) total() time.Duration {
	if f.sum[0] > 0 {
		return math.MaxInt64
	}
	return time.Duration(min(f.sum[1], math.MaxInt64))
}

func (f *fold) mean() time.Duration {
	mean, _ := bits.Div64(f.sum[0], f.sum[1], uint64(f.count))
	return time.Duration(mean)
}

// duration is never negative.
func (s *span) duration() time.Duration {
	return max(s.end.Sub(s.start), 0)
}

// OnStart implements sdktrace.SpanProcessor.
func (t *Processor) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	sc, parent := s.SpanContext(), s.Parent()
	if !sc.IsSampled() {
		return
	}
	n := &span{key: spanKey{sc.TraceID(), sc.SpanID()}, name: s.Name(), start: s.StartTime()}

	t.mu.Lock()
	defer t.unlock()
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
func (t *Processor) begin(root *span) {
	root.in = &localTrace{root: root, spans: 1}
	t.traces = append(t.traces, root.in)
	if len(t.traces) <= maxTraces {
		return
	}
	oldest := t.traces[0]
	t.forget(oldest)
	fmt.Fprintf(&t.buf, "… %s: given up, with %s kept: more than %d traces at a time\n",
		printable(oldest.root.name), plural(oldest.spans, "span"), maxTraces)
}

// forget removes a trace and whatever belongs to it.
func (t *Processor) forget(tr *localTrace) {
	t.remove(tr)
	for key, s := range t.spans {
		if s.in == tr {
			delete(t.spans, key)
		}
	}
}

// remove takes a trace off the list.
func (t *Processor) remove(tr *localTrace) {
	for i, other := range t.traces {
		if other == tr {
			t.traces = append(t.traces[:i], t.traces[i+1:]...)
			return
		}
	}
}

// OnEnd implements sdktrace.SpanProcessor. Spans whose start it has not seen are ignored.
func (t *Processor) OnEnd(s sdktrace.ReadOnlySpan) {
	sc := s.SpanContext()
	key := spanKey{sc.TraceID(), sc.SpanID()}

	t.mu.Lock()
	defer t.unlock()
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
	n.read(s.Attributes())
	if status := s.Status(); status.Code == codes.Error {
		n.failed, n.errText = true, status.Description
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
func (t *Processor) fold(n *span) {
	if len(n.children) > 0 || len(n.folds) > 0 {
		return
	}
	p := n.parent
	if n.folded == nil && p.leaves[n.name] <= t.repeats {
		if p.leaves == nil {
			p.leaves = make(map[string]int)
		}
		p.leaves[n.name]++
		return
	}
	f := p.folds[n.name]
	if f == nil {
		f = &fold{}
		if p.folds == nil {
			p.folds = make(map[string]*fold)
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
func (t *Processor) drop(n *span) {
	if t.spans[n.key] == n {
		delete(t.spans, n.key)
	}
}

// release lets go of what has been printed. Spans that are still running become traces of their own.
func (t *Processor) release(n *span) {
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
func adopt(n *span, tr *localTrace) int {
	n.in = tr
	count := 1
	for _, c := range n.children {
		count += adopt(c, tr)
	}
	return count
}

// ForceFlush implements sdktrace.SpanProcessor. There is nothing to do: what is finished is printed.
func (t *Processor) ForceFlush(context.Context) error { return nil }

// Shutdown prints the traces that are not finished, oldest first, and stops the printing.
func (t *Processor) Shutdown(context.Context) error {
	t.mu.Lock()
	defer t.unlock()
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

// print lays a trace out. Below spans that are still running it shows nothing, unless it is the last chance.
func (t *Processor) print(tr *localTrace, last bool) {
	l := &layout{columns: t.columns, repeats: t.repeats, last: last, fit: t.terminal.fd >= 0, color: t.terminal.color}
	if l.columns == 0 {
		l.columns = t.terminal.columns()
	}
	l.lay(&t.buf, tr)
}

// unlock unlocks mu, and writes what was laid out meanwhile: neither the writer nor a handler of errors is
// called under it.
func (t *Processor) unlock() {
	text := t.buf.Bytes()
	t.buf = bytes.Buffer{}
	t.mu.Unlock()
	if len(text) == 0 {
		return
	}
	if err := t.write(text); err != nil {
		otel.Handle(fmt.Errorf("telemetry: printing a trace: %w", err))
	}
}

// write returns the writer's first error.
func (t *Processor) write(text []byte) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	_, err := t.w.Write(text)
	if err == nil || t.failed {
		return nil
	}
	t.failed = true
	return err
}
