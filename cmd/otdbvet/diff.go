package main

import (
	"fmt"
	"strings"
)

// context is how many lines that are the same a diff shows around others.
const context = 3

// A line of a diff is kept (' '), taken away ('-') or added ('+').
type line struct {
	kind byte
	text string
}

// unified returns the difference between two texts of a file.
func unified(name string, before, after []byte) string {
	all := compare(lines(before), lines(after))
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %[1]s\n", name)
	old, now := 1, 1 // the lines that all[i] is at
	for i := 0; i < len(all); {
		if all[i].kind == ' ' {
			i, old, now = i+1, old+1, now+1
			continue
		}
		// A hunk goes on until more lines are the same than two contexts.
		begin, end, same := max(0, i-context), i, 0
		for j := i; j < len(all) && same <= 2*context; j++ {
			if same++; all[j].kind != ' ' {
				end, same = j+1, 0
			}
		}
		end = min(len(all), end+context)
		old, now = old-(i-begin), now-(i-begin)
		var body strings.Builder
		olds, news := 0, 0
		for _, l := range all[begin:end] {
			if l.kind != '+' {
				olds++
			}
			if l.kind != '-' {
				news++
			}
			body.WriteByte(l.kind)
			body.WriteString(l.text)
			if !strings.HasSuffix(l.text, "\n") {
				body.WriteString("\n\\ No newline at end of file\n")
			}
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n%s", span(old, olds), span(now, news), body.String())
		i, old, now = end, old+olds, now+news
	}
	return b.String()
}

// span returns a range of lines as a hunk's head has it.
func span(from, count int) string {
	if count == 0 {
		from-- // the line in front
	}
	if count == 1 {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d,%d", from, count)
}

func lines(text []byte) []string {
	all := strings.SplitAfter(string(text), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// compare returns a shortest way from a to b, by Myers' algorithm: the farthest
// points that d differences reach, for d = 0, 1, 2, …, and the way back.
func compare(a, b []string) []line {
	n, m := len(a), len(b)
	var reached [][]int
	x := make([]int, 2*(n+m)+2)
	zero := n + m
	for d := 0; ; d++ {
		reached = append(reached, append([]int(nil), x...))
		for k := -d; k <= d; k += 2 {
			var i int
			if k == -d || k != d && x[zero+k-1] < x[zero+k+1] {
				i = x[zero+k+1]
			} else {
				i = x[zero+k-1] + 1
			}
			for i < n && i-k < m && a[i] == b[i-k] {
				i++
			}
			x[zero+k] = i
			if i >= n && i-k >= m {
				return back(a, b, reached, zero, d)
			}
		}
	}
}

// back follows the points that were reached from the end to the beginning.
func back(a, b []string, reached [][]int, zero, d int) []line {
	i, j := len(a), len(b)
	var reversed []line
	for ; d >= 0; d-- {
		x, k := reached[d], i-j
		from := k - 1
		if k == -d || k != d && x[zero+k-1] < x[zero+k+1] {
			from = k + 1
		}
		pi := x[zero+from]
		pj := pi - from
		for i > pi && j > pj && i > 0 && j > 0 && a[i-1] == b[j-1] {
			i, j = i-1, j-1
			reversed = append(reversed, line{' ', a[i]})
		}
		if d == 0 {
			break
		}
		if from == k+1 {
			j--
			reversed = append(reversed, line{'+', b[j]})
		} else {
			i--
			reversed = append(reversed, line{'-', a[i]})
		}
	}
	all := make([]line, 0, len(reversed))
	for k := len(reversed) - 1; k >= 0; k-- {
		all = append(all, reversed[k])
	}
	return all
}
