package taskz

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/taskspan/taskspan/worker"
)

// view is a page in one of its views: the source of HTML, JSON and text alike.
type view struct {
	Title string    `json:"title"`
	View  string    `json:"view"`
	Now   time.Time `json:"now"`
	Since time.Time `json:"since"`
	// Evicted is how many runs made room before their time.
	Evicted int64 `json:"evicted,omitempty"`

	Running    []runView       `json:"running,omitempty"`
	Tasks      []taskView      `json:"tasks,omitempty"`
	Runs       []runView       `json:"runs,omitempty"`
	Statements []statementView `json:"statements,omitempty"`
	Run        *runView        `json:"run,omitempty"`

	Counts   counts   `json:"-"`
	Columns  []column `json:"-"`
	query    query
	Refresh  int `json:"-"` // seconds, zero for never
	MoreRuns int `json:"more_runs,omitempty"`
}

// counts are what the heading of the view of running tasks has.
type counts struct{ Running, Held, Troubled int }

// runView is a run.
type runView struct {
	Run         uint64    `json:"run"`
	Task        string    `json:"task"`
	ID          string    `json:"id,omitempty"`
	Attempt     int       `json:"attempt,omitempty"`
	MaxAttempts int       `json:"max_attempts,omitempty"`
	Result      string    `json:"result"` // or running
	Start       time.Time `json:"start"`
	Duration    seconds   `json:"duration_seconds"`

	Operations int64   `json:"operations"`
	Errors     int64   `json:"errors"`
	Rows       int64   `json:"rows"`
	Database   seconds `json:"database_seconds"`
	Wait       seconds `json:"wait_seconds"`

	Now  []operationView `json:"now,omitempty"`
	Held []heldView      `json:"held,omitempty"`
	// Quiet is how long no statement has ended, absent if none has, or if that is
	// not known.
	Quiet *seconds `json:"quiet_seconds,omitempty"`
	quiet string   // the last statement's summary

	Progress *progressView `json:"progress,omitempty"`
	History  *historyView  `json:"history,omitempty"`

	Error     string        `json:"error,omitempty"`
	ErrorType string        `json:"error_type,omitempty"`
	Retryable bool          `json:"retryable,omitempty"`
	TraceID   string        `json:"trace_id,omitempty"`
	SpanID    string        `json:"span_id,omitempty"`
	Findings  []findingView `json:"findings,omitempty"`

	// Of one run alone.
	Bars     []barView     `json:"bars,omitempty"`
	Accounts []accountView `json:"statements,omitempty"`
	More     int           `json:"more_statements,omitempty"`

	Found int `json:"-"`
}

type operationView struct {
	Summary string  `json:"summary"`
	Text    string  `json:"text,omitempty"`
	For     seconds `json:"for_seconds"`
}

type heldView struct {
	Kind    string  `json:"kind"`
	Summary string  `json:"summary,omitempty"`
	For     seconds `json:"for_seconds"`
	Idle    seconds `json:"idle_seconds"`
}

type progressView struct {
	Done    int64    `json:"done"`
	Total   int64    `json:"total,omitempty"`
	Percent int      `json:"percent,omitempty"`
	Left    *seconds `json:"left_seconds,omitempty"`
}

// historyView is the last successful runs of a task.
type historyView struct {
	Of  int     `json:"of"`
	P50 seconds `json:"p50_seconds"`
	P95 seconds `json:"p95_seconds"`
	// Ratio is the age of a running task in units of p95.
	Ratio float64 `json:"ratio,omitempty"`
}

type findingView struct {
	Kind     string  `json:"kind"`
	Says     string  `json:"says"`
	Summary  string  `json:"summary,omitempty"`
	Text     string  `json:"text,omitempty"`
	Count    int64   `json:"count"`
	Rows     int64   `json:"rows,omitempty"`
	Slowest  seconds `json:"slowest_seconds,omitempty"`
	Pool     string  `json:"pool,omitempty"`
	Location string  `json:"location,omitempty"`
	Function string  `json:"function,omitempty"`
	Stack    string  `json:"stack,omitempty"`
}

