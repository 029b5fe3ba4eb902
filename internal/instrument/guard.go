package instrument

import (
	"fmt"

	"go.opentelemetry.io/otel"
)

// Handle reports an error to otel.Handle. It does nothing for nil, and survives a
// handler that panics.
func Handle(err error) {
	defer func() { _ = recover() }()
	if err != nil {
		otel.Handle(err)
	}
}

// Guard ends a panic of telemetry, or of a function that came with an option, and
// reports it. It must be deferred. what names who panicked, such as "the tracer". The
// panic's value may be a secret: its type is reported.
func (s *Scope) Guard(what string) {
	if p := recover(); p != nil {
		s.Panicked(what, p)
	}
}

// Panicked reports a panic that the caller has recovered, as [Scope.Guard] does.
func (s *Scope) Panicked(what string, p any) { Handle(s.panicError(what, p)) }

// GuardTo is [Scope.Guard] for a function that returns an error: the panic becomes
// that error.
func (s *Scope) GuardTo(err *error, what string) {
	if p := recover(); p != nil {
		*err = s.panicError(what, p)
	}
}

func (s *Scope) panicError(what string, p any) error {
	return fmt.Errorf("%s: %s panicked with a %T", s.Package, what, p)
}
