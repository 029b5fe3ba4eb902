package worker

import (
	"context"
	"slices"
	"sync"
)

// Watch calls f with the report of each run of the runner's tasks when it has
// ended, after its span and its metrics have been recorded and before the call
// that ran it returns. The context is that of the task, and may be done.
//
// f is called on the task's goroutine, by several of them at once, and the task
// waits for it. A panic of f is reported to otel.Handle. Functions are called in
// the order in which they were added.
//
// The returned function ends that. It may be called more than once, and while f
// is being called; runs that were ending then may still be reported. A nil Runner
// stands for the default one, and a nil f does nothing.
func (r *Runner) Watch(f func(context.Context, Report)) (stop func()) {
	if f == nil {
		return func() {}
	}
	if r == nil || r.config == nil {
		r = Default()
	}
	w := &watcher{tell: f}
	r.changeWatchers(func(ws watchers) watchers { return append(slices.Clone(ws), w) })
	return sync.OnceFunc(func() {
		r.changeWatchers(func(ws watchers) watchers {
			return slices.DeleteFunc(slices.Clone(ws), func(other *watcher) bool { return other == w })
		})
	})
}

// watcher is a function to which runs are reported.
type watcher struct {
	tell func(context.Context, Report)
}

// watchers are those of a runner. A list never changes: there is a new one for
// each change, so that reading one takes no lock.
type watchers []*watcher

func (r *Runner) changeWatchers(change func(watchers) watchers) {
	for {
		old := r.watchers.Load()
		var ws watchers
		if old != nil {
			ws = *old
		}
		var changed *watchers
		if ws = change(ws); len(ws) > 0 {
			changed = &ws
		}
		if r.watchers.CompareAndSwap(old, changed) {
			return
		}
	}
}

func (ws watchers) tell(t *task, r Report) {
	for i, w := range ws {
		own := r
		if i < len(ws)-1 {
			own = r.clone() // what one does to its report must not reach another
		}
		w.called(t.context(), own)
	}
}

func (w *watcher) called(ctx context.Context, r Report) {
	defer scope.Guard("a function given to Watch")
	w.tell(ctx, r)
}
