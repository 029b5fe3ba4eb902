package worker

import "context"

type TaskOption interface{ apply() }
type Runner struct{}
type Group struct{}
type Future[T any] struct{}

func WithDetached() TaskOption { return nil }
func WithID(string) TaskOption { return nil }
func WithNewRoot() TaskOption  { return nil }

func Run(ctx context.Context, name string, fn func(context.Context) error, opts ...TaskOption) error {
	return fn(ctx)
}
func (*Runner) Run(ctx context.Context, name string, fn func(context.Context) error, opts ...TaskOption) error {
	return fn(ctx)
}
func Do[T any](ctx context.Context, name string, fn func(context.Context) (T, error), opts ...TaskOption) (T, error) {
	return fn(ctx)
}
func Go[T any](ctx context.Context, name string, fn func(context.Context) (T, error), opts ...TaskOption) *Future[T] {
	return nil
}
func Wrap[A, T any](name string, fn func(context.Context, A) (T, error), opts ...TaskOption) func(context.Context, A) (T, error) {
	return fn
}
func NewGroup(ctx context.Context) (*Group, context.Context)                        { return nil, ctx }
func (g *Group) Go(name string, fn func(context.Context) error, opts ...TaskOption) {}
func (g *Group) TryGo(name string, fn func(context.Context) error, opts ...TaskOption) bool {
	return true
}
func (g *Group) Wait() error                  { return nil }
func Inject(ctx context.Context, carrier any) {}
