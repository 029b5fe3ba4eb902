package taskz

import (
	"cmp"
	"slices"
	"time"
	"unsafe"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/worker"
)

const (
	maxNames     = 64
	maxRuns      = 20 // of each name
	maxPlain     = 10 // of these, if others are worth more
	maxSlowest   = 3  // of each name are worth more
	maxDurations = 100
	maxSummaries = 1000
	maxTasks     = 8        // that a summary names
	maxSize      = 29 << 20 // as counted, which is 32 MiB of the heap
)

// history is what a page keeps.
type history struct {
	since   time.Time
	names   map[string]*name
	runs    map[uint64]*run
	ids     map[*ledger.Ledger]uint64 // of the running tasks that were shown
	last    uint64                    // id
	texts   texts
	size    int // of runs and statements, their texts not counted
	usage   usage
	evicted int64 // runs that made room before their time
}

// name is what is kept of the runs with one name.
type name struct {
	name    string
	first   time.Time
	runs    []*run // by their ends
	results map[worker.Result]int64
	dots    []dot // the last results
	trouble *trouble

	durations []time.Duration // of the last successes
	next      int             // the oldest of them
	total     time.Duration
	database  time.Duration
}

// dot is the result of a run.
type dot struct {
	id       uint64
	result   worker.Result
	findings bool
	duration time.Duration
}

// trouble is the last failure of a name.
type trouble struct {
	id            uint64
	at            time.Time
	error, result string
}

func newHistory(now time.Time) history {
	return history{
		since: now,
		names: make(map[string]*name),
		runs:  make(map[uint64]*run),
		ids:   make(map[*ledger.Ledger]uint64),
		texts: texts{all: make(map[string]*text)},
		usage: make(usage),
	}
}

// id returns the number of a run.
func (h *history) id(l *ledger.Ledger) uint64 {
	id, ok := h.ids[l]
	if !ok {
		h.last++
		id = h.last
		h.ids[l] = id
	}
	return id
}

// add adds a run that has ended.
func (h *history) add(l *ledger.Ledger, r *run, statements []ledger.Logged) {
	r.id = h.id(l)
	delete(h.ids, l)
	r.keep()
	r.texts(func(s *string) { *s = h.texts.use(*s) })
	h.size += r.size()
	h.runs[r.id] = r

	n := h.name(r.report.Name)
	n.add(r, &h.texts)
	h.size += h.usage.add(n.name, statements, &h.texts)
	for len(n.runs) > maxRuns {
		h.drop(n, n.least())
	}
	for h.size+h.texts.size > maxSize && h.makeRoom() {
		h.evicted++
	}
}

// name returns that name. If there are too many, the one that ended longest ago is
// forgotten.
func (h *history) name(s string) *name {
	if n := h.names[s]; n != nil {
		return n
	}
	if len(h.names) >= maxNames {
		var oldest *name
		for _, n := range h.names {
			if oldest == nil || n.lastID() < oldest.lastID() {
				oldest = n
			}
		}
		h.forget(oldest)
	}
	n := &name{name: h.texts.use(s), first: time.Now(), results: make(map[worker.Result]int64)}
	h.names[n.name] = n
	return n
}

func (h *history) forget(n *name) {
	for len(n.runs) > 0 {
		h.drop(n, 0)
	}
	if n.trouble != nil {
		h.texts.drop(n.trouble.error)
	}
	delete(h.names, n.name)
	h.texts.drop(n.name)
}

// drop drops the run at that place.
func (h *history) drop(n *name, i int) {
	r := n.runs[i]
	n.runs = slices.Delete(n.runs, i, i+1)
	delete(h.runs, r.id)
	h.size -= r.size()
	r.texts(func(s *string) { h.texts.drop(*s) })
}

// makeRoom drops the run that is missed least: the oldest plain one, or else the
// oldest. It reports whether there was one.
func (h *history) makeRoom() bool {
	var in *name
	var at int
	for _, n := range h.names {
		if len(n.runs) == 0 {
			continue
		}
		i := n.least()
		if in == nil || older(n.runs[i], in.runs[at]) {
			in, at = n, i
		}
	}
	if in == nil {
		return false
	}
	h.drop(in, at)
	return true
}

func older(a, b *run) bool {
	if x, y := a.troubled(), b.troubled(); x != y {
		return y
	}
	return a.id < b.id
}

// least returns the place of the run that is missed least: the oldest plain one if
// there are enough of them, or else the oldest.
func (n *name) least() int {
	slow := n.slow()
	oldest, plain := -1, 0
	for i, r := range n.runs {
		if r.troubled() || r.report.Duration >= slow {
			continue
		}
		if oldest < 0 {
			oldest = i
		}
		plain++
	}
	if plain > maxPlain || plain == len(n.runs) {
		return oldest
	}
	for i, r := range n.runs { // troubled or slow
		if r.troubled() || r.report.Duration >= slow {
			return i
		}
	}
	return 0
}

