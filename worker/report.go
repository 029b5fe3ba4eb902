package worker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/ledger"
)

// Report is what is known of one run of a task, or known so far if it is
// running.
//
// A report is a copy: it may be kept, and read by several goroutines.
type Report struct {
	Name    string // the task's name, as its span has it
	ID      string // as given to [WithID]
	Attempt int    // as given to [WithAttempt], zero if it was not
	// MaxAttempts is how often the task is tried at most, zero if that is not
	// known.
	MaxAttempts int

	Start    time.Time     // by the wall clock
	Duration time.Duration // the span's; of a running task, the time since it started

	// Done and Total are the last values of [Progress].
	Done, Total int64

	Result Result // empty while the task is running
	// Error is the safe text of a failure, as the task's span has it, and
	// ErrorType its error.type. ErrorKind is the kind that [errs.Classify] has for
	// it: KindNone if there is none. Retryable reports that the same work may succeed
	// if it is done again.
	Error     string
	ErrorType string
	ErrorKind errs.Kind
	Retryable bool

	Span     trace.SpanContext // the task's span; invalid if there is none
	DB       DBReport
	Findings []Finding // the worst of a kind first, at most 16 of each
}

// DBReport is what a task and the tasks within it did to their databases.
type DBReport struct {
	Operations int64         // statements, and operations such as BEGIN
	Errors     int64         // operations that failed
	Rows       int64         // rows that the task read
	Duration   time.Duration // inside the drivers
	Wait       time.Duration // for a free connection

	// Statements is the account of each text, the longest total first. If a task
	// runs more than 256 texts, some that ran once are missing.
	Statements []StatementReport
	// InProgress are the operations in which a driver is at work, the oldest
	// first. They are not counted above yet.
	InProgress []OperationReport
	// Held is what keeps a connection from its pool, the oldest first. After a
	// task has ended, it is what was open when its function returned.
	Held []HeldReport
}

// StatementReport is the account of the statements with one text.
type StatementReport struct {
	Summary string // db.query.summary
	Text    string // sanitised; empty if the database's option leaves texts out
	Count   int64
	Errors  int64
	Rows    int64
	Total   time.Duration // inside the driver
	Slowest time.Duration // the longest of them
}

// OperationReport is an operation in which a driver is at work.
type OperationReport struct {
	Summary string // db.query.summary, or the name of an operation such as BEGIN
	Text    string // sanitised
	Since   time.Time
}

// HeldKind is what keeps a connection from its pool.
type HeldKind string

// The values of [HeldKind].
const (
	HeldRows        HeldKind = "rows"        // of a query, not closed yet
	HeldTransaction HeldKind = "transaction" // neither committed nor rolled back yet
)

// HeldReport is something that keeps a connection from its pool.
type HeldReport struct {
	Kind    HeldKind
	Summary string // of the query, or of the last statement of the transaction
	Since   time.Time
	Idle    time.Duration // how long no operation of the transaction was open, in total; zero for rows
}

// CurrentReport returns the report of the task that ctx belongs to, so far. It
// returns false if there is no task in ctx, or if the task has ended.
func CurrentReport(ctx context.Context) (Report, bool) {
	if ctx == nil {
		return Report{}, false
	}
	t := taskOf(ledger.FromContext(ctx))
	if t == nil || t.phase.Load() == phaseEnded {
		return Report{}, false
	}
	return t.current(), true
}

// Running returns the reports of the runner's running tasks so far, the oldest
// first. Tasks within others have reports of their own. A nil Runner stands for
// the default one.
func (r *Runner) Running() []Report {
	if r == nil || r.config == nil {
		r = Default()
	}
	running := slices.DeleteFunc(r.running(), func(t *task) bool { return t.phase.Load() == phaseEnded })
	return reports(running)
}

// reports makes the reports of tasks. None is made under the mutex under which
// tasks start and end.
func reports(tasks []*task) []Report {
	out := make([]Report, 0, len(tasks))
	for _, t := range tasks {
		out = append(out, t.current())
	}
	return out
}

