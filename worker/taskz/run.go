package taskz

import (
	"slices"
	"time"
	"unsafe"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/worker"
)

// run is a run that has ended, or a running one at some moment. A kept one never
// changes.
type run struct {
	id     uint64
	report worker.Report
	bars   []bar
	last   time.Time // when its last statement ended; zero: unknown
	more   int       // statements, by text, that were left out
}

// bar is a bar of the waterfall.
type bar struct {
	summary, text       string
	start, end          time.Time
	count, errors, rows int64
	total               time.Duration
	several             bool // of more than one text
}

// maxStatements is how many statements of a run are kept, by text.
const maxStatements = 200

func newRun(id uint64, r worker.Report, log *ledger.Log) *run {
	n := &run{id: id, report: r, last: log.Last}
	if all := len(r.DB.Statements); all > maxStatements {
		n.report.DB.Statements, n.more = slices.Clone(r.DB.Statements[:maxStatements]), all-maxStatements
	}
	n.bars = make([]bar, len(log.Bars))
	for i, b := range log.Bars {
		n.bars[i] = bar{
			start: b.Start, end: b.End, total: b.Total,
			count: b.Count, errors: b.Errors, rows: b.Rows, several: b.Text == nil,
		}
		if b.Text != nil {
			n.bars[i].summary, n.bars[i].text = b.Summary, b.SQL
		}
	}
	return n
}

// texts calls f for each text of the run, which f may replace.
func (r *run) texts(f func(*string)) {
	f(&r.report.Name)
	f(&r.report.ID)
	f(&r.report.Error)
	f(&r.report.ErrorType)
	for i := range r.report.DB.Statements {
		s := &r.report.DB.Statements[i]
		f(&s.Summary)
		f(&s.Text)
	}
	for i := range r.report.DB.Held {
		f(&r.report.DB.Held[i].Summary)
	}
	for i := range r.report.Findings {
		n := &r.report.Findings[i]
		f(&n.Summary)
		f(&n.Text)
		f(&n.Pool)
		f(&n.Location.File)
		f(&n.Location.Function)
		f(&n.Location.Stack)
	}
	for i := range r.bars {
		f(&r.bars[i].summary)
		f(&r.bars[i].text)
	}
}

// size returns how many bytes the run takes, its texts not counted.
func (r *run) size() int {
	db := &r.report.DB
	return int(unsafe.Sizeof(*r)) + cap(r.bars)*int(unsafe.Sizeof(bar{})) +
		cap(db.Statements)*int(unsafe.Sizeof(worker.StatementReport{})) +
		cap(db.Held)*int(unsafe.Sizeof(worker.HeldReport{})) +
		cap(r.report.Findings)*int(unsafe.Sizeof(worker.Finding{}))
}

// keep makes the run share no memory with others.
func (r *run) keep() {
	db := &r.report.DB
	db.InProgress = nil // there is none at the end
	db.Statements, db.Held = exact(db.Statements), exact(db.Held)
	r.report.Findings = exact(r.report.Findings)
}

// exact returns a copy without room.
func exact[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	out := make([]T, len(s))
	copy(out, s)
	return out
}

// troubled reports whether somebody may want to look at the run.
func (r *run) troubled() bool {
	switch r.report.Result {
	case worker.ResultSuccess, worker.ResultSkip, "":
		return len(r.report.Findings) > 0 || r.report.DB.Errors > 0
	}
	return true
}
