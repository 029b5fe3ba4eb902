package main

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/taskspan/taskspan/worker"
)

// manyRows measures many rows where workers read them: in a task, and in a context that
// can be cancelled. The cost of a row is the overhead of many without that
// of a query of one row.
func manyRows(r *report) error {
	// Operations beyond the bounds of a trace would have no spans, and peers have no such bounds.
	runner, err := newRunner(sdkProviders(), worker.WithMaxOperationSpans(0))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(sampled.context())
	defer cancel()
	err = runner.Run(ctx, task, func(inside context.Context) error {
		for _, in := range []struct {
			name string
			ctx  context.Context
		}{{"cancellable", ctx}, {"in a task", inside}} {
			if err := r.rowsIn(in.ctx, in.name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return runner.Drain(context.Background())
}

// lessThanXSAM holds many rows against the peer that looks at rows as well.
func (r *report) lessThanXSAM(g *group) {
	xsam, _ := g.named(peers[0].name)
	r.budgets = append(r.budgets, budget{
		what: g.name + ", " + g.parent + " / " + peers[0].name, measured: g.of(own).time / positive(g.over(xsam).time), limit: 1, unit: " ×",
	})
}

// perRow are the budgets of a row that comes in less than a microsecond, in nanoseconds.
var perRow = map[int]float64{100: 10, 10_000: 5}

// rowsIn measures rows in a context.
func (r *report) rowsIn(ctx context.Context, in string) error {
	measure := func(name string, rows int, connect func() (driver.Connector, error), w work) (*group, error) {
		g, err := wrapped(ctx, name, in, r.plan, connect, w, 1)
		if err != nil {
			return nil, err
		}
		r.add(g, limits{})
		if rows > 1 {
			r.lessThanXSAM(g)
		}
		return g, nil
	}
	noop := func(rows int) (*group, error) {
		connect := func() (driver.Connector, error) { return noopConnector(rows), nil }
		return measure(fmt.Sprintf("query, %d rows", rows), rows, connect, read(query, arguments...))
	}
	one, err := noop(1)
	if err != nil {
		return err
	}
	for _, rows := range []int{100, 10_000} {
		g, err := noop(rows)
		if err != nil {
			return err
		}
		r.budgets = append(r.budgets, budget{
			what:     fmt.Sprintf("a row of %d, %s, beyond the query's own cost", rows, in),
			measured: (g.of(own).time - one.of(own).time) / float64(rows-1), limit: perRow[rows], unit: " ns",
		})
	}
	const rows = 10_000
	connect := func() (driver.Connector, error) { return sqliteConnector(":memory:"), nil }
	g, err := measure("SQLite, 10000 rows", rows, connect, filledWith(rows, read("SELECT id, total FROM orders WHERE customer = ?", 7)))
	if err != nil {
		return err
	}
	plain, _ := g.find(bare)
	r.budgets = append(r.budgets, budget{
		what: g.name + ", " + in + ", beyond bare", measured: 100 * g.of(own).time / plain.time, limit: 5, unit: " %",
	})
	return nil
}
