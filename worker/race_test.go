//go:build race

package worker

// raceEnabled says that the race detector is on, with which sync.Pool drops what
// it holds at random.
const raceEnabled = true
