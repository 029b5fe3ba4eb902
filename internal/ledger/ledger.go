// Package ledger keeps what one worker task did to its databases.
//
// It is the meeting point of the packages otdb and worker, which do not import
// each other: worker puts a [Ledger] into a task's context, otdb finds it there
// and records every database operation. Goroutines that inherit the context
// write to the same ledger, and a nested task's ledger adds to all of its
// ancestors, so a parent's totals include its children's.
//
// A ledger is final once [Ledger.EndTask] has returned: what is recorded later
// through its context still reaches the tasks around it that are running.
//
// All methods but Init, Bind and Context may be called concurrently, and all but those
// accept a nil *Ledger, which records nothing. Memory is bounded whatever a
// task does: a ledger holds at most [MaxStatements] distinct texts, and lists
// what is open (operations, result sets and transactions hold a connection, so
// the pool bounds them).
package ledger

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/internal/drivertext"
)

// MaxStatements is how many distinct texts one ledger counts. A text beyond
// them takes the place of one that ran once and was not slow; if there is none,
// it enters the totals alone.
const MaxStatements = 256

// Totals is what a ledger has added up so far.
type Totals struct {
	Operations int64         // database operations, statements and lifecycle alike
	Statements int64         // the statements among them: exec, query, prepared exec and query
	Errors     int64         // operations that failed
	Rows       int64         // rows that the consumers read
	Duration   time.Duration // time inside the driver
	Wait       time.Duration // for free connections
	Idle       int64         // transactions that were idle for too long
}

// Text is what is known of an SQL text, or of an operation without one, such as
// BEGIN. It is made once, shared by all operations that have it, and never
// changes.
type Text struct {
	Summary   string // the db.query.summary, or the operation's name
	SQL       string // the sanitised text; empty if it must not be recorded
	Hash      uint64 // of the sanitised text, zero if there is none
	Statement bool   // exec and query, prepared or not
	Batch     bool   // it does for many rows what others do for one: it is no finding if it is repeated
}

// Entry is one database operation that has ended.
type Entry struct {
	// Text is what ran. Nil stands for an operation that is no statement.
	Text *Text
	// Batch has the texts of the statements of a batch, of which Text is the whole. The
	// time is the batch's alone.
	Batch []*Text
	// Failed reports whether the operation ended in an error.
	Failed bool
	// Rows is the number of rows the consumer read.
	Rows int64
	// Duration is the time spent inside the driver.
	Duration time.Duration
	// Length is the time from the operation's begin to its end.
	Length time.Duration

	// Kind is what the operation is folded by, nil if it has a span of its own or none at
	// all. Start is a reading of its clock when it began.
	Kind  *Kind
	Start time.Duration

	folded   bool
	finished *Fold   // that the operation has ended
	folder   *Ledger // whose that is
}

// Config has the owner of a ledger, and what it looks for.
type Config struct {
	// Task is the name of the task.
	Task string
	// Owner is what [Ledger.Owner] returns.
	Owner any
	// Limits are those of the task. Nil turns all of them off.
	Limits *Limits
}

// Limits are what a task may do to its databases before that is a finding, and
// how many spans its operations may have. Zero turns a limit off. They must not
// change while a ledger has them.
type Limits struct {
	RepeatedStatements int64         // how often one statement may run
	SlowStatements     time.Duration // inside the driver
	IdleTransactions   time.Duration // without an operation
	OperationSpans     int           // spans of one kind of operation
}

// Slow reports whether a statement that took that long is slow.
func (l *Limits) Slow(d time.Duration) bool { return l.SlowStatements > 0 && d >= l.SlowStatements }

var noLimits Limits

