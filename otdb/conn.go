package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
)

// conn is a connection. Its optional interfaces beyond these methods are
// decided by shaped. Like every driver.Conn it is used by one goroutine at a
// time.
type conn struct {
	db  *database
	raw driver.Conn
	// lifecycle is otelsql's connection around raw, for ping and session reset.
	lifecycle lifecycleConn

	// The optional interfaces of raw that are looked at in every call.
	execerCtx  driver.ExecerContext
	queryerCtx driver.QueryerContext
	execer     driver.Execer  //nolint:staticcheck // drivers with the legacy form alone are served too
	queryer    driver.Queryer //nolint:staticcheck // see above
	checker    driver.NamedValueChecker

	// cachesByText reports that raw prepares and caches texts by itself.
	cachesByText bool

	latest  *statement
	tx      *tx           // the open transaction
	skipped []*skipped    // the statements that raw skipped, until they are prepared; oldest first
	place   ledger.Place  // of an operation that is one call
	waited  time.Duration // for this connection, by a caller who has had no operation yet
	resets  bool          // raw resets its session for each caller
	settled bool          // what its caller waited for is claimed, and the next one resets the session
	spare   *query        // for the next query

	// When the connection looks next whether its pool has a limit: a reading of the clock, and
	// for operations whose span knows its times in Unix nanoseconds.
	lookAt, lookAtTimed int64

	unclosed *unclosed            // of its connector
	open     atomic.Pointer[rows] // outside of tasks: those that have been open for longest
}

var (
	_ driver.Conn               = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
)

// lifecycleConn is what otelsql's connections are.
type lifecycleConn interface {
	driver.Conn
	driver.Pinger
	driver.SessionResetter
	Raw() driver.Conn
}

// newConn wraps otelsql's connection.
func newConn(db *database, u *unclosed, lc driver.Conn) driver.Conn {
	l, ok := lc.(lifecycleConn)
	if !ok { // not with the version of otelsql that go.mod asks for
		instrument.Handle(errors.New("otdb: otelsql's connection lacks a method; the connection is not wrapped"))
		return lc
	}
	c := &conn{lookAt: math.MinInt64, lookAtTimed: math.MinInt64, db: db, raw: l.Raw(), lifecycle: l, unclosed: u}
	c.execerCtx, _ = c.raw.(driver.ExecerContext)
	c.queryerCtx, _ = c.raw.(driver.QueryerContext)
	c.execer, _ = c.raw.(driver.Execer)   //nolint:staticcheck // see conn
	c.queryer, _ = c.raw.(driver.Queryer) //nolint:staticcheck // see conn
	c.checker, _ = c.raw.(driver.NamedValueChecker)
	_, c.resets = c.raw.(driver.SessionResetter)
	c.cachesByText = cachesByText(c.raw)
	u.add(c)
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
	c.loseTx()
	c.unclosed.connClosed(c)
	return remember(nil, c.raw.Close())
}

// CheckNamedValue implements driver.NamedValueChecker: the raw connection's where it has
// one. Otherwise it does what database/sql does without, which spares it an ErrSkip.
func (c *conn) CheckNamedValue(nv *driver.NamedValue) (err error) {
	if c.checker == nil {
		nv.Value, err = driver.DefaultParameterConverter.ConvertValue(nv.Value)
		return err
	}
	return remember(nil, c.checker.CheckNamedValue(nv))
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) (err error) {
	pinger, ok := c.raw.(driver.Pinger)
	if !ok {
		return nil // as database/sql takes it
	}
	c.claimWait(ctx)
	if c.db.cfg.operations&OperationPing == 0 {
		return rememberIn(ctx, pinger.Ping(ctx))
	}
	call := &lifecycleContext{Context: ctx, op: operation{ctx: ctx}}
	err = instrument.ErrNotReturned
	defer func() { call.op.end(&outcome{err: err}) }()
	return c.lifecycle.Ping(call)
}

// resetSession is ResetSession where raw has it.
func (c *conn) resetSession(ctx context.Context) (err error) {
	c.abandonSkipped()
	c.loseTx()
	c.waited, c.settled = 0, false
	c.claimWait(ctx)
	if c.db.cfg.operations&OperationResetSession == 0 {
		return rememberIn(ctx, c.raw.(driver.SessionResetter).ResetSession(ctx))
	}
	call := &lifecycleContext{Context: ctx, op: operation{ctx: ctx}}
	err = instrument.ErrNotReturned
	defer func() { call.op.end(&outcome{err: err}) }()
	return c.lifecycle.ResetSession(call)
}

// Begin implements driver.Conn. database/sql calls BeginTx instead.
func (c *conn) Begin() (driver.Tx, error) {
	return c.beginTx(context.Background(), func(context.Context) (driver.Tx, error) {
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
	return c.beginTx(ctx, func(ctx context.Context) (driver.Tx, error) { return c.begin(ctx, opts) })
}

// beginTx is the operation of a BEGIN.
func (c *conn) beginTx(ctx context.Context, begin func(context.Context) (driver.Tx, error)) (_ driver.Tx, err error) {
	op := operation{ctx: ctx}
	op.on(c)
	callCtx := ctx
	var began time.Time // without an operation
	if k := c.db.begin; k != nil {
		callCtx = op.begin(ctx, k, nil)
	} else {
		c.claimWait(ctx)
		began = c.db.time()
	}
	var t *tx
	err = instrument.ErrNotReturned
	defer func() {
		out := outcome{err: err}
		op.end(&out)
		if t != nil {
			t.begin(&op, &out, began)
		}
	}()
	raw, err := begin(callCtx)
	if err != nil {
		return nil, err
	}
	t = &tx{transaction: transaction{db: c.db, ctx: ctx}, raw: raw, conn: c}
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
	return c.prepareWith(context.Background(), query, func(_ context.Context, text string) (driver.Stmt, error) {
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
	return c.prepareWith(ctx, query, c.prepare)
}

// prepareWith is the operation of a PREPARE.
func (c *conn) prepareWith(ctx context.Context, query string, prepare func(context.Context, string) (driver.Stmt, error)) (_ driver.Stmt, err error) {
	st := c.statement(query)
	op := operation{ctx: ctx}
	op.on(c)
	callCtx := ctx
	if c.db.prepare != nil {
		op.st = st.named(ctx)
		callCtx = op.begin(ctx, c.db.prepare, nil)
	}
	err = instrument.ErrNotReturned
	defer func() { op.end(&outcome{err: err}) }()
	raw, err := prepare(callCtx, c.db.comment.prepared(ctx, st, query))
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
	var op operation
	op.on(c)
	callCtx := op.execute(ctx, st, args)
	err = instrument.ErrNotReturned
	defer func() {
		if err == driver.ErrSkip { //nolint:errorlint // database/sql compares it so
			op.leave()
			c.keepSkipped(&skipped{operation: op, ctx: ctx, query: query})
			return
		}
		op.end(&outcome{err: err, result: res})
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
	return c.db.remembering(op.ledger, res), err
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
	q := c.newQuery()
	callCtx := q.op.execute(ctx, st, args)
	err = instrument.ErrNotReturned
	defer func() {
		switch {
		case err == driver.ErrSkip: //nolint:errorlint // database/sql compares it so
			q.op.leave()
			c.keepSkipped(&skipped{operation: q.op, ctx: ctx, query: query})
			q.release()
		case err != nil:
			q.fail(err)
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
	if err != nil {
		return nil, err
	}
	return q.open(raw), nil
}

// legacyValues prepares a call of a method that takes no context, as
// database/sql does. A value that it rejects does not reach the driver and so is no
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
