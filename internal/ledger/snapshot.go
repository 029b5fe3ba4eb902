package ledger

import (
	"slices"
	"time"
)

// Snapshot is what a ledger knows at one moment.
type Snapshot struct {
	Totals
	Statements []Statement // the longest total first
	InProgress []Activity  // the oldest first
	Held       []Holding   // the oldest first
}

// Activity is an operation in which a driver is at work.
type Activity struct {
	*Text
	Since time.Time
}

// Holding is a result set or a transaction that is open.
type Holding struct {
	*Text       // of the query, or of the last statement of the transaction
	Transaction bool
	Since       time.Time
	Idle        time.Duration // of the transaction: how long no operation of it was open
}

// Snapshot returns what the ledger knows now. The time is that by the clock of
// those who list what is open.
func (l *Ledger) Snapshot(now time.Time) Snapshot {
	if l == nil {
		return Snapshot{}
	}
	var s Snapshot
	for r := l.outermost(nil); r != nil && !r.snapshotOpen(l, now, &s); {
		r = l.outermost(nil)
	}
	l.mu.Lock()
	s.Totals, s.Statements = l.totals, l.statementsLocked()
	l.mu.Unlock()
	slices.SortStableFunc(s.InProgress, func(a, b Activity) int { return a.Since.Compare(b.Since) })
	slices.SortStableFunc(s.Held, func(a, b Holding) int { return a.Since.Compare(b.Since) })
	return s
}

// snapshotOpen adds to s what was opened in task, or within it. It returns false
// if it is not l in which that is listed any more.
func (l *Ledger) snapshotOpen(task *Ledger, now time.Time, s *Snapshot) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return false
	}
	for p := l.first; p != nil; p = p.next {
		if !p.opener.Within(task) {
			continue
		}
		switch {
		case p.transaction:
			s.Held = append(s.Held, Holding{Text: p.described(), Transaction: true, Since: p.began(), Idle: p.tx.idleAt(now)})
		case p.holds.Load() == holds:
			s.Held = append(s.Held, Holding{Text: p.text, Since: p.began()})
		default:
			s.InProgress = append(s.InProgress, Activity{Text: p.text, Since: p.began()})
		}
	}
	return true
}
