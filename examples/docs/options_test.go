package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// source is a package of the repository that programs import.
type source struct {
	name  string
	files []*ast.File // without tests
	tests []*ast.File
}

// sources returns the packages that programs import: all but commands, internal ones,
// examples, and what only tests this repository.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch name := d.Name(); {
		case path == root:
			return nil
		case strings.HasPrefix(name, "."), slices.Contains([]string{"bench", "cmd", "docs", "examples", "integration", "internal", "testdata"}, name):
			return filepath.SkipDir
		}
		names, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil || len(names) == 0 {
			return err
		}
		var s source
		for _, name := range names {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			if strings.HasSuffix(name, "_test.go") {
				s.tests = append(s.tests, file)
			} else {
				s.files, s.name = append(s.files, file), file.Name.Name
			}
		}
		all = append(all, s)
		return nil
	}))
	if len(all) < 8 {
		t.Fatalf("there are only %d packages", len(all))
	}
	return all
}

// functions returns the exported functions of a package, methods left out.
func (s source) functions() (names []string) {
	for _, file := range s.files {
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.IsExported() {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}

// TestOptions: docs/options.md has every option, and none that there is not.
func TestOptions(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/options.md")
	check(t, err)
	missing := make(map[string]bool)
	for _, match := range regexp.MustCompile("`(\\w+\\.With\\w+)`").FindAllStringSubmatch(string(page), -1) {
		missing[match[1]] = true
	}
	for _, s := range sources(t) {
		for _, name := range s.functions() {
			if option := s.name + "." + name; strings.HasPrefix(name, "With") {
				if !missing[option] {
					t.Errorf("options.md has no %s", option)
				}
				missing[option] = false
			}
		}
	}
	for option, there := range missing {
		if there {
			t.Errorf("options.md has %s, which is no option", option)
		}
	}
}

func isExample(decl ast.Decl) bool {
	fn, ok := decl.(*ast.FuncDecl)
	return ok && strings.HasPrefix(fn.Name.Name, "Example")
}

// TestExamples: a file of examples shows each exported function that a program calls. Options
// have docs/options.md.
func TestExamples(t *testing.T) {
	for _, s := range sources(t) {
		shown := make(map[string]bool)
		for _, file := range s.tests {
			if !slices.ContainsFunc(file.Decls, isExample) {
				continue
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == s.name {
						shown[sel.Sel.Name] = true
					}
				}
				return true
			})
		}
		for _, name := range s.functions() {
			if !strings.HasPrefix(name, "With") && !shown[name] && !strings.HasPrefix(s.name+"."+name, "errs.Look") { // Look is for the packages of this module
				t.Errorf("no example shows %s.%s", s.name, name)
			}
		}
	}
}
