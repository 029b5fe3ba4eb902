package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// shutdownTimeout bounds a shutdown whose context has no deadline.
	shutdownTimeout = 10 * time.Second
	// releaseTimeout is what is left for letting go of goroutines and sockets when the time is up.
	releaseTimeout = time.Second
)

// parts are the things that Start has set up, in the order in which it did.
type parts struct {
	list     []part
	releases []func() // let go of what nothing uses any more, in the end

	once sync.Once
	done chan struct{} // closed when err is final
	err  error
}

// part is one thing that runs until it is stopped.
type part struct {
	name string
	stop func(context.Context) error
}

func (p *parts) add(name string, stop func(context.Context) error) {
	p.list = append(p.list, part{name, stop})
}

// shutdown is [Telemetry.Shutdown]. The stopping itself goes on in the background when ctx
// ends first, for parts that do not heed their context.
func (p *parts) shutdown(ctx context.Context) error {
	p.once.Do(func() {
		p.done = make(chan struct{})
		go func() {
			defer close(p.done)
			p.err = p.stop(ctx)
		}()
	})
	select {
	case <-p.done:
		return p.err
	default:
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("telemetry: shutdown: %w", ctx.Err())
	}
}

// stop stops the parts in reverse order. Each gets an equal share of the time that is left, so that one
// that waits for a dead collector does not take it all.
func (p *parts) stop(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
	}
	var errs []error
	released, cancelRelease := false, func() {}
	defer func() { cancelRelease() }()
	for i := len(p.list) - 1; i >= 0; i-- {
		if ctx.Err() != nil && !released {
			released = true
			ctx, cancelRelease = release(ctx)
		}
		partCtx, cancel := share(ctx, i+1)
		if err := p.list[i].stop(partCtx); err != nil {
			errs = append(errs, fmt.Errorf("telemetry: stopping %s: %w", p.list[i].name, err))
		}
		cancel()
	}
	for _, release := range p.releases {
		release()
	}
	return errors.Join(errs...)
}

// release returns a context for letting go of what cannot be stopped properly any more, since ctx is done.
// Given a context that is done, the SDK would not even stop its goroutines.
func release(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
}

// share returns a context for one of n users of the time that ctx has left. A little is kept back, so
// that an error about one of them is known before ctx ends.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(deadline)
	return context.WithTimeout(ctx, (left-left/10)/time.Duration(n))
}