// running returns the runner's running tasks, those included of which the outcome
// is being recorded, the oldest first.
func (r *Runner) running() []*task {
	var out []*task
	for _, k := range r.names.all() {
		for i := range k.gauge.shards {
			out = k.gauge.shards[i].running(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b *task) int { return cmp.Compare(a.started, b.started) })
	return out
}

func init() { ledger.RunningOf = runningLedgers }

// runningLedgers is what taskz has of a runner's running tasks beyond their reports.
func runningLedgers(runner any) []*ledger.Ledger {
	r, _ := runner.(*Runner)
	if r == nil || r.config == nil {
		r = Default()
	}
	tasks := r.running()
	out := make([]*ledger.Ledger, len(tasks))
	for i, t := range tasks {
		out[i] = &t.ledger
	}
	return out
}

func (s *shard) running(out []*task, r *Runner) []*task {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := s.first; t != nil; t = t.next {
		if t.runner == r {
			out = append(out, t)
		}
	}
	return out
}

// current returns the report of a running task so far.
func (t *task) current() Report {
	r := t.report()
	r.Duration = t.age()
	if t.phase.Load() != phaseStarting { // there is a span
		r.Span = t.spanContext()
	}
	s := t.ledger.Snapshot(t.runner.config.now())
	r.DB = dbReport(&s)
	r.Findings = t.found()
	return r
}

// spanContext returns that of the task's span.
func (t *task) spanContext() (sc trace.SpanContext) {
	defer scope.Guard("the span")
	return t.span.SpanContext()
}

// age returns how long a running task has run.
func (t *task) age() time.Duration { return t.runner.config.clock() - t.started }

// report returns the part of a report that does not depend on what the task is
// doing, or has done.
func (t *task) report() Report {
	c := t.runner.config
	r := Report{
		Name:        t.label(),
		ID:          valid(t.options.id),
		Attempt:     max(0, t.options.attempt),
		MaxAttempts: max(0, t.options.attempts),
		Start:       c.now().Add(t.started - c.clock()),
	}
	if n := t.notes.Load(); n != nil {
		r.Done, r.Total = n.done.Load(), n.total.Load()
	}
	return r
}

// final returns the report of a task that has ended after d.
func (t *task) final(o *outcome, a *account, d time.Duration) Report {
	r := t.report()
	r.Duration = d
	r.Result = Result(resultNames[o.result])
	r.Error, r.ErrorType, r.ErrorKind, r.Retryable = o.text, o.errorType, errs.Classify(o.err).Kind, o.retryable
	r.Span = t.spanContext()
	s := a.open // what was open then, and the rest as it is now
	s.Totals, s.Statements = a.Totals, t.ledger.Statements()
	r.DB = dbReport(&s)
	r.Findings = a.findings
	return r
}

// clone returns a report that shares nothing with r.
func (r Report) clone() Report {
	r.DB.Statements = slices.Clone(r.DB.Statements)
	r.DB.InProgress = slices.Clone(r.DB.InProgress)
	r.DB.Held = slices.Clone(r.DB.Held)
	r.Findings = slices.Clone(r.Findings)
	return r
}

func dbReport(s *ledger.Snapshot) DBReport {
	r := DBReport{
		Operations: s.Operations,
		Errors:     s.Errors,
		Rows:       s.Rows,
		Duration:   s.Duration,
		Wait:       s.Wait,
	}
	for i := range s.Statements {
		st := &s.Statements[i]
		r.Statements = append(r.Statements, StatementReport{
			Summary: st.Summary, Text: st.SQL,
			Count: st.Count, Errors: st.Errors, Rows: st.Rows, Total: st.Total, Slowest: st.Slowest,
		})
	}
	for _, op := range s.InProgress {
		r.InProgress = append(r.InProgress, OperationReport{Summary: op.Summary, Text: op.SQL, Since: op.Since})
	}
	for _, h := range s.Held {
		kind := HeldRows
		if h.Transaction {
			kind = HeldTransaction
		}
		r.Held = append(r.Held, HeldReport{Kind: kind, Summary: h.Summary, Since: h.Since, Idle: h.Idle})
	}
	return r
}
