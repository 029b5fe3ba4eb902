package ledger

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxBars is how many bars a log has.
	MaxBars = 200
	// MaxLogged is how many texts a log counts.
	MaxLogged = 200
	// singleBars is how many statements of one text have a bar of their own. Those
	// after them share one, except those that fail.
	singleBars = 8
)

// Bar is a statement of a log, or several with one text.
type Bar struct {
	*Text                // nil: of more than one text
	Start  time.Time     // of the first
	End    time.Time     // of the last
	Count  int64         // how many statements
	Errors int64         // how many of them failed
	Rows   int64         // rows that the consumers read
	Total  time.Duration // time inside the driver
}

// Logged is the account of the statements with one text that no task within the
// ledger's counted.
type Logged struct {
	Statement
	Times Histogram // time inside the driver
}

// Log is what a ledger knows of its statements one by one.
type Log struct {
	Bars       []Bar     // by their starts
	Statements []Logged  // in no order
	Last       time.Time // when a statement ended last
}

// logs counts those who want logs.
var logs atomic.Int64

// KeepLogs has all ledgers without a statement keep a log of theirs from now on,
// until stop has been called. Others pay nothing for it.
func KeepLogs() (stop func()) {
	logs.Add(1)
	return sync.OnceFunc(func() { logs.Add(-1) })
}

// RunningOf returns the ledgers of the tasks that run on a *worker.Runner, the
// oldest first. Package worker sets it when it is initialised.
var RunningOf func(runner any) []*Ledger

// Ended reports whether the task has ended.
func (l *Ledger) Ended() bool { return l == nil || l.closed.Load() }

// Log returns a copy of the ledger's log. It returns false if there is none.
func (l *Ledger) Log() (Log, bool) {
	if l == nil {
		return Log{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.books == nil || l.books.log == nil {
		return Log{}, false
	}
	return l.books.log.snapshot(), true
}

// log is a Log that is being kept.
type log struct {
	bars  []bar
	rest  int // the place of the bar of more than one text, or -1
	texts map[uint64]*logged
	last  time.Duration
}

// bar is a Bar with readings of the clock.
type bar struct {
	text                *Text
	start, end          time.Duration
	count, errors, rows int64
	total               time.Duration
}

// logged is the account of a text in a log.
type logged struct {
	Logged
	bars int // with one statement
	fold int // the place of the bar for those after them, or -1
}

func newLog() *log { return &log{rest: -1, texts: make(map[uint64]*logged)} }

// logStart anchors the readings of the clock.
var logStart = time.Now()

// add adds a statement that has just ended. own reports that no task within the
// ledger's counted it, and st is the account of its text, if there is one.
func (g *log) add(e *Entry, st *statement, own bool) {
	g.last = time.Since(logStart)
	s := g.text(e.Text, st)
	if s != nil && own {
		s.Statement.add(e)
		s.Times.Add(e.Duration)
	}
	b := g.bar(e, s)
	start := g.last - max(e.Length, e.Duration)
	if b.count == 0 || start < b.start {
		b.start = start
	}
	b.end = g.last
	b.count++
	b.rows += e.Rows
	b.total += e.Duration
	if e.Failed {
		b.errors++
	}
}

// text returns what the log has of a text, or nil if there is no room for it. What
// is found is remembered in st.
func (g *log) text(t *Text, st *statement) *logged {
	if st != nil && st.logged != nil {
		return st.logged
	}
	s := g.texts[t.Hash]
	if s == nil {
		if len(g.texts) >= MaxLogged {
			return nil
		}
		s = &logged{Logged: Logged{Statement: Statement{Text: t}}, fold: -1}
		g.texts[t.Hash] = s
	}
	if st != nil {
		st.logged = s
	}
	return s
}

// bar returns the bar for a statement. The last place is for what has no other.
func (g *log) bar(e *Entry, s *logged) *bar {
	room := len(g.bars) < MaxBars-1
	switch {
	case s != nil && room && (s.bars < singleBars || e.Failed):
		if !e.Failed {
			s.bars++
		}
		return g.newBar(e.Text)
	case s != nil && s.fold >= 0:
		return &g.bars[s.fold]
	case s != nil && room:
		s.fold = len(g.bars)
		return g.newBar(e.Text)
	case g.rest < 0:
		g.rest = len(g.bars)
		return g.newBar(nil)
	}
	return &g.bars[g.rest]
}

func (g *log) newBar(t *Text) *bar {
	g.bars = append(g.bars, bar{text: t})
	return &g.bars[len(g.bars)-1]
}

func (g *log) snapshot() Log {
	// By the wall clock of now, as the start of a task in its report.
	now := time.Now()
	reading := now.Sub(logStart)
	at := func(d time.Duration) time.Time { return now.Add(d - reading) }
	out := Log{Last: at(g.last), Bars: make([]Bar, 0, len(g.bars)), Statements: make([]Logged, 0, len(g.texts))}
	for i := range g.bars {
		b := &g.bars[i]
		out.Bars = append(out.Bars, Bar{
			Text: b.text, Start: at(b.start), End: at(b.end),
			Count: b.count, Errors: b.errors, Rows: b.rows, Total: b.total,
		})
	}
	slices.SortStableFunc(out.Bars, func(a, b Bar) int { return a.Start.Compare(b.Start) })
	for _, s := range g.texts {
		if s.Count > 0 {
			out.Statements = append(out.Statements, s.Logged)
		}
	}
	return out
}

const (
	// finest is the logarithm of the width of the first buckets, in nanoseconds:
	// about 4 µs.
	finest = 12
	// Buckets is how many buckets a Histogram has: four to an octave. The last one
	// has no upper bound.
	Buckets = 96
)

// Histogram counts durations in buckets, the widths of which are a quarter of
// their lower bounds at most.
type Histogram [Buckets]uint32

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	i := 0
	if u := uint64(max(0, d)) >> finest; u < 4 {
		i = int(u)
	} else {
		octave := bits.Len64(u) - 3
		i = min(4*octave+int(u>>octave), Buckets-1)
	}
	h[i]++
}

// Bounds returns the lower bound of bucket i and its width.
func Bounds(i int) (lower, width time.Duration) {
	if i < 4 {
		return time.Duration(i) << finest, 1 << finest
	}
	octave := i/4 - 1
	return time.Duration(i%4+4) << (octave + finest), 1 << (octave + finest)
}
