package otdb

import (
	"context"
	"database/sql/driver"
)

// The optional interfaces of a connection that change what database/sql does,
// or that programs look for inside sql.Conn.Raw. A connection has each of them
// exactly if the raw one has.
type (
	execer        struct{ c *conn }
	legacyExecer  struct{ execer }
	queryer       struct{ c *conn }
	legacyQueryer struct{ queryer }
	resetter      struct{ c *conn }
	validator     struct{ c *conn }
)

var (
	_ driver.ExecerContext   = execer{}
	_ driver.ExecerContext   = legacyExecer{}
	_ driver.Execer          = legacyExecer{} //nolint:staticcheck // programs look for the legacy form too
	_ driver.QueryerContext  = queryer{}
	_ driver.QueryerContext  = legacyQueryer{}
	_ driver.Queryer         = legacyQueryer{} //nolint:staticcheck // see above
	_ driver.SessionResetter = resetter{}
	_ driver.Validator       = validator{}
)

// ExecContext implements driver.ExecerContext.
func (e execer) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return e.c.execContext(ctx, query, args)
}

// Exec implements driver.Execer, which database/sql does not call where there
// is ExecContext. Without a context there is no task and no parent: it is the
// raw connection's.
func (e legacyExecer) Exec(query string, args []driver.Value) (driver.Result, error) {
	return e.c.execer.Exec(query, args)
}

// QueryContext implements driver.QueryerContext.
func (q queryer) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return q.c.queryContext(ctx, query, args)
}

// Query implements driver.Queryer, as Exec does driver.Execer.
func (q legacyQueryer) Query(query string, args []driver.Value) (driver.Rows, error) {
	return q.c.queryer.Query(query, args)
}

// ResetSession implements driver.SessionResetter.
func (r resetter) ResetSession(ctx context.Context) error { return r.c.resetSession(ctx) }

// IsValid implements driver.Validator.
func (v validator) IsValid() bool { return v.c.raw.(driver.Validator).IsValid() }

