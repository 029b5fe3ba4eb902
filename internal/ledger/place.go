package ledger

import (
	"sync/atomic"
	"time"
)

// Place is the place of something that is open in the list of a ledger: an
// operation in which a driver is at work, a result set, or a transaction. The
// zero value is not in a list. It is meant to be embedded where the operation is
// kept anyway, so that listing costs no allocation; it may be used again once it
// is off the list.
//
// Its methods, and those of [Ledger] that take it, must not be called
// concurrently with each other for one place.
type Place struct {
	prev, next *Place
	opener     *Ledger // the task that it was opened in
	text       *Text
	site       Site
	leaker     Leaker // once holds is set

	holds atomic.Uint32 // one of the constants below

	// Whose list it is in, nil if in none. It changes under the mutex of the one
	// that it changes from.
	owner atomic.Pointer[Ledger]

	// It began that long after since, which nobody adds up without need.
	since time.Time
	after time.Duration

	tx          *Transaction // that the operation is a part of, or that this is the place of
	transaction bool
}

// Whether something that is open keeps a connection while no driver is at work.
const (
	holdsNothing uint32 = iota
	mayHold             // nobody knows whether a driver is at work
	holds
)

// Leaker is a result set or a transaction that is notified when its task is over.
type Leaker interface {
	// EndLeaked reports whether it is a leak: it is still open, and nobody is
	// closing it. A result set that is one ends its span, and returns how many
	// rows were read from it.
	//
	// It is called at most once, from the goroutine that ends the last of the
	// tasks, while another one may be using it: it must not touch the driver, and
	// must not call Begin, Hold, Leave or End on the ledger. It may call Record: the
	// task's account is still open.
	EndLeaked() (rows int64, leaked bool)
}

// Leak is a result set or a transaction that was still open when its task and all
// tasks around that one had ended.
type Leak struct {
	*Text       // of the query, or of the last statement of the transaction
	Transaction bool
	Rows        int64 // rows read until then
	Site        Site  // where it was opened, if such a one had leaked before
}

// Begin lists an operation that begins, as a part of a transaction if tx is not
// nil. It began that long after since, which may be any time. It is listed until
// [Ledger.End] or [Place.Leave], or until l's task and all those around it have ended.
func (l *Ledger) Begin(p *Place, tx *Transaction, text *Text, since time.Time, after time.Duration) {
	if p.owner.Load() != nil {
		return
	}
	if tx != nil && tx.ledger == nil {
		tx = nil
	}
	p.since, p.after, p.tx, p.transaction = since, after, tx, false
	if p.holds.Load() != holdsNothing { // nobody has to be notified that it has ended
		p.holds.Store(holdsNothing)
	}
	if tx != nil {
		tx.enter(text, p.began())
	}
	l.begin(p, text)
}

func (l *Ledger) begin(p *Place, text *Text) {
	var outermost *Ledger
	watched := false
	for a := l; a != nil; a = a.parent {
		if !a.closed.Load() {
			outermost = a
			watched = watched || a.watched.Load()
		}
	}
	if outermost == nil {
		return
	}
	if watched {
		l.locate(text)
	}
	p.opener, p.text, p.site = l, text, nil
	if leaked.has(p) {
		p.site = l.call()
	}
	for !outermost.list(p) {
		if outermost = l.outermost(nil); outermost == nil {
			p.opener, p.text, p.site = nil, nil, nil
			return
		}
	}
}

// Listed reports whether a task has the operation in its list.
func (p *Place) Listed() bool { return p.owner.Load() != nil }

// Hold records that the operation has returned a result set that is open: from now
// on it is a leak if nobody ends it.
func (p *Place) Hold(leaker Leaker) {
	p.leaker = leaker
	p.holds.Store(holds)
}

// MayHold records that the operation may return a result set, and that nobody will know when:
// it is a leak if nobody ends it, and is in progress until then.
func (p *Place) MayHold(leaker Leaker) {
	p.leaker = leaker
	p.holds.Store(mayHold)
}

// began returns when the operation began.
func (p *Place) began() time.Time { return p.since.Add(p.after) }

