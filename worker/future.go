package worker

import "context"

// Future is a task that runs on a goroutine of its own.
type Future[T any] struct {
	done  chan struct{}
	value T
	err   error
	raise any // what Wait panics with
}

// Go starts fn as a task of that name on a new goroutine. The task has begun
// when Go returns: its span is that of a child of the task in ctx, and a runner
// that drains waits for it. If the runner is draining already, fn is not called,
// and [Future.Wait] returns [ErrDraining].
func Go[T any](ctx context.Context, name string, fn func(context.Context) (T, error), opts ...TaskOption) *Future[T] {
	f := &Future[T]{done: make(chan struct{})}
	t, err := begin(ctx, nil, name, functionPC(fn), newTaskConfig(opts))
	if err != nil {
		f.err = err
		close(f.done)
		return f
	}
	t.async, t.pc = true, starter()
	go f.run(t, fn)
	return f
}

func (f *Future[T]) run(t *task, fn func(context.Context) (T, error)) {
	defer close(f.done)
	defer t.endAsync(&f.err, &f.raise, nil)
	f.value, f.err = fn(t.context())
	t.returned = true
}

// Done returns a channel that is closed when the task has ended.
func (f *Future[T]) Done() <-chan struct{} { return f.done }

// Wait waits for the task to end and returns what its function returned, as
// [Do] does. It may be called any number of times, from any goroutine.
//
// If the function panicked, Wait panics with an *errs.PanicError that holds the
// value and the stack of the goroutine that panicked; if the runner recovers
// panics, Wait returns it. Nothing but telemetry hears of a panic if nobody
// waits. If the function called runtime.Goexit, the error is [ErrGoexit].
func (f *Future[T]) Wait() (T, error) {
	<-f.done
	if f.raise != nil {
		panic(f.raise)
	}
	return f.value, f.err
}
