package otdb

import (
	"context"
	"database/sql/driver"

	"github.com/taskspan/taskspan/internal/instrument"
)

// stmt is a prepared statement. Like every driver.Stmt it is used by one
// goroutine at a time.
type stmt struct {
	conn *conn
	raw  driver.Stmt
	st   *statement

	execerCtx  driver.StmtExecContext
	queryerCtx driver.StmtQueryContext
	checker    driver.NamedValueChecker

	// skipped is the operation that the first execution goes on with, where
	// the statement was prepared for that.
	skipped *skipped
}

var (
	_ driver.Stmt              = (*stmt)(nil)
	_ driver.StmtExecContext   = (*stmt)(nil)
	_ driver.StmtQueryContext  = (*stmt)(nil)
	_ driver.NamedValueChecker = (*stmt)(nil)
)

// convertingStmt is a statement whose raw one converts arguments by column.
type convertingStmt struct {
	*stmt
	converter driver.ColumnConverter //nolint:staticcheck // drivers that have it are served too
}

var _ driver.ColumnConverter = convertingStmt{} //nolint:staticcheck // see above

// ColumnConverter implements driver.ColumnConverter.
func (s convertingStmt) ColumnConverter(i int) driver.ValueConverter {
	err := instrument.ErrNotReturned
	defer s.endUnreturned(&err)
	c := s.converter.ColumnConverter(i)
	err = nil
	return c
}

// CheckNamedValue implements driver.NamedValueChecker. The converter has its turn where
// nobody checks.
func (s convertingStmt) CheckNamedValue(nv *driver.NamedValue) error {
	if s.checker == nil && s.conn.checker == nil {
		return driver.ErrSkip
	}
	return s.stmt.CheckNamedValue(nv)
}

// newStmt wraps raw, with exactly its optional interfaces as far as database/sql can see the difference.
func newStmt(c *conn, raw driver.Stmt, st *statement, sk *skipped) driver.Stmt {
	s := &stmt{conn: c, raw: raw, st: st, skipped: sk}
	s.execerCtx, _ = raw.(driver.StmtExecContext)
	s.queryerCtx, _ = raw.(driver.StmtQueryContext)
	s.checker, _ = raw.(driver.NamedValueChecker)
	if cc, ok := raw.(driver.ColumnConverter); ok { //nolint:staticcheck // see above
		return convertingStmt{s, cc}
	}
	return s
}

// Close implements driver.Stmt.
func (s *stmt) Close() error {
	if sk := s.skipped; sk != nil {
		s.skipped = nil
		sk.abandon()
	}
	return remember(nil, s.raw.Close())
}

// NumInput implements driver.Stmt.
func (s *stmt) NumInput() int {
	err := instrument.ErrNotReturned
	defer s.endUnreturned(&err)
	n := s.raw.NumInput()
	err = nil
	return n
}

// endUnreturned, deferred, ends the operation that the first execution would
// have gone on with, where the driver panicked before it: database/sql closes
// neither the statement nor the connection then.
func (s *stmt) endUnreturned(err *error) {
	if *err == instrument.ErrNotReturned { //nolint:errorlint // the mark itself
		s.endSkipped(*err)
	}
}

// endSkipped ends the operation that the first execution would have gone on with, if
// there is one.
func (s *stmt) endSkipped(err error) {
	if sk := s.skipped; sk != nil {
		s.skipped = nil
		sk.end(&outcome{err: err})
	}
}

// CheckNamedValue implements driver.NamedValueChecker: the statement's, else
// the connection's, as database/sql looks for them.
func (s *stmt) CheckNamedValue(nv *driver.NamedValue) (err error) {
	err = instrument.ErrNotReturned
	defer s.endUnreturned(&err)
	if s.checker == nil {
		return s.conn.CheckNamedValue(nv)
	}
	return remember(nil, s.checker.CheckNamedValue(nv))
}

// Exec implements driver.Stmt. database/sql calls ExecContext instead.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.raw.Exec(args) //nolint:staticcheck // the legacy form is the raw statement's
}

// Query implements driver.Stmt. database/sql calls QueryContext instead.
func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.raw.Query(args) //nolint:staticcheck // the legacy form is the raw statement's
}

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (res driver.Result, err error) {
	var values []driver.Value
	if s.execerCtx == nil {
		if values, err = legacyValues(ctx, args); err != nil {
			s.endSkipped(err)
			return nil, err
		}
	}
	var op operation
	op.on(s.conn)
	callCtx := s.begin(ctx, &op, args)
	err = instrument.ErrNotReturned
	defer func() { op.end(&outcome{err: err, result: res}) }()
	if s.execerCtx != nil {
		res, err = s.execerCtx.ExecContext(callCtx, args)
	} else {
		res, err = s.raw.Exec(values) //nolint:staticcheck // see above
	}
	return s.conn.db.remembering(op.ledger, res), err
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (_ driver.Rows, err error) {
	var values []driver.Value
	if s.queryerCtx == nil {
		if values, err = legacyValues(ctx, args); err != nil {
			s.endSkipped(err)
			return nil, err
		}
	}
	q := s.conn.newQuery()
	callCtx := s.begin(ctx, &q.op, args)
	err = instrument.ErrNotReturned
	defer func() {
		if err != nil {
			q.fail(err)
		}
	}()
	var raw driver.Rows
	if s.queryerCtx != nil {
		raw, err = s.queryerCtx.QueryContext(callCtx, args)
	} else {
		raw, err = s.raw.Query(values) //nolint:staticcheck // see above
	}
	if err != nil {
		return nil, err
	}
	return q.open(raw), nil
}

// begin starts the operation of an execution, or goes on with the one that the
// statement was prepared for.
func (s *stmt) begin(ctx context.Context, op *operation, args []driver.NamedValue) context.Context {
	if sk := s.skipped; sk != nil {
		s.skipped = nil
		if sameContext(sk.ctx, ctx) {
			place := op.place
			*op = sk.operation
			op.place = place
			op.enter()
			return op.ctx
		}
		sk.abandon()
	}
	return op.execute(ctx, s.st, args)
}
