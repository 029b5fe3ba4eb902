// Package task has tasks.
package task

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"time"

	"github.com/taskspan/taskspan/worker"
	"golang.org/x/sync/errgroup"
)

type store struct {
	db  *sql.DB
	ctx context.Context
}

func (s *store) load(ctx context.Context) error { return nil }

func named(ctx context.Context, s *store) error {
	return worker.Run(ctx, "load", func(taskCtx context.Context) error {
		if _, err := s.db.ExecContext(ctx, "DELETE"); err != nil { // want `^ctx is not the context of the task around this call of s.db.ExecContext, which is lost to the task; use taskCtx$`
			return err
		}
		return s.load(ctx) // want `ctx is not the context of the task`
	})
}

func unnamed(ctx context.Context, s *store) error {
	return worker.Run(ctx, "load", func(context.Context) error {
		return s.load(ctx) // want `use the context that its function is given`
	})
}

func blank(ctx context.Context, s *store) error {
	return worker.Run(ctx, "load", func(_ context.Context) error {
		_ = s.load(ctx)    // want `use the context`
		return s.load(ctx) // want `use the context`
	}, worker.WithID("1"))
}

func otherwiseUsed(ctx context.Context, s *store) error {
	return worker.Run(ctx, "load", func(context.Context) error {
		<-ctx.Done()
		return s.load(ctx) // want `use the context`
	})
}

func right(ctx context.Context, s *store) error {
	return worker.Run(ctx, "load", func(ctx context.Context) error { return s.load(ctx) })
}

func derived(ctx context.Context, s *store) error {
	return worker.Run(ctx, "load", func(taskCtx context.Context) error {
		short, cancel := context.WithTimeout(ctx, time.Second) // want `short, which comes from ctx, is not the context`
		defer cancel()
		good, stop := context.WithTimeout(taskCtx, time.Second)
		defer stop()
		_ = s.load(good)
		_ = s.load(context.WithValue(ctx, store{}, 1)) // want `is not the context of the task`
		return s.load(short)
	})
}

func onPurpose(ctx context.Context, s *store) error {
	detached := context.WithoutCancel(ctx)
	late, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return worker.Run(ctx, "load", func(taskCtx context.Context) error {
		_ = s.load(context.Background())
		_ = s.load(context.WithoutCancel(ctx))
		_ = s.load(detached)
		_ = s.load(late)
		go s.load(ctx)
		defer s.load(ctx)
		go func() { _ = s.load(ctx) }()
		slog.InfoContext(ctx, "loading")
		worker.Inject(ctx, nil)
		_ = http.StatusOK
		select {
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		return s.load(taskCtx)
	})
}

func main() {
	ctx := context.Background()
	var s store
	_ = worker.Run(ctx, "load", func(context.Context) error {
		return s.load(ctx) // want `ctx is not the context`
	})
}

func nested(ctx context.Context, s *store) error {
	return worker.Run(ctx, "a", func(a context.Context) error {
		_ = worker.Run(ctx, "sibling", func(b context.Context) error { return s.load(b) })
		return worker.Run(a, "b", func(b context.Context) error {
			_ = s.load(ctx)  // want `use b$`
			return s.load(a) // want `a is not the context of the task .*; use b$`
		})
	})
}

func closures(ctx context.Context, s *store, retry func(func() error) error, in func(context.Context, func(context.Context) error) error) error {
	return worker.Run(ctx, "load", func(taskCtx context.Context) error {
		f := func() error { return s.load(ctx) } // want `use taskCtx`
		_ = f()
		g, gctx := errgroup.WithContext(taskCtx)
		g.Go(func() error { return s.load(gctx) })
		g.Go(func() error { return s.load(ctx) }) // want `use taskCtx`
		_ = in(taskCtx, func(inner context.Context) error {
			_ = s.load(inner)
			return s.load(ctx) // want `use taskCtx`
		})
		time.AfterFunc(time.Second, func() { _ = s.load(ctx) })
		return retry(func() error {
			taskCtx := 1
			_ = taskCtx
			return s.load(ctx) // want `use taskCtx`
		})
	})
}

func reassigned(ctx context.Context, s *store) error {
	outer := ctx
	return worker.Run(ctx, "load", func(taskCtx context.Context) error {
		outer = taskCtx
		return s.load(outer)
	})
}

func requests(w http.ResponseWriter, r *http.Request, s *store) {
	_ = worker.Run(r.Context(), "load", func(ctx context.Context) error {
		return s.load(r.Context()) // want `r.Context\(\) is not the context`
	})
	_ = worker.Run(r.Context(), "load", func(ctx context.Context) error {
		r := r.WithContext(ctx)
		return s.load(r.Context())
	})
}

func (s *store) fields(ctx context.Context) {
	_ = worker.Run(s.ctx, "load", func(ctx context.Context) error {
		return s.load(s.ctx) // want `s.ctx is not the context`
	})
	_ = worker.Run(ctx, "load", func(context.Context) error {
		return s.load(s.ctx) // it may be the task's
	})
	_ = worker.Run(ctx, "load", func(ctx context.Context) error {
		s := &store{ctx: ctx}
		return s.load(s.ctx)
	})
}

func all(ctx context.Context, r *worker.Runner, s *store) {
	_ = r.Run(ctx, "load", func(context.Context) error { return s.load(ctx) })                             // want `ctx is not`
	_, _ = worker.Do(ctx, "load", func(context.Context) (int, error) { return 1, s.load(ctx) })            // want `ctx is not`
	_ = worker.Go[int](ctx, "load", func(context.Context) (int, error) { return 1, s.load(ctx) })          // want `ctx is not`
	_ = worker.Wrap("load", func(c context.Context, n int) (int, error) { return 1, s.load(ctx) })         // want `ctx is not`
	_ = worker.Run(ctx, "load", func(context.Context) error { return s.load(ctx) }, worker.WithDetached()) // want `ctx is not`
	g, gctx := worker.NewGroup(ctx)
	g.Go("load", func(c context.Context) error { return s.load(gctx) }) // want `gctx is not`
	g.Go("load", func(c context.Context) error { return s.load(ctx) })  // want `ctx is not`
	g2, g2ctx := worker.NewGroup(ctx)
	g2.TryGo("load", func(c context.Context) error { return s.load(g2ctx) }) // want `g2ctx is not`
	g2.TryGo("load", func(_ context.Context) error { return s.load(g2ctx) }) // want `g2ctx is not`
	f := func(c context.Context) error { return s.load(ctx) }                // want `ctx is not`
	_ = worker.Run(ctx, "load", f)
	_ = worker.Run(ctx, "load", s.load)
	_ = worker.Run(ctx, "load", func(c context.Context) error { return s.load(ctx) }) //otdbvet:ignore the load outlives the task
}

func taken(ctx context.Context, s *store) error {
	return worker.Run(ctx, "load", func(context.Context) error {
		_ = s.load(ctx) // want `ctx is not`
		ctx := 1
		_ = ctx
		return nil
	})
}
