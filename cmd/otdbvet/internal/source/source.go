// Package source is what the analyzers share: which files they look at, and
// how they report.
package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/astutil"

	"github.com/taskspan/taskspan/cmd/otdbvet/ignore"
)

// Files returns the files of the pass that are looked at: not those that are
// generated, and tests only on demand.
func Files(pass *analysis.Pass, tests bool) (files []*ast.File) {
	for _, file := range pass.Files {
		if generated(pass, file) || !tests && IsTest(pass, file) {
			continue
		}
		files = append(files, file)
	}
	return files
}

// IsTest reports whether the file is a test.
func IsTest(pass *analysis.Pass, file *ast.File) bool {
	return strings.HasSuffix(pass.Fset.File(file.FileStart).Name(), "_test.go")
}

// generated reports whether somebody's tool wrote the file. The output of cgo is
// a copy of a file with import "C"; a comment of that form marks it.
func generated(pass *analysis.Pass, file *ast.File) bool {
	if !ast.IsGenerated(file) {
		return false
	}
	name := pass.Fset.PositionFor(file.Package, true).Filename
	return filepath.Base(name) == filepath.Base(pass.Fset.File(file.FileStart).Name())
}

// Report reports d unless a comment exempts its position.
func Report(pass *analysis.Pass, d analysis.Diagnostic) {
	if !pass.ResultOf[ignore.Analyzer].(*ignore.Table).Exempts(pass.Analyzer.Name, d.Pos) {
		pass.Report(d)
	}
}

// Exempt reports whether a comment exempts pos.
func Exempt(pass *analysis.Pass, pos token.Pos) bool {
	return pass.ResultOf[ignore.Analyzer].(*ignore.Table).Exempts(pass.Analyzer.Name, pos)
}

// Callee returns the function or method that the call calls by name, nil if it
// calls a value. For a generic one it is the origin.
func Callee(info *types.Info, call *ast.CallExpr) *types.Func {
	return Func(info, call.Fun)
}

// Func returns the function or method that e names, nil if it names none.
func Func(info *types.Info, e ast.Expr) *types.Func {
	e = ast.Unparen(e)
	switch x := e.(type) {
	case *ast.IndexExpr:
		e = ast.Unparen(x.X)
	case *ast.IndexListExpr:
		e = ast.Unparen(x.X)
	}
	var id *ast.Ident
	switch x := e.(type) {
	case *ast.Ident:
		id = x
	case *ast.SelectorExpr:
		id = x.Sel
	default:
		return nil
	}
	fn, ok := info.Uses[id].(*types.Func)
	if !ok {
		return nil
	}
	return fn.Origin()
}

// Name returns what a function is called in this tool's tables: the path of
// its package without a major version, the type of its receiver, its name.
func Name(fn *types.Func) string {
	if fn == nil || fn.Pkg() == nil {
		return ""
	}
	name := Path(fn.Pkg().Path()) + "."
	if recv := fn.Signature().Recv(); recv != nil {
		t := types.Unalias(recv.Type())
		if p, ok := t.(*types.Pointer); ok {
			t = types.Unalias(p.Elem())
		}
		if n, ok := t.(*types.Named); ok {
			name += n.Obj().Name() + "."
		} else {
			name += "?."
		}
	}
	return name + fn.Name()
}

// Path returns the path of a package without vendoring and major version.
func Path(path string) string {
	if _, after, ok := strings.Cut(path, "/vendor/"); ok {
		path = after
	}
	parts := strings.Split(path, "/")
	kept := parts[:0]
	for i, p := range parts {
		if i > 0 && len(p) > 1 && p[0] == 'v' && strings.Trim(p[1:], "0123456789") == "" {
			continue
		}
		kept = append(kept, p)
	}
	return strings.Join(kept, "/")
}

// IsType reports whether t is the named type of that package, or a pointer to it.
func IsType(t types.Type, path, name string) bool {
	if t == nil {
		return false
	}
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	n, ok := t.(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Name() == name && n.Obj().Pkg().Path() == path
}

// IsContext reports whether t is context.Context itself.
func IsContext(t types.Type) bool {
	if t == nil {
		return false
	}
	if _, ok := types.Unalias(t).(*types.Pointer); ok {
		return false
	}
	return IsType(t, "context", "Context")
}

// Enclosing returns the nodes around the range, the innermost first.
func Enclosing(file *ast.File, from, to token.Pos) []ast.Node {
	path, _ := astutil.PathEnclosingInterval(file, from, to)
	return path
}

// Lookup returns what the name stands for at pos.
func Lookup(pkg *types.Package, name string, pos token.Pos) types.Object {
	scope := pkg.Scope().Innermost(pos)
	if scope == nil {
		return nil
	}
	_, obj := scope.LookupParent(name, pos)
	return obj
}
