// Package vettest tests analyzers: what they report, what their fixes make of
// the files, and that it compiles.
package vettest

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
)

// Run runs the analyzer on packages of testdata/src, compares its reports with
// the comments "want" and its fixes with the files named .golden, and compiles
// the packages with each fix alone.
func Run(t *testing.T, a *analysis.Analyzer, packages ...string) {
	t.Helper()
	dir, err := filepath.Abs("../testdata")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("OTDBVET_UPDATE") != "" {
		update(t, dir, a, packages...)
	}
	results := analysistest.RunWithSuggestedFixes(t, dir, a, packages...)
	c := newCompiler(t, dir)
	for _, r := range results {
		if strings.HasSuffix(r.Action.Package.PkgPath, ".test") {
			continue
		}
		for _, d := range r.Action.Diagnostics {
			for _, fix := range d.SuggestedFixes {
				edited := apply(t, r.Action.Package.Fset, fix.TextEdits)
				if err := c.check(r.Action.Package.CompiledGoFiles, edited); err != nil {
					t.Errorf("%s: with the fix %q alone: %v", r.Action.Package.Fset.Position(d.Pos), fix.Message, err)
				}
			}
		}
		// And what all of them make.
		edited := map[string][]byte{}
		for _, name := range r.Action.Package.CompiledGoFiles {
			if golden, err := os.ReadFile(name + ".golden"); err == nil {
				edited[name] = golden
			}
		}
		if err := c.check(r.Action.Package.CompiledGoFiles, edited); err != nil {
			t.Errorf("%s, with all fixes: %v", r.Action.Package.PkgPath, err)
		}
	}
}

// A compiler checks the types of packages of testdata/src.
type compiler struct {
	fset *token.FileSet
	from types.Importer
}

// newCompiler takes imports from testdata/src and the standard library.
func newCompiler(t *testing.T, dir string) *compiler {
	t.Helper()
	t.Setenv("GO111MODULE", "off")
	gopath := build.Default.GOPATH
	build.Default.GOPATH = dir
	t.Cleanup(func() { build.Default.GOPATH = gopath })
	fset := token.NewFileSet()
	return &compiler{fset, importer.ForCompiler(fset, "source", nil)}
}

// check compiles the files, some of them with another text.
func (c *compiler) check(names []string, edited map[string][]byte) error {
	var files []*ast.File
	for _, name := range names {
		var src any
		if text, ok := edited[name]; ok {
			src = text
		}
		file, err := parser.ParseFile(c.fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	_, err := (&types.Config{Importer: c.from}).Check("p", c.fset, files, nil)
	return err
}

// apply returns the files that edits change.
func apply(t *testing.T, fset *token.FileSet, edits []analysis.TextEdit) map[string][]byte {
	t.Helper()
	edited := map[string][]byte{}
	byFile := map[*token.File][]analysis.TextEdit{}
	for _, e := range edits {
		f := fset.File(e.Pos)
		byFile[f] = append(byFile[f], e)
	}
	for f, list := range byFile {
		slices.SortStableFunc(list, func(a, b analysis.TextEdit) int {
			return cmp.Or(cmp.Compare(a.Pos, b.Pos), cmp.Compare(a.End, b.End), bytes.Compare(a.NewText, b.NewText))
		})
		content, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		at := 0
		for _, e := range list {
			if f.Offset(e.Pos) < at {
				t.Fatal(fmt.Errorf("%s: edits overlap", fset.Position(e.Pos)))
			}
			b.Write(content[at:f.Offset(e.Pos)])
			b.Write(e.NewText)
			at = f.Offset(e.End)
		}
		b.Write(content[at:])
		edited[f.Name()] = b.Bytes()
	}
	return edited
}

// update writes the golden files. Read the difference.
func update(t *testing.T, dir string, a *analysis.Analyzer, packages ...string) {
	t.Helper()
	all := map[string][]analysis.TextEdit{}
	var fset *token.FileSet
	for _, r := range analysistest.Run(quiet{}, dir, a, packages...) {
		fset = r.Action.Package.Fset
		for _, d := range r.Action.Diagnostics {
			for _, fix := range d.SuggestedFixes {
				for _, e := range fix.TextEdits {
					name := fset.File(e.Pos).Name()
					if !slices.ContainsFunc(all[name], func(o analysis.TextEdit) bool {
						return o.Pos == e.Pos && o.End == e.End && bytes.Equal(o.NewText, e.NewText)
					}) {
						all[name] = append(all[name], e)
					}
				}
			}
		}
		for _, list := range all {
			for name, text := range apply(t, fset, list) {
				if err := os.WriteFile(name+".golden", formatted(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		clear(all)
	}
}

func formatted(text []byte) []byte {
	if f, err := format.Source(text); err == nil {
		return f
	}
	return text
}

// quiet is a test that does not mind.
type quiet struct{}

// Errorf implements analysistest.Testing.
func (quiet) Errorf(string, ...any) {}
