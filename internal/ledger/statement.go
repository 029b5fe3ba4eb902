package ledger

import (
	"cmp"
	"slices"
	"time"
)

// Statement is the account of the statements with one text.
type Statement struct {
	*Text
	Count   int64         // how often it ran
	Errors  int64         // how often it failed
	Rows    int64         // rows that the consumers read
	Total   time.Duration // time inside the driver
	Slowest time.Duration // the longest of them
}

func (s *Statement) add(e *Entry) {
	s.Count++
	s.Rows += e.Rows
	s.Total += e.Duration
	s.Slowest = max(s.Slowest, e.Duration)
	if e.Failed {
		s.Errors++
	}
}

// statement is the account of one text.
type statement struct {
	Statement
	taken  int64 // of Count: reported by tasks within this one, or part of batches
	single int   // its place in books.singles plus one, or zero

	watched bool // its next call is located
	site    Site // where it was called when it had run often enough to be a finding

	slow        int64         // how many reached the threshold and are this task's to report
	slowestSlow time.Duration // the longest of these
	slowSite    Site          // and where it was called

	logged *logged // in the log, once it is looked for
}

// add adds an entry. It reports whether the text was slow for the first time.
func (s *statement) add(e *Entry, slow bool) (first bool) {
	s.Statement.add(e)
	if !slow {
		return false
	}
	s.slow++
	if e.Duration > s.slowestSlow {
		s.slowestSlow, s.slowSite = e.Duration, callers()
	}
	return s.slow == 1
}

// batch counts the statements of a batch. They went to the database together, so that they
// are no repetition. The caller holds l.mu.
func (l *Ledger) batch(texts []*Text) {
	l.totals.Statements += int64(len(texts))
	for _, t := range texts {
		if s := l.statement(t); s != nil {
			s.Count++
			s.taken++
		}
	}
}

// books are the accounts of the texts of a ledger, by their hash.
type books struct {
	statements map[uint64]*statement
	last       *statement // the one counted last: loops repeat it
	only       statement  // most tasks have one: it needs no allocation
	log        *log       // nil unless somebody wants one

	// The accounts of texts that ran once and may make room for others; nil as
	// long as there is other room. Which of them does is left to chance: a loop
	// over more texts than there is room for would otherwise find each of its
	// texts gone when it comes back to it.
	singles []*statement
	random  uint64

	watched int // how many statements are
	idle    []IdleTransaction
	waits   []wait
}

// book returns the ledger's books. The caller holds l.mu.
func (l *Ledger) book() *books {
	if l.books == nil {
		l.books = new(books)
		if logs.Load() > 0 {
			l.books.log = newLog()
		}
	}
	return l.books
}

// statement returns the account of a text for one more entry, or nil if there is
// no room for it. The caller holds l.mu.
func (l *Ledger) statement(t *Text) *statement {
	b := l.book()
	s := b.last
	if s == nil || s.Hash != t.Hash {
		s = b.statements[t.Hash]
	}
	switch {
	case s == nil:
		if s = b.room(); s == nil {
			return nil
		}
		if s.watched {
			l.unwatch(s)
		}
		if b.statements == nil {
			b.statements = make(map[uint64]*statement)
		}
		*s = statement{Statement: Statement{Text: t}}
		b.statements[t.Hash] = s
		if b.singles != nil {
			b.offer(s)
		}
	case s.single > 0:
		b.keep(s)
	}
	b.last = s
	return s
}

// room returns the place of a new account, or nil.
func (b *books) room() *statement {
	switch n := len(b.statements); {
	case n == 0:
		return &b.only
	case n < MaxStatements:
		return new(statement)
	}
	if b.singles == nil {
		b.singles = make([]*statement, 0, MaxStatements)
		for _, s := range b.statements {
			if s.Count == 1 {
				b.offer(s)
			}
		}
	}
	for len(b.singles) > 0 {
		b.random = b.random*6364136223846793005 + 1442695040888963407
		s := b.singles[(b.random>>33)%uint64(len(b.singles))]
		b.keep(s)
		if s.slow == 0 {
			delete(b.statements, s.Hash)
			return s
		}
	}
	return nil
}

