package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"

	"github.com/taskspan/taskspan/errs"
)

// conn is a connection. What it claims to implement beyond these methods is
// decided by shaped. Like every driver.Conn it is used by one goroutine at a
// time.
type conn struct {
	db  *database
	raw driver.Conn
	// life is otelsql's connection around raw, for ping and session reset.
	life lifecycleConn

	// The optional interfaces of raw that are looked at in every call.
	execerCtx  driver.ExecerContext
	queryerCtx driver.QueryerContext
	execer     driver.Execer  //nolint:staticcheck // drivers with the legacy form alone are served too
	queryer    driver.Queryer //nolint:staticcheck // see above
	checker    driver.NamedValueChecker

	// cachesByText says that raw prepares and caches texts by itself.
	cachesByText bool

	latest  *statement
	tx      *tx        // the open transaction
	skipped []*skipped // the statements that raw skipped, until they are prepared; oldest first
	spare   *iteration // for the next query
}

var (
	_ driver.Conn               = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
)

// lifecycleConn is what otelsql's connections are.
type lifecycleConn interface {
	driver.Conn
	driver.Pinger
	driver.SessionResetter
	Raw() driver.Conn
}

// newConn returns the observed form of otelsql's connection.
func newConn(db *database, life driver.Conn) driver.Conn {
	l, ok := life.(lifecycleConn)
	if !ok { // not with the version of otelsql that go.mod asks for
		handle(errors.New("otdb: otelsql's connection lacks a method; the connection is not observed"))
		return life
	}
	c := &conn{db: db, raw: l.Raw(), life: l}
	c.execerCtx, _ = c.raw.(driver.ExecerContext)
	c.queryerCtx, _ = c.raw.(driver.QueryerContext)
	c.execer, _ = c.raw.(driver.Execer)   //nolint:staticcheck // see conn
	c.queryer, _ = c.raw.(driver.Queryer) //nolint:staticcheck // see conn
	c.checker, _ = c.raw.(driver.NamedValueChecker)
	c.cachesByText = cachesByText(c.raw)
	return c.shaped()
}

func (c *conn) unwrap() driver.Conn { return c.raw }

// statement returns what is known of query. A connection is often used for the
// same statement again, which is then at hand.
func (c *conn) statement(query string) *statement {
	if st := c.latest; st != nil && st.query == query {
		return st
	}
	st := c.db.statement(query)
	if len(query) <= maxCachedText {
		c.latest = st
	}
	return st
}

// Close implements driver.Conn.
func (c *conn) Close() error {
	c.abandonSkipped()
	return c.raw.Close()
}

// checkNamedValue is CheckNamedValue where raw has it. To return ErrSkip is the
// same as not to implement it.
func (c *conn) checkNamedValue(nv *driver.NamedValue) error {
	if c.checker == nil {
		return driver.ErrSkip
	}
	return c.checker.CheckNamedValue(nv)
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) (err error) {
	pinger, ok := c.raw.(driver.Pinger)
	if !ok {
		return nil // as database/sql takes it
	}
	if c.db.cfg.operations&OperationPing == 0 {
		return pinger.Ping(ctx)
	}
	call := &call{Context: ctx}
	returned := false
	defer call.done(&returned)
	err = c.life.Ping(call)
	returned = true
	return err
}

// resetSession is ResetSession where raw has it.
func (c *conn) resetSession(ctx context.Context) (err error) {
	c.abandonSkipped()
	c.tx = nil
	if c.db.cfg.operations&OperationResetSession == 0 {
		return c.raw.(driver.SessionResetter).ResetSession(ctx)
	}
	call := &call{Context: ctx}
	returned := false
	defer call.done(&returned)
	err = c.life.ResetSession(call)
	returned = true
	return err
}

// Begin implements driver.Conn. database/sql calls BeginTx instead.
func (c *conn) Begin() (driver.Tx, error) {
	return c.beginObserved(context.Background(), func(context.Context) (driver.Tx, error) {
		return c.raw.Begin() //nolint:staticcheck // whoever calls this form means it
	})
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if _, ok := c.raw.(driver.ConnBeginTx); !ok {
		// database/sql rejects these before it calls such a driver.
		if opts.Isolation != driver.IsolationLevel(sql.LevelDefault) {
			return nil, errors.New("sql: driver does not support non-default isolation level")
		}
		if opts.ReadOnly {
			return nil, errors.New("sql: driver does not support read-only transactions")
		}
	}
	return c.beginObserved(ctx, func(ctx context.Context) (driver.Tx, error) { return c.begin(ctx, opts) })
}

