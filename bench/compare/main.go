// Command compare measures what each way of tracing database/sql costs, side by
// side in one run, and prints one table.
//
//	go run ./compare            the table
//	go run ./compare -rounds 41 with less noise
//	go run ./compare -check     exit code 1 if a budget is exceeded
//
// Overhead is the time of an operation through the wrapper less the time of the
// same operation on the bare driver, which does nothing. All subjects of a case
// take turns in short rounds, in another order each time, and the figure is the
// median over the rounds: what a noisy machine does to one it does to all.
//
// The floor is what cannot be saved: one SDK span with the same attributes, one
// histogram record with a set made beforehand, and two readings of the clock.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 25, "measured rounds for each case")
	round := flag.Duration("round", 10*time.Millisecond, "length of one subject's turn")
	check := flag.Bool("check", false, "fail if a budget is exceeded")
	only := flag.String("case", "", "measure only this case")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 3 || *round <= 0 {
		fmt.Fprintln(os.Stderr, "compare: takes no arguments, at least 3 rounds, and a positive round")
		flag.Usage()
		os.Exit(2)
	}
	ok, err := run(os.Stdout, *rounds, *round, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	if *check && !ok {
		os.Exit(1)
	}
}

// run measures all cases and prints the table. It reports whether all budgets
// were kept.
func run(w io.Writer, rounds int, round time.Duration, only string) (bool, error) {
	t := newTable()
	for _, c := range cases() {
		if only != "" && c.name != only {
			continue
		}
		for _, p := range parents() {
			if c.parents != "" && c.parents != p.name {
				continue
			}
			subjects, closeAll, err := c.subjects(p)
			if err != nil {
				return false, fmt.Errorf("%s, %s: %w", c.name, p.name, err)
			}
			results, err := measure(subjects, rounds, round)
			closeAll()
			if err != nil {
				return false, fmt.Errorf("%s, %s: %w", c.name, p.name, err)
			}
			t.add(c, p, results)
		}
	}
	return t.print(w), nil
}
