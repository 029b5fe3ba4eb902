package ledger

import (
	"cmp"
	"slices"
	"time"
)

// Wait is how long a task waited for free connections of one pool.
type Wait struct {
	Pool    string
	Count   int64 // how often
	Total   time.Duration
	Longest time.Duration
	Site    Site // of the longest one that made the total a finding
}

// LongWait is how long a task may wait for the connections of one pool before
// that is a finding.
const LongWait = time.Second

// wait is the account of one pool.
type wait struct {
	Wait
	taken time.Duration // of Total: reported by tasks within this one
}

// maxPools is how many pools a ledger distinguishes.
const maxPools = 16

// Waited adds a wait for a connection of a pool to l and to every ledger above it
// whose task has not ended.
func (l *Ledger) Waited(pool string, d time.Duration) {
	for ; l != nil; l = l.parent {
		l.waited(pool, d)
	}
}

func (l *Ledger) waited(pool string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || d <= 0 {
		return
	}
	l.totals.Wait += d
	b := l.book()
	i := slices.IndexFunc(b.waits, func(w wait) bool { return w.Pool == pool })
	if i < 0 {
		if len(b.waits) == maxPools {
			return
		}
		i = len(b.waits)
		b.waits = append(b.waits, wait{Wait: Wait{Pool: pool}})
	}
	w := &b.waits[i]
	w.Count++
	w.Total += d
	if w.Total-w.taken >= LongWait && (d > w.Longest || w.Site == nil) {
		w.Site = callers()
	}
	w.Longest = max(w.Longest, d)
}

// LongWaits returns the pools that a task waited for as long as [LongWait] or
// longer, what tasks within it have reported not counted, the longest total first.
func (l *Ledger) LongWaits() []Wait {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.books == nil {
		return nil
	}
	var out []Wait
	for i := range l.books.waits {
		w := l.books.waits[i]
		if w.Total -= w.taken; w.Total >= LongWait {
			out = append(out, w.Wait)
		}
	}
	slices.SortStableFunc(out, func(a, b Wait) int { return cmp.Compare(b.Total, a.Total) })
	return out
}

// TakeLongWaits returns what [Ledger.LongWaits] does and takes it off what the
// ledgers above count as long.
func (l *Ledger) TakeLongWaits() []Wait {
	taken := l.LongWaits()
	if len(taken) == 0 {
		return nil
	}
	for p := l.parent; p != nil; p = p.parent {
		p.takeWaits(taken)
	}
	return taken
}

func (l *Ledger) takeWaits(taken []Wait) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.books == nil {
		return
	}
	for i := range l.books.waits {
		w := &l.books.waits[i]
		for _, t := range taken {
			if t.Pool == w.Pool {
				w.taken += t.Total
			}
		}
	}
}
