package oteltest

import (
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
)

// Handled holds what is reported to otel.Handle. It may be used concurrently.
type Handled struct {
	t    testing.TB
	mu   sync.Mutex
	errs []error
}

// RecordHandled records what is reported to otel.Handle until the end of the
// test. Whatever is left then fails it.
func RecordHandled(t testing.TB) *Handled {
	t.Helper()
	h := &Handled{t: t}
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.errs = append(h.errs, err)
	}))
	t.Cleanup(func() {
		otel.SetErrorHandler(previous)
		for _, err := range h.TakeHandled() {
			t.Errorf("reported to otel.Handle: %v", err)
		}
	})
	return h
}

// Errors returns what was reported and not yet taken.
func (h *Handled) Errors() []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.errs)
}

// TakeHandled returns and forgets what was reported.
func (h *Handled) TakeHandled() []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	errs := h.errs
	h.errs = nil
	return errs
}

// WantHandled checks the texts of what was reported, and forgets them.
func (h *Handled) WantHandled(want ...string) {
	h.t.Helper()
	var got []string
	for _, err := range h.TakeHandled() {
		got = append(got, err.Error())
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("reported to otel.Handle:\n got %q\nwant %q", got, want)
	}
}
