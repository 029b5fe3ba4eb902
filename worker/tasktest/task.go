package tasktest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/worker"
)

// maxListed is how many statements a message lists.
const maxListed = 20

// Task is one run of a task. Its methods are assertions: each fails the test if it
// does not hold, and returns the Task.
type Task struct {
	// Report is what is known of the run.
	Report worker.Report
	// Err is what Run returned for it. It is nil for runs that [Harness.Task]
	// returned.
	Err error

	h   *Harness
	run run
}

// Succeeds asserts that the task succeeded. A task that was skipped did not.
func (t *Task) Succeeds() *Task {
	t.h.tb.Helper()
	if t.Report.Result != worker.ResultSuccess {
		t.fail("the result is %s, want success", t.Report.Result)
	}
	return t
}

// Fails asserts that the task failed, with an error of that kind and code: a
// failure, a timeout, a panic, or an attempt that is to be retried. The code is the
// database's own, such as "23505"; an empty one stands for any.
func (t *Task) Fails(kind errs.Kind, code string) *Task {
	t.h.tb.Helper()
	r := &t.Report
	switch r.Result {
	case worker.ResultFailure, worker.ResultTimeout, worker.ResultPanic, worker.ResultRetry:
		if r.ErrorKind != kind || code != "" && r.ErrorType != code {
			t.fail("the task failed with %s, want %s", class(r.ErrorKind, r.ErrorType), class(kind, code))
		}
	default:
		t.fail("the result is %s, want a failure with %s", r.Result, class(kind, code))
	}
	return t
}

func class(kind errs.Kind, code string) string {
	if code == "" {
		return kind.String()
	}
	return kind.String() + " (" + code + ")"
}

// MaxStatements asserts that the task, and the tasks within it, ran at most n
// statements. BEGIN, COMMIT and the like are none.
func (t *Task) MaxStatements(n int) *Task {
	t.h.tb.Helper()
	count := t.run.statements
	if count <= int64(n) {
		return t
	}
	var list string
	if ops := t.h.within(t.run.ledger); len(ops) > n {
		list = "; those beyond:" + listing(ops[max(0, n):])
	}
	t.fail("%s, want at most %d%s", plural(count), n, list)
	return t
}

// NoRepeats asserts that no statement ran once for each of several rows: that the
// task has no finding [worker.FindingRepeatedStatement]. From how many runs of one
// text on there is one, is for [New] to say.
func (t *Task) NoRepeats() *Task {
	t.h.tb.Helper()
	return t.none("statements were repeated", worker.FindingRepeatedStatement)
}

// NoLeaks asserts that the task left neither rows nor transactions open. Rows and transactions that a
// task within another leaves open are the outermost one's leak.
func (t *Task) NoLeaks() *Task {
	t.h.tb.Helper()
	return t.none("connections were leaked", worker.FindingRowsLeaked, worker.FindingTransactionLeaked)
}

// none asserts that there are no findings of some kinds.
func (t *Task) none(what string, kinds ...worker.FindingKind) *Task {
	t.h.tb.Helper()
	var list strings.Builder
	for i := range t.Report.Findings {
		f := &t.Report.Findings[i]
		for _, k := range kinds {
			if f.Kind == k {
				fmt.Fprintf(&list, "\n    %s", f.String())
			}
		}
	}
	if list.Len() > 0 {
		t.fail("%s:%s", what, list.String())
	}
	return t
}

// fail fails the test. If the report hides a part of the error, the message has it
// in full.
func (t *Task) fail(format string, args ...any) {
	t.h.tb.Helper()
	var err string
	if t.Err != nil && t.Err.Error() != t.Report.Error {
		err = fmt.Sprintf("\nthe error: %v", t.Err)
	}
	t.h.tb.Errorf("task %s: %s%s\n%s", t.Report.Name, fmt.Sprintf(format, args...), err, t.Report)
}

// NoStatementsOutside asserts that every statement since the first task began ran
// within a task: one that was called with another context than its task's, or after
// its task had ended, did not. Statements before the first task prepared the test.
//
// It sees the databases that [Harness.Open] has opened.
func (h *Harness) NoStatementsOutside() {
	h.tb.Helper()
	if ops := h.outside(); len(ops) > 0 {
		h.tb.Errorf("%s ran outside of tasks; pass each the context of its task:%s", plural(int64(len(ops))), listing(ops))
	}
}

func plural(n int64) string {
	if n == 1 {
		return "1 statement"
	}
	return strconv.FormatInt(n, 10) + " statements"
}

// listing returns a line for each operation.
func listing(ops []operation) string {
	var b strings.Builder
	for i, op := range ops {
		if i == maxListed {
			fmt.Fprintf(&b, "\n    and %d more", len(ops)-i)
			break
		}
		fmt.Fprintf(&b, "\n    %s", op.summary)
		if at := op.location(); at.File != "" {
			fmt.Fprintf(&b, " at %s (%s)", at, at.Function)
		}
	}
	return b.String()
}
