package tree

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// Escape sequences of a terminal.
const (
	red   = "\x1b[31m"
	plain = "\x1b[0m"
)

// terminal is what is known of a writer that may be one.
type terminal struct {
	fd    int // -1: it is none
	color bool
}

// newTerminal finds out whether w is a terminal.
func newTerminal(w io.Writer) terminal {
	if f, ok := w.(*os.File); ok && f != nil {
		if fd := int(f.Fd()); term.IsTerminal(fd) {
			// https://no-color.org
			return terminal{fd: fd, color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
		}
	}
	return terminal{fd: -1}
}

// columns returns the length of a line. The terminal is asked each time: its window may have changed.
func (t terminal) columns() int {
	if t.fd >= 0 {
		if width, _, err := term.GetSize(t.fd); err == nil && width > 0 {
			return max(width, minColumns)
		}
	}
	return defaultColumns
}

// environmentColumns returns the number in COLUMNS, 0 if that is none.
func environmentColumns() int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil {
		return max(n, minColumns)
	}
	return 0
}
