package main

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/taskz"
)

func newRunner(p providers, opts ...worker.Option) (*worker.Runner, error) {
	return worker.New(append(opts, worker.WithTracerProvider(p.traces), worker.WithMeterProvider(p.meters),
		worker.WithLogger(slog.New(slog.DiscardHandler)))...)
}

func nothing(context.Context) error { return nil }

// tasks measures worker.Run around a function that does nothing.
func tasks(r *report) error {
	for _, p := range parents {
		ctx := p.context()
		least, err := taskFloor(sdkProviders())
		if err != nil {
			return err
		}
		runner, err := newRunner(sdkProviders())
		if err != nil {
			return err
		}
		var s subjects
		s.add(bare, "bare", func() error { return nothing(ctx) })
		s.add(floor, "floor", func() error { return least(ctx, nothing) })
		s.add(own, "worker", func() error { return runner.Run(ctx, task, nothing) })
		g, err := s.measure("task", p.name, r.plan)
		if err != nil {
			return err
		}
		r.add(g, limits{floor: 1.3})
		if err := runner.Drain(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// ledgers measures what a statement costs more in a task than outside of it.
// Both have the same parent span, so that what is left is the ledger.
func ledgers(r *report) error {
	for _, w := range []struct {
		name string
		rows int
		on   func(ctx context.Context, db executor, text string, args ...any) func() error
	}{
		{"exec", 0, execOn},
		{"query, 1 row", 1, readOn},
	} {
		p := sdkProviders()
		// Both have spans, so that what is left is the ledger.
		runner, err := newRunner(p, worker.WithMaxOperationSpans(0))
		if err != nil {
			return err
		}
		err = runner.Run(sampled.context(), task, func(inside context.Context) error {
			outside := trace.ContextWithSpan(context.Background(), trace.SpanFromContext(inside))
			db := openOurs(noopConnector(w.rows), p)
			var s subjects
			s.closers = append(s.closers, db.Close)
			defer s.close()
			s.add(bare, "outside of tasks", w.on(outside, db, query, arguments...))
			s.add(own, "in a task", w.on(inside, db, query, arguments...))
			// A small difference of two large times takes more turns than others.
			g, err := s.measure("ledger, "+w.name, "task", plan{4 * r.plan.rounds, r.plan.turn})
			if err != nil {
				return err
			}
			r.add(g, limits{})
			r.budgets = append(r.budgets, budget{what: g.name + " in a task beyond one outside", measured: g.of(own).time, limit: 100, unit: " ns"})
			return nil
		})
		if err != nil {
			return err
		}
		if err := runner.Drain(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// pages measures what a statement costs more while a page watches its task, and after
// that, when no task keeps a log any more. The statements are folded, so that little else is measured.
func pages(r *report) error {
	runner, err := newRunner(sdkProviders())
	if err != nil {
		return err
	}
	db := openOurs(noopConnector(0), sdkProviders())
	defer db.Close()
	var s subjects
	// in adds a subject in a task of its own, and goes on within it.
	in := func(role role, name string, next func() error) error {
		return runner.Run(context.Background(), task, func(ctx context.Context) error {
			do := execOn(ctx, db, query, arguments...)
			if err := repeat(do, 200); err != nil { // to where it is folded
				return err
			}
			s.add(role, name, do)
			return next()
		})
	}
	err = in(bare, "before any page", func() error {
		page := taskz.New(runner)
		return in(own, "with a page", func() error {
			if err := page.Close(); err != nil {
				return err
			}
			return in(aside, "after the page", func() error {
				g, err := s.measure("exec in a task", "page", plan{4 * r.plan.rounds, r.plan.turn})
				if err != nil {
					return err
				}
				r.groups = append(r.groups, *g)
				r.budgets = append(r.budgets, budget{what: "a statement while a page watches", measured: g.of(own).time, limit: 100, unit: " ns"})
				return nil
			})
		})
	})
	if err != nil {
		return err
	}
	return runner.Drain(context.Background())
}