// shaped returns c with the optional interfaces that the raw connection has. A
// connection with the legacy form of Exec or Query alone gets the context's
// form as well, which database/sql prefers.
//
// Go decides at compile time what a type implements, so that there is a type
// for each combination: 3 × 3 × 2 × 2.
func (c *conn) shaped() driver.Conn {
	shape := 0
	switch {
	case c.execer != nil:
		shape += 2
	case c.execerCtx != nil:
		shape++
	}
	switch {
	case c.queryer != nil:
		shape += 2 * 3
	case c.queryerCtx != nil:
		shape += 3
	}
	if _, ok := c.raw.(driver.SessionResetter); ok {
		shape += 9
	}
	if _, ok := c.raw.(driver.Validator); ok {
		shape += 18
	}
	switch shape {
	default:
		return c
	case 1:
		return struct {
			*conn
			execer
		}{c, execer{c}}
	case 2:
		return struct {
			*conn
			legacyExecer
		}{c, legacyExecer{execer{c}}}
	case 3:
		return struct {
			*conn
			queryer
		}{c, queryer{c}}
	case 4:
		return struct {
			*conn
			execer
			queryer
		}{c, execer{c}, queryer{c}}
	case 5:
		return struct {
			*conn
			legacyExecer
			queryer
		}{c, legacyExecer{execer{c}}, queryer{c}}
	case 6:
		return struct {
			*conn
			legacyQueryer
		}{c, legacyQueryer{queryer{c}}}
	case 7:
		return struct {
			*conn
			execer
			legacyQueryer
		}{c, execer{c}, legacyQueryer{queryer{c}}}
	case 8:
		return struct {
			*conn
			legacyExecer
			legacyQueryer
		}{c, legacyExecer{execer{c}}, legacyQueryer{queryer{c}}}
	case 9:
		return struct {
			*conn
			resetter
		}{c, resetter{c}}
	case 10:
		return struct {
			*conn
			execer
			resetter
		}{c, execer{c}, resetter{c}}
	case 11:
		return struct {
			*conn
			legacyExecer
			resetter
		}{c, legacyExecer{execer{c}}, resetter{c}}
	case 12:
		return struct {
			*conn
			queryer
			resetter
		}{c, queryer{c}, resetter{c}}
	case 13:
		return struct {
			*conn
			execer
			queryer
			resetter
		}{c, execer{c}, queryer{c}, resetter{c}}
	case 14:
		return struct {
			*conn
			legacyExecer
			queryer
			resetter
		}{c, legacyExecer{execer{c}}, queryer{c}, resetter{c}}
	case 15:
		return struct {
			*conn
			legacyQueryer
			resetter
		}{c, legacyQueryer{queryer{c}}, resetter{c}}
	case 16:
		return struct {
			*conn
			execer
			legacyQueryer
			resetter
		}{c, execer{c}, legacyQueryer{queryer{c}}, resetter{c}}
	case 17:
		return struct {
			*conn
			legacyExecer
			legacyQueryer
			resetter
		}{c, legacyExecer{execer{c}}, legacyQueryer{queryer{c}}, resetter{c}}
	case 18:
		return struct {
			*conn
			validator
		}{c, validator{c}}
	case 19:
		return struct {
			*conn
			execer
			validator
		}{c, execer{c}, validator{c}}
	case 20:
		return struct {
			*conn
			legacyExecer
			validator
		}{c, legacyExecer{execer{c}}, validator{c}}
	case 21:
		return struct {
			*conn
			queryer
			validator
		}{c, queryer{c}, validator{c}}
	case 22:
		return struct {
			*conn
			execer
			queryer
			validator
		}{c, execer{c}, queryer{c}, validator{c}}
	case 23:
		return struct {
			*conn
			legacyExecer
			queryer
			validator
		}{c, legacyExecer{execer{c}}, queryer{c}, validator{c}}
	case 24:
		return struct {
			*conn
			legacyQueryer
			validator
		}{c, legacyQueryer{queryer{c}}, validator{c}}
	case 25:
		return struct {
			*conn
			execer
			legacyQueryer
			validator
		}{c, execer{c}, legacyQueryer{queryer{c}}, validator{c}}
	case 26:
		return struct {
			*conn
			legacyExecer
			legacyQueryer
			validator
		}{c, legacyExecer{execer{c}}, legacyQueryer{queryer{c}}, validator{c}}
	case 27:
		return struct {
			*conn
			resetter
			validator
		}{c, resetter{c}, validator{c}}
	case 28:
		return struct {
			*conn
			execer
			resetter
			validator
		}{c, execer{c}, resetter{c}, validator{c}}
	case 29:
		return struct {
			*conn
			legacyExecer
			resetter
			validator
		}{c, legacyExecer{execer{c}}, resetter{c}, validator{c}}
	case 30:
		return struct {
			*conn
			queryer
			resetter
			validator
		}{c, queryer{c}, resetter{c}, validator{c}}
	case 31:
		return struct {
			*conn
			execer
			queryer
			resetter
			validator
		}{c, execer{c}, queryer{c}, resetter{c}, validator{c}}
	case 32:
		return struct {
			*conn
			legacyExecer
			queryer
			resetter
			validator
		}{c, legacyExecer{execer{c}}, queryer{c}, resetter{c}, validator{c}}
	case 33:
		return struct {
			*conn
			legacyQueryer
			resetter
			validator
		}{c, legacyQueryer{queryer{c}}, resetter{c}, validator{c}}
	case 34:
		return struct {
			*conn
			execer
			legacyQueryer
			resetter
			validator
		}{c, execer{c}, legacyQueryer{queryer{c}}, resetter{c}, validator{c}}
	case 35:
		return struct {
			*conn
			legacyExecer
			legacyQueryer
			resetter
			validator
		}{c, legacyExecer{execer{c}}, legacyQueryer{queryer{c}}, resetter{c}, validator{c}}
	}
}
