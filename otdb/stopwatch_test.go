package otdb

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// turn is the time that consumer and driver take for a row.
type turn struct{ pause, call time.Duration }

// timed reads a stream with a stopwatch, as rows do, and returns which rows were measured,
// what they measured, and what the driver took.
func timed(stream []turn) (measured []int64, w stopwatch, driver time.Duration) {
	now := 5 * time.Second // the call of the query
	w.start(now)
	for _, t := range stream {
		now += t.pause
		if w.rows == w.due {
			w.call(now)
			measured = append(measured, w.rows+1)
		}
		now += t.call
		driver += t.call
		if w.rows++; w.rows >= w.due {
			w.row(now)
		}
	}
	w.returned(now)
	return measured, w, driver
}

func TestMeasuredRows(t *testing.T) {
	quick := []int64{1, 2, 3, 4, 6, 9, 13, 19, 28, 42, 63, 94, 126, 158, 190}
	measured, _, _ := timed(slices.Repeat([]turn{{400, 599}}, 200))
	if !slices.Equal(measured, quick) {
		t.Errorf("of quick rows %v were measured, want %v", measured, quick)
	}
	if measured, _, _ = timed(slices.Repeat([]turn{{400, 600}}, 200)); len(measured) != 200 {
		t.Errorf("of rows that take a microsecond %v were measured, want all", measured)
	}
	// Slow on average, and since the last measured row.
	batches := slices.Concat(slices.Repeat([]turn{{100, 100}}, 99), []turn{{100, time.Millisecond}})
	measured, _, _ = timed(slices.Repeat(batches, 3))
	if want := append(quick[:12:12], 126); !slices.Equal(measured[:13], want) || len(measured) != 13+300-126 {
		t.Errorf("of rows in batches %v were measured, want %v and then all", measured, want)
	}
	// One long pause lasts until the average is below the threshold, here behind row 2,000.
	pause := slices.Repeat([]turn{{200, 300}}, 4000)
	pause[99].pause += time.Millisecond
	measured, _, _ = timed(pause)
	if i := slices.Index(measured, 126); i < 0 || measured[i+1875] != 2001 || measured[i+1876] != 2033 {
		t.Errorf("of rows with one pause %v … %v were measured", measured[:14], measured[len(measured)-70:])
	}
}

func TestTimeOfRows(t *testing.T) {
	uniform := func(n int, pause, call time.Duration) []turn { return slices.Repeat([]turn{{pause, call}}, n) }
	stall := uniform(30, 100, 200)
	stall[23].call = time.Second // between rows 19 and 28, which were measured
	for _, test := range []struct {
		name   string
		stream []turn
		want   time.Duration
	}{
		{"nothing", nil, 0},
		{"slow rows", uniform(100, time.Millisecond, time.Second), 100 * time.Second},
		{"slow pauses", uniform(100, time.Second, time.Millisecond), 100 * time.Millisecond},
		{"quick rows, up to the last measured one", uniform(100, 300, 500), 94 * 500},
		{"a stall stands for as much as the rows that were measured", stall, 30 * 200},
		// Rows 5 and 6, of which 6 is measured: it stands for one row, but not for more than has passed.
		{"more than has passed", []turn{{0, 10}, {0, 10}, {0, 10}, {0, 10}, {10, 10}, {0, 400}}, 40 + 20 + 400},
		{"more than has passed, in parts", []turn{{0, 10}, {0, 10}, {0, 10}, {0, 10}, {10, 10}, {100, 300}}, 40 + 15 + 300},
	} {
		_, w, _ := timed(test.stream)
		if got := w.driver; got != test.want {
			t.Errorf("%s: %v in the driver, want %v", test.name, got, test.want)
		}
	}
}

// TestTimeOfAnyRows checks what holds for all streams: the driver is never said to have
// taken more than has passed, and where every row is slow it is exact.
func TestTimeOfAnyRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same streams each time
	for range 2000 {
		slow := rng.IntN(2) == 0
		stream := make([]turn, rng.IntN(500))
		scale := int64(1) << rng.IntN(30)
		for i := range stream {
			stream[i] = turn{time.Duration(rng.Int64N(scale)), time.Duration(rng.Int64N(scale))}
			if slow {
				stream[i].call += slowRow
			}
		}
		_, w, driver := timed(stream)
		now := w.idle
		if outside := w.outside(now); outside < 0 || w.driver < 0 {
			t.Fatalf("%v of %v in the driver", w.driver, now-w.opened)
		}
		if got := w.driver; slow && got != driver {
			t.Fatalf("%v in the driver of slow rows, want %v", got, driver)
		}
	}
}
