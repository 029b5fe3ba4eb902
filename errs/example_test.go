package errs_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskspan/taskspan/errs"
)

// postgresError stands in for that of a driver, pgx's *pgconn.PgError for example.
type postgresError struct {
	Severity, Code, Message, Detail string
	TableName, ConstraintName       string
}

func (e *postgresError) Error() string {
	return e.Severity + ": " + e.Message + " (SQLSTATE " + e.Code + ")"
}

func (e *postgresError) SQLState() string { return e.Code }

func ExampleClassify() {
	for _, err := range []error{
		fmt.Errorf("save user: %w", &postgresError{Code: "23505"}),
		fmt.Errorf("transfer: %w", &postgresError{Code: "40001"}),
		fmt.Errorf("report: %w", context.DeadlineExceeded),
		errors.New("no such plan"),
	} {
		class := errs.Classify(err)
		fmt.Printf("%s: %s, retry %t\n", class.Kind, class.Type, class.Retryable)
	}
	// Output:
	// constraint: 23505, retry false
	// serialization: 40001, retry true
	// timeout: context.DeadlineExceeded, retry false
	// other: *errors.errorString, retry false
}

// What a deadlock or a lost connection has stopped is done again, from the start of
// the transaction; nothing else is.
func ExampleClassify_retry() {
	attempts := []error{&postgresError{Code: "40P01"}, &postgresError{Code: "40001"}, nil}
	transfer := func(_ context.Context, n int) error { return attempts[n-1] }

	ctx := context.Background()
	const maxAttempts = 5
	var err error
	for n := 1; ; n++ {
		err = transfer(ctx, n)
		class := errs.Classify(err)
		if !class.Retryable || n == maxAttempts || ctx.Err() != nil {
			break
		}
		fmt.Printf("attempt %d: %s\n", n, class.Kind)
		time.Sleep(time.Duration(n) * time.Millisecond) // longer in a program
	}
	fmt.Println(err)
	// Output:
	// attempt 1: deadlock
	// attempt 2: serialization
	// <nil>
}

func ExampleMessage() {
	violation := &postgresError{
		Severity:       "ERROR",
		Code:           "23505",
		Message:        `duplicate key value violates unique constraint "users_email_key"`,
		Detail:         "Key (email)=(bob@example.com) already exists.",
		TableName:      "users",
		ConstraintName: "users_email_key",
	}
	fmt.Println(errs.Message(fmt.Errorf("save user 7: %w", violation)))

	cast := &postgresError{Severity: "ERROR", Code: "22P02", Message: `invalid input syntax for type integer: "secret"`}
	fmt.Println(errs.Message(errors.Join(errors.New("import stopped"), cast)))
	// Output:
	// save user ?: constraint (23505): duplicate key, constraint "users_email_key", table "users"
	// import stopped; data (22P02): invalid text for the type
}

func ExampleDriverMessage() {
	// As a driver returns it, of which nothing is known.
	err := errors.New("duplicate value 'bob@example.com' for key")
	fmt.Println(errs.DriverMessage(err))
	fmt.Println(errs.DriverMessage(fmt.Errorf("query of bob@example.com: %w", context.Canceled)))
	// Output:
	// other (*errors.errorString)
	// context canceled
}

// quotaError is an error of an application that has a class of its own.
type quotaError struct{ limit int }

func (e *quotaError) Error() string { return fmt.Sprintf("quota of %d exceeded", e.limit) }

func (e *quotaError) ErrorClass() errs.Class {
	return errs.Class{Kind: errs.KindResource, Type: "quota"}
}

func ExampleClassified() {
	err := fmt.Errorf("import: %w", &quotaError{limit: 10})
	class := errs.Classify(err)
	fmt.Println(class.Kind, class.Type)
	fmt.Println(errs.Message(err))
	// Output:
	// resource quota
	// import: quota of ? exceeded
}

func ExamplePanicError() {
	err := func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = &errs.PanicError{Value: v, Stack: errs.Stack()}
			}
		}()
		panic("secret")
	}()
	fmt.Println(err)
	fmt.Println(errs.Message(err))
	// Output:
	// panic: secret
	// panic (string)
}
