package otpgx

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/taskspan/taskspan/otdb"
)

const system = "postgresql"

// Tracer traces what pgx and pgxpool do. It is safe for concurrent use, and may be that of
// many connections and pools.
type Tracer struct {
	tracer *otdb.Tracer
	key    string // of what the tracer knows of a connection, in its custom data
}

var (
	_ pgx.QueryTracer       = (*Tracer)(nil)
	_ pgx.BatchTracer       = (*Tracer)(nil)
	_ pgx.CopyFromTracer    = (*Tracer)(nil)
	_ pgx.PrepareTracer     = (*Tracer)(nil)
	_ pgx.ConnectTracer     = (*Tracer)(nil)
	_ pgxpool.AcquireTracer = (*Tracer)(nil)
	_ pgxpool.ReleaseTracer = (*Tracer)(nil)
)

// NewTracer returns a tracer for pgx.ConnConfig.Tracer. Server and database are those of
// each connection, unless options set them. The error has the mistakes in the options.
//
// [otdb.WithCommenter] has no effect: a tracer cannot change what is sent.
func NewTracer(opts ...otdb.Option) (*Tracer, error) {
	t, err := otdb.NewTracer(system, opts...)
	if err != nil {
		return nil, err
	}
	return &Tracer{tracer: t, key: newKey()}, nil
}

// call is an operation that has begun. It is the context that pgx hands to its end.
type call struct {
	context.Context // of the operation
	tracer          *Tracer
	session         *session // of the connection, nil of one that is being made
	span            *otdb.Span
	operation       otdb.Operation
	query           string // of a statement

	copies bool  // it is a COPY
	rows   int64 // of a batch, negative until one of its statements has returned any
	err    error // the first of a batch
}

// callKey is the key of a call in its context, so that two tracers side by side find their
// own.
type callKey struct{ tracer *Tracer }

// Value implements context.Context.
func (c *call) Value(key any) any {
	if k, ok := key.(callKey); ok && k.tracer == c.tracer {
		return c
	}
	return c.Context.Value(key)
}

// start begins an operation of a session.
func (t *Tracer) start(ctx context.Context, s *session, c otdb.Call) *call {
	started := &call{tracer: t, session: s, operation: c.Operation, query: c.Query}
	started.Context, started.span = t.tracer.Start(ctx, c)
	return started
}

// call returns the operation whose context that is, or nil.
func (t *Tracer) call(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{t}).(*call)
	return c
}

// TraceQueryStart implements pgx.QueryTracer.
func (t *Tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s := t.session(conn)
	c := s.call(data.SQL)
	c.Args = data.Args
	return t.start(ctx, s, c)
}

// TraceQueryEnd implements pgx.QueryTracer. It is called when the rows of a query are
// closed.
func (t *Tracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	c := t.call(ctx)
	if c == nil {
		return
	}
	err := data.Err
	if c.operation == otdb.OperationCommit && err == nil && data.CommandTag.String() == rolledBack {
		err = pgx.ErrTxCommitRollback // which is what Commit returns
		t.tracer.Transaction(ctx, c.session, otdb.TxRolledBack)
	}
	c.span.End(returnedRows(c.query, data.CommandTag), err)
	t.follow(ctx, conn, c.session, data.CommandTag)
}

// TracePrepareStart implements pgx.PrepareTracer. A statement that pgx prepares for a query or a COPY
// is a part of that.
func (t *Tracer) TracePrepareStart(ctx context.Context, conn *pgx.Conn, data pgx.TracePrepareStartData) context.Context {
	s := t.session(conn)
	if t.call(ctx) != nil || s.prepared[data.Name] == data.SQL && data.SQL != "" {
		return ctx
	}
	c := s.call("")
	c.Operation, c.Query = otdb.OperationPrepare, data.SQL
	started := t.start(ctx, s, c)
	s.preparing = data.Name
	return started
}

// TracePrepareEnd implements pgx.PrepareTracer.
func (t *Tracer) TracePrepareEnd(ctx context.Context, conn *pgx.Conn, data pgx.TracePrepareEndData) {
	c := t.call(ctx)
	switch {
	case c == nil:
	case c.operation == otdb.OperationPrepare:
		if data.Err == nil {
			c.session.prepare(c.session.preparing, c.query)
		}
		c.span.End(-1, data.Err)
		t.follow(ctx, conn, c.session, pgconn.CommandTag{})
	case c.copies && data.Err != nil: // pgx does not end this COPY
		c.span.End(-1, data.Err)
		t.follow(ctx, conn, c.session, pgconn.CommandTag{})
	}
}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (t *Tracer) TraceCopyFromStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceCopyFromStartData) context.Context {
	s := t.session(conn)
	c := s.call("")
	c.Query = copyText(data.TableName, data.ColumnNames)
	started := t.start(ctx, s, c)
	started.copies = true
	return started
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (t *Tracer) TraceCopyFromEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceCopyFromEndData) {
	if c := t.call(ctx); c != nil {
		c.span.End(-1, data.Err)
		t.follow(ctx, conn, c.session, data.CommandTag)
	}
}

// TraceBatchStart implements pgx.BatchTracer.
func (t *Tracer) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	s := t.session(conn)
	queued := data.Batch.QueuedQueries
	if len(queued) == 1 {
		c := s.call(queued[0].SQL)
		c.Args = queued[0].Arguments
		return t.startBatch(ctx, s, c)
	}
	c := s.call("")
	c.Batch = make([]string, len(queued))
	for i, q := range queued {
		c.Batch[i] = s.text(q.SQL)
	}
	return t.startBatch(ctx, s, c)
}

// startBatch begins a batch, of which none has returned rows yet.
func (t *Tracer) startBatch(ctx context.Context, s *session, c otdb.Call) *call {
	started := t.start(ctx, s, c)
	started.rows = -1
	return started
}

// TraceBatchQuery implements pgx.BatchTracer.
func (t *Tracer) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	c := t.call(ctx)
	if c == nil {
		return
	}
	if n := returnedRows(data.SQL, data.CommandTag); n >= 0 {
		c.rows = max(c.rows, 0) + n
	}
	if c.err == nil {
		c.err = data.Err
	}
	c.session.note(data.CommandTag)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (t *Tracer) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	c := t.call(ctx)
	if c == nil {
		return
	}
	err := data.Err
	if err == nil {
		err = c.err
	}
	c.span.End(c.rows, err)
	t.follow(ctx, conn, c.session, c.session.ended)
}

// TraceConnectStart implements pgx.ConnectTracer.
func (t *Tracer) TraceConnectStart(ctx context.Context, data pgx.TraceConnectStartData) context.Context {
	if a := t.acquire(ctx); a != nil {
		a.connecting()
	}
	c := otdb.Call{Operation: otdb.OperationConnect}
	c.Server, c.Port, c.Namespace = serverOf(data.ConnConfig)
	return t.start(ctx, nil, c)
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (t *Tracer) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	if c := t.call(ctx); c != nil {
		c.span.End(-1, data.Err)
	}
}