// slow returns how long the slowest few of the runs took at least: those that are
// odd, and so took twice the median.
func (n *name) slow() time.Duration {
	ds := make([]time.Duration, len(n.runs))
	for i, r := range n.runs {
		ds[i] = r.report.Duration
	}
	slices.Sort(ds)
	return max(ds[max(0, len(ds)-maxSlowest)], 2*ds[len(ds)/2], 1)
}

func (n *name) lastID() uint64 {
	if len(n.dots) == 0 {
		return 0
	}
	return n.dots[len(n.dots)-1].id
}

func (n *name) add(r *run, t *texts) {
	n.runs = append(n.runs, r)
	n.results[r.report.Result]++
	n.total += r.report.Duration
	n.database += r.report.DB.Duration
	if len(n.dots) == maxRuns {
		n.dots = slices.Delete(n.dots, 0, 1)
	}
	n.dots = append(n.dots, dot{r.id, r.report.Result, len(r.report.Findings) > 0, r.report.Duration})
	switch r.report.Result {
	case worker.ResultSuccess:
		if len(n.durations) < maxDurations {
			n.durations = append(n.durations, r.report.Duration)
		} else {
			n.durations[n.next] = r.report.Duration
		}
		n.next = (n.next + 1) % maxDurations
	case worker.ResultSkip:
	default:
		if n.trouble != nil {
			t.drop(n.trouble.error)
		}
		n.trouble = &trouble{r.id, r.report.Start.Add(r.report.Duration), t.use(r.report.Error), string(r.report.Result)}
	}
}

// quantiles returns p50 and p95 of the last successes, and how many these are.
func (n *name) quantiles() (p50, p95 time.Duration, of int) {
	if n == nil || len(n.durations) == 0 {
		return 0, 0, 0
	}
	ds := slices.Clone(n.durations)
	slices.Sort(ds)
	at := func(percent int) time.Duration { return ds[(len(ds)*percent+99)/100-1] }
	return at(50), at(95), len(ds)
}

// usage is the account of all statements, by summary.
type usage map[string]*statement

// statement is the account of the statements with one summary.
type statement struct {
	summary             string
	count, errors, rows int64
	total, slowest      time.Duration
	times               ledger.Histogram
	tasks               map[string]int64 // statements by the name of the task
	others              bool             // there are more tasks
}

// otherStatements is the summary of those for which there is no room.
const otherStatements = "(others)"

// add adds statements of a task. It returns how many bytes were added.
func (u usage) add(task string, statements []ledger.Logged, t *texts) (size int) {
	for i := range statements {
		l := &statements[i]
		s := u[cut(l.Summary, maxText)]
		if s == nil {
			summary := l.Summary
			if len(u) >= maxSummaries {
				summary = otherStatements
			}
			if s = u[summary]; s == nil {
				s = &statement{summary: summary, tasks: make(map[string]int64)}
				if t != nil {
					s.summary = t.use(summary)
				}
				u[s.summary] = s
				size += int(unsafe.Sizeof(*s)) + 512 // the entries of the maps
			}
		}
		s.add(l)
		if _, ok := s.tasks[task]; ok || len(s.tasks) < maxTasks {
			s.tasks[task] += l.Count
		} else {
			s.others = true
		}
	}
	return size
}

func (s *statement) add(l *ledger.Logged) {
	s.count += l.Count
	s.errors += l.Errors
	s.rows += l.Rows
	s.total += l.Total
	s.slowest = max(s.slowest, l.Slowest)
	for i, c := range l.Times {
		s.times[i] += c
	}
}

// clone returns a copy.
func (u usage) clone() usage {
	out := make(usage, len(u))
	for k, s := range u {
		own := *s
		own.tasks = make(map[string]int64, len(s.tasks))
		for task, n := range s.tasks {
			own.tasks[task] = n
		}
		out[k] = &own
	}
	return out
}

// quantile returns about the duration that percent of the statements take at most.
func (s *statement) quantile(percent int64) time.Duration {
	rank := (s.count*percent + 99) / 100
	var below int64
	for i, c := range s.times {
		n := int64(c)
		if n > 0 && below+n >= rank {
			lower, width := ledger.Bounds(i)
			return min(lower+time.Duration(float64(width)*float64(rank-below)/float64(n)), s.slowest)
		}
		below += n
	}
	return s.slowest
}

// sorted returns the statements, the longest total first.
func (u usage) sorted() []*statement {
	out := make([]*statement, 0, len(u))
	for _, s := range u {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *statement) int {
		return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.summary, b.summary))
	})
	return out
}
