package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/taskspan/taskspan/internal/ledger"
)

// connectionWaitKey is how long a caller waited for its connection, in seconds.
const connectionWaitKey = attribute.Key("otdb.connection.wait")

// waitThreshold is the shortest wait that is on a span.
const waitThreshold = time.Millisecond

// limitLookout is how long a connection takes a pool without a limit to have none.
const limitLookout = 100 * time.Millisecond

// database/sql reports to nobody how long they waited for a connection. It adds each
// wait to DBStats.WaitDuration, just before it hands the connection over: it calls
// ResetSession then, where the driver has that, and the caller's own call comes next.
// Whichever comes first claims what has been added since the last claim. Inside a
// transaction the caller has its connection already.

// waitedPool is a pool of which the waits are claimed.
type waitedPool struct {
	*ledger.Pool
	db *sql.DB

	// A pool without a limit has no waits. Each connection looks at it from time to time,
	// for a limit may be set at any time, and usually is set after Open.
	limited atomic.Bool
}

func newWaitedPool(name string, db *sql.DB) *waitedPool {
	waited := func() time.Duration { return db.Stats().WaitDuration }
	return &waitedPool{Pool: ledger.NewPool(name, waited), db: db}
}

// claim claims what callers have waited for since the last claim, for the task of l if
// it is not nil.
func (p *waitedPool) claim(l *ledger.Ledger) time.Duration {
	d := p.Claim()
	if d > 0 {
		l.Waited(p.Name, d)
	}
	return d
}

// look reports whether the pool turns out to have a limit.
func (p *waitedPool) look() bool {
	if p.db.Stats().MaxOpenConnections <= 0 {
		return false
	}
	p.limited.Store(true)
	return true
}

// waitedPools are the pools that a connection may come from: mostly one.
type waitedPools struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*waitedPool] // never changes once it is there
}

// add adds a pool. The returned function takes it off, and may be called more than
// once.
func (ps *waitedPools) add(p *waitedPool) (remove func()) {
	ps.change(func(list []*waitedPool) []*waitedPool { return append(list, p) })
	unregister := p.Register()
	return sync.OnceFunc(func() {
		unregister()
		ps.change(func(list []*waitedPool) []*waitedPool {
			return slices.DeleteFunc(list, func(other *waitedPool) bool { return other == p })
		})
	})
}

func (ps *waitedPools) change(change func([]*waitedPool) []*waitedPool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if list := change(slices.Clone(ps.all())); len(list) > 0 {
		ps.list.Store(&list)
	} else {
		ps.list.Store(nil)
	}
}

func (ps *waitedPools) all() []*waitedPool {
	if list := ps.list.Load(); list != nil {
		return *list
	}
	return nil
}

// observedPools are the pools given to ObservePool, by the type of their driver:
// database/sql does not report which connections are of which pool.
var observedPools sync.Map // of *waitedPools

func observedPoolsOf(d driver.Driver) *waitedPools {
	ps, _ := observedPools.LoadOrStore(reflect.TypeOf(d), new(waitedPools))
	return ps.(*waitedPools)
}

// waited returns the pools that the database's connections may come from.
func (db *database) waited() []*waitedPool {
	if own := db.pools.all(); own != nil {
		return own
	}
	if db.observed != nil {
		return db.observed.all()
	}
	return nil
}

// wait is what an operation knows of how long its caller waited for its connection.
type wait struct {
	conn *conn         // nil if there is nothing to claim
	took time.Duration // until now
	look bool          // a pool has no limit, as far as is known
}

// unclaimed returns c if there may be something to claim for its next operation, or nil.
func (c *conn) unclaimed() *conn {
	if c.tx != nil || c.settled && c.waited == 0 {
		return nil
	}
	return c
}

// claimWait claims what the operation's caller has waited for its connection. It is
// called before the operation begins, whose time would be another caller's wait.
func (o *operation) claimWait() {
	c := o.wait.conn
	o.wait.took, c.waited = c.waited, 0
	for _, p := range c.db.waited() {
		if p.limited.Load() {
			o.wait.took += p.claim(o.ledger)
		} else {
			o.wait.look = true
		}
	}
	c.settled = c.resets && !o.wait.look
}

// lookForLimits claims from pools that turn out to have a limit, now that the operation
// has begun and knows when. A connection looks once in limitLookout.
func (o *operation) lookForLimits() {
	c, at := o.wait.conn, &o.wait.conn.lookAt
	began := int64(o.began)
	if o.times != nil {
		at, began = &c.lookAtTimed, o.started.UnixNano()
	}
	if began < *at {
		return
	}
	*at = began + int64(limitLookout)
	for _, p := range c.db.waited() {
		if !p.limited.Load() && p.look() {
			o.wait.took += p.claim(o.ledger)
		}
	}
}

// showWait puts the wait on the span.
func (o *operation) showWait() {
	if o.recording {
		defer scope.Guard("the span")
		o.span.SetAttributes(connectionWaitKey.Float64(o.wait.took.Seconds()))
	}
}

// claimWait is claimWait where there is no operation: the next one has the wait on
// its span, if it is of the same caller.
func (c *conn) claimWait(ctx context.Context) {
	var op operation
	if op.wait.conn = c.unclaimed(); op.wait.conn == nil {
		return
	}
	if ps := c.db.waited(); ps != nil {
		op.ledger = ledger.FromContext(ctx)
		op.claimWait()
		c.waited = op.wait.took
	}
}
