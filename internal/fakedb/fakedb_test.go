package fakedb

import (
	"database/sql/driver"
	"errors"
	"io"
	"testing"
)

// has returns the interfaces that v has, of those that its kind may have.
func has(v any) Shape {
	var s Shape
	is := func(bit Shape, ok bool) {
		if ok {
			s |= bit
		}
	}
	switch v := v.(type) {
	case driver.Conn:
		_, ok := v.(driver.ExecerContext)
		is(ExecerContext, ok)
		_, ok = v.(driver.Execer)
		is(Execer, ok)
		_, ok = v.(driver.QueryerContext)
		is(QueryerContext, ok)
		_, ok = v.(driver.Queryer)
		is(Queryer, ok)
		_, ok = v.(driver.ConnPrepareContext)
		is(ConnPrepareContext, ok)
		_, ok = v.(driver.ConnBeginTx)
		is(ConnBeginTx, ok)
		_, ok = v.(driver.Pinger)
		is(Pinger, ok)
		_, ok = v.(driver.SessionResetter)
		is(SessionResetter, ok)
		_, ok = v.(driver.Validator)
		is(Validator, ok)
		_, ok = v.(driver.NamedValueChecker)
		is(ConnChecker, ok)
	case driver.Stmt:
		_, ok := v.(driver.StmtExecContext)
		is(StmtExecContext, ok)
		_, ok = v.(driver.StmtQueryContext)
		is(StmtQueryContext, ok)
		_, ok = v.(driver.NamedValueChecker)
		is(StmtChecker, ok)
		_, ok = v.(driver.ColumnConverter)
		is(ColumnConverter, ok)
	case driver.Rows:
		_, ok := v.(driver.RowsNextResultSet)
		is(RowsNextResultSet, ok)
		_, ok = v.(driver.RowsColumnTypeScanType)
		is(ColumnTypeScanType, ok)
		_, ok = v.(driver.RowsColumnTypeDatabaseTypeName)
		is(ColumnTypeDatabaseTypeName, ok)
		_, ok = v.(driver.RowsColumnTypeLength)
		is(ColumnTypeLength, ok)
		_, ok = v.(driver.RowsColumnTypeNullable)
		is(ColumnTypeNullable, ok)
		_, ok = v.(driver.RowsColumnTypePrecisionScale)
		is(ColumnTypePrecisionScale, ok)
	}
	return s
}

// TestShapes checks that every shape has exactly what it is named for, and that
// there are those that matter.
func TestShapes(t *testing.T) {
	for _, shape := range Conns {
		if got := has(newConn(&DB{Shape: shape})); got != shape {
			t.Errorf("a connection has %v, want %v", got, shape)
		}
	}
	for _, shape := range Stmts {
		if got := has((&stmt{db: &DB{Shape: shape}}).shaped()); got != shape {
			t.Errorf("a statement has %v, want %v", got, shape)
		}
	}
	for _, shape := range Rows {
		if got := has((&rows{db: &DB{Shape: shape}}).shaped()); got != shape {
			t.Errorf("rows have %v, want %v", got, shape)
		}
	}
	const others = ConnPrepareContext | ConnBeginTx | Pinger | ConnChecker
	for calls := range ConnPrepareContext { // the bits below it
		for _, shape := range []Shape{others, others | SessionResetter, others | Validator, others | SessionResetter | Validator} {
			if connShapes[calls|shape] == nil {
				t.Errorf("there is no connection of shape %v", calls|shape)
			}
		}
	}
	for i := range 10 {
		if one := Shape(1) << i; one&others != 0 && (connShapes[one] == nil || connShapes[Modern&ConnShapes&^one] == nil) {
			t.Errorf("there is no connection with %v alone, or without it", one)
		}
	}
	for one := RowsNextResultSet; one < RowsColumnScanner; one <<= 1 {
		if rowsShapes[one] == nil {
			t.Errorf("there are no rows with %v alone", one)
		}
	}
	if len(Stmts) != 16 {
		t.Errorf("%d shapes of statements", len(Stmts))
	}
	for _, s := range []Shape{0, DriverContext, ConnectorCloser} {
		db := &DB{Shape: s}
		_, ok := db.Driver().(driver.DriverContext)
		if ok != s.Has(DriverContext) {
			t.Errorf("%v: the driver is a DriverContext: %v", s, ok)
		}
		_, ok = db.Connector().(io.Closer)
		if ok != s.Has(ConnectorCloser) {
			t.Errorf("%v: the connector is a Closer: %v", s, ok)
		}
		if db.Driver() != db.Connector().Driver() {
			t.Errorf("%v: two drivers", s)
		}
	}
}

func TestShapeString(t *testing.T) {
	if got, want := (ExecerContext | ConnectorCloser).String(), "ExecerContext+ConnectorCloser"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Shape(0).String(); got != "bare" {
		t.Errorf("got %s, want bare", got)
	}
	if 1<<len(shapeNames) != end {
		t.Error("a shape has no name")
	}
}

// TestFaults checks that a fault meets the call that it is for.
func TestFaults(t *testing.T) {
	first, other := errors.New("first"), errors.New("other")
	db := &DB{Shape: Pinger}
	db.On(ConnPing, 2, Fault{Err: first})
	db.On(ConnPing, 0, Fault{Err: other})
	c, err := db.Connector().Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []error{other, first, other} {
		if err := c.(driver.Pinger).Ping(t.Context()); err != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if n := db.Count(ConnPing); n != 3 {
		t.Errorf("counted %d", n)
	}
	want := Call{Method: ConnPing, Object: 1, Ctx: "live", Outcome: "first"}
	if got := db.Calls()[2]; got != want {
		t.Errorf("logged %v, want %v", got, want)
	}
}

// TestPlain checks that plain mode allocates nothing.
func TestPlain(t *testing.T) {
	db := &DB{Shape: Modern, Plain: true}
	c, err := db.Connector().Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	dest := make([]driver.Value, 2)
	n := testing.AllocsPerRun(100, func() {
		_, _ = c.(driver.ExecerContext).ExecContext(ctx, "INSERT", nil)
		rows, _ := c.(driver.QueryerContext).QueryContext(ctx, "SELECT", nil)
		for rows.Next(dest) == nil {
		}
		_ = rows.Close()
		s, _ := c.(driver.ConnPrepareContext).PrepareContext(ctx, "SELECT")
		_, _ = s.(driver.StmtQueryContext).QueryContext(ctx, nil)
		tx, _ := c.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
		_ = tx.Commit()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if calls := db.Calls(); len(calls) > 0 {
		t.Errorf("logged %v", calls)
	}
}