type barView struct {
	Summary string  `json:"summary"`
	Text    string  `json:"text,omitempty"`
	Offset  seconds `json:"offset_seconds"`
	Length  seconds `json:"length_seconds"`
	Driver  seconds `json:"driver_seconds"`
	Count   int64   `json:"count"`
	Errors  int64   `json:"errors,omitempty"`
	Rows    int64   `json:"rows,omitempty"`
	Open    bool    `json:"open,omitempty"` // it has not ended
	Left    string  `json:"-"`              // in percent of the run
	Width   string  `json:"-"`
}

type accountView struct {
	Summary string  `json:"summary"`
	Text    string  `json:"text,omitempty"`
	Count   int64   `json:"count"`
	Errors  int64   `json:"errors"`
	Rows    int64   `json:"rows"`
	Total   seconds `json:"total_seconds"`
	Slowest seconds `json:"slowest_seconds"`
}

type taskView struct {
	Task     string           `json:"task"`
	Count    int64            `json:"count"`
	Results  map[string]int64 `json:"results"`
	P50      seconds          `json:"p50_seconds"`
	P95      seconds          `json:"p95_seconds"`
	Share    float64          `json:"database_share"` // of the time of its runs
	Last     []dotView        `json:"last"`
	Trouble  *troubleView     `json:"trouble,omitempty"`
	lastRun  uint64
	Failures int64 `json:"-"`
	Retries  int64 `json:"-"`
}

type dotView struct {
	Run      uint64  `json:"run"`
	Kept     bool    `json:"kept"`
	Result   string  `json:"result"`
	Findings bool    `json:"findings,omitempty"`
	Duration seconds `json:"duration_seconds"`
}

type troubleView struct {
	Run    uint64  `json:"run"`
	Kept   bool    `json:"kept"`
	Result string  `json:"result"`
	Error  string  `json:"error,omitempty"`
	Ago    seconds `json:"ago_seconds"`
}

type statementView struct {
	Summary    string   `json:"summary"`
	Count      int64    `json:"count"`
	Errors     int64    `json:"errors"`
	Rows       int64    `json:"rows"`
	Total      seconds  `json:"total_seconds"`
	P50        seconds  `json:"p50_seconds"`
	P95        seconds  `json:"p95_seconds"`
	Max        seconds  `json:"max_seconds"`
	Share      float64  `json:"share"` // of the time in all of them
	Tasks      []string `json:"tasks"`
	OtherTasks bool     `json:"other_tasks,omitempty"`
}

// maxListed is how many runs the view of recent ones lists.
const maxListed = 100

// view returns the view that was asked for, and false if there is no such run.
func (p *Page) view(q query) (*view, bool) {
	m := p.moment(q.view == viewStatements)
	v := &view{
		Title: p.config.title, View: q.view, Now: m.now, Since: m.since, Evicted: m.evicted,
		query: q, Refresh: int(max(0, p.config.refresh) / time.Second),
	}
	v.Counts.Running = len(m.running)
	for _, r := range m.running {
		v.Counts.Held += len(r.report.DB.Held)
		if len(r.report.Findings) > 0 {
			v.Counts.Troubled++
		}
	}
	switch q.view {
	case viewRunning:
		v.running(m)
	case viewRecent:
		v.recent(m)
	case viewStatements:
		v.statements(m)
	case viewRun:
		r := m.runs[q.run]
		if r == nil {
			return v, false
		}
		one := r.view(m)
		r.detail(&one)
		v.Run = &one
		if one.Result != resultRunning {
			v.Refresh = 0
		}
	}
	return v, true
}

// order sorts a table by the column that was asked for. by compares two entries by
// a key; without one, or with an unknown one, the order stays.
func order[T any](q query, s []T, by map[string]func(a, b *T) int) {
	key, down := strings.CutPrefix(q.sort, "-")
	compare := by[key]
	if compare == nil {
		return
	}
	sort.SliceStable(s, func(i, j int) bool {
		if down {
			i, j = j, i
		}
		return compare(&s[i], &s[j]) < 0
	})
}

