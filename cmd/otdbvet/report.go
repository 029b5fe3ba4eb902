package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

// A report is one diagnostic.
type report struct {
	analyzer *analysis.Analyzer
	from, to token.Position
	message  string
	fix      *fix // nil if there is none
}

// A fix is a change of one or more files.
type fix struct {
	message string
	edits   []change
}

// A change replaces what is between two offsets of a file.
type change struct {
	file     string
	from, to int
	text     string
}

// reports are the outcome of one analysis.
type reports struct {
	all      []report
	problems []string // why packages were not looked at
	graph    *checker.Graph
	modules  map[string]*packages.Module // of the directories of the packages
}

// analyze loads the packages and runs the analyzers on them.
func (c *command) analyze() (*reports, error) {
	cfg := &packages.Config{
		// The types of imported packages are enough, and the build has them.
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedTypes |
			packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule,
		Tests: c.tests,
	}
	if c.tags != "" {
		cfg.BuildFlags = []string{"-tags=" + c.tags}
	}
	pkgs, err := packages.Load(cfg, c.patterns...)
	if err != nil {
		return nil, fmt.Errorf("loading packages: %w", err)
	}
	if len(pkgs) == 0 {
		return nil, fmt.Errorf("%s matches no packages; run it in a module, with ./... for all of its packages", strings.Join(c.patterns, " "))
	}
	r := &reports{modules: map[string]*packages.Module{}}
	own := map[string]bool{}
	packages.Visit(pkgs, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			r.problems = append(r.problems, e.Error())
		}
	})
	for _, p := range pkgs {
		for _, f := range p.GoFiles {
			own[f] = true
			r.modules[filepath.Dir(f)] = p.Module
		}
	}
	if r.graph, err = checker.Analyze(c.analyzers, pkgs, nil); err != nil {
		return nil, err
	}
	for _, root := range r.graph.Roots {
		if root.Err != nil {
			if !root.Package.IllTyped {
				r.problems = append(r.problems, fmt.Sprintf("%s: %v", root.Package.PkgPath, root.Err))
			}
			continue
		}
		for _, d := range root.Diagnostics {
			r.all = append(r.all, convert(root, d, own))
		}
	}
	slices.Sort(r.problems)
	r.problems = slices.Compact(r.problems)
	slices.SortStableFunc(r.all, func(a, b report) int {
		return cmp.Or(cmp.Compare(a.from.Filename, b.from.Filename), cmp.Compare(a.from.Offset, b.from.Offset),
			cmp.Compare(a.analyzer.Name, b.analyzer.Name), cmp.Compare(a.message, b.message))
	})
	// A package and its test variant report the same.
	r.all = slices.CompactFunc(r.all, func(a, b report) bool {
		return a.analyzer == b.analyzer && a.from == b.from && a.message == b.message
	})
	return r, nil
}

// convert makes a report of a diagnostic. A fix is left out if it would change
// a file that is not of the module's source, such as a copy that cgo makes.
func convert(a *checker.Action, d analysis.Diagnostic, own map[string]bool) report {
	fset := a.Package.Fset
	end := d.End
	if !end.IsValid() {
		end = d.Pos
	}
	r := report{analyzer: a.Analyzer, from: fset.Position(d.Pos), to: fset.Position(end), message: d.Message}
	if len(d.SuggestedFixes) == 0 {
		return r
	}
	f := &fix{message: d.SuggestedFixes[0].Message}
	for _, e := range d.SuggestedFixes[0].TextEdits {
		file := fset.File(e.Pos)
		if !own[file.Name()] {
			return r
		}
		to := e.End
		if !to.IsValid() {
			to = e.Pos
		}
		f.edits = append(f.edits, change{file.Name(), file.Offset(e.Pos), file.Offset(to), string(e.NewText)})
	}
	r.fix = f
	return r
}

// relative returns the name of a file as go vet prints it.
func relative(name string) string {
	dir, err := os.Getwd()
	if err != nil {
		return name
	}
	rel, err := filepath.Rel(dir, name)
	if err != nil || strings.HasPrefix(rel, "..") {
		return name
	}
	return rel
}

// contents reads the file of a report, "" if it is not there.
func contents(name string) string {
	content, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return string(content)
}