// Ledger is the account of one task. Make one with [New], or embed one and
// call Init. It must not be copied.
type Ledger struct {
	parent *Ledger
	config Config
	ctx    context.Context        // what Bind was called with
	done   <-chan struct{}        // of ctx: some drivers ask three times a row
	extra  atomic.Pointer[extras] // nil until there are any

	mu       sync.Mutex
	closed   atomic.Bool  // nothing is listed any more; set under mu
	watched  atomic.Bool  // a statement is; set under mu
	calls    atomic.Int32 // remembered with their sites
	ended    bool
	newTrace bool  // it does not change
	slow     int16 // how many statements were slow at least once
	totals   Totals
	books    *books // nil until a statement ends

	// Open rows and transactions of a tree of tasks are listed in the outermost one that is
	// running: rows may pass from a task to the one around it.
	first, newest *Place
}

// New returns an empty ledger for the task of that name. A nil parent makes it
// the root of its own tree.
func New(parent *Ledger, task string) *Ledger {
	l := new(Ledger)
	l.Init(parent, Config{Task: task})
	return l
}

// Init prepares a zero Ledger for use. A nil parent makes it the root of its
// own tree.
func (l *Ledger) Init(parent *Ledger, c Config) {
	if c.Limits == nil {
		c.Limits = &noLimits
	}
	l.parent, l.config = parent, c
}

// BeginTrace marks the task as the first of a trace. It must be called before the ledger is used.
func (l *Ledger) BeginTrace() { l.newTrace = true }

// Said returns the texts of drivers to the task, and nil for a nil ledger. Unlike
// the rest of the ledger it is never final.
func (l *Ledger) Said() *drivertext.Memory {
	if l == nil {
		return nil
	}
	said := &l.extras().said
	if m := said.Load(); m != nil {
		return m
	}
	m := new(drivertext.Memory)
	m.Init(l.parent.Said())
	if !said.CompareAndSwap(nil, m) {
		m = said.Load()
	}
	return m
}

// Task returns the name of the task that the ledger belongs to, and "" for a
// nil ledger.
func (l *Ledger) Task() string {
	if l == nil {
		return ""
	}
	return l.config.Task
}

// Owner returns what made the ledger, as given to Init, or nil.
func (l *Ledger) Owner() any {
	if l == nil {
		return nil
	}
	return l.config.Owner
}

// Limits returns the limits of the ledger's task. They must not be changed.
func (l *Ledger) Limits() *Limits {
	if l == nil {
		return &noLimits
	}
	return l.config.Limits
}

// Innermost returns the ledger of the innermost task that is running among l's and
// those around it, or nil if all of them have ended.
func (l *Ledger) Innermost() *Ledger {
	for l != nil && l.closed.Load() {
		l = l.parent
	}
	return l
}

// Within reports whether l's task is that task, or a task within it.
func (l *Ledger) Within(task *Ledger) bool {
	for ; l != nil; l = l.parent {
		if l == task {
			return true
		}
	}
	return false
}

// Outermost reports whether l is the root of its tree of tasks.
func (l *Ledger) Outermost() bool { return l != nil && l.parent == nil }

// Record adds one operation to l and to every ledger above it whose task has
// not ended. It reports whether the operation was folded into the innermost task of its
// trace that is running.
func (l *Ledger) Record(e Entry) (folded bool) {
	for judged := false; l != nil; l = l.parent {
		judged = l.record(&e, judged) || judged
	}
	return e.done()
}

// done exports the fold that the entry has ended.
func (e *Entry) done() (folded bool) {
	if e.finished != nil {
		e.finished.Kind.emit(e.folder.foldContext(), e.finished)
	}
	return e.folded
}

// record reports whether e was held against l's threshold for slow statements.
// Only the innermost running task decides whether it was slow.
func (l *Ledger) record(e *Entry, judged bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recordLocked(e, judged)
}

func (l *Ledger) recordLocked(e *Entry, judged bool) bool {
	if e.Kind != nil {
		if !l.ended {
			e.folded = l.fold(e)
		}
		if e.folded || l.newTrace {
			e.Kind = nil
		}
	}
	if l.ended {
		return false
	}
	l.totals.Operations++
	l.totals.Duration += e.Duration
	l.totals.Rows += e.Rows
	if e.Failed {
		l.totals.Errors++
	}
	if e.Text == nil || !e.Text.Statement {
		return false
	}
	if len(e.Batch) == 0 {
		l.totals.Statements++
	} else {
		l.batch(e.Batch)
	}
	s := l.statement(e.Text)
	if s != nil {
		limit := l.config.Limits.SlowStatements
		if s.add(e, !judged && limit > 0 && e.Duration >= limit) {
			l.slow++
		}
		l.repeated(s)
	}
	if log := l.books.log; log != nil {
		log.add(e, s, !judged)
	}
	return true
}