// beginObserved is the operation of a BEGIN.
func (c *conn) beginObserved(ctx context.Context, begin func(context.Context) (driver.Tx, error)) (_ driver.Tx, err error) {
	var op operation
	callCtx := ctx
	if d := c.db.begin; d != nil {
		callCtx = op.begin(ctx, d, "", d.startOptions)
	}
	returned := false
	defer func() { op.finish(err, returned) }()
	raw, err := begin(callCtx)
	returned = true
	if err != nil {
		return nil, err
	}
	t := &tx{raw: raw, conn: c, ctx: ctx}
	c.tx = t
	return t, nil
}

// begin calls raw as database/sql does.
func (c *conn) begin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if b, ok := c.raw.(driver.ConnBeginTx); ok {
		return b.BeginTx(ctx, opts)
	}
	t, err := c.raw.Begin() //nolint:staticcheck // drivers with the legacy form alone are served too
	if err == nil {
		select {
		default:
		case <-ctx.Done():
			_ = t.Rollback() // what counts is the context's error, as in database/sql
			return nil, ctx.Err()
		}
	}
	return t, err
}

// Prepare implements driver.Conn. database/sql calls PrepareContext instead.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.prepareObserved(context.Background(), query, func(_ context.Context, text string) (driver.Stmt, error) {
		return c.raw.Prepare(text)
	})
}

// PrepareContext implements driver.ConnPrepareContext. If raw has skipped the
// same statement, it is a part of that one's operation. Otherwise it is an
// operation of its own.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if sk := c.takeSkipped(ctx, query); sk != nil {
		return c.prepareSkipped(ctx, sk)
	}
	return c.prepareObserved(ctx, query, c.prepare)
}

// prepareObserved is the operation of a PREPARE.
func (c *conn) prepareObserved(ctx context.Context, query string, prepare func(context.Context, string) (driver.Stmt, error)) (_ driver.Stmt, err error) {
	st := c.statement(query)
	var op operation
	callCtx := ctx
	if c.db.prepare != nil {
		callCtx = op.begin(ctx, c.db.prepare, query, st.prepareSpan)
	}
	returned := false
	defer func() { op.finish(err, returned) }()
	raw, err := prepare(callCtx, c.db.comment.prepared(ctx, st, query))
	returned = true
	if err != nil {
		return nil, err
	}
	return newStmt(c, raw, st, nil), nil
}

// prepare calls raw as database/sql does.
func (c *conn) prepare(ctx context.Context, query string) (driver.Stmt, error) {
	if p, ok := c.raw.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	s, err := c.raw.Prepare(query)
	if err == nil {
		select {
		default:
		case <-ctx.Done():
			_ = s.Close() // what counts is the context's error, as in database/sql
			return nil, ctx.Err()
		}
	}
	return s, err
}

// execContext is ExecContext where raw has that or its legacy form.
func (c *conn) execContext(ctx context.Context, query string, args []driver.NamedValue) (res driver.Result, err error) {
	var values []driver.Value
	if c.execerCtx == nil {
		if values, err = legacyValues(ctx, args); err != nil {
			return nil, err
		}
	}
	st := c.statement(query)
	op := operation{text: &st.text}
	callCtx := op.begin(ctx, st.descriptor, query, c.db.startOptions(st, args))
	returned := false
	defer func() {
		if err == driver.ErrSkip { //nolint:errorlint // database/sql compares it so
			c.keepSkipped(&skipped{operation: op, ctx: ctx, query: query})
			return
		}
		op.finishExec(res, err, returned)
	}()
	text := query
	if c.db.comment.mode != 0 {
		text = c.db.comment.direct(callCtx, ctx, st, query, c.cachesByText && len(args) > 0)
	}
	if c.execerCtx != nil {
		res, err = c.execerCtx.ExecContext(callCtx, text, args)
	} else {
		res, err = c.execer.Exec(text, values)
	}
	returned = true
	return res, err
}

// queryContext is QueryContext where raw has that or its legacy form.
func (c *conn) queryContext(ctx context.Context, query string, args []driver.NamedValue) (_ driver.Rows, err error) {
	var values []driver.Value
	if c.queryerCtx == nil {
		if values, err = legacyValues(ctx, args); err != nil {
			return nil, err
		}
	}
	st := c.statement(query)
	it := c.newIteration()
	it.op.text = &st.text
	callCtx := it.op.begin(ctx, st.descriptor, query, c.db.startOptions(st, args))
	returned := false
	defer func() {
		switch {
		case err == driver.ErrSkip: //nolint:errorlint // database/sql compares it so
			c.keepSkipped(&skipped{operation: it.op, ctx: ctx, query: query})
			it.release()
		case err != nil || !returned:
			it.failed(err, returned)
		}
	}()
	text := query
	if c.db.comment.mode != 0 {
		text = c.db.comment.direct(callCtx, ctx, st, query, c.cachesByText)
	}
	var raw driver.Rows
	if c.queryerCtx != nil {
		raw, err = c.queryerCtx.QueryContext(callCtx, text, args)
	} else {
		raw, err = c.queryer.Query(text, values)
	}
	returned = true
	if err != nil {
		return nil, err
	}
	return it.opened(raw), nil
}

