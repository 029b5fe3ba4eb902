package worker

import "context"

// Run calls fn as a task of that name, on the default runner or that of
// [WithRunner]. See [Runner.Run].
func Run(ctx context.Context, name string, fn func(context.Context) error, opts ...TaskOption) error {
	return (*Runner)(nil).Run(ctx, name, fn, opts...)
}

// Run calls fn as a task of that name, on the goroutine of its caller, and
// records what becomes of it: as a span, in the metrics and, if it fails, in
// the log. The table in the package's documentation shows how.
//
// The error is the one that fn returned, unless fn returned one of [Skip] or
// the runner recovers panics. Only if the runner is draining is fn not called,
// and the error is [ErrDraining].
//
// fn's context carries the task's span, and what the queries made with it are
// counted in. It is cancelled when ctx is, and not when Run returns. A nil ctx
// stands for context.Background. An empty name becomes "unnamed", and is
// reported to otel.Handle. A nil fn panics as any call of a nil function does,
// within the task.
func (r *Runner) Run(ctx context.Context, name string, fn func(context.Context) error, opts ...TaskOption) (err error) {
	t, err := begin(ctx, r, name, functionPC(fn), newTaskConfig(opts))
	if err != nil {
		return err
	}
	defer t.end(&err)
	err = fn(t.context())
	t.returned = true
	return err
}

// Do is [Run] for a function that returns a value. The value is what fn
// returned, also with an error, and the zero value if it did not return.
func Do[T any](ctx context.Context, name string, fn func(context.Context) (T, error), opts ...TaskOption) (value T, err error) {
	t, err := begin(ctx, nil, name, functionPC(fn), newTaskConfig(opts))
	if err != nil {
		return value, err
	}
	defer t.end(&err)
	value, err = fn(t.context())
	t.returned = true
	return value, err
}
