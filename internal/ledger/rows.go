package ledger

// Leak is a result set that was still open when the outermost task ended.
type Leak struct {
	Summary string // the statement's db.query.summary
	Rows    int64  // rows read from it until then
}

// Leaker is an open result set that can be told that its task is over.
type Leaker interface {
	// EndLeaked ends the span of the result set and returns what is known of
	// it. It returns false if the result set ended by itself in the meantime.
	// It is called at most once, from the goroutine that ends the outermost
	// task, while another one may be using the rows: it must not touch the
	// driver, and must not call Open or Close on the ledger. It may call
	// Record: the task's account is still open.
	EndLeaked() (Leak, bool)
}

// OpenRows is a place in the list of open result sets. The zero value is not
// in a list. It is meant to be embedded, so that listing costs no allocation.
type OpenRows struct {
	prev, next *OpenRows
	rows       Leaker
	owner      *Ledger
}

// Open lists rows until [Ledger.Close] or until the outermost task ends. It
// does nothing once that task has ended.
func (l *Ledger) Open(n *OpenRows, rows Leaker) {
	if l == nil {
		return
	}
	r := l.root()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || n.owner != nil {
		return
	}
	n.rows, n.owner = rows, r
	if n.prev = r.newest; n.prev != nil {
		n.prev.next = n
	} else {
		r.first = n
	}
	r.newest = n
}

// Close takes rows off the list that they are in, if any, whichever tree of
// tasks l belongs to. It must not be called at the same time as Open.
func (*Ledger) Close(n *OpenRows) {
	r := n.owner
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n.unlink()
}

// unlink takes n off the list of its owner, whose mutex the caller holds.
func (n *OpenRows) unlink() {
	if n.rows == nil {
		return // not listed any more
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		n.owner.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		n.owner.newest = n.prev
	}
	n.prev, n.next, n.rows = nil, nil, nil
}

// unlistRows takes all result sets off the list. From then on none is listed.
// The caller holds l.mu.
func (l *Ledger) unlistRows() []Leaker {
	l.closed = true
	var open []Leaker
	for l.first != nil {
		open = append(open, l.first.rows)
		l.first.unlink()
	}
	return open
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
