package ledger

import (
	"context"
	"testing"
)

// A context whose ledger is bound answers as the one that it was bound to, and a driver
// that asks for every row does not go through the contexts around it.
func TestBoundContextAnswersAsItsParent(t *testing.T) {
	for name, parent := range map[string]func() (context.Context, context.CancelFunc){
		"background":  func() (context.Context, context.CancelFunc) { return context.Background(), func() {} },
		"cancellable": func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := parent()
			bound := New(nil, "load").Bind(ctx)
			if bound.Done() != ctx.Done() {
				t.Error("another Done")
			}
			for _, when := range []string{"before", "after"} {
				if got, want := bound.Err(), ctx.Err(); got != want {
					t.Errorf("%s its end the error is %v, want %v", when, got, want)
				}
				cancel()
			}
		})
	}
}
