// Verified reads the events of `go test -json` from its standard input, shows
// what a person wants to see of them, and keeps the table in a README of what
// the tests have verified: each passed test that has the attributes database,
// driver and verified is entered.
//
//	go test -json ./... | verified -readme README.md         # fails if the table is out of date
//	go test -json ./... | verified -readme README.md -write  # brings it up to date
//
// If a test was skipped the table is neither compared nor written. One with the attribute
// needs is another matter: a target of its own runs it, and the table does not have it.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// The table stands between these lines.
const (
	begin = "<!-- what the tests verified: begin -->\n"
	end   = "<!-- what the tests verified: end -->\n"
)

// event is one line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Key     string
	Value   string
}

// test is what is known of a test.
type test struct {
	output     []string
	attributes map[string]string
	result     string
}

func main() {
	readme := flag.String("readme", "README.md", "the `file` that holds the table")
	write := flag.Bool("write", false, "bring the table up to date")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *readme, *write); err != nil {
		fmt.Fprintln(os.Stderr, "verified:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, readme string, write bool) error {
	tests, failed, err := read(in, out)
	if err != nil {
		return err
	}
	passed, skipped := 0, 0
	needs := make(map[string]bool)
	for _, t := range tests {
		switch t.result {
		case "pass":
			passed++
		case "skip":
			if by := t.attributes["needs"]; by != "" {
				needs[by] = true
			} else {
				skipped++
			}
		}
	}
	for _, by := range slices.Sorted(maps.Keys(needs)) {
		fmt.Fprintf(out, "*** NOT DONE: %s does it\n", by)
	}
	fmt.Fprintf(out, "%d tests passed, %d skipped\n", passed, skipped)
	switch {
	case failed:
		return errors.New("tests failed")
	case skipped > 0:
		fmt.Fprintf(out, "*** %d TESTS WERE SKIPPED: the table of %s was not compared\n", skipped, readme)
		return nil
	case passed == 0:
		return errors.New("no test ran")
	}
	return compare(readme, table(tests), write)
}

// read reads all events. It shows what packages print, what failed tests print,
// and the report of a soak.
func read(in io.Reader, out io.Writer) (tests map[string]*test, failed bool, err error) {
	tests = make(map[string]*test)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // a message of the compiler, perhaps
			continue
		}
		if e.Test == "" {
			if e.Action == "fail" || e.Action == "build-fail" {
				failed = true
			}
			if e.Action == "output" || e.Action == "build-output" {
				fmt.Fprint(out, e.Output)
			}
			continue
		}
		key := e.Package + " " + e.Test
		t := tests[key]
		if t == nil {
			t = &test{attributes: make(map[string]string)}
			tests[key] = t
		}
		switch e.Action {
		case "attr":
			t.attributes[e.Key] = e.Value
		case "output":
			t.output = append(t.output, e.Output)
		case "pass", "fail", "skip":
			t.result = e.Action
			failed = failed || e.Action == "fail"
			if e.Action != "pass" || strings.Contains(e.Test, "Soak") {
				fmt.Fprint(out, strings.Join(t.output, ""))
			}
			t.output = nil
		}
	}
	for key, t := range tests {
		if t.result == "" { // the process died under it
			failed = true
			fmt.Fprintf(out, "%s did not end:\n%s", key, strings.Join(t.output, ""))
		}
	}
	return tests, failed, lines.Err()
}

// table writes one line for everything that was verified, with one column for
// each driver.
func table(tests map[string]*test) string {
	columns := make(map[string]bool)
	cells := make(map[string]map[string]bool)
	for _, t := range tests {
		what := t.attributes["verified"]
		if what == "" || t.result != "pass" {
			continue
		}
		driver, _, _ := strings.Cut(t.attributes["driver"], ",") // without its settings
		column := t.attributes["database"] + "<br>" + driver
		columns[column] = true
		if cells[what] == nil {
			cells[what] = make(map[string]bool)
		}
		cells[what][column] = true
	}
	header := slices.Sorted(maps.Keys(columns))
	var b strings.Builder
	fmt.Fprintf(&b, "| verified | %s |\n|---|%s\n", strings.Join(header, " | "), strings.Repeat(":-:|", len(header)))
	for _, what := range slices.Sorted(maps.Keys(cells)) {
		b.WriteString("| " + what + " |")
		for _, column := range header {
			if cells[what][column] {
				b.WriteString(" ✓")
			}
			b.WriteString(" |")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// compare compares the table of the README with the one of the tests.
func compare(readme, table string, write bool) error {
	content, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(content), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no table", readme)
	}
	if old == table {
		return nil
	}
	if !write {
		return fmt.Errorf("the table of %s is not what the tests verified; %s -write brings it up to date. It should be:\n%s", readme, "integration/run", table)
	}
	return os.WriteFile(readme, []byte(before+begin+table+end+after), 0o644)
}
