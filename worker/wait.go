package worker

import (
	"context"
	"errors"

	"github.com/taskspan/taskspan/internal/ledger"
)

// giveUp adds to the account of a task that has failed with a context's error what
// it waited for a connection in vain. The context need not be the task's own: one
// with a shorter timeout makes it a failure.
func (t *task) giveUp(err error) {
	if !ledger.HasPools() {
		return
	}
	defer scope.Guard("an error")
	nodes := 0
	if joined(nil, err, &nodes); nodes > maxErrorNodes {
		return // errors.Is may not come back
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.ledger.GiveUp()
	}
}
