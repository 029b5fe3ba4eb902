package main

import (
	"fmt"
	"io"
)

// printReport prints what the index is good for.
func printReport(w io.Writer, g *graph, top []pathCount) {
	fmt.Fprintf(w, "%d packages with %d imports. Most imported:\n\n", len(g.packages), g.imports)
	for _, p := range top {
		fmt.Fprintf(w, "%6d  %s\n", p.count, p.path)
	}
}