// Leave takes an operation off the list that it is in, without an entry.
func (p *Place) Leave() { p.leave(p.began()) }

func (p *Place) leave(at time.Time) {
	for owner := p.owner.Load(); owner != nil; owner = p.owner.Load() {
		owner.unlist(p)
	}
	p.leaker = nil
	if tx := p.tx; tx != nil {
		p.tx = nil // behind the list: a task that ends reads it as long as p is listed
		if !p.transaction {
			tx.leave(at)
		}
	}
}

// End is [Ledger.Record] and [Place.Leave] for the operation that e is the entry
// of. In l's own list it locks no more than Record does.
func (l *Ledger) End(p *Place, e Entry) (folded bool) {
	for judged := false; l != nil; l = l.parent {
		l.mu.Lock()
		if p.owner.Load() == l {
			l.unlistLocked(p)
		}
		judged = l.recordLocked(&e, judged) || judged
		l.mu.Unlock()
	}
	if p.tx != nil || p.owner.Load() != nil {
		p.leave(p.began().Add(e.Length))
	} else {
		p.leaker = nil
	}
	return e.done()
}

// outermost returns the ledger of the outermost running task among l and those
// around it that lie within end, or nil if all of them have ended.
func (l *Ledger) outermost(end *Ledger) (out *Ledger) {
	for ; l != nil && l != end; l = l.parent {
		if !l.closed.Load() {
			out = l
		}
	}
	return out
}

// list reports whether l's task had not ended, so that p is listed.
func (l *Ledger) list(p *Place) bool {
	l.mu.Lock()
	if l.closed.Load() {
		l.mu.Unlock()
		return false
	}
	if p.prev = l.newest; p.prev != nil {
		p.prev.next = p
	} else {
		l.first = p
	}
	l.newest = p
	p.owner.Store(l)
	l.mu.Unlock()
	return true
}

// unlist takes p off l's list, unless it was handed on in the meantime.
func (l *Ledger) unlist(p *Place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.owner.Load() == l {
		l.unlistLocked(p)
	}
}

func (l *Ledger) unlistLocked(p *Place) {
	l.unlink(p)
	p.clear()
}

// clear makes p ready for its next use. The caller holds the mutex of its owner.
// The rest of p may be in use by whoever has it.
func (p *Place) clear() {
	p.opener, p.text, p.site = nil, nil, nil
	p.owner.Store(nil)
}

// unlink takes p out of l's list. The caller holds l.mu.
func (l *Ledger) unlink(p *Place) {
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		l.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		l.newest = p.prev
	}
	p.prev, p.next = nil, nil
}

// candidate is what may be a leak.
type candidate struct {
	leaker Leaker
	leak   Leak
}

// unlistAll takes all places off the list of a ledger whose task ends, hands
// those on that were opened within a task that is running, and returns what is
// held of the others. The caller holds l.mu. The mutexes of tasks within l's may
// be taken under it, and never the other way round.
func (l *Ledger) unlistAll() []candidate {
	var open []candidate
	for p := l.first; p != nil; p = l.first {
		l.unlink(p)
		if p.handOn(l) {
			continue
		}
		if p.holds.Load() != holdsNothing {
			open = append(open, candidate{p.leaker, Leak{Text: p.described(), Transaction: p.transaction, Site: p.site}})
		}
		p.clear()
	}
	return open
}

// described returns the text that stands for what is open.
func (p *Place) described() *Text {
	if p.transaction {
		return p.tx.text()
	}
	return p.text
}

// handOn reports whether there is a running task within from's to list p in.
func (p *Place) handOn(from *Ledger) bool {
	for heir := p.opener.outermost(from); heir != nil; heir = p.opener.outermost(from) {
		if heir.list(p) {
			return true
		}
	}
	return false
}

func endLeaked(open []candidate) []Leak {
	var leaks []Leak
	for _, c := range open {
		rows, ok := c.leaker.EndLeaked()
		if !ok {
			continue
		}
		c.leak.Rows = rows
		leaks = append(leaks, c.leak)
		leaked.add(&c.leak)
	}
	return leaks
}
