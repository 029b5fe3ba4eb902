package tree

import (
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handledErrors collects what is passed to otel.Handle during a test.
type handledErrors struct {
	mu   sync.Mutex
	list []error
}

func (e *handledErrors) Handle(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, err)
}

func (e *handledErrors) all() []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

func captureErrors(t *testing.T) *handledErrors {
	t.Helper()
	e := &handledErrors{}
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(e)
	t.Cleanup(func() { otel.SetErrorHandler(previous) })
	return e
}
