// Command compare measures what tracing costs: database/sql through otdb and
// through the other wrappers, and tasks through worker, side by side in one run.
//
//	go run ./compare          everything; a minute or two
//	go run ./compare -quick   less exact; for a look, and to see that it works
//	go run ./compare -check   exit code 1 if a budget is exceeded
//
// # What the figures are
//
// An overhead is the time of an operation through a wrapper less the time of
// the same operation without. The floor is what cannot be saved: one SDK span
// with the same attributes, one record in a histogram with a set that was made
// beforehand, two readings of the clock, and for a task the counter of running
// ones. It is measured as the wrappers are: with the bare operation.
//
// The other wrappers are made to export what otdb does. Not all is alike: only
// otdb's query spans last to the end of the rows, two of the others do not look
// at rows at all, one records two points for a query, one has counters beside
// its histogram.
//
// # Why they are true on a noisy machine
//
// All that can disturb a measurement (other processes, interrupts, neighbours
// on the same hardware) makes it longer, never shorter, and comes in stretches.
// A long turn always contains some of it, so that means and medians measure the
// machine's load; and since an overhead is a small difference of two times, a
// little of it makes a ratio of two overheads worthless. A short turn, of a
// fraction of the time that the scheduler lets a process run, is often spared.
// So the subjects of a group take many short turns, in another order each
// round, and each is measured by a low quantile of its turns, the 5th percentile:
// what it takes undisturbed. The least time of all is not taken, because the
// more turns there are the more it depends on a stroke of luck.
//
// The garbage collector runs before each turn and not during it. Garbage
// is thus not in the times; it is in the columns beside them.
//
// # Real databases
//
// SQLite, in memory and in a file, is always measured, PostgreSQL where
// TASKSPAN_TEST_POSTGRES holds a DSN. They show what an overhead is in
// proportion to. There are no budgets for them: what a server in another process
// takes varies by more than any overhead.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "measure for seconds, not for minutes")
	check := flag.Bool("check", false, "fail if a budget is exceeded")
	rounds := flag.Int("rounds", 0, "turns of each subject (default 120, quick 30)")
	length := flag.Duration("turn", 0, "length of a turn (default 1ms, quick 500µs)")
	only := flag.String("only", "", "measure only the parts that match this regular expression: "+strings.Join(partNames(), ", "))
	flag.Parse()
	p := plan{rounds: 120, turn: time.Millisecond}
	if *quick {
		p = plan{rounds: 30, turn: 500 * time.Microsecond}
	}
	if *rounds != 0 {
		p.rounds = *rounds
	}
	if *length != 0 {
		p.turn = *length
	}
	match, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 || p.rounds < 1 || p.turn <= 0 {
		fmt.Fprintln(os.Stderr, "compare: takes no arguments, at least one round, a turn that lasts, and a valid expression")
		flag.Usage()
		os.Exit(2)
	}
	kept, err := run(&report{w: os.Stdout, plan: p, quick: *quick}, match)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	if *check && !kept {
		os.Exit(1)
	}
}

// report is what has been measured, and how to measure the rest.
type report struct {
	w     io.Writer
	plan  plan
	quick bool

	groups  []group
	budgets []budget
}

func (r *report) add(g *group, l limits) {
	r.groups = append(r.groups, *g)
	r.budgets = append(r.budgets, l.of(g)...)
}

// parts are what is measured, in this order.
var parts = []struct {
	name    string
	measure func(*report) error
}{
	{"statements", statements},
	{"rows", manyRows},
	{"folded", folded},
	{"million", million},
	{"lifecycle", lifecycle},
	{"databases", databases},
	{"pgx", throughPgx},
	{"tasks", tasks},
	{"ledger", ledgers},
	{"page", pages},
	{"scaling", scaling},
	{"lengths", lengths},
	{"distinct", distinct},
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// run measures the parts that match and prints them. It reports whether all
// budgets were kept.
func run(r *report, only *regexp.Regexp) (bool, error) {
	began := time.Now()
	fmt.Fprintf(r.w, "%s, %s/%s, %d processors%s, %d rounds of %v\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), load(), r.plan.rounds, r.plan.turn)
	matched := false
	for _, p := range parts {
		if !only.MatchString(p.name) {
			continue
		}
		matched = true
		if err := p.measure(r); err != nil {
			return false, fmt.Errorf("%s: %w", p.name, err)
		}
		if len(r.groups) > 0 {
			printGroups(r.w, r.groups)
			r.groups = nil
		}
	}
	if !matched {
		return false, fmt.Errorf("no part matches %q", only)
	}
	kept := printBudgets(r.w, r.budgets)
	fmt.Fprintf(r.w, "took %v%s\n", time.Since(began).Round(time.Second), load())
	return kept, nil
}

// load returns the load average where the system reports it.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) == 0 {
		return ""
	}
	return ", load " + fields[0]
}
