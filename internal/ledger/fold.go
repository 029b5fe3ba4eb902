package ledger

import (
	"sync"
	"time"
)

// foldAge is how old a fold is when it ends with the next operation of its kind.
const foldAge = time.Minute

// maxFolds is how many folds nested tasks of a trace may export in a minute.
const maxFolds = 1000

// Fold is the sum of operations of one kind that have no spans of their own. Its times are
// readings of the clock of the kind.
type Fold struct {
	Kind         *Kind
	Start, End   time.Duration // of the first operation, and of the last one
	Count        int64
	Errors, Rows int64
	Duration     time.Duration // sum of the operations
	Max          time.Duration // of one operation
}

func (f *Fold) add(g *Fold) {
	f.Start, f.End = min(f.Start, g.Start), max(f.End, g.End)
	f.Count += g.Count
	f.Errors += g.Errors
	f.Rows += g.Rows
	f.Duration += g.Duration
	f.Max = max(f.Max, g.Max)
}

// fold adds an operation to the fold of its kind, and reports whether there was a place for
// it. If the fold is old enough with that, it is the entry's to export. The caller holds
// l.mu.
func (l *Ledger) fold(e *Entry) bool {
	one := Fold{
		Kind: e.Kind, Start: e.Start, End: e.Start + e.Length, Count: 1, Rows: e.Rows,
		Duration: e.Length, Max: e.Length,
	}
	if e.Failed {
		one.Errors = 1
	}
	f := l.foldInto(&one)
	if f == nil {
		return false
	}
	if f.End-f.Start >= foldAge && l.exports(f) {
		x := l.extras()
		delete(x.folds, f.Kind)
		x.last = nil
		e.finished, e.folder = f, l
	}
	return true
}

// foldInto adds g to the fold of its kind and returns that, nil if there are too many. The
// caller holds l.mu.
func (l *Ledger) foldInto(g *Fold) *Fold {
	x := l.extras()
	f := x.last
	if f == nil || f.Kind != g.Kind {
		if f = x.folds[g.Kind]; f == nil {
			if len(x.folds) >= maxKinds {
				return nil
			}
			if x.folds == nil {
				x.folds = make(map[*Kind]*Fold)
			}
			f = &Fold{Kind: g.Kind, Start: g.Start}
			x.folds[g.Kind] = f
		}
		x.last = f
	}
	f.add(g)
	return f
}

// exports reports whether there is room in this minute for one more fold. The outermost task
// of a trace always has it.
func (l *Ledger) exports(f *Fold) bool {
	root := l
	for root.parent != nil && !root.newTrace {
		root = root.parent
	}
	return root.extras().minute.take(f.End) || root == l
}

// minute counts what happens in the present minute.
type minute struct {
	mu    sync.Mutex
	began time.Duration
	n     int
}

func (m *minute) take(now time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n == 0 || now-m.began >= time.Minute {
		m.began, m.n = now, 0
	}
	if m.n >= maxFolds {
		return false
	}
	m.n++
	return true
}

// takeFolds returns the folds of a task that has ended. The caller holds l.mu.
func (l *Ledger) takeFolds() map[*Kind]*Fold {
	x := l.extra.Load()
	if x == nil {
		return nil
	}
	folds := x.folds
	x.folds, x.last = nil, nil
	return folds
}

// emit exports the folds of a task that has ended, or adds them to the innermost task of
// the trace around it that is running.
func (l *Ledger) emit(folds map[*Kind]*Fold) {
	for _, f := range folds {
		if l.exports(f) || !l.pass(f) {
			f.Kind.emit(l.foldContext(), f)
		}
	}
}

// pass adds a fold to the innermost task of the trace around l that is running, and reports
// whether there is one.
func (l *Ledger) pass(f *Fold) bool {
	for p := l; !p.newTrace && p.parent != nil; {
		p = p.parent
		if p.foldPassed(f) {
			return true
		}
	}
	return false
}

func (l *Ledger) foldPassed(f *Fold) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ended && l.foldInto(f) != nil
}
