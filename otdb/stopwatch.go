package otdb

import (
	"math"
	"time"
)

// A stopwatch measures the time inside the driver while rows are read.
//
// It reads the clock behind the call of the query and around some rows: 1, 2, 3, 4,
// 6, 9 and so on, by strides that grow to maxStride, and around every row while the
// stream is slow, which is when rows take slowRow or more each, their consumer
// included, on average so far or since the last measured row. The average counts
// because drivers fetch rows in batches: most rows are quick, and a few take all the
// time.
//
// A measured row, which is a call of the driver and the pause before it, stands for the
// rows since the last measured one, though never for more time than has passed. The rest
// of the time is not counted as the driver's. That is a lone stall in the middle of a
// quick stream, and less than slowRow a row.
type stopwatch struct {
	rows   int64 // that the driver has returned
	due    int64 // when that many rows were read, the next one is measured
	inside bool  // the driver looks for a row, or panicked doing that

	// Readings of the clock, which are durations as well.
	opened time.Duration // the stream, which is when the call of the query returned
	idle   time.Duration // the pause before a row that is measured
	called time.Duration // the driver was
	timing bool          // called is that of the present call

	measured   int64         // the last measured row,
	measuredAt time.Duration // and the reading behind it
	driver     time.Duration // the time inside the driver since the stream was opened
}

const (
	slowRow   = time.Microsecond
	maxStride = 32

	never = math.MaxInt64 // is when rows are due that nobody wants to be measured
)

// start starts the stopwatch, at a reading behind the call of the query.
func (w *stopwatch) start(now time.Duration) {
	*w = stopwatch{opened: now, idle: now, measuredAt: now}
}

// call is given a reading before a call of the driver that is measured.
func (w *stopwatch) call(now time.Duration) { w.called, w.timing = now, true }

// row is given a reading behind a call that returned a row. If the call was measured,
// it decides which one is measured next; otherwise that is the next one.
func (w *stopwatch) row(now time.Duration) {
	if !w.timing {
		w.idle = now
		return
	}
	call, since := now-w.called, w.rows-w.measured
	w.driver += call + w.stoodFor(call, since-1)
	slow := now-w.opened >= slowRow*time.Duration(w.rows) || now-w.measuredAt >= slowRow*time.Duration(since)
	stride := int64(1)
	if !slow {
		stride = min(max(w.rows/2, 1), maxStride)
	}
	w.due = w.rows + stride - 1
	w.timing = false
	w.idle, w.measured, w.measuredAt = now, w.rows, now
}

// stoodFor returns the time inside the driver of the n rows before the one that is
// measured, if they were like it.
func (w *stopwatch) stoodFor(call time.Duration, n int64) time.Duration {
	passed, each := w.idle-w.measuredAt, call+w.called-w.idle
	if n == 0 || each <= 0 {
		return 0
	}
	if all := each * time.Duration(n); all > passed {
		return time.Duration(float64(passed) * (float64(call) / float64(each)))
	}
	return call * time.Duration(n)
}

// returned is given a reading behind a call that returned no row.
func (w *stopwatch) returned(now time.Duration) {
	if w.timing {
		w.driver += now - w.called
		w.measuredAt += now - w.called
	}
	w.timing = false
	w.idle = now
}

// outside returns how much of the time until now was not measured as the driver's.
func (w *stopwatch) outside(now time.Duration) time.Duration { return now - w.opened - w.driver }
