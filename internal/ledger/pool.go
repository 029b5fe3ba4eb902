package ledger

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pool is a pool of connections that reports how long all of its callers have waited
// together. Each of them claims its share: what has been added since the last claim.
// So nothing is counted twice, and nothing is lost; who gets which share may be
// inexact while several wait.
type Pool struct {
	Name string

	waited  func() time.Duration // by all callers, so far
	claimed atomic.Int64
}

// NewPool returns a pool. Waits before that belong to no task.
func NewPool(name string, waited func() time.Duration) *Pool {
	p := &Pool{Name: name, waited: waited}
	p.claimed.Store(int64(waited()))
	return p
}

// Claim returns what callers have waited for since the last claim.
func (p *Pool) Claim() time.Duration {
	waited := int64(p.waited())
	for {
		claimed := p.claimed.Load()
		if waited <= claimed {
			return 0 // somebody with a later reading was here
		}
		if p.claimed.CompareAndSwap(claimed, waited) {
			return time.Duration(waited - claimed)
		}
	}
}

// pools are those of which tasks that give up claim what is left.
var pools struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*Pool] // never changes once it is there
}

// Register adds the pool to those that [Ledger.GiveUp] claims from. The returned
// function takes it off; it may be called more than once.
func (p *Pool) Register() (unregister func()) {
	changePools(func(list []*Pool) []*Pool { return append(list, p) })
	return sync.OnceFunc(func() {
		changePools(func(list []*Pool) []*Pool {
			return slices.DeleteFunc(list, func(other *Pool) bool { return other == p })
		})
	})
}

func changePools(change func([]*Pool) []*Pool) {
	pools.mu.Lock()
	defer pools.mu.Unlock()
	var list []*Pool
	if old := pools.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = change(list)
	pools.list.Store(&list)
}

// HasPools reports whether there are pools to claim from.
func HasPools() bool {
	list := pools.list.Load()
	return list != nil && len(*list) > 0
}

// GiveUp claims for l's task what nobody else has: a task whose context ends while
// it waits for a connection never comes to an operation that could. It is called
// when a task ends with the error of a context, before [Ledger.Settle].
func (l *Ledger) GiveUp() {
	if l == nil || !HasPools() {
		return
	}
	for _, p := range *pools.list.Load() {
		if d := p.Claim(); d > 0 {
			l.Waited(p.Name, d)
		}
	}
}
