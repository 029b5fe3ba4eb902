package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// table is what was measured, against the budgets.
type table struct {
	rows   []string
	broken []string
}

func newTable() *table { return &table{} }

// add enters the results of a case. They are in the order of benchCase.subjects.
func (t *table) add(c benchCase, p parent, results []result) {
	bare, floor := results[0], results[1]
	best := math.Inf(1)
	for _, r := range results[3:] {
		best = min(best, r.over)
	}
	for _, r := range results[1:] {
		line := fmt.Sprintf("%s\t%s\t%s\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f",
			c.name, p.name, r.name, r.over, r.allocs-bare.allocs, r.bytes-bare.bytes, r.over/floor.over, r.over/best)
		t.rows = append(t.rows, line)
	}
	ours := results[2]
	t.check(c, p, "floor", ours.over/floor.over, c.floorLimit)
	t.check(c, p, "the fastest peer", ours.over/best, c.peerLimit)
}

func (t *table) check(c benchCase, p parent, what string, ratio, limit float64) {
	if limit > 0 && ratio > limit {
		t.broken = append(t.broken, fmt.Sprintf("%s, %s: %.2f × %s, the budget is %.2f", c.name, p.name, ratio, what, limit))
	}
}

// print writes the table and reports whether every budget was kept.
func (t *table) print(w io.Writer) bool {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "case\tparent\twrapper\tns/op more\tallocs more\tB more\t× floor\t× best peer\t")
	for _, r := range t.rows {
		fmt.Fprintln(tw, r+"\t")
	}
	_ = tw.Flush() // to a stream that the caller watches
	for _, b := range t.broken {
		fmt.Fprintln(w, "over budget:", b)
	}
	if len(t.broken) == 0 {
		fmt.Fprintln(w, "all budgets kept")
	}
	return len(t.broken) == 0
}
