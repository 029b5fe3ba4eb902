package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// printTree prints a trace as a tree: which process did what, when after the
// start of the trace, and for how long.
func printTree(w io.Writer, spans []span) {
	slices.SortStableFunc(spans, func(a, b span) int { return a.start.Compare(b.start) })
	known := make(map[string]bool)
	for _, s := range spans {
		known[s.id] = true
	}
	children := make(map[string][]span)
	for _, s := range spans {
		parent := s.parent
		if !known[parent] {
			parent = ""
		}
		children[parent] = append(children[parent], s)
	}
	var lines []line
	for _, root := range children[""] {
		first := ""
		if strings.Trim(root.parent, "0") != "" {
			first = "… " // its parent never ended
		}
		lines = appendTree(lines, children, root, first, "")
	}
	var process, label int
	for _, l := range lines {
		process = max(process, utf8.RuneCountInString(l.span.process))
		label = max(label, utf8.RuneCountInString(l.label))
	}
	for _, l := range lines {
		mark := ""
		if l.span.failed {
			mark = " ✗"
		}
		fmt.Fprintf(w, "%-*s  %-*s  +%-8s %8s%s\n", process, l.span.process, label, l.label,
			short(l.span.start.Sub(spans[0].start)), short(l.span.end.Sub(l.span.start)), mark)
	}
}

// line is a span in the tree.
type line struct {
	span  span
	label string
}

func appendTree(lines []line, children map[string][]span, s span, first, rest string) []line {
	label := first + s.name
	if result := s.attributes["worker.task.result"]; result != "" {
		label += " (" + result + ")"
	}
	lines = append(lines, line{s, strings.ToValidUTF8(label, "?")})
	below := children[s.id]
	for i, child := range below {
		if i == len(below)-1 {
			lines = appendTree(lines, children, child, rest+"└─ ", rest+"   ")
		} else {
			lines = appendTree(lines, children, child, rest+"├─ ", rest+"│  ")
		}
	}
	return lines
}

// short writes a duration with about three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}
