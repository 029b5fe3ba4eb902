package ledger

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"
)

// folds collects what kinds export.
type folds struct {
	mu   sync.Mutex
	list []Fold
	ctx  []context.Context
}

func (f *folds) kind() *Kind {
	return NewKind(func(ctx context.Context, fold *Fold) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.list = append(f.list, *fold)
		f.ctx = append(f.ctx, ctx)
	})
}

func (f *folds) take() []Fold {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

// bounded returns the ledger of a task whose kinds have n spans.
func bounded(parent *Ledger, n int) *Ledger {
	l := new(Ledger)
	l.Init(parent, Config{Task: "load", Limits: &Limits{OperationSpans: n}})
	return l
}

// spans counts n operations and returns how many of them have a span.
func spans(l *Ledger, k *Kind, n int) (with int) {
	for range n {
		if _, span := l.Count(k); span {
			with++
		}
	}
	return with
}

func wantSpans(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d spans, want %d", what, got, want)
	}
}

func TestBounds(t *testing.T) {
	k := new(folds).kind()
	l := bounded(nil, 5)
	wantSpans(t, "one kind", spans(l, k, 20), 5)
	total := 5
	for i := range 20 {
		n := spans(l, new(folds).kind(), 3)
		if total += n; n != 3 && total != 50 {
			t.Errorf("kind %d has %d spans, and all have %d", i, n, total)
		}
	}
	wantSpans(t, "all kinds", total, 50)
	wantSpans(t, "no bound", spans(bounded(nil, 0), k, 20), 20)
	wantSpans(t, "no task", spans(nil, k, 20), 20)
	over := bounded(nil, 5)
	over.EndTask()
	wantSpans(t, "a task that is over", spans(over, k, 20), 20)
}

// Nested tasks share the places of the outermost one, but for those that begin a
// trace of their own.
func TestBoundsOfATrace(t *testing.T) {
	k := new(folds).kind()
	outer := bounded(nil, 5)
	inner := bounded(outer, 99)
	wantSpans(t, "inner", spans(inner, k, 3), 3)
	wantSpans(t, "outer", spans(outer, k, 9), 2)
	own := bounded(outer, 4)
	own.BeginTrace()
	wantSpans(t, "own", spans(own, k, 9), 4)
	// The trace is that of a task which is over, and one within it is not.
	outer.EndTask()
	wantSpans(t, "inner, behind outer", spans(inner, k, 3), 0)
	inner.EndTask()
	wantSpans(t, "behind both", spans(inner, k, 3), 3)
}

// More kinds than have a place of their own are counted one by one, up to a limit.
func TestBoundsOfManyKinds(t *testing.T) {
	l := bounded(nil, 1000)
	for i := range 3 * inlineKinds {
		if n := spans(l, new(folds).kind(), 10); n != 10 {
			t.Fatalf("kind %d has %d spans", i, n)
		}
	}
	for range maxKinds {
		l.Count(new(folds).kind())
	}
	if l.extras().count(new(folds).kind()) != &l.extras().total {
		t.Error("there are more counts than maxKinds")
	}
}

// A failure gives its place back, as often as there are places.
func TestFailuresGivePlacesBack(t *testing.T) {
	k := new(folds).kind()
	l := bounded(nil, 5)
	failed := 0
	for range 30 {
		if s, span := l.Count(k); span {
			s.End(true, 1)
			failed++
		}
	}
	wantSpans(t, "failures", failed, 10)
	Share{}.End(true, 1)
	if s, _ := bounded(nil, 0).Count(k); s.Counted() {
		t.Error("an operation that nothing bounds was counted")
	}
}

func TestLate(t *testing.T) {
	k := new(folds).kind()
	l := bounded(nil, 1)
	s, span := l.Count(k)
	if !span || !s.Counted() {
		t.Fatal("the first operation has no span")
	}
	s.End(false, 10)
	s, span = l.Count(k)
	if span {
		t.Fatal("the second operation has a span")
	}
	if s.Late(false, 19) {
		t.Error("less than twice the slowest is not late")
	}
	if s.Late(false, 37) || !s.Late(false, 74) {
		t.Error("twice the slowest so far is late, and only that")
	}
	if s.Late(true, 1) {
		t.Error("there is one place a kind")
	}
	late := 0
	for range 20 {
		k := new(folds).kind()
		l.Count(k)
		s, span := l.Count(k)
		if span {
			continue
		}
		if s.Late(true, 1) {
			late++
		}
	}
	wantSpans(t, "late, of all kinds", late, 4) // and one above
	fresh, _ := bounded(nil, 1).Count(new(folds).kind())
	if fresh.Late(false, 5) {
		t.Error("the first of a kind has nothing to be slower than")
	}
}

// folded is an entry that is to be folded.
func folded(k *Kind, start, length time.Duration) Entry {
	return Entry{Kind: k, Start: start, Length: length, Duration: length, Rows: 2}
}

func TestFold(t *testing.T) {
	var f folds
	k, other := f.kind(), f.kind()
	l := bounded(nil, 1)
	ctx := l.Bind(t.Context())
	failed := folded(k, 20, 7)
	failed.Failed = true
	for _, e := range []Entry{folded(k, 10, 5), folded(other, 12, 1), failed, folded(k, 5, 3)} {
		if !l.Record(e) {
			t.Errorf("%+v was not folded", e)
		}
	}
	if l.Record(Entry{Duration: 1}) {
		t.Error("an operation without a kind was folded")
	}
	l.EndTask()
	want := map[*Kind]Fold{
		k:     {Kind: k, Start: 5, End: 27, Count: 3, Errors: 1, Rows: 6, Duration: 15, Max: 7},
		other: {Kind: other, Start: 12, End: 13, Count: 1, Rows: 2, Duration: 1, Max: 1},
	}
	got := f.take()
	for _, fold := range got {
		if !reflect.DeepEqual(fold, want[fold.Kind]) {
			t.Errorf("got %+v, want %+v", fold, want[fold.Kind])
		}
	}
	if len(got) != len(want) || f.ctx[0] != ctx {
		t.Errorf("%d folds, in %v", len(got), f.ctx)
	}
	if l.Record(folded(k, 1, 1)) {
		t.Error("folded into a task that is over")
	}
}