// legacyValues prepares a call of a method that takes no context, as
// database/sql does. What it rejects does not reach the driver and so is no
// operation.
func legacyValues(ctx context.Context, args []driver.NamedValue) ([]driver.Value, error) {
	values := make([]driver.Value, len(args))
	for i := range args {
		if args[i].Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		values[i] = args[i].Value
	}
	select {
	default:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return values, nil
}

// finish ends an operation that is over with the driver's return, if it was
// begun.
func (o *operation) finish(err error, returned bool) {
	if o.descriptor == nil {
		if err != nil {
			errs.Remember(err)
		}
		return
	}
	out := outcome{err: err, returned: unknown, affected: unknown}
	if !returned {
		out.class = unwinding()
	}
	o.end(&out)
}

// finishExec is finish for an exec.
func (o *operation) finishExec(res driver.Result, err error, returned bool) {
	out := outcome{err: err, returned: unknown, affected: unknown}
	if o.db.cfg.rowCounts && returned && err == nil && res != nil {
		out.affected = rowsAffected(res)
	}
	if !returned {
		out.class = unwinding()
	}
	o.end(&out)
}

// rowsAffected asks a result, which the application may never do: what goes
// wrong here must not go wrong for it.
func rowsAffected(res driver.Result) (n int64) {
	defer reportPanic("the driver's RowsAffected", func() { n = unknown })
	n, err := res.RowsAffected()
	if err != nil {
		return unknown
	}
	return n
}

// skipped is the operation of a statement whose fast path raw has skipped with
// ErrSkip. database/sql goes on by preparing and executing the same statement
// on the same connection, in which the operation goes on too.
//
// It does so whatever happens, but in between it gives the connection free:
// goroutines that share a transaction or a single connection may use it for
// anything, such as statements that are skipped too, pings and transactions.
// None of that says that nobody goes on with a statement. Only a program that
// calls the driver itself comes to that.
type skipped struct {
	operation
	ctx   context.Context // that database/sql called with
	query string
}

// maxSkipped is how many statements a connection keeps: far more than there are
// goroutines to share it.
const maxSkipped = 256

// keepSkipped keeps a statement until it is prepared.
func (c *conn) keepSkipped(sk *skipped) {
	if len(c.skipped) == maxSkipped {
		c.skipped[0].abandon()
		c.skipped = slices.Delete(c.skipped, 0, 1)
	}
	c.skipped = append(c.skipped, sk)
}

// takeSkipped returns the oldest statement that a call of PrepareContext goes on
// with, or nil.
func (c *conn) takeSkipped(ctx context.Context, query string) *skipped {
	for i, sk := range c.skipped {
		if sk.query == query && sameContext(sk.ctx, ctx) {
			c.skipped = slices.Delete(c.skipped, i, i+1)
			return sk
		}
	}
	return nil
}

// abandonSkipped ends the operations of the statements that nobody went on with.
// It is called when nobody can any more: the connection is closed, or comes from
// the pool and is reset.
func (c *conn) abandonSkipped() {
	for _, sk := range c.skipped {
		sk.abandon()
	}
	clear(c.skipped)
	c.skipped = c.skipped[:0] // for the next one without an allocation
}

func (s *skipped) abandon() {
	s.end(&outcome{class: abandoned, returned: unknown, affected: unknown})
}

// sameContext reports whether a and b are the same. Contexts need not be
// comparable: two of one type that cannot be compared count as the same if they
// end together. To ask reflect beforehand would allocate for context.Background.
func sameContext(a, b context.Context) (same bool) {
	defer func() {
		if recover() != nil { // they are of one type, and not comparable
			same = a.Done() == b.Done()
		}
	}()
	return a == b
}

// prepareSkipped is PrepareContext for a statement that raw has skipped.
func (c *conn) prepareSkipped(ctx context.Context, sk *skipped) (_ driver.Stmt, err error) {
	st := c.statement(sk.query)
	returned := false
	defer func() {
		if err != nil || !returned {
			sk.finish(err, returned)
		}
	}()
	raw, err := c.prepare(sk.operation.ctx, c.db.comment.prepared(ctx, st, sk.query))
	returned = true
	if err != nil {
		return nil, err
	}
	return newStmt(c, raw, st, sk), nil
}
