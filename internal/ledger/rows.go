package ledger

import "sync/atomic"

// Leak is a result set that was still open when its task and all tasks around
// that one had ended.
type Leak struct {
	Summary string // the statement's db.query.summary
	Rows    int64  // rows read from it until then
}

// Leaker is an open result set that can be told that its task is over.
type Leaker interface {
	// EndLeaked ends the span of the result set and returns what is known of
	// it. It returns false if the result set ended by itself in the meantime.
	// It is called at most once, from the goroutine that ends the last of the
	// tasks, while another one may be using the rows: it must not touch the
	// driver, and must not call Open, Close or RecordRows on the ledger. It may call
	// Record: the task's account is still open.
	EndLeaked() (Leak, bool)
}

// OpenRows is a place in the list of open result sets. The zero value is not
// in a list. It is meant to be embedded, so that listing costs no allocation.
type OpenRows struct {
	prev, next *OpenRows
	rows       Leaker
	opener     *Ledger

	// Whose list it is in, or was in last. It changes under the mutex of the
	// one that it changes from.
	owner atomic.Pointer[Ledger]
}

// Open lists rows until [Ledger.Close] or [Ledger.RecordRows], or until l's task and all those around
// it have ended. It does nothing once they have.
func (l *Ledger) Open(n *OpenRows, rows Leaker) {
	if l == nil || n.owner.Load() != nil {
		return
	}
	n.rows, n.opener = rows, l
	for r := l.outermost(nil); r != nil; r = l.outermost(nil) {
		if r.list(n) {
			return
		}
	}
	n.rows, n.opener = nil, nil
}

// list reports whether l's task had not ended, so that n is listed.
func (l *Ledger) list(n *OpenRows) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return false
	}
	if n.prev = l.newest; n.prev != nil {
		n.prev.next = n
	} else {
		l.first = n
	}
	l.newest = n
	n.owner.Store(l)
	return true
}

// Close takes rows off the list that they are in, if any, whichever tree of
// tasks l belongs to. It must not be called at the same time as Open.
func (*Ledger) Close(n *OpenRows) {
	for r := n.owner.Load(); r != nil; r = n.owner.Load() {
		if r.unlist(n) {
			return
		}
	}
}

// unlist reports whether n was l's, and not handed on in the meantime.
func (l *Ledger) unlist(n *OpenRows) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unlistLocked(n)
}

func (l *Ledger) unlistLocked(n *OpenRows) bool {
	if n.owner.Load() != l {
		return false
	}
	if n.rows != nil {
		l.unlink(n)
		n.rows = nil
	}
	return true
}

// unlink takes n out of l's list. The caller holds l.mu.
func (l *Ledger) unlink(n *OpenRows) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.newest = n.prev
	}
	n.prev, n.next = nil, nil
}

// unlistRows takes all result sets off the list of a ledger whose task ends,
// hands those on that were opened within a task that is running, and returns the
// others. The caller holds l.mu. The mutexes of tasks within l's may be taken
// under it, and never the other way round.
func (l *Ledger) unlistRows() []Leaker {
	var open []Leaker
	for n := l.first; n != nil; n = l.first {
		l.unlink(n)
		if !n.handOn(l) {
			open = append(open, n.rows)
			n.rows = nil
		}
	}
	return open
}

// handOn reports whether there is a running task within from's to list n in.
func (n *OpenRows) handOn(from *Ledger) bool {
	for heir := n.opener.outermost(from); heir != nil; heir = n.opener.outermost(from) {
		if heir.list(n) {
			return true
		}
	}
	return false
}

func endLeaked(open []Leaker) []Leak {
	var leaks []Leak
	for _, rows := range open {
		if leak, ok := rows.EndLeaked(); ok {
			leaks = append(leaks, leak)
		}
	}
	return leaks
}
