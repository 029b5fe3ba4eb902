package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Statement is how often the statements of one summary ran.
type Statement struct {
	Summary string
	Count   int64
}

// SlowStatement is how often the statements of one summary were slow.
type SlowStatement struct {
	Summary string
	Count   int64         // how many of them reached the threshold
	Slowest time.Duration // the longest of them
}

// statement is the account of one summary.
type statement struct {
	summary string
	count   int64
	slow    int64
	slowest time.Duration
}

// isCopy reports whether a summary is that of a COPY.
func isCopy(summary string) bool {
	const operation = "COPY "
	return len(summary) > len(operation) && strings.EqualFold(summary[:len(operation)], operation)
}

// statement returns the account of a summary, or nil if there is room for no
// further one. The caller holds l.mu.
func (l *Ledger) statement(summary string) *statement {
	if l.last != nil && l.last.summary == summary {
		return l.last
	}
	s := l.statements[summary]
	if s == nil {
		if len(l.statements) >= MaxStatements {
			return nil
		}
		if l.statements == nil {
			l.statements = make(map[string]*statement)
		}
		s = &statement{summary: summary}
		l.statements[summary] = s
	}
	l.last = s
	return s
}

// Repeated returns the statements that ran at least n times, the most frequent
// first. Statements without a summary are left out: they cannot be told apart. So
// is COPY, which lib/pq executes once for each row: it is the remedy already.
func (l *Ledger) Repeated(n int64) []Statement {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.totals.Statements < n {
		return nil
	}
	var out []Statement
	for summary, s := range l.statements {
		if summary != "" && s.count > 0 && s.count >= n && !isCopy(summary) {
			out = append(out, Statement{summary, s.count})
		}
	}
	slices.SortFunc(out, func(a, b Statement) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Summary, b.Summary))
	})
	return out
}

// TakeRepeated returns what [Ledger.Repeated] does and takes it off the counts
// of the ledgers above, so that a task reports only what no task within it has
// reported already.
func (l *Ledger) TakeRepeated(n int64) []Statement {
	taken := l.Repeated(n)
	if len(taken) == 0 {
		return nil
	}
	for p := l.parent; p != nil; p = p.parent {
		p.take(taken)
	}
	return taken
}

func (l *Ledger) take(taken []Statement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range taken {
		if s := l.statements[t.Summary]; s != nil {
			s.count -= t.Count
		}
	}
}

// Slow returns the statements of which at least one reached the ledger's
// threshold, the slowest first. A statement counts in the innermost task that
// was running when it ended, and in that one alone.
func (l *Ledger) Slow() []SlowStatement {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slow == 0 {
		return nil
	}
	out := make([]SlowStatement, 0, l.slow)
	for summary, s := range l.statements {
		if s.slow > 0 {
			out = append(out, SlowStatement{summary, s.slow, s.slowest})
		}
	}
	slices.SortFunc(out, func(a, b SlowStatement) int {
		return cmp.Or(cmp.Compare(b.Slowest, a.Slowest), cmp.Compare(a.Summary, b.Summary))
	})
	return out
}
