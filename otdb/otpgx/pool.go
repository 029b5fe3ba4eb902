package otpgx

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/taskspan/taskspan/otdb"
)

// shortestWait is the shortest acquire that is taken for a wait. A connection that is idle
// is there at once, and pgxpool does not report which one is not.
const shortestWait = 100 * time.Microsecond

// acquire is an acquire that has begun. A connection may be made for it, in a goroutine of
// the pool's that may outlive it.
type acquire struct {
	context.Context // of the caller
	tracer          *Tracer
	began           time.Time
	connects        atomic.Int64 // how long after that a connection began to be made, if one is
}

// acquireKey is the key of an acquire in its context.
type acquireKey struct{ tracer *Tracer }

// Value implements context.Context.
func (a *acquire) Value(key any) any {
	if k, ok := key.(acquireKey); ok && k.tracer == a.tracer {
		return a
	}
	return a.Context.Value(key)
}

// acquire returns the acquire whose context that is, or nil.
func (t *Tracer) acquire(ctx context.Context) *acquire {
	a, _ := ctx.Value(acquireKey{t}).(*acquire)
	return a
}

// connecting is called when a connection is about to be made.
func (a *acquire) connecting() { a.connects.Store(max(1, int64(time.Since(a.began)))) }

// waited returns how long the caller has waited: until there was a connection, or the
// room to make one.
func (a *acquire) waited() time.Duration {
	if began := a.connects.Load(); began > 0 {
		return time.Duration(began)
	}
	return time.Since(a.began)
}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (t *Tracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return &acquire{Context: ctx, tracer: t, began: time.Now()}
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (t *Tracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	a := t.acquire(ctx)
	if a == nil {
		return
	}
	d := a.waited()
	if d < shortestWait {
		d = 0
	}
	t.tracer.Waited(ctx, d)
	if data.Conn != nil {
		t.session(data.Conn).waited = d
	}
}

// TraceRelease implements pgxpool.ReleaseTracer. The pool closes a connection that is
// released in a transaction.
func (t *Tracer) TraceRelease(_ *pgxpool.Pool, data pgxpool.TraceReleaseData) {
	s := t.session(data.Conn)
	s.waited = 0
	if s.inTx {
		s.inTx = false
		t.tracer.Transaction(context.Background(), s, otdb.TxNone)
	}
}

// ObservePool registers the metrics of a pool, by the names that those of databases of
// package otdb have. Server and database are those of the pool, unless options set
// otherwise. The returned function unregisters the metrics; it is never nil and may be
// called more than once. If err is not nil, nothing is registered.
//
// A wait is an acquire for which no connection was idle; it lasts until one is released, or
// has been made. Those that were cancelled are not counted.
func ObservePool(p *pgxpool.Pool, opts ...otdb.Option) (stop func(), err error) {
	if p == nil {
		return func() {}, errors.New("otpgx: ObservePool: the pool is nil")
	}
	server, port, namespace := serverOf(p.Config().ConnConfig)
	target := []otdb.Option{otdb.WithNamespace(namespace)}
	if server != "" {
		target = append(target, otdb.WithServer(server, port))
	}
	t, err := otdb.NewTracer(system, append(target, opts...)...)
	if err != nil {
		return func() {}, err
	}
	return t.ObservePool(func() sql.DBStats {
		s := p.Stat()
		return sql.DBStats{
			MaxOpenConnections: int(s.MaxConns()),
			OpenConnections:    int(s.TotalConns()),
			InUse:              int(s.AcquiredConns()),
			Idle:               int(s.IdleConns()),
			WaitCount:          s.EmptyAcquireCount(),
			WaitDuration:       s.EmptyAcquireWaitTime(),
			MaxIdleTimeClosed:  s.MaxIdleDestroyCount(),
			MaxLifetimeClosed:  s.MaxLifetimeDestroyCount(),
		}
	})
}
