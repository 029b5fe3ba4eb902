package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestQuantile(t *testing.T) {
	v := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.25: 2, 0.5: 3, 0.625: 3.5, 1: 5} {
		if got := quantile(v, q); got != want {
			t.Errorf("quantile(%v) = %v, want %v", q, got, want)
		}
	}
	if v[0] != 5 {
		t.Error("the values were sorted in place")
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of nothing: %v, want NaN", got)
	}
}

// noisy returns the times per operation of turns on a machine that is busy: each
// is up to 4 % longer than it need be, most share their core's caches with
// something else, and many are interrupted for as long as another process runs.
func noisy(rng *rand.Rand, ns float64, turns int, interrupted float64) []float64 {
	const turn = 1e6
	out := make([]float64, turns)
	for i := range out {
		t := ns * (1 + 0.04*rng.Float64())
		if rng.Float64() < 0.5 {
			t *= 1.1 + 0.4*rng.Float64()
		}
		if rng.Float64() < interrupted {
			t *= 1 + rng.ExpFloat64()*3e6/turn
		}
		out[i] = t
	}
	return out
}

// TestUndisturbed shows that the ratio of two overheads comes out right on a
// machine on which most turns are disturbed, and that the median does not do.
func TestUndisturbed(t *testing.T) {
	const (
		bare, floor, traced = 1000, 1900, 2100
		want                = float64(traced-bare) / (floor - bare)
		tries, turns        = 200, 200
	)
	rng := rand.New(rand.NewPCG(1, 2))
	far := func(of func([]float64) float64) (n int) {
		for range tries {
			b, f, x := of(noisy(rng, bare, turns, 0.7)), of(noisy(rng, floor, turns, 0.7)), of(noisy(rng, traced, turns, 0.7))
			if got := (x - b) / (f - b); math.Abs(got/want-1) > 0.05 {
				n++
			}
		}
		return n
	}
	if n := far(undisturbed); n > tries/50 {
		t.Errorf("%d of %d ratios are off by more than 5 %%", n, tries)
	}
	if n := far(func(v []float64) float64 { return quantile(v, 0.5) }); n < tries/2 {
		t.Errorf("with the median it is %d of %d: then it would be good enough", n, tries)
	}
}
