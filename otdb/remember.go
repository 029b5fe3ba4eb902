package otdb

import (
	"context"
	"database/sql/driver"
	"io"
	"reflect"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/ledger"
)

// remember has the task of l remember the driver's texts in err, the error of a call
// that is no operation, and returns err. Without a task the process remembers it.
func remember(l *ledger.Ledger, err error) error {
	if err != nil && err != driver.ErrSkip && err != io.EOF { //nolint:errorlint // what drivers return as they are
		errs.LookDriver(err, l.Said())
	}
	return err
}

// rememberIn is remember for the task in ctx.
func rememberIn(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return remember(ledger.FromContext(ctx), err)
}

// result is the result of an exec, whose methods may fail.
type result struct {
	driver.Result
	ledger *ledger.Ledger
}

// LastInsertId implements driver.Result.
func (r *result) LastInsertId() (int64, error) {
	id, err := r.Result.LastInsertId()
	return id, remember(r.ledger, err)
}

// RowsAffected implements driver.Result.
func (r *result) RowsAffected() (int64, error) {
	n, err := r.Result.RowsAffected()
	return n, remember(r.ledger, err)
}

// resultType is what is known of a type of results.
type resultType struct {
	reflect.Type
	wraps bool
}

// remembering returns res with methods whose errors are remembered. It is res itself if
// it cannot fail with a value, or if somebody can see the difference: a program that
// calls the driver by itself may look for a type, or for other methods.
func (db *database) remembering(l *ledger.Ledger, res driver.Result) driver.Result {
	switch res.(type) {
	case nil, driver.RowsAffected:
		return res
	}
	// A driver has one type of results, or hardly more.
	known, t := db.result.Load(), reflect.TypeOf(res)
	if known == nil || known.Type != t {
		known = &resultType{t, wraps(res, t)}
		db.result.Store(known)
	}
	if !known.wraps {
		return res
	}
	return &result{res, l}
}

// wraps reports whether results of that type are wrapped.
func wraps(res driver.Result, t reflect.Type) bool {
	return res != driver.ResultNoRows && !exported(t) && t.NumMethod() == reflect.TypeFor[driver.Result]().NumMethod()
}

// exported reports whether others than the driver may name the type. They may compare
// what has no name as well.
func exported(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := t.Name()
	return name == "" || name[0] >= 'A' && name[0] <= 'Z'
}
