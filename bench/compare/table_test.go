package main

import (
	"bytes"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
)

func sample() group {
	return group{"exec", "sampled", []role{bare, floor, own, other, other, aside}, []result{
		{"bare", 100, 2, 64}, {"floor", 1100, 6, 1064}, {"otdb", 1200, 7, 1164},
		{"slow", 3100, 20, 3064}, {"fast", 2100, 12, 2064}, {"odd", 400, 3, 100},
	}}
}

func TestPrintGroups(t *testing.T) {
	var b bytes.Buffer
	printGroups(&b, []group{sample()})
	want := []string{
		"work parent way ns allocs bytes × floor × best peer",
		"exec sampled bare 100 2 64",
		"exec sampled floor +1000 +4 +1000 1.00",
		"exec sampled otdb +1100 +5 +1100 1.10 0.55",
		"exec sampled slow +3000 +18 +3000 3.00 1.50",
		"exec sampled fast +2000 +10 +2000 2.00 1.00",
		"exec sampled odd +300 +1 +36 0.30",
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got\n%s", b.String())
	}
	for i, line := range lines {
		if got := strings.Join(strings.Fields(line), " "); got != want[i] {
			t.Errorf("line %d is %q, want %q", i, got, want[i])
		}
	}
}

func TestLimits(t *testing.T) {
	g := sample()
	tests := []struct {
		name   string
		limits limits
		kept   []bool
	}{
		{"none", limits{}, nil},
		{"all kept", limits{floor: 1.1, peer: 0.55, allocs: 1}, []bool{true, true, true}},
		{"all exceeded", limits{floor: 1.09, peer: 0.54, allocs: 0.5}, []bool{false, false, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.limits.of(&g)
			if len(got) != len(tt.kept) {
				t.Fatalf("%v, want %d budgets", got, len(tt.kept))
			}
			for i, b := range got {
				if b.kept() != tt.kept[i] {
					t.Errorf("%v", b)
				}
			}
		})
	}

	// A floor that was lost in noise proves nothing.
	g.results[1].time = 90
	if b := (limits{floor: 1.15}).of(&g); b[0].kept() {
		t.Errorf("%v", b[0])
	}
	if b := (limits{peer: 0.75}).of(&group{"x", "y", []role{bare, own}, []result{{"bare", 1, 0, 0}, {"otdb", 2, 0, 0}}}); b[0].kept() {
		t.Errorf("without peers: %v", b[0])
	}
}

func TestPrintBudgets(t *testing.T) {
	tests := []struct {
		budget budget
		kept   bool
		shows  string
	}{
		{budget{what: "time", measured: 100, limit: 100, unit: " ns"}, true, "kept time 100.00 ns at most 100.00 ns"},
		{budget{what: "time", measured: 101, limit: 100, unit: " ns"}, false, "EXCEEDED time 101.00 ns at most 100.00 ns"},
		{budget{what: "time", measured: 0.8, limit: 0.75, unit: " ×", floor: 0.74}, false, "EXCEEDED time 0.80 × at most 0.75 × the floor 0.74 ×"},
		{budget{what: "scaling", measured: 1.9, limit: 1.8, atLeast: true}, true, "kept scaling 1.90 at least 1.80"},
		{budget{what: "scaling", measured: 1.7, limit: 1.8, atLeast: true}, false, "EXCEEDED scaling 1.70 at least 1.80"},
		{budget{what: "nothing", measured: math.NaN(), limit: 1}, false, "EXCEEDED nothing NaN at most 1.00"},
		{budget{what: "nothing", measured: math.NaN(), limit: 1, atLeast: true}, false, "EXCEEDED nothing NaN at least 1.00"},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		if got := printBudgets(&b, []budget{{what: "other", limit: 1}, tt.budget}); got != tt.kept {
			t.Errorf("%v: kept is %v, want %v", tt.budget, got, tt.kept)
		}
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), tt.shows) {
			t.Errorf("got %q, want %q in it", b.String(), tt.shows)
		}
	}
}

// TestRun runs every part, as briefly as can be, and looks at what is printed,
// not at what was measured.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every measurement, which takes seconds: left out by -short alone")
	}
	t.Setenv(postgresVariable, "")
	var b bytes.Buffer
	r := &report{w: &b, plan: plan{1, 1000}, quick: true}
	if _, err := run(r, regexp.MustCompile("")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"query, 100 rows", "transaction of 3", "no parent", "SQLite file, exec", "ledger, query, 1 row", "a statement while a page watches",
		"two goroutines do", "1048576", "100000", "budgets exceeded", "PostgreSQL: not measured",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	for _, peer := range peers {
		if !strings.Contains(b.String(), peer.name) {
			t.Errorf("%s was not measured", peer.name)
		}
	}
}

func TestRunFails(t *testing.T) {
	r := &report{w: io.Discard, plan: plan{1, 1000}, budgets: []budget{{what: "nothing", measured: 2, limit: 1}}}
	if kept, err := run(r, regexp.MustCompile("^ledger$")); err != nil || kept {
		t.Errorf("run = %v, %v with a budget exceeded, want false", kept, err)
	}
	if _, err := run(r, regexp.MustCompile("^none$")); err == nil {
		t.Error("no error although nothing was measured")
	}
}

func TestTexts(t *testing.T) {
	for _, size := range textSizes {
		next := texts(size)
		a, b := next(), next()
		if len(a) != size || len(b) != size || a == b {
			t.Errorf("texts of %d bytes have %d and %d, or are the same", size, len(a), len(b))
		}
	}
}
