package main

import (
	"bytes"
	"sync"
)

// trees keeps the printed trees until the report is out. Spans may end, and be
// printed, in the background: a cancelled transaction is rolled back there.
type trees struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (t *trees) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

// String returns what has been printed, without the last line's end.
func (t *trees) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimRight(t.text.Bytes(), "\n"))
}
