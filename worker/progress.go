package worker

import (
	"context"

	"github.com/taskspan/taskspan/internal/ledger"
)

// Progress reports how far the task in ctx is: done of total, in whatever the task
// counts. It is for the reports of the task, and for what [WithStillRunning]
// logs. A total of zero stands for one that is not known. It costs little
// enough for each turn of a loop, and does nothing without a task in ctx.
//
// Progress may be called concurrently; the last call counts.
func Progress(ctx context.Context, done, total int64) {
	if ctx == nil {
		return
	}
	if t := taskOf(ledger.FromContext(ctx)); t != nil {
		n := t.note()
		n.total.Store(total)
		n.done.Store(done)
	}
}
