package ledger

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Site is a place in the program's code: return addresses as [runtime.Callers]
// gives them, the innermost first, those of the library included. Nil is a place
// that is not known.
type Site []uintptr

// maxSite is how many frames a site has at most: an ORM takes a few dozen.
const maxSite = 64

// callers returns the site of its caller's caller.
func callers() Site {
	var pcs [maxSite]uintptr
	return slices.Clone(pcs[:runtime.Callers(2, pcs[:])])
}

// maxCalls is how many calls of one task are remembered with their sites, in case
// that they turn out to be leaks.
const maxCalls = 1000

// call returns the site of a call that may turn out to be a leak, or nil after
// too many of them.
func (l *Ledger) call() Site {
	if leaked.all.Load() == 0 && (l.calls.Load() >= maxCalls || l.calls.Add(1) > maxCalls) {
		return nil
	}
	return callers()
}

// LocateLeaks has every call located in case that it turns out to be a leak, until
// stop has been called: the first leak of a kind too, and however many calls a task
// has made. A call then costs about a microsecond more: it is for tests.
func LocateLeaks() (stop func()) {
	leaked.all.Add(1)
	leaked.any.Store(true)
	return sync.OnceFunc(func() { leaked.all.Add(-1) })
}

// leaked are the texts that leaked once in this process.
var leaked leakedTexts

// maxLeaked is how many they are at most.
const maxLeaked = 1000

type leakedTexts struct {
	any atomic.Bool  // at all, or all is not zero
	all atomic.Int64 // calls of LocateLeaks that have not been stopped

	// Transactions are of one kind: what will be in one is not known when it begins.
	transactions atomic.Bool

	texts  atomic.Int64
	hashes sync.Map // of uint64
}

// has reports whether what begins in p may be a leak.
func (s *leakedTexts) has(p *Place) bool {
	switch {
	case !s.any.Load():
		return false
	case s.all.Load() > 0:
		return true
	case p.transaction:
		return s.transactions.Load()
	case p.text == nil || !p.text.Statement:
		return false
	}
	_, ok := s.hashes.Load(p.text.Hash)
	return ok
}

func (s *leakedTexts) add(l *Leak) {
	defer s.any.Store(true)
	switch {
	case l.Transaction:
		s.transactions.Store(true)
	case l.Text != nil && s.texts.Load() < maxLeaked:
		if _, known := s.hashes.LoadOrStore(l.Hash, nil); !known {
			s.texts.Add(1)
		}
	}
}

// locate remembers where a text is about to run that has run often enough to be a
// finding if it does so once more.
func (l *Ledger) locate(text *Text) {
	if text == nil || !text.Statement {
		return
	}
	var here Site
	for ; l != nil; l = l.parent {
		if !l.watched.Load() {
			continue
		}
		l.mu.Lock()
		if s := l.books.statements[text.Hash]; s != nil && s.watched {
			if here == nil {
				here = callers()
			}
			l.unwatch(s)
			s.site = here
		}
		l.mu.Unlock()
	}
}

// watch has the next call of a statement located. The caller holds l.mu.
func (l *Ledger) watch(s *statement) {
	s.watched = true
	l.books.watched++
	l.watched.Store(true)
}

// unwatch ends that. The caller holds l.mu.
func (l *Ledger) unwatch(s *statement) {
	s.watched = false
	if l.books.watched--; l.books.watched == 0 {
		l.watched.Store(false)
	}
}