// Totals returns what has been added up so far.
func (l *Ledger) Totals() Totals {
	if l == nil {
		return Totals{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.totals
}

// EndTask ends the task: the ledger's own account is final from then on. If all
// tasks around it have ended, what is still held open is ended through
// [Leaker.EndLeaked] and returned as far as it is a leak, except for what was
// opened within a task that is still running: that is that one's from then on.
// The second call does nothing.
func (l *Ledger) EndTask() []Leak {
	_, leaks := l.Settle()
	return leaks
}

// Settle is [Ledger.EndTask] with the final totals.
func (l *Ledger) Settle() (Totals, []Leak) {
	if l == nil {
		return Totals{}, nil
	}
	l.mu.Lock()
	l.closed.Store(true)
	if l.first == nil {
		l.ended = true
		totals, folds := l.totals, l.takeFolds()
		l.mu.Unlock()
		l.emit(folds)
		return totals, nil
	}
	open := l.unlistAll()
	l.mu.Unlock()
	return l.settle(open)
}

// settle ends the task, and before that what it leaves open: what that records on
// its way still counts.
func (l *Ledger) settle(open []candidate) (Totals, []Leak) {
	defer l.end()
	leaks := endLeaked(open)
	l.end()
	return l.Totals(), leaks
}

func (l *Ledger) end() {
	l.mu.Lock()
	l.ended = true
	folds := l.takeFolds()
	l.mu.Unlock()
	l.emit(folds)
}

type contextKey struct{}

// boundContext is the context that Bind returns: a ledger by another name.
type boundContext Ledger

var _ context.Context = (*boundContext)(nil)

// Deadline implements context.Context.
func (c *boundContext) Deadline() (time.Time, bool) { return c.ctx.Deadline() }

// Done implements context.Context.
func (c *boundContext) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *boundContext) Err() error {
	select {
	case <-c.done:
		return c.ctx.Err()
	default:
		return nil
	}
}

// Value implements context.Context.
func (c *boundContext) Value(key any) any {
	if _, ok := key.(contextKey); ok {
		return (*Ledger)(c)
	}
	return c.ctx.Value(key)
}

// String keeps fmt from reading the ledger's fields while others write them.
func (c *boundContext) String() string { return "context of task " + c.config.Task }

// used reports whether there has ever been a context that carries a ledger.
var used atomic.Bool

func use() {
	if !used.Load() {
		used.Store(true) // once: each store takes the cache line from all others
	}
}

// NewContext returns a context that carries l.
func NewContext(ctx context.Context, l *Ledger) context.Context {
	use()
	return context.WithValue(ctx, contextKey{}, l)
}

// Bind returns a context that carries l, as [NewContext] does, but that is part
// of l and so costs no allocation. It may be called once on a ledger.
func (l *Ledger) Bind(ctx context.Context) context.Context {
	use()
	l.ctx, l.done = ctx, ctx.Done()
	return l.Context()
}

// Context returns the context that Bind returned. It must have been called.
func (l *Ledger) Context() context.Context { return (*boundContext)(l) }

// foldContext returns the context for the folds of the task.
func (l *Ledger) foldContext() context.Context {
	if l.ctx == nil {
		return context.Background()
	}
	return l.Context()
}

// FromContext returns the ledger that ctx carries, or nil. A program without
// tasks pays nothing for it, however many values its contexts carry.
func FromContext(ctx context.Context) *Ledger {
	if !used.Load() {
		return nil
	}
	if c, ok := ctx.(*boundContext); ok {
		return (*Ledger)(c)
	}
	l, _ := ctx.Value(contextKey{}).(*Ledger)
	return l
}