// A fold ends with the first operation after it is a minute old.
func TestFoldOfAMinute(t *testing.T) {
	var f folds
	k := f.kind()
	l := bounded(nil, 1)
	for i := range 61 {
		l.Record(folded(k, time.Duration(i)*10*time.Second, time.Second))
	}
	var counts []int64
	for _, fold := range f.take() {
		counts = append(counts, fold.Count)
	}
	if want := []int64{7, 7, 7, 7, 7, 7, 7, 7}; !reflect.DeepEqual(counts, want) {
		t.Errorf("folds of %v operations, want %v", counts, want)
	}
	l.EndTask()
	if rest := f.take(); len(rest) != 1 || rest[0].Count != 5 {
		t.Errorf("the rest is %+v", rest)
	}
}

// An operation is folded into the innermost task of its trace that runs.
func TestFoldInto(t *testing.T) {
	var f folds
	k := f.kind()
	outer := bounded(nil, 1)
	inner := bounded(outer, 1)
	inner.Record(folded(k, 1, 1))
	inner.EndTask()
	if got := f.take(); len(got) != 1 || got[0].Count != 1 {
		t.Errorf("inner: %+v", got)
	}
	inner.Record(folded(k, 2, 1))
	outer.EndTask()
	if got := f.take(); len(got) != 1 || got[0].Start != 2 {
		t.Errorf("outer: %+v", got)
	}
	around := bounded(nil, 1)
	own := bounded(around, 1)
	own.BeginTrace()
	own.EndTask()
	if own.Record(folded(k, 3, 1)) {
		t.Error("folded into a task of another trace")
	}
	wantTotals(t, around, Totals{Operations: 1, Rows: 2, Duration: 1})
}

// What nested tasks fold beyond the limit of a minute reaches the task around them.
func TestFoldsArePassed(t *testing.T) {
	var f folds
	k := f.kind()
	outer := bounded(nil, 1)
	outer.EndTask()
	outer = bounded(nil, 1)
	middle := bounded(outer, 1)
	for range maxFolds + 50 {
		inner := bounded(middle, 1)
		inner.Record(folded(k, 1, 1))
		inner.EndTask()
	}
	if got := f.take(); len(got) != maxFolds {
		t.Errorf("%d folds of nested tasks, want %d", len(got), maxFolds)
	}
	middle.EndTask() // which passes its own on
	if got := f.take(); len(got) != 0 {
		t.Errorf("the task between them has %+v", got)
	}
	outer.EndTask()
	if got := f.take(); len(got) != 1 || got[0].Count != 50 {
		t.Errorf("the outermost task has %+v", got)
	}

	// With nobody around it who runs, the fold is exported all the same.
	outer = bounded(nil, 1)
	middle = bounded(outer, 1)
	for range maxFolds {
		outer.exports(&Fold{})
	}
	middle.Record(folded(k, 1, 1))
	outer.EndTask()
	middle.EndTask()
	if got := f.take(); len(got) != 1 {
		t.Errorf("a fold without a task around it: %+v", got)
	}
}

func TestFoldsAreBounded(t *testing.T) {
	l := bounded(nil, 1)
	var f folds
	for range maxKinds {
		l.Record(folded(f.kind(), 1, 1))
	}
	if l.Record(folded(f.kind(), 1, 1)) {
		t.Error("a task folds any number of kinds")
	}
}

// However many goroutines count, the places are as many as there are, and what has
// none is folded.
func TestConcurrentBounds(t *testing.T) {
	for seed := range 20 {
		var f folds
		kinds := []*Kind{f.kind(), f.kind(), f.kind()}
		outer := bounded(nil, 10)
		var wg sync.WaitGroup
		var mu sync.Mutex
		own := 0
		for g := range 8 {
			wg.Go(func() {
				l := outer
				if g%2 == 0 {
					l = bounded(outer, 10)
					defer l.EndTask()
				}
				for i := range 200 {
					k := kinds[(g+i+seed)%len(kinds)]
					s, span := l.Count(k)
					failed := i%17 == 0
					if span {
						s.End(failed, 1)
					}
					if span || s.Late(failed, 1) {
						mu.Lock()
						own++
						mu.Unlock()
						continue
					}
					if !l.Record(folded(k, time.Duration(i), 1)) {
						t.Error("an operation of a task that runs was not folded")
					}
				}
			})
		}
		wg.Wait()
		outer.EndTask()
		sum := int64(own)
		for _, fold := range f.take() {
			sum += fold.Count
		}
		if sum != 8*200 {
			t.Errorf("%d operations, want %d", sum, 8*200)
		}
		if most := 3 * (10 + 10 + 10); own > most {
			t.Errorf("%d spans, want at most %d", own, most)
		}
	}
}

func ExampleNewKind() {
	k := NewKind(func(_ context.Context, f *Fold) { fmt.Println(f.Count, f.Duration) })
	l := New(nil, "load")
	l.Record(Entry{Kind: k, Length: time.Second})
	l.Record(Entry{Kind: k, Length: time.Second})
	l.EndTask()
	// Output: 2 2s
}
