package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows a person how far long work has come. It is silent unless it
// writes to a terminal that can clear a line.
type progress struct {
	w    io.Writer // nil: silent
	next time.Time
}

const progressInterval = 100 * time.Millisecond

func newProgress(w io.Writer) *progress {
	if f, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &progress{w: w}
		}
	}
	return &progress{}
}

// step shows that done of total has been done; a total of 0 is unknown.
func (p *progress) step(what string, done, total int) {
	if p.w == nil {
		return
	}
	now := time.Now()
	if now.Before(p.next) && done < total {
		return
	}
	p.next = now.Add(progressInterval)
	if total == 0 {
		fmt.Fprintf(p.w, "\r\x1b[K%s", what)
		return
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s: %d of %d", what, done, total)
}

// clear removes what step left on the line.
func (p *progress) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