// offer adds an account to those that make room.
func (b *books) offer(s *statement) {
	b.singles = append(b.singles, s)
	s.single = len(b.singles)
}

// keep takes an account off those that make room.
func (b *books) keep(s *statement) {
	last := len(b.singles) - 1
	moved := b.singles[last]
	b.singles[s.single-1] = moved
	moved.single = s.single
	b.singles[last] = nil
	b.singles = b.singles[:last]
	s.single = 0
}

// Statements returns the account of each text, the longest total first.
func (l *Ledger) Statements() []Statement {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.statementsLocked()
}

func (l *Ledger) statementsLocked() []Statement {
	if l.books == nil {
		return nil
	}
	out := make([]Statement, 0, len(l.books.statements))
	for _, s := range l.books.statements {
		out = append(out, s.Statement)
	}
	slices.SortFunc(out, func(a, b Statement) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(b.Count, a.Count), compareTexts(a.Text, b.Text))
	})
	return out
}

func compareTexts(a, b *Text) int {
	return cmp.Or(cmp.Compare(a.Summary, b.Summary), cmp.Compare(a.SQL, b.SQL), cmp.Compare(a.Hash, b.Hash))
}

// Repetition is how often the statements with one text ran.
type Repetition struct {
	*Text
	Count int64
	Site  Site // of a call that made it a finding, or of a later one
}

// repeated takes note of how often a statement has run now. The caller holds
// l.mu.
func (l *Ledger) repeated(s *statement) {
	limit := l.config.Limits.RepeatedStatements
	if limit <= 0 || s.site != nil || s.Batch || s.Hash == 0 {
		return
	}
	switch count := s.Count - s.taken; {
	case count >= limit: // all of them had begun before it had run so often
		if s.watched {
			l.unwatch(s)
		}
		s.site = callers()
	case count == limit-1 && !s.watched:
		l.watch(s)
	}
}

// Repeated returns the texts that ran at least n times, those not counted that
// tasks within this one have reported, the most frequent first. A text that is a
// batch is left out.
func (l *Ledger) Repeated(n int64) []Repetition {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.books == nil || l.totals.Statements < n {
		return nil
	}
	var out []Repetition
	for hash, s := range l.books.statements {
		if count := s.Count - s.taken; hash != 0 && !s.Batch && count > 0 && count >= n {
			out = append(out, Repetition{s.Text, count, s.site})
		}
	}
	slices.SortFunc(out, func(a, b Repetition) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), compareTexts(a.Text, b.Text))
	})
	return out
}

// TakeRepeated returns what [Ledger.Repeated] does and takes it off what the
// ledgers above count as repeated, so that a task reports only what no task
// within it has reported already.
func (l *Ledger) TakeRepeated(n int64) []Repetition {
	taken := l.Repeated(n)
	if len(taken) == 0 {
		return nil
	}
	for p := l.parent; p != nil; p = p.parent {
		p.take(taken)
	}
	return taken
}

func (l *Ledger) take(taken []Repetition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.books == nil {
		return
	}
	for _, t := range taken {
		if s := l.books.statements[t.Hash]; s != nil {
			s.taken += t.Count
		}
	}
}

// SlowStatement is how often the statements with one text were slow.
type SlowStatement struct {
	*Text
	Count   int64         // how many of them reached the threshold
	Slowest time.Duration // the longest of them
	Site    Site          // where that one was called
}

// Slow returns the texts of which at least one statement reached the ledger's
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
	for _, s := range l.books.statements {
		if s.slow > 0 {
			out = append(out, SlowStatement{s.Text, s.slow, s.slowestSlow, s.slowSite})
		}
	}
	slices.SortFunc(out, func(a, b SlowStatement) int {
		return cmp.Or(cmp.Compare(b.Slowest, a.Slowest), compareTexts(a.Text, b.Text))
	})
	return out
}