func (v *view) running(m *moment) {
	v.Running = []runView{}
	for _, r := range m.running {
		if v.query.finds(r.report.Name, r.report.ID) {
			v.Running = append(v.Running, r.view(m))
		}
	}
	order(v.query, v.Running, map[string]func(a, b *runView) int{
		"task":       func(a, b *runView) int { return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.ID, b.ID)) },
		"age":        func(a, b *runView) int { return cmp.Compare(a.Duration, b.Duration) },
		"operations": func(a, b *runView) int { return cmp.Compare(a.Operations, b.Operations) },
		"held":       func(a, b *runView) int { return cmp.Compare(len(a.Held), len(b.Held)) },
	})
	v.Columns = v.query.columns(
		column{key: "task", Label: "task"}, column{Label: "doing now"}, column{key: "held", Label: "holds", Down: true},
		column{key: "operations", Label: "operations", Number: true, Down: true}, column{Label: "how far"},
		column{key: "age", Label: "age", Number: true, Down: true})
}

func (v *view) recent(m *moment) {
	v.Tasks, v.Runs = []taskView{}, []runView{}
	for i := range m.names {
		n := &m.names[i]
		if task := n.view(m); v.query.finds(n.name, task.trouble()) {
			v.Tasks = append(v.Tasks, task)
		}
		for _, r := range n.runs {
			if v.query.finds(n.name, r.report.ID, string(r.report.Result), r.report.Error) {
				v.Runs = append(v.Runs, r.view(m))
			}
		}
	}
	slices.SortFunc(v.Tasks, func(a, b taskView) int { return cmp.Compare(b.lastRun, a.lastRun) })
	slices.SortFunc(v.Runs, func(a, b runView) int { return cmp.Compare(b.Run, a.Run) })
	order(v.query, v.Tasks, map[string]func(a, b *taskView) int{
		"task":     func(a, b *taskView) int { return cmp.Compare(a.Task, b.Task) },
		"runs":     func(a, b *taskView) int { return cmp.Compare(a.Count, b.Count) },
		"failures": func(a, b *taskView) int { return cmp.Compare(a.Failures, b.Failures) },
		"p50":      func(a, b *taskView) int { return cmp.Compare(a.P50, b.P50) },
		"p95":      func(a, b *taskView) int { return cmp.Compare(a.P95, b.P95) },
		"share":    func(a, b *taskView) int { return cmp.Compare(a.Share, b.Share) },
	})
	if len(v.Runs) > maxListed {
		v.MoreRuns = len(v.Runs) - maxListed
		v.Runs = v.Runs[:maxListed]
	}
	v.Columns = v.query.columns(
		column{key: "task", Label: "task"}, column{Label: "last results"},
		column{key: "runs", Label: "runs", Number: true, Down: true}, column{key: "failures", Label: "failed", Number: true, Down: true},
		column{key: "p50", Label: "p50", Number: true, Down: true}, column{key: "p95", Label: "p95", Number: true, Down: true},
		column{key: "share", Label: "in database", Number: true, Down: true}, column{Label: "last failure"})
}

