package worker

import (
	"fmt"

	"go.opentelemetry.io/otel"

	"github.com/taskspan/taskspan/errs"
)

// handle reports a fault of the telemetry. It survives an error handler that
// panics.
func handle(err error) {
	defer func() { _ = recover() }()
	otel.Handle(err)
}

// guard, deferred, keeps a panic of telemetry or of a function that came with
// an option away from the task.
func guard(doing string) {
	if v := recover(); v != nil {
		handlePanic(doing, v, errs.Stack())
	}
}

func handlePanic(doing string, v any, stack []byte) {
	defer func() { _ = recover() }()
	p := &errs.PanicError{Value: v, Stack: stack}
	otel.Handle(fmt.Errorf("worker: panic while %s: %s", doing, errs.Message(p)))
}
