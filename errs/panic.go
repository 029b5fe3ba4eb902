package errs

import "fmt"

// PanicError is a recovered panic, as an error.
//
// Its text is for the program that handles the error, and holds the value as fmt
// prints it. Telemetry gets [Message], which never has the value of a panic
// and names its type instead.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // the stack of the goroutine, as [Stack] returns it
}

var _ error = (*PanicError)(nil)

// Error returns "panic: " and the value, without the stack.
func (e *PanicError) Error() string {
	if e == nil {
		return "panic"
	}
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap returns the value if it is an error, so that errors.Is and errors.As
// see it, and nil otherwise.
func (e *PanicError) Unwrap() error {
	if e == nil {
		return nil
	}
	err, _ := e.Value.(error)
	return err
}
