package worker

import (
	"context"
	"sync"
)

// Group is a set of tasks that run on goroutines of their own and belong
// together, with the methods and the meaning of errgroup.Group. The zero Group
// is ready for use, has no limit, and cancels nothing. A Group must not be
// copied, and not be used again after Wait.
type Group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	slots  chan struct{} // nil without a limit

	mu    sync.Mutex
	err   error
	raise any // what Wait panics with
}

// NewGroup returns a group, and the context of its tasks. The context is
// cancelled when the first task fails, with its error as the cause, or when
// Wait returns. A nil ctx stands for context.Background.
func NewGroup(ctx context.Context) (*Group, context.Context) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{ctx: ctx, cancel: cancel}, ctx
}

// SetLimit limits the number of tasks that run at the same time. A negative
// number means no limit; with zero, none can be started. Tasks that are running
// do not count against a new limit. SetLimit must not be called at the same time
// as Go or TryGo.
func (g *Group) SetLimit(n int) {
	if n < 0 {
		g.slots = nil
		return
	}
	g.slots = make(chan struct{}, n)
}

// Go starts fn as a task of that name on a new goroutine, as a child of the task
// in the group's context. If there is a limit, it waits until fewer tasks run.
//
// The first task that returns an error, one given to [Skip] included, cancels
// the group's context, and Wait returns that error. A task that panics, or that
// calls runtime.Goexit ([ErrGoexit]), or that is not run because its runner is
// draining ([ErrDraining]), counts as one that returned an error.
func (g *Group) Go(name string, fn func(context.Context) error, opts ...TaskOption) {
	slots := g.slots
	if slots != nil {
		slots <- struct{}{}
	}
	g.start(starter(), slots, name, fn, opts)
}

// TryGo does what [Group.Go] does if it need not wait for that. It reports
// whether the task was started.
func (g *Group) TryGo(name string, fn func(context.Context) error, opts ...TaskOption) bool {
	slots := g.slots
	if slots != nil {
		select {
		case slots <- struct{}{}:
		default:
			return false
		}
	}
	return g.start(starter(), slots, name, fn, opts)
}

// Wait waits until all tasks of the group have ended, cancels the group's
// context, and returns the first error.
//
// If a task panicked, Wait panics with the *errs.PanicError of the first one,
// which holds the value and the stack of the goroutine that panicked. A task of
// a runner that recovers panics returns it instead.
func (g *Group) Wait() error {
	g.wg.Wait()
	g.mu.Lock()
	err, raise := g.err, g.raise
	g.mu.Unlock()
	if g.cancel != nil {
		g.cancel(err)
	}
	if raise != nil {
		panic(raise)
	}
	return err
}

// start starts a task that has a slot of slots, if these are not nil, for the caller
// of that return address.
func (g *Group) start(pc uintptr, slots chan struct{}, name string, fn func(context.Context) error, opts []TaskOption) bool {
	t, err := begin(g.ctx, nil, name, functionPC(fn), newTaskConfig(opts))
	if err != nil {
		g.end(err, nil)
		release(slots)
		return false
	}
	t.async, t.pc = true, pc
	g.wg.Add(1)
	go g.run(t, fn, slots)
	return true
}

func (g *Group) run(t *task, fn func(context.Context) error, slots chan struct{}) {
	var (
		err   error
		raise any
	)
	// The deferred calls run on Goexit, too.
	defer g.wg.Done()
	defer release(slots)
	defer t.endAsync(&err, &raise, g)
	err = fn(t.context())
	t.returned = true
}

func release(slots chan struct{}) {
	if slots != nil {
		<-slots
	}
}

// end notes how a task ended. A nil group is that of a task without one.
func (g *Group) end(err error, raise any) {
	if g == nil || err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if raise != nil && g.raise == nil {
		g.raise = raise
	}
	if g.err != nil {
		return
	}
	g.err = err
	if g.cancel != nil {
		g.cancel(err)
	}
}
