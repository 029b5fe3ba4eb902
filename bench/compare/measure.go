package main

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// subject is one way of doing a case's work.
type subject struct {
	name string
	do   func() error
}

// result is what one operation of a subject takes.
type result struct {
	name   string
	time   float64 // ns, the median over the rounds
	over   float64 // ns more than the bare subject, the median of the rounds' differences
	allocs float64
	bytes  float64
}

// measure lets the subjects take turns. The first one is the bare one.
func measure(subjects []subject, rounds int, length time.Duration) ([]result, error) {
	counts := make([]int, len(subjects))
	for i, s := range subjects {
		n, err := calibrate(s, length)
		if err != nil {
			return nil, err
		}
		counts[i] = n
	}
	times := make([][]float64, len(subjects))
	results := make([]result, len(subjects))
	for range rounds {
		for _, i := range rand.Perm(len(subjects)) {
			s := subjects[i]
			runtime.GC() // so that nobody pays for another one's garbage
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			for range counts[i] {
				if err := s.do(); err != nil {
					return nil, err
				}
			}
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			n := float64(counts[i])
			times[i] = append(times[i], float64(took)/n)
			results[i].allocs = float64(after.Mallocs-before.Mallocs) / n
			results[i].bytes = float64(after.TotalAlloc-before.TotalAlloc) / n
		}
	}
	for i, s := range subjects {
		results[i].name = s.name
		results[i].time = median(times[i])
		diffs := make([]float64, rounds)
		for r := range diffs {
			diffs[r] = times[i][r] - times[0][r]
		}
		results[i].over = median(diffs)
	}
	return results, nil
}

// calibrate returns how many operations fill a turn, after warming up.
func calibrate(s subject, length time.Duration) (int, error) {
	for n := 16; ; n *= 2 {
		begin := time.Now()
		for range n {
			if err := s.do(); err != nil {
				return 0, err
			}
		}
		if took := time.Since(begin); took >= length/4 {
			return max(1, int(float64(n)*float64(length)/float64(took))), nil
		}
	}
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	m := len(v) / 2
	if len(v)%2 == 1 {
		return v[m]
	}
	return (v[m-1] + v[m]) / 2
}
