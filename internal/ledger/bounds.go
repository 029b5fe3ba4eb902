package ledger

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/internal/drivertext"
)

// Kind is a kind of operation: of one database, with one name. Make it with [NewKind].
type Kind struct {
	id   uint64
	emit func(context.Context, *Fold)
}

var kinds atomic.Uint64

// NewKind returns a kind of its own, whose folds emit exports. They are given the context
// of the task. emit is called at a task's end and at that of an operation, from any
// goroutine.
func NewKind(emit func(context.Context, *Fold)) *Kind {
	return &Kind{id: kinds.Add(1), emit: emit}
}

// The bounds of a trace, as multiples of the first operations of a kind that have spans.
const (
	ofAllKinds = 10 // spans from the start, of all kinds together
	lateOfAll  = 5  // spans at the end, of all kinds together
)

// maxKinds is how many kinds a trace counts, and a task folds.
const maxKinds = 4096

// extras are what a task without operations has no need of.
type extras struct {
	said atomic.Pointer[drivertext.Memory] // nil until somebody asks for it

	// Counted by the outermost task of a trace.
	total   count // of all kinds
	counts  [inlineKinds]count
	further sync.Map     // *Kind → *count, of the kinds that found no place in counts
	kinds   atomic.Int64 // of these
	minute  minute

	// The task's folded operations, under the ledger's mutex.
	folds map[*Kind]*Fold
	last  *Fold // the one that was added to last: loops repeat it
}

const inlineKinds = 8

// count counts the operations of one kind in a trace, or of all.
type count struct {
	kind     atomic.Pointer[Kind]
	begun    atomic.Int32 // that have a span from their start, as far as they have a place
	returned atomic.Int32 // places that failed operations gave back
	late     atomic.Int32 // that got a span at their end
	slowest  atomic.Int64 // of them, in nanoseconds
}

// take takes a place among limit, if there is one left. Where there is none, it only loads.
func take(n *atomic.Int32, limit int) bool {
	if int(n.Load()) >= limit {
		return false
	}
	if int(n.Add(1)) <= limit {
		return true
	}
	n.Add(-1)
	return false
}

// extras returns the extras of l, which must not be nil.
func (l *Ledger) extras() *extras {
	x := l.extra.Load()
	if x == nil {
		x = new(extras)
		if !l.extra.CompareAndSwap(nil, x) {
			x = l.extra.Load()
		}
	}
	return x
}

// trace returns the ledger of the outermost task of l's trace, or nil if no task of that
// trace around l is running.
func (l *Ledger) trace() *Ledger {
	running := false
	for ; l != nil; l = l.parent {
		running = running || !l.closed.Load()
		if l.newTrace || l.parent == nil {
			break
		}
	}
	if !running {
		return nil
	}
	return l
}

// count returns the count of a kind. It takes no lock, and allocates once for each kind
// beyond the first few.
func (x *extras) count(k *Kind) *count {
	for i := range uint64(inlineKinds) {
		c := &x.counts[(k.id+i)%inlineKinds]
		found := c.kind.Load()
		if found == nil && c.kind.CompareAndSwap(nil, k) {
			return c
		}
		if c.kind.Load() == k {
			return c
		}
	}
	if c, ok := x.further.Load(k); ok {
		return c.(*count)
	}
	if x.kinds.Add(1) > maxKinds {
		return &x.total // which has no place left for long
	}
	c, _ := x.further.LoadOrStore(k, new(count))
	return c.(*count)
}

// Share is what an operation counts in, of its kind and of its trace. The zero value is
// that of one that nothing bounds.
type Share struct {
	count *count
	root  *Ledger
}

// Count counts an operation of that kind that begins, and reports whether it is to have a
// span. If not, it is to be folded at its end, unless [Share.Late] says otherwise then. Nothing is bounded
// outside of tasks that run, and in traces whose limit is 0.
func (l *Ledger) Count(k *Kind) (s Share, span bool) {
	root := l.trace()
	if root == nil || root.config.Limits.OperationSpans <= 0 {
		return Share{}, true
	}
	x := root.extras()
	s = Share{x.count(k), root}
	n := root.config.Limits.OperationSpans
	if !take(&s.count.begun, n) {
		return s, false
	}
	if !take(&x.total.begun, ofAllKinds*n) {
		s.count.begun.Add(-1)
		return s, false
	}
	return s, true
}

// Counted reports whether the operation was counted.
func (s Share) Counted() bool { return s.count != nil }

// End ends an operation that has a span. One that failed gives its place back.
func (s Share) End(failed bool, d time.Duration) {
	if s.count == nil {
		return
	}
	s.slower(d)
	n := s.root.config.Limits.OperationSpans
	if failed && take(&s.count.returned, n) {
		s.count.begun.Add(-1)
		if total := &s.root.extras().total; take(&total.returned, n) {
			total.begun.Add(-1)
		}
	}
}

// Late reports whether an operation without a span is to get one at its end: if it is
// remarkable or took twice the slowest of its kind, as long as there is a place for it.
func (s Share) Late(remarkable bool, d time.Duration) bool {
	slowest := s.slower(d)
	if !remarkable && (slowest == 0 || d < 2*slowest) {
		return false
	}
	n := s.root.config.Limits.OperationSpans
	if !take(&s.count.late, n) {
		return false
	}
	if !take(&s.root.extras().total.late, lateOfAll*n) {
		s.count.late.Add(-1)
		return false
	}
	return true
}

// slower returns how long the slowest took so far, and makes that d if d is longer.
func (s Share) slower(d time.Duration) (before time.Duration) {
	for {
		slowest := s.count.slowest.Load()
		if int64(d) <= slowest || s.count.slowest.CompareAndSwap(slowest, int64(d)) {
			return time.Duration(slowest)
		}
	}
}
