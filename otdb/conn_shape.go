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

//go:generate go run ./internal/shapes

// shaped returns c with the optional interfaces that the raw connection has. A
// connection with the legacy form of Exec or Query alone gets the context's
// form as well, which database/sql prefers. The weights are those of the axes
// in internal/shapes.
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
		shape += 3 * 2
	case c.queryerCtx != nil:
		shape += 3
	}
	if _, ok := c.raw.(driver.SessionResetter); ok {
		shape += 3 * 3
	}
	if _, ok := c.raw.(driver.Validator); ok {
		shape += 3 * 3 * 2
	}
	return c.withShape(shape)
}