func (v *view) statements(m *moment) {
	v.Statements = []statementView{}
	var all time.Duration
	for _, s := range m.usage {
		all += s.total
	}
	for _, s := range m.usage.sorted() {
		w := statementView{
			Summary: s.summary, Count: s.count, Errors: s.errors, Rows: s.rows, Total: seconds(s.total),
			P50: seconds(s.quantile(50)), P95: seconds(s.quantile(95)), Max: seconds(s.slowest), OtherTasks: s.others,
		}
		if all > 0 {
			w.Share = float64(s.total) / float64(all)
		}
		for task := range s.tasks {
			w.Tasks = append(w.Tasks, task)
		}
		slices.SortFunc(w.Tasks, func(a, b string) int {
			return cmp.Or(cmp.Compare(s.tasks[b], s.tasks[a]), cmp.Compare(a, b))
		})
		if v.query.finds(append(w.Tasks, w.Summary)...) {
			v.Statements = append(v.Statements, w)
		}
	}
	order(v.query, v.Statements, map[string]func(a, b *statementView) int{
		"statement": func(a, b *statementView) int { return cmp.Compare(a.Summary, b.Summary) },
		"share":     func(a, b *statementView) int { return cmp.Compare(a.Total, b.Total) },
		"total":     func(a, b *statementView) int { return cmp.Compare(a.Total, b.Total) },
		"count":     func(a, b *statementView) int { return cmp.Compare(a.Count, b.Count) },
		"errors":    func(a, b *statementView) int { return cmp.Compare(a.Errors, b.Errors) },
		"rows":      func(a, b *statementView) int { return cmp.Compare(a.Rows, b.Rows) },
		"p50":       func(a, b *statementView) int { return cmp.Compare(a.P50, b.P50) },
		"p95":       func(a, b *statementView) int { return cmp.Compare(a.P95, b.P95) },
		"max":       func(a, b *statementView) int { return cmp.Compare(a.Max, b.Max) },
	})
	number := func(key string) column { return column{key: key, Label: key, Number: true, Down: true} }
	v.Columns = v.query.columns(column{key: "statement", Label: "statement"},
		number("share"), number("total"), number("count"), number("errors"), number("rows"),
		number("p50"), number("p95"), number("max"), column{Label: "tasks"})
}

const resultRunning = "running"

// view returns what all views have of a run.
func (r *run) view(m *moment) runView {
	p, db := &r.report, &r.report.DB
	end := p.Start.Add(p.Duration)
	v := runView{
		Run: r.id, Task: p.Name, ID: p.ID, Attempt: p.Attempt, MaxAttempts: p.MaxAttempts,
		Result: cmp.Or(string(p.Result), resultRunning), Start: p.Start, Duration: seconds(p.Duration),
		Operations: db.Operations, Errors: db.Errors, Rows: db.Rows, Database: seconds(db.Duration), Wait: seconds(db.Wait),
		Error: p.Error, ErrorType: p.ErrorType, Retryable: p.Retryable, Found: len(p.Findings),
	}
	if p.Span.IsValid() {
		v.TraceID, v.SpanID = p.Span.TraceID().String(), p.Span.SpanID().String()
	}
	for _, h := range db.Held {
		v.Held = append(v.Held, heldView{string(h.Kind), h.Summary, seconds(max(0, end.Sub(h.Since))), seconds(h.Idle)})
	}
	for i := range p.Findings {
		v.Findings = append(v.Findings, viewOf(&p.Findings[i]))
	}
	if p.Done > 0 || p.Total > 0 {
		v.Progress = progress(p)
	}
	p50, p95, of := m.name(p.Name).quantiles()
	if of > 0 {
		v.History = &historyView{Of: of, P50: seconds(p50), P95: seconds(p95)}
	}
	if p.Result != "" {
		return v
	}
	if of > 0 && p95 > 0 {
		v.History.Ratio = float64(p.Duration) / float64(p95)
	}
	for _, op := range db.InProgress {
		v.Now = append(v.Now, operationView{op.Summary, op.Text, seconds(max(0, end.Sub(op.Since)))})
	}
	if len(r.bars) > 0 {
		quiet := seconds(max(0, end.Sub(r.last)))
		v.Quiet = &quiet
		last := slices.MaxFunc(r.bars, func(a, b bar) int { return a.end.Compare(b.end) })
		v.quiet = last.label()
	}
	return v
}

// progress returns how far a run is.
func progress(p *worker.Report) *progressView {
	v := &progressView{Done: p.Done, Total: p.Total}
	if p.Total <= 0 {
		return v
	}
	part := min(1, float64(max(0, p.Done))/float64(p.Total))
	v.Percent = int(100 * part)
	if part > 0 && p.Result == "" {
		if left := p.Duration.Seconds() * (1 - part) / part; left < maxLeft.Seconds() {
			d := seconds(left * float64(time.Second))
			v.Left = &d
		}
	}
	return v
}

