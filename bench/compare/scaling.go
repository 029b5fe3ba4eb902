package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// pair is work for two goroutines that share what the work is traced with, and
// nothing else: each has a connection of its own, as the lock of database/sql's
// pool would hide all others.
type pair struct {
	name string
	do   [2]func() error
}

// scaling measures how much more two goroutines get done than one.
func scaling(r *report) error {
	if runtime.GOMAXPROCS(0) < 2 {
		fmt.Fprintln(r.w, "scaling: not measured, there is but one processor")
		return nil
	}
	var s subjects
	defer s.close()
	var pairs []pair
	add := func(name string, db *sql.DB, p providers, withFloor bool) error {
		s.closers = append(s.closers, db.Close)
		least, err := statementFloor(p)
		if err != nil {
			return err
		}
		next := pair{name: name}
		for i := range next.do {
			ctx := sampled.context()
			conn, err := apart(ctx, db)
			if err != nil {
				return err
			}
			next.do[i] = execOn(ctx, conn, query, arguments...)
			if withFloor {
				statement := next.do[i]
				next.do[i] = func() error { least(ctx); return statement() }
			}
		}
		pairs = append(pairs, next)
		return nil
	}
	pairs = append(pairs,
		pair{"arithmetic", [2]func() error{arithmetic(), arithmetic()}},
		pair{"allocation", [2]func() error{allocation(), allocation()}})
	sdk, none := sdkProviders(), noopProviders()
	if err := errors.Join(
		add("exec, bare", sql.OpenDB(noopConnector(0)), none, false),
		add("exec, floor", sql.OpenDB(noopConnector(0)), sdk, true),
		add("exec, otdb", openOurs(noopConnector(0), sdkProviders()), sdk, false),
		add("exec, otdb, no-op providers", openOurs(noopConnector(0), none), none, false),
	); err != nil {
		return err
	}
	least, err := taskFloor(sdk)
	if err != nil {
		return err
	}
	ctx := sampled.context()
	work := func() error { return least(ctx, nothing) }
	pairs = append(pairs, pair{"task, floor", [2]func() error{work, work}})
	for _, way := range []struct {
		name string
		p    providers
	}{{"task, worker", sdkProviders()}, {"task, worker, no-op providers", none}} {
		runner, err := newRunner(way.p)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, func() error { return runner.Drain(context.Background()) })
		work := func() error { return runner.Run(ctx, task, nothing) }
		pairs = append(pairs, pair{way.name, [2]func() error{work, work}})
	}

	factors, err := scale(pairs, plan{2 * r.plan.rounds, r.plan.turn / 5})
	if err != nil {
		return err
	}
	tw := newTable(r.w)
	fmt.Fprintln(tw, "work\ttwo goroutines do\t")
	by := make(map[string]float64)
	for i, f := range factors {
		by[pairs[i].name] = f
		fmt.Fprintf(tw, "%s\t%.2f ×\t\n", pairs[i].name, f)
	}
	_ = tw.Flush() // to a stream that the caller watches
	fmt.Fprintln(r.w)
	if by["arithmetic"] < 1.8 {
		fmt.Fprintf(r.w, "scaling: not judged, the machine had no second processor to spare\n\n")
		return nil
	}
	// Whatever allocates scales no better than the allocator does.
	limit := 1.8 * min(1, by["allocation"]/2)
	r.budgets = append(r.budgets,
		budget{what: "scaling of exec / the floor's", measured: by["exec, otdb"] / by["exec, floor"], limit: 0.95, atLeast: true, unit: " ×"},
		budget{what: "scaling of exec, no-op providers", measured: by["exec, otdb, no-op providers"], limit: limit, atLeast: true, unit: " ×"},
		budget{what: "scaling of tasks / the floor's", measured: by["task, worker"] / by["task, floor"], limit: 0.95, atLeast: true, unit: " ×"},
		budget{what: "scaling of tasks, no-op providers", measured: by["task, worker, no-op providers"], limit: limit, atLeast: true, unit: " ×"},
	)
	return nil
}

// arithmetic returns work that shares nothing and allocates nothing: what the
// machine itself makes of two goroutines. It has independent chains, to keep a
// whole core busy: processors that are two threads of one core show it.
func arithmetic() func() error {
	var sink [24]uint64 // the middle is on a cache line of its own
	return func() error {
		a, b, c, d, e, f := sink[8]|1, sink[9]|1, sink[10]|1, sink[11]|1, sink[12]|1, sink[13]|1
		for range 200 {
			a ^= a<<13 + b
			b ^= b>>7 + c
			c ^= c<<17 + d
			d ^= d<<5 + e
			e ^= e>>9 + f
			f ^= f<<11 + a
		}
		sink[8], sink[9], sink[10], sink[11], sink[12], sink[13] = a, b, c, d, e, f
		return nil
	}
}

// allocation returns work that is nothing but the allocation of what an
// operation may need.
func allocation() func() error {
	var sink [16]*[256]byte
	return func() error {
		sink[8] = new([256]byte)
		return nil
	}
}

// apart returns a connection that shares no cache line with another one that it
// returned: small objects of a size lie side by side in memory.
func apart(ctx context.Context, db *sql.DB) (conn *sql.Conn, err error) {
	for range 8 {
		if conn, err = db.Conn(ctx); err != nil {
			return nil, err
		}
	}
	return conn, nil
}

// scale returns for each pair how many times the work of one goroutine two of
// them do in the same time.
func scale(pairs []pair, p plan) ([]float64, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	counts := make([]int, len(pairs))
	for i := range pairs {
		n, err := calibrate(pairs[i].do[0], p.turn)
		if err == nil {
			_, err = calibrate(pairs[i].do[1], p.turn)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pairs[i].name, err)
		}
		counts[i] = n
	}
	alone, both := make([][]float64, len(pairs)), make([][]float64, len(pairs))
	for range p.rounds {
		for _, i := range rand.Perm(len(pairs)) {
			one, err := turn(pairs[i].do[0], counts[i])
			if err != nil {
				return nil, err
			}
			two, err := together(pairs[i].do, counts[i])
			if err != nil {
				return nil, err
			}
			alone[i] = append(alone[i], float64(one))
			both[i] = append(both[i], float64(two))
		}
	}
	factors := make([]float64, len(pairs))
	for i := range pairs {
		factors[i] = 2 * undisturbed(alone[i]) / undisturbed(both[i])
	}
	return factors, nil
}

// together is turn for two goroutines, from when both are there to when the
// later one is done.
func together(do [2]func() error, n int) (time.Duration, error) {
	runtime.GC()
	var (
		ready atomic.Int32
		ends  [2]time.Time
		errs  [2]error
		began [2]time.Time
		done  = make(chan struct{})
	)
	run := func(i int) {
		errs[i] = repeat(do[i], n/8)
		ready.Add(1)
		for ready.Load() < 2 {
			// Who waits keeps its processor, so that there are two.
		}
		began[i] = time.Now()
		if errs[i] == nil {
			errs[i] = repeat(do[i], n)
		}
		ends[i] = time.Now()
	}
	go func() { defer close(done); run(1) }()
	run(0)
	<-done
	first, last := began[0], ends[0]
	if began[1].Before(first) {
		first = began[1]
	}
	if ends[1].After(last) {
		last = ends[1]
	}
	return last.Sub(first), errors.Join(errs[:]...)
}
