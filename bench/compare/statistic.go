package main

import (
	"math"
	"slices"
)

// lowQuantile is the part of the turns that is taken to be undisturbed.
const lowQuantile = 0.05

// undisturbed returns what a turn takes when nothing gets in its way, from the
// times of many turns: a low quantile of them. See the command's documentation.
func undisturbed(times []float64) float64 { return quantile(times, lowQuantile) }

// quantile returns the q-quantile of v, linear between the two nearest values.
// It is NaN if there are none.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Clone(v)
	slices.Sort(v)
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