// maxLeft is from where on it makes no sense to estimate when a run will be done.
const maxLeft = 365 * 24 * time.Hour

func viewOf(f *worker.Finding) findingView {
	v := findingView{
		Kind: string(f.Kind), Summary: f.Summary, Text: f.Text, Count: f.Count, Rows: f.Rows, Slowest: seconds(f.Slowest),
		Pool: f.Pool, Location: f.Location.String(), Function: f.Location.Function, Stack: f.Location.Stack,
	}
	switch f.Kind {
	case worker.FindingRepeatedStatement:
		v.Says = "ran " + number(f.Count) + " times"
	case worker.FindingRowsLeaked:
		v.Says = plural(f.Count, "result set") + " left open, " + plural(f.Rows, "row") + " read"
	case worker.FindingSlowStatement:
		v.Says = plural(f.Count, "slow statement") + ", the slowest " + v.Slowest.String()
	default:
		v.Says = plural(f.Count, "time")
		if f.Slowest > 0 {
			v.Says += ", the longest " + v.Slowest.String()
		}
	}
	return v
}

// detail adds what the view of one run has.
func (r *run) detail(v *runView) {
	p := &r.report
	v.More = r.more
	for i := range p.DB.Statements {
		s := &p.DB.Statements[i]
		v.Accounts = append(v.Accounts, accountView{s.Summary, s.Text, s.Count, s.Errors, s.Rows, seconds(s.Total), seconds(s.Slowest)})
	}
	place := func(d time.Duration) float64 {
		return min(100, max(0, 100*d.Seconds()/max(p.Duration.Seconds(), 1e-9)))
	}
	bars := r.bars
	for _, op := range p.DB.InProgress {
		bars = append(bars[:len(bars):len(bars)], bar{summary: op.Summary, text: op.Text, start: op.Since, end: p.Start.Add(p.Duration), count: 1})
	}
	for _, h := range p.DB.Held {
		bars = append(bars[:len(bars):len(bars)], bar{summary: strings.TrimSpace(string(h.Kind) + " " + h.Summary), start: h.Since, end: p.Start.Add(p.Duration), count: 1})
	}
	for i := range bars {
		b := &bars[i]
		left, right := place(b.start.Sub(p.Start)), place(b.end.Sub(p.Start))
		left = min(left, 99.6)
		v.Bars = append(v.Bars, barView{
			Summary: b.label(), Text: b.text, Offset: seconds(max(0, b.start.Sub(p.Start))), Length: seconds(b.end.Sub(b.start)),
			Driver: seconds(b.total), Count: b.count, Errors: b.errors, Rows: b.rows, Open: i >= len(r.bars),
			Left: fmt.Sprintf("%.2f%%", left), Width: fmt.Sprintf("%.2f%%", max(0.4, right-left)),
		})
	}
}

// label returns the summary of a bar.
func (b *bar) label() string {
	if b.several {
		return otherStatements
	}
	return cmp.Or(b.summary, "(no summary)")
}

func (n *name) view(m *moment) taskView {
	p50, p95, _ := n.quantiles()
	v := taskView{Task: n.name, Results: make(map[string]int64), P50: seconds(p50), P95: seconds(p95), lastRun: n.lastID()}
	for result, count := range n.results {
		v.Results[string(result)] = count
		v.Count += count
		switch result {
		case worker.ResultFailure, worker.ResultTimeout, worker.ResultPanic:
			v.Failures += count
		case worker.ResultRetry:
			v.Retries += count
		}
	}
	if n.total > 0 {
		v.Share = float64(n.database) / float64(n.total)
	}
	for _, d := range n.dots {
		v.Last = append(v.Last, dotView{d.id, m.runs[d.id] != nil, string(d.result), d.findings, seconds(d.duration)})
	}
	if t := n.trouble; t != nil {
		v.Trouble = &troubleView{t.id, m.runs[t.id] != nil, t.result, t.error, seconds(max(0, m.now.Sub(t.at)))}
	}
	return v
}

func (v *taskView) trouble() string {
	if v.Trouble == nil {
		return ""
	}
	return v.Trouble.Error
}
