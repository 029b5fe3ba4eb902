package main

import (
	"fmt"
	"io"
)

// budget is a limit and what was measured.
type budget struct {
	what     string
	measured float64
	limit    float64
	atLeast  bool // the limit is a lower one
	unit     string
	// floor is what the floor by itself comes to, where that shows how much of
	// the limit is left to win. 0 if it does not.
	floor float64
}

// kept reports whether the budget was kept. A budget that could not be measured was not.
func (b budget) kept() bool {
	if b.atLeast {
		return b.measured >= b.limit
	}
	return b.measured <= b.limit
}

func (b budget) String() string {
	verdict, limit := "kept", "at most"
	if !b.kept() {
		verdict = "EXCEEDED"
	}
	if b.atLeast {
		limit = "at least"
	}
	least := ""
	if b.floor > 0 {
		least = fmt.Sprintf("the floor %.2f%s", b.floor, b.unit)
	}
	return fmt.Sprintf("%s\t%s\t%.2f%s\t%s %.2f%s\t%s\t", verdict, b.what, b.measured, b.unit, limit, b.limit, b.unit, least)
}

// printBudgets reports whether all of them were kept.
func printBudgets(w io.Writer, budgets []budget) bool {
	exceeded := 0
	tw := newTable(w)
	for _, b := range budgets {
		if !b.kept() {
			exceeded++
		}
		fmt.Fprintln(tw, b)
	}
	_ = tw.Flush() // to a stream that the caller watches
	fmt.Fprintf(w, "%d of %d budgets exceeded\n", exceeded, len(budgets))
	return exceeded == 0
}

// limits are the budgets of a group, 0 for none.
type limits struct {
	floor  float64 // × the floor
	peer   float64 // × the fastest peer
	allocs float64 // beyond the floor's
}

func (l limits) of(g *group) []budget {
	var out []budget
	name := g.name + ", " + g.parent
	ours := g.of(own)
	if l.floor > 0 {
		out = append(out, budget{what: name + " / floor", measured: ours.time / positive(g.of(floor).time), limit: l.floor, unit: " ×"})
	}
	if l.peer > 0 {
		peer := positive(g.bestPeer())
		out = append(out, budget{what: name + " / best peer", measured: ours.time / peer, limit: l.peer, unit: " ×", floor: g.of(floor).time / peer})
	}
	if l.allocs > 0 {
		out = append(out, budget{what: name + ", allocations beyond the floor", measured: ours.allocs - g.of(floor).allocs, limit: l.allocs})
	}
	return out
}
