package otdb

import (
	"sync/atomic"
	"time"
)

// tickPeriod is how long a turn of the rows' consumer, or of the driver, may go
// unnoticed. A span tells the time inside the driver where it differs by as much.
const tickPeriod = consumerThreshold

// A ticker tells rows that come quickly that time has passed, for less than a
// reading of the clock costs: to look at its count costs as much as to look at any
// other number. Rows that want it keep it going, and when nobody has wanted it for
// a period it stops: a process that reads no rows has no timer.
type ticker struct {
	count  atomic.Uint32
	wanted atomic.Bool // since the last tick
	armed  atomic.Bool // a tick is to come
}

// ticks is the process's ticker.
var ticks ticker

// want makes sure that the count changes in about a period, once or more often. It
// must not be called in a bubble of testing/synctest; see isBubbled.
func (t *ticker) want() {
	if !t.wanted.Load() { // which other processors share, as long as nobody writes
		t.wanted.Store(true)
	}
	if !t.armed.Load() && t.armed.CompareAndSwap(false, true) {
		time.AfterFunc(tickPeriod, t.tick)
	}
}

func (t *ticker) tick() {
	t.count.Add(1)
	if t.wanted.Swap(false) {
		time.AfterFunc(tickPeriod, t.tick)
		return
	}
	t.armed.Store(false)
	if t.wanted.Load() { // by somebody who still saw it armed
		t.want()
	}
}

// isBubbled reports whether a reading is one of testing/synctest's clock: that begins
// in the year 2000, before the process did. Timers of the process do not follow it, and
// one that was started in the bubble would be of no use outside.
func isBubbled(reading time.Duration) bool { return reading < 0 }
