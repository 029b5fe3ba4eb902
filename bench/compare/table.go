package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// role is what a subject is to the others of its group.
type role int

const (
	bare  role = iota // does the work and nothing else
	floor             // and the least that has to be done to trace it
	own               // Taskspan
	other             // a peer
	aside             // shown, but not compared with: does less
)

// group is work that was done in several ways, one of them bare.
type group struct {
	name    string
	parent  string
	roles   []role
	results []result
}

// overhead is what one way takes more than the bare one.
type overhead struct{ time, allocs, bytes float64 }

func (g *group) find(r role) (result, bool) {
	for i := range g.results {
		if g.roles[i] == r {
			return g.results[i], true
		}
	}
	return result{}, false
}

// named returns the result of that name.
func (g *group) named(name string) (result, bool) {
	for _, r := range g.results {
		if r.name == name {
			return r, true
		}
	}
	return result{}, false
}

func (g *group) over(r result) overhead {
	b, _ := g.find(bare)
	return overhead{r.time - b.time, r.allocs - b.allocs, r.bytes - b.bytes}
}

// of returns the overhead of the first subject in that role, NaN if there is none.
func (g *group) of(r role) overhead {
	if found, ok := g.find(r); ok {
		return g.over(found)
	}
	return overhead{math.NaN(), math.NaN(), math.NaN()}
}

// bestPeer returns the least time that a peer takes more, NaN if there is none.
func (g *group) bestPeer() float64 {
	best := math.NaN()
	for i := range g.results {
		if g.roles[i] != other {
			continue
		}
		if t := g.over(g.results[i]).time; !(t >= best) {
			best = t
		}
	}
	return best
}

// printGroups prints one table. The bare ways are shown with all that they
// take, the others with what they take more. A star marks a peer that exports
// less than the others for that work, and is not the best peer.
func printGroups(w io.Writer, groups []group) {
	tw := newTable(w)
	fmt.Fprintln(tw, "work\tparent\tway\tns\tallocs\tbytes\t× floor\t× best peer\t")
	for i := range groups {
		g := &groups[i]
		least, best := g.of(floor).time, g.bestPeer()
		for j, r := range g.results {
			format, o := "%+.0f", g.over(r)
			toFloor, toPeer := ratio(o.time, least), ratio(o.time, best)
			switch g.roles[j] {
			case bare:
				format, o = "%.0f", overhead{r.time, r.allocs, r.bytes}
				toFloor, toPeer = "", ""
			case floor:
				toPeer = ""
			case aside:
				toPeer = ""
			case own, other:
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t"+format+"\t"+format+"\t"+format+"\t%s\t%s\t\n",
				g.name, g.parent, r.name, o.time, o.allocs, o.bytes, toFloor, toPeer)
		}
	}
	_ = tw.Flush() // to a stream that the caller watches
	fmt.Fprintln(w)
}

// ratio formats a/b, as nothing if there is no b.
func ratio(a, b float64) string {
	if math.IsNaN(b) || b <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", a/b)
}

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}
