package main

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/otdb"
)

// folded measures statements beyond the bounds of a trace, and those below a parent that is
// not sampled where [otdb.WithRequireSampledParent] is set.
func folded(r *report) error {
	for _, c := range []struct {
		name  string
		rows  int
		work  work
		limit float64 // × the floor
	}{
		{"exec, folded", 0, exec(query, arguments...), 0.45},
		{"query of 1 row, folded", 1, read(query, arguments...), 0.6},
	} {
		for _, p := range []parent{sampled, unsampled} {
			limit := c.limit
			if p == unsampled {
				limit = 0.7
			}
			runner, err := newRunner(sdkProviders())
			if err != nil {
				return err
			}
			err = runner.Run(p.context(), task, func(ctx context.Context) error {
				return r.beside(ctx, c.name, p.name, c.rows, c.work, limit)
			})
			if err != nil {
				return err
			}
			if err := runner.Drain(context.Background()); err != nil {
				return err
			}
		}
	}
	return r.beside(unsampled.context(), "exec, sampled parents only", unsampled.name, 0, exec(query, arguments...), 0.7,
		otdb.WithRequireSampledParent())
}

// beside measures work bare, with the floor, and through otdb.
func (r *report) beside(ctx context.Context, name, parent string, rows int, w work, limit float64, opts ...otdb.Option) error {
	var s subjects
	defer s.close()
	least, err := statementFloor(sdkProviders())
	if err != nil {
		return err
	}
	for i, role := range []role{bare, floor, own} {
		db := sql.OpenDB(noopConnector(rows))
		if role == own {
			db = openOurs(noopConnector(rows), sdkProviders(), opts...)
		}
		s.closers = append(s.closers, db.Close)
		do, err := w(ctx, db)
		if err != nil {
			return err
		}
		if role == own {
			for range 200 { // to where it is folded
				if err := do(); err != nil {
					return err
				}
			}
		}
		if role == floor {
			bareDo := do
			do = func() error { least(ctx); return bareDo() }
		}
		s.add(role, []string{"bare", "floor", "otdb"}[i], do)
	}
	g, err := s.measure(name, parent, r.plan)
	if err != nil {
		return err
	}
	r.add(g, limits{floor: limit})
	return nil
}

// million measures a task of a million statements: its spans, its heap and its time.
func million(r *report) error {
	n := 1_000_000
	if r.quick {
		n = 100_000
	}
	run := func(ctx context.Context, db *sql.DB) (time.Duration, error) {
		began := time.Now()
		for range n {
			if _, err := db.ExecContext(ctx, query, arguments...); err != nil {
				return 0, err
			}
		}
		return time.Since(began), nil
	}
	plain := sql.OpenDB(noopConnector(0))
	defer plain.Close()
	alone, err := run(context.Background(), plain)
	if err != nil {
		return err
	}
	p := sdkProviders()
	spans := new(spanCounter)
	traces := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	p.traces = traces
	runner, err := newRunner(p)
	if err != nil {
		return err
	}
	db := openOurs(noopConnector(0), p)
	defer db.Close()
	var grown float64
	var took time.Duration
	err = runner.Run(context.Background(), task, func(ctx context.Context) error {
		for range 1000 {
			if _, err := db.ExecContext(ctx, query, arguments...); err != nil {
				return err
			}
		}
		before := heap()
		var err error
		took, err = run(ctx, db)
		grown = (heap() - before) / 1024
		return err
	})
	if err != nil {
		return err
	}
	if err := runner.Drain(context.Background()); err != nil {
		return err
	}
	ended := spans.ended.Load()
	fmt.Fprintf(r.w, "a task of %d statements: %d spans, heap %+.0f KiB, %v, bare %v\n\n", n, ended, grown, took.Round(time.Millisecond), alone.Round(time.Millisecond))
	r.budgets = append(r.budgets,
		budget{what: "spans of a task of many statements, one a kind and minute besides", measured: float64(ended), limit: 1600 + took.Minutes() + 2},
		budget{what: "heap of a task of many statements", measured: grown, limit: 256, unit: " KiB"},
	)
	return nil
}

// spanCounter counts spans.
type spanCounter struct {
	discard
	ended atomic.Int64
}

// OnEnd implements sdktrace.SpanProcessor.
func (c *spanCounter) OnEnd(sdktrace.ReadOnlySpan) { c.ended.Add(1) }
