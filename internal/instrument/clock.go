package instrument

import "time"

// Clock is a monotonic clock. Its readings are durations since a fixed time: one
// costs half of what time.Now does.
type Clock struct {
	// Now returns a reading.
	Now func() time.Duration
	// Time returns the time of a reading. Two such times differ by exactly what
	// their readings do.
	Time func(reading time.Duration) time.Time
}

// processStart anchors the readings.
var processStart = time.Now()

// SystemClock reads the clock of the machine.
var SystemClock = Clock{
	Now:  func() time.Duration { return time.Since(processStart) },
	Time: processStart.Add, // which keeps the monotonic part
}
