package otdb

import "time"

// processStart anchors the clock readings. A reading since a fixed time costs
// half of what time.Now does, and keeps its monotonic part when it is turned
// into a time again.
var processStart = time.Now()

// monotonic is the default clock: the time since processStart.
func monotonic() time.Duration { return time.Since(processStart) }

// monotonicTime returns the time of a reading, for comparison with others: the
// difference is exact, since it is that of the monotonic parts.
func monotonicTime(reading time.Duration) time.Time { return processStart.Add(reading) }
