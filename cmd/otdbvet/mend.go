package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/format"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mend applies the fixes, or prints them as a diff, and reports what is left.
func (c *command) mend(stdout, stderr io.Writer) int {
	code := 0
	for round := 0; ; round++ {
		r, err := c.analyze()
		if err != nil {
			fmt.Fprintln(stderr, "otdbvet:", err)
			return exitFound
		}
		texts, left, again, err := merge(r.all)
		if err != nil {
			fmt.Fprintln(stderr, "otdbvet:", err)
			return exitFound
		}
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			if c.diff {
				code = exitFound
				fmt.Fprint(stdout, unified(relative(name), texts[name].old, texts[name].text))
			} else if err := write(name, texts[name].text); err != nil {
				fmt.Fprintln(stderr, "otdbvet:", err)
				return exitFound
			}
		}
		if !c.diff {
			for _, hint := range missing(r, texts) {
				fmt.Fprintln(stderr, hint)
			}
		}
		if again && !c.diff && len(texts) > 0 && round < 5 {
			continue // fixes that touch one place are applied one after the other
		}
		if problems(r, stderr) != 0 {
			code = exitFound
		}
		for _, report := range left {
			printText(stderr, report)
			code = exitFound
		}
		return code
	}
}

// A text is a file before and after the fixes.
type text struct{ old, text []byte }

// merge applies the fixes to their files: each whole, or not at all if it
// contradicts one before. It returns the reports that are not mended, and whether
// another round may mend more.
func merge(all []report) (texts map[string]text, left []report, again bool, err error) {
	edits := map[string][]change{}
	for _, r := range all {
		if r.fix == nil {
			left = append(left, r)
			continue
		}
		if slices.ContainsFunc(r.fix.edits, func(e change) bool { return contradicts(edits[e.file], e) }) {
			left, again = append(left, r), true
			continue
		}
		for _, e := range r.fix.edits {
			if !slices.Contains(edits[e.file], e) {
				edits[e.file] = append(edits[e.file], e)
			}
		}
	}
	texts = map[string]text{}
	for name, list := range edits {
		old, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, false, err
		}
		texts[name] = text{old, apply(old, list)}
	}
	return texts, left, again, nil
}

// contradicts reports whether an edit touches what another one changes.
func contradicts(edits []change, e change) bool {
	return slices.ContainsFunc(edits, func(o change) bool {
		if o == e {
			return false
		}
		if o.from == o.to || e.from == e.to { // insertions: not within what is replaced
			return o.from < e.from && e.from < o.to || e.from < o.from && o.from < e.to
		}
		return o.from < e.to && e.from < o.to
	})
}

// apply returns the text with the edits, formatted if it was formatted before.
func apply(old []byte, edits []change) []byte {
	slices.SortStableFunc(edits, func(a, b change) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	crlf := bytes.Contains(old, []byte("\r\n"))
	var b bytes.Buffer
	at := 0
	for _, e := range edits {
		b.Write(old[at:e.from])
		if crlf {
			e.text = strings.ReplaceAll(e.text, "\n", "\r\n")
		}
		b.WriteString(e.text)
		at = e.to
	}
	b.Write(old[at:])
	if before, err := format.Source(old); err == nil && bytes.Equal(before, old) {
		if formatted, err := format.Source(b.Bytes()); err == nil {
			return formatted
		}
	}
	return b.Bytes()
}

// write replaces the text of a file and keeps its mode.
func write(name string, content []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, content, info.Mode().Perm())
}

const taskspan = "github.com/taskspan/taskspan"

var requirement = regexp.MustCompile(`(?m)^\s*(require\s+|module\s+)?` + regexp.QuoteMeta(taskspan) + `(\s|$)`)

// missing returns what to do where a module does not require yet what its files
// now import.
func missing(r *reports, texts map[string]text) (hints []string) {
	for name, t := range texts {
		module := r.modules[filepath.Dir(name)]
		if module == nil || module.GoMod == "" || !bytes.Contains(t.text, []byte(taskspan+"/otdb\"")) || requirement.MatchString(contents(module.GoMod)) {
			continue
		}
		hints = append(hints, fmt.Sprintf("otdbvet: %s does not require Taskspan yet; run go get %s/otdb in %s", relative(module.GoMod), taskspan, relative(filepath.Dir(module.GoMod))))
	}
	slices.Sort(hints)
	return slices.Compact(hints)
}
