package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"
)

// plan is how long to measure.
type plan struct {
	rounds int
	turn   time.Duration // of one subject in one round
}

// subject is one way of doing a case's work.
type subject struct {
	name string
	do   func() error
}

// result is what one operation of a subject takes.
type result struct {
	name   string
	time   float64 // ns
	allocs float64
	bytes  float64
}

// measure lets the subjects take turns. They get one processor, so that a
// goroutine that database/sql starts costs the same whether or not the machine
// has another one to spare.
func measure(subjects []subject, p plan) ([]result, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	counts := make([]int, len(subjects))
	for i, s := range subjects {
		n, err := calibrate(s.do, p.turn)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		counts[i] = n
	}
	times := make([][]float64, len(subjects))
	for range p.rounds {
		for _, i := range rand.Perm(len(subjects)) {
			took, err := turn(subjects[i].do, counts[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", subjects[i].name, err)
			}
			times[i] = append(times[i], float64(took)/float64(counts[i]))
		}
	}
	results := make([]result, len(subjects))
	for i, s := range subjects {
		allocs, bytes, err := allocations(s.do, min(counts[i], 1000))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		results[i] = result{s.name, undisturbed(times[i]), allocs, bytes}
	}
	return results, nil
}

// turn does n operations, after a few that are not measured, on a heap that was
// just collected, so that nobody pays for another one's garbage.
func turn(do func() error, n int) (time.Duration, error) {
	runtime.GC()
	if err := repeat(do, n/8); err != nil {
		return 0, err
	}
	began := time.Now()
	err := repeat(do, n)
	return time.Since(began), err
}

func repeat(do func() error, n int) error {
	for range n {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// calibrate returns how many operations fill a turn. It also warms them up.
func calibrate(do func() error, length time.Duration) (int, error) {
	best := time.Duration(1 << 62)
	for n, tries := 4, 0; ; tries++ {
		began := time.Now()
		if err := repeat(do, n); err != nil {
			return 0, err
		}
		best = min(best, time.Since(began)/time.Duration(n))
		if took := best * time.Duration(n); took < length/2 {
			n *= 2
		} else if tries > 4 {
			return max(1, int(length/max(1, best))), nil
		}
	}
}

// allocations returns the allocations and the bytes of one of n operations.
func allocations(do func() error, n int) (allocs, bytes float64, err error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = repeat(do, n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n), float64(after.TotalAlloc-before.TotalAlloc) / float64(n), err
}
