package ledger

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// Transaction is what is known of an open transaction. The zero value is ready
// for [Ledger.BeginTransaction]; embed it where the transaction is kept.
//
// Operations of a transaction may end concurrently: a task that ends, ends the
// rows that it leaves.
type Transaction struct {
	place  Place
	ledger *Ledger // of the task that it was begun in; nil before that, and once it has ended
	begin  *Text

	open   atomic.Int32         // its operations that are open
	last   atomic.Int64         // when one ended last, since the transaction began
	idle   atomic.Int64         // how long none was open, until the last one began
	latest atomic.Pointer[Text] // of its last statement
}

// BeginTransaction lists a transaction until [Transaction.End]. Its BEGIN, with the
// text begin, took from since until the time at. A nil l does nothing.
func (l *Ledger) BeginTransaction(t *Transaction, begin *Text, since, at time.Time, leaker Leaker) {
	if l == nil || t.ledger != nil {
		return
	}
	t.ledger, t.begin = l, begin
	p := &t.place
	t.last.Store(int64(at.Sub(since)))
	p.since, p.tx, p.transaction = since, t, true
	p.Hold(leaker)
	l.begin(p, begin)
}

// Open reports whether the transaction was begun in a task, and has not ended. It
// must not be called concurrently with BeginTransaction and End.
func (t *Transaction) Open() bool { return t.ledger != nil }

// End takes t off the list and holds its idle time against the threshold of the
// innermost task that is running, of those that it was begun in. It does nothing
// for a transaction that was not begun in a task.
func (t *Transaction) End(at time.Time) {
	l := t.ledger
	if l == nil {
		return
	}
	t.ledger = nil
	t.place.Leave()
	text, idle := t.text(), t.idleAt(at)
	for ; l != nil; l = l.parent {
		if l.recordIdle(text, idle) {
			return
		}
	}
}

// enter is called when an operation of the transaction begins.
func (t *Transaction) enter(text *Text, at time.Time) {
	if t.open.Add(1) == 1 {
		t.idle.Add(max(0, int64(at.Sub(t.place.since))-t.last.Load()))
	}
	if text != nil && text.Statement {
		t.latest.Store(text)
	}
}

// leave is called when one has ended.
func (t *Transaction) leave(at time.Time) {
	t.last.Store(int64(at.Sub(t.place.since)))
	t.open.Add(-1)
}

// text returns the text of the last statement, or else that of its BEGIN.
func (t *Transaction) text() *Text {
	if last := t.latest.Load(); last != nil {
		return last
	}
	return t.begin
}

// idleAt returns how long no operation of the transaction was open until then.
func (t *Transaction) idleAt(at time.Time) time.Duration {
	idle := t.idle.Load()
	if t.open.Load() == 0 {
		idle += max(0, int64(at.Sub(t.place.since))-t.last.Load())
	}
	return time.Duration(idle)
}

// IdleTransaction is how often transactions with one last statement were idle for
// too long.
type IdleTransaction struct {
	*Text         // of the last statement, or of BEGIN
	Count   int64 // how many of them
	Longest time.Duration
	Site    Site // where the longest of them was ended
}

// maxIdle is how many kinds of idle transactions a ledger distinguishes.
const maxIdle = 64

// recordIdle reports whether l is the one to judge the idle time of a
// transaction.
func (l *Ledger) recordIdle(text *Text, idle time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if limit := l.config.Limits.IdleTransactions; limit <= 0 || idle < limit {
		return true
	}
	l.totals.Idle++
	b := l.book()
	i := slices.IndexFunc(b.idle, func(t IdleTransaction) bool { return t.same(text) })
	if i < 0 {
		if len(b.idle) == maxIdle {
			return true
		}
		i = len(b.idle)
		b.idle = append(b.idle, IdleTransaction{Text: text})
	}
	t := &b.idle[i]
	t.Count++
	if idle > t.Longest {
		t.Longest, t.Site = idle, callers()
	}
	return true
}

// same reports whether both are one text.
func (t *Text) same(as *Text) bool { return t.Hash == as.Hash && t.Statement == as.Statement }

// Idle returns the transactions that were idle for too long, the longest first.
func (l *Ledger) Idle() []IdleTransaction {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.books == nil {
		return nil
	}
	out := slices.Clone(l.books.idle)
	slices.SortStableFunc(out, func(a, b IdleTransaction) int { return cmp.Compare(b.Longest, a.Longest) })
	return out
}
