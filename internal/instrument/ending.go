package instrument

import (
	"errors"
	"runtime"
)

// ErrNotReturned is what an error holds until the call returns that sets it. A
// deferred function that finds it there asks [Unwinding] how the call ended:
//
//	err := instrument.ErrNotReturned
//	defer func() { op.end(err) }()
//	err = f()
var ErrNotReturned = errors.New("the call has not returned")

// Ending is how a call ended that did not return.
type Ending uint8

const (
	// Panicked calls panicked.
	Panicked Ending = 1 + iota
	// Exited calls ended their goroutine with runtime.Goexit.
	Exited
)

// Unwinding returns how the call ended that runs the deferred function from which it
// is called. That function may have recovered the panic. Only the stack shows it:
// recover returns nil for runtime.Goexit and for panic(nil) with GODEBUG=panicnil=1,
// and whoever passes a panic on must not recover it.
func Unwinding() Ending {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		switch frame.Function {
		case "runtime.gopanic":
			return Panicked
		case "runtime.Goexit":
			return Exited
		}
		if !more {
			return Panicked
		}
	}
}
