// Package edit makes the changes that a fix needs beside the one it is about:
// imports that are missing, imports that nobody needs any more, functions that
// stand in for a library's.
package edit

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/taskspan/taskspan/cmd/otdbvet/internal/source"
)

// A Fix is what mends one diagnostic. It compiles when it is applied alone,
// and together with the others of its [Set].
type Fix struct {
	Diagnostic analysis.Diagnostic
	Message    string

	set     *Set
	edits   []analysis.TextEdit
	dropped []*ast.Ident // what its edits take out of the text, as far as it may be from an import
	needs   []need
	failed  bool
}

// A need is an import that a fix adds to a file, or keeps in it.
type need struct {
	file *ast.File
	path string       // to be added
	kept types.Object // or kept
}

// A Set is the fixes of one pass.
type Set struct {
	pass  *analysis.Pass
	fixes []*Fix
	adds  map[*ast.File]map[string]string // path → name, of the imports that may be added
}

// NewSet returns the set of fixes of a pass.
func NewSet(pass *analysis.Pass) *Set {
	return &Set{pass: pass, adds: map[*ast.File]map[string]string{}}
}

// Report adds a diagnostic and returns its fix, which is empty. It returns nil
// if a comment exempts the place.
func (s *Set) Report(d analysis.Diagnostic) *Fix {
	if source.Exempt(s.pass, d.Pos) {
		return nil
	}
	f := &Fix{Diagnostic: d, set: s}
	s.fixes = append(s.fixes, f)
	return f
}

// Replace replaces the text of a node. The names of imports in it are dropped.
func (f *Fix) Replace(n ast.Node, text string) { f.Between(n.Pos(), n.End(), text, n) }

// Between replaces the text between two positions, in which are the nodes.
func (f *Fix) Between(from, to token.Pos, text string, nodes ...ast.Node) {
	f.edits = append(f.edits, analysis.TextEdit{Pos: from, End: to, NewText: []byte(text)})
	for _, n := range nodes {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				f.dropped = append(f.dropped, n)
			case *ast.SelectorExpr: // what is behind the dot is no use of an import
				f.dropped = append(f.dropped, idents(n.X)...)
				return false
			}
			return true
		})
	}
}

// idents returns the identifiers in e that are not behind a dot.
func idents(e ast.Expr) (all []*ast.Ident) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			all = append(all, n)
		case *ast.SelectorExpr:
			all = append(all, idents(n.X)...)
			return false
		}
		return true
	})
	return all
}

// Insert puts text in front of pos.
func (f *Fix) Insert(pos token.Pos, text string) { f.Between(pos, pos, text) }

// Fail withdraws the fix: the diagnostic has none.
func (f *Fix) Fail() { f.failed = true }

// Failed reports whether the fix was withdrawn.
func (f *Fix) Failed() bool { return f.failed }

// Join makes one fix of several: each of them does what all do.
func Join(fixes []*Fix) {
	var edits []analysis.TextEdit
	var dropped []*ast.Ident
	var needs []need
	for _, f := range fixes {
		edits, dropped, needs = append(edits, f.edits...), append(dropped, f.dropped...), append(needs, f.needs...)
	}
	for _, f := range fixes {
		f.edits, f.dropped, f.needs = slices.Clone(edits), slices.Clone(dropped), slices.Clone(needs)
	}
}

// Qualifier returns what names of the package of that path are written with at
// pos, such as "otdb.", and arranges for its import. The fix fails if there is
// no way.
func (f *Fix) Qualifier(file *ast.File, path, preferred string, pos token.Pos) string {
	pass := f.set.pass
	for _, spec := range file.Imports {
		if importPath(spec) != path {
			continue
		}
		obj := pass.TypesInfo.PkgNameOf(spec)
		if obj == nil || obj.Name() == "_" {
			continue
		}
		if obj.Name() == "." {
			continue // what is behind a dot may be shadowed too; another import is always right
		}
		if source.Lookup(pass.Pkg, obj.Name(), pos) == obj {
			f.needs = append(f.needs, need{file: file, kept: obj})
			return obj.Name() + "."
		}
	}
	adds := f.set.adds[file]
	if adds == nil {
		adds = map[string]string{}
		f.set.adds[file] = adds
	}
	f.needs = append(f.needs, need{file: file, path: path})
	if name, ok := adds[path]; ok {
		return name + "."
	}
	for n := 1; n < 100; n++ {
		name := preferred
		if n > 1 {
			name += strconv.Itoa(n)
		}
		if f.set.free(file, name) {
			adds[path] = name
			return name + "."
		}
	}
	f.failed = true
	return ""
}

// free reports whether nothing in the file or package is called name.
func (s *Set) free(file *ast.File, name string) bool {
	if s.pass.Pkg.Scope().Lookup(name) != nil || types.Universe.Lookup(name) != nil {
		return false
	}
	for _, taken := range s.adds[file] {
		if taken == name {
			return false
		}
	}
	for _, spec := range file.Imports {
		if obj := s.pass.TypesInfo.PkgNameOf(spec); obj != nil && obj.Name() == name {
			return false
		}
	}
	used := false
	ast.Inspect(file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == name {
			if obj := s.pass.TypesInfo.ObjectOf(id); obj == nil || !selected(obj) {
				used = true
			}
		}
		return !used
	})
	return !used
}

// selected reports whether obj is only written behind a dot.
func selected(obj types.Object) bool {
	switch obj := obj.(type) {
	case *types.Var:
		return obj.IsField()
	case *types.Func:
		return obj.Signature().Recv() != nil
	}
	return false
}

// Name returns a name for a new function of the package that begins with
// preferred and that nothing in the package is called.
func (s *Set) Name(preferred string) string {
	for n := 1; ; n++ {
		name := preferred
		if n > 1 {
			name += strconv.Itoa(n)
		}
		if !slices.ContainsFunc(s.pass.Files, func(file *ast.File) bool { return !s.free(file, name) }) {
			return name
		}
	}
}

// Text returns the text of a node.
func (s *Set) Text(n ast.Node) string { return Text(s.pass, n) }

// Text returns the text of a node as it is in its file.
func Text(pass *analysis.Pass, n ast.Node) string {
	tf := pass.Fset.File(n.Pos())
	content, err := pass.ReadFile(tf.Name())
	if err != nil || len(content) != tf.Size() {
		return ""
	}
	return string(content[tf.Offset(n.Pos()):tf.Offset(n.End())])
}

// Finish reports all diagnostics of the set, each with its fix.
func (s *Set) Finish() {
	for _, file := range s.pass.Files {
		s.imports(file)
	}
	for _, f := range s.fixes {
		d := f.Diagnostic
		if !f.failed && len(f.edits) > 0 {
			edits := slices.Clone(f.edits)
			slices.SortStableFunc(edits, func(a, b analysis.TextEdit) int {
				return cmp.Or(cmp.Compare(a.Pos, b.Pos), cmp.Compare(a.End, b.End), bytes.Compare(a.NewText, b.NewText))
			})
			edits = slices.CompactFunc(edits, func(a, b analysis.TextEdit) bool {
				return a.Pos == b.Pos && a.End == b.End && bytes.Equal(a.NewText, b.NewText)
			})
			d.SuggestedFixes = []analysis.SuggestedFix{{Message: f.Message, TextEdits: edits}}
		}
		s.pass.Report(d)
	}
}

// imports gives the fixes that touch the file the imports that they need, and
// takes away those that nobody needs after them.
func (s *Set) imports(file *ast.File) {
	var touching []*Fix
	for _, f := range s.fixes {
		if !f.failed && slices.ContainsFunc(f.edits, func(e analysis.TextEdit) bool { return file.FileStart <= e.Pos && e.Pos <= file.FileEnd }) {
			touching = append(touching, f)
		}
	}
	if len(touching) == 0 {
		return
	}
	kept := map[types.Object]bool{}
	for _, f := range touching {
		for _, n := range f.needs {
			kept[n.kept] = true
		}
	}
	unused := s.unused(file, touching, kept)
	if len(unused) > 0 && len(touching) > 1 {
		// Only together do they make the import unused, so each does it all.
		var all []analysis.TextEdit
		var needs []need
		var dropping []*Fix
		for _, f := range touching {
			if slices.ContainsFunc(f.dropped, func(id *ast.Ident) bool { return slices.Contains(unused, s.specOf(file, id)) }) {
				dropping = append(dropping, f)
				all = append(all, f.edits...)
				needs = append(needs, f.needs...)
			}
		}
		for _, f := range dropping {
			f.edits, f.needs = slices.Clone(all), slices.Clone(needs)
		}
	}
	added := map[string]bool{}
	for _, f := range touching {
		for _, n := range f.needs {
			if n.file == file && n.path != "" {
				added[n.path] = true
			}
		}
	}
	if len(added) > 1 {
		Join(touching) // imports at one place have an order only together
	}
	for _, f := range touching {
		var paths []string
		for _, n := range f.needs {
			if n.file == file && n.path != "" && !slices.Contains(paths, n.path) {
				paths = append(paths, n.path)
			}
		}
		slices.Sort(paths)
		for _, path := range paths {
			f.edits = append(f.edits, s.place(file, path, importText(path, s.adds[file][path]), unused, len(added) == 1))
		}
		var remove []analysis.TextEdit
		for _, spec := range unused {
			if edit, ok := s.removal(file, spec, len(paths) > 0); ok {
				remove = append(remove, edit)
			}
		}
		if slices.ContainsFunc(f.dropped, func(id *ast.Ident) bool { return slices.Contains(unused, s.specOf(file, id)) }) {
			f.edits = append(f.edits, remove...)
		}
	}
}

// specOf returns the import of the file that id, which is not behind a dot, is
// there for.
func (s *Set) specOf(file *ast.File, id *ast.Ident) *ast.ImportSpec {
	obj := s.pass.TypesInfo.Uses[id]
	if obj == nil {
		return nil
	}
	for _, spec := range file.Imports {
		name := s.pass.TypesInfo.PkgNameOf(spec)
		if name == obj || name != nil && name.Name() == "." && obj.Parent() == name.Imported().Scope() {
			return spec
		}
	}
	return nil
}

// unused returns the imports of the file that the fixes leave without a use.
func (s *Set) unused(file *ast.File, fixes []*Fix, kept map[types.Object]bool) (unused []*ast.ImportSpec) {
	dropped := map[*ast.Ident]bool{}
	for _, f := range fixes {
		for _, id := range f.dropped {
			dropped[id] = true
		}
	}
	for _, spec := range file.Imports {
		obj := s.pass.TypesInfo.PkgNameOf(spec)
		if obj == nil || kept[obj] || obj.Name() == "_" {
			continue
		}
		uses, gone := 0, 0
		count := func(id *ast.Ident) {
			if s.specOf(file, id) == spec {
				uses++
				if dropped[id] {
					gone++
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				for _, id := range idents(n.X) {
					count(id)
				}
				return false
			case *ast.Ident:
				count(n)
			}
			return true
		})
		if gone > 0 && gone == uses {
			unused = append(unused, spec)
		}
	}
	return unused
}

// importText returns the spec of an import.
func importText(path, name string) string {
	base := path[strings.LastIndexByte(path, '/')+1:]
	if base == name {
		return strconv.Quote(path)
	}
	return name + " " + strconv.Quote(path)
}

// place returns the edit that adds one import where gofmt would have it: in
// the last group of the same kind, in order.
func (s *Set) place(file *ast.File, path, text string, unused []*ast.ImportSpec, alone bool) analysis.TextEdit {
	at := func(pos token.Pos, text string) analysis.TextEdit {
		return analysis.TextEdit{Pos: pos, End: pos, NewText: []byte(text)}
	}
	var last *ast.GenDecl
	var block *ast.GenDecl
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			last = g
			if g.Lparen.IsValid() && !cgo(g) {
				block = g
			}
		}
	}
	switch {
	case last == nil:
		return at(file.Name.End(), "\n\nimport "+text)
	case block == nil:
		if spec := last.Specs[0].(*ast.ImportSpec); len(file.Imports) == 1 && slices.Contains(unused, spec) {
			return analysis.TextEdit{Pos: spec.Pos(), End: spec.End(), NewText: []byte(text)}
		}
		if spec := last.Specs[0].(*ast.ImportSpec); alone && !last.Lparen.IsValid() && !cgo(last) && !slices.Contains(unused, spec) && spec.Comment == nil {
			sep := "\n\t"
			if thirdParty(path) != thirdParty(importPath(spec)) {
				sep = "\n\n\t"
			}
			return analysis.TextEdit{Pos: spec.Pos(), End: spec.End(), NewText: []byte("(\n\t" + Text(s.pass, spec) + sep + text + "\n)")}
		}
		return at(last.End(), "\nimport "+text)
	}
	// Specs that stay, and whose line is theirs.
	tf := s.pass.Fset.File(file.FileStart)
	var same, other *ast.ImportSpec
	for i, sp := range block.Specs {
		spec := sp.(*ast.ImportSpec)
		if slices.Contains(unused, spec) || i > 0 && tf.Line(block.Specs[i-1].Pos()) == tf.Line(spec.Pos()) {
			continue
		}
		if thirdParty(importPath(spec)) == thirdParty(path) {
			if importPath(spec) > path && same == nil && spec.Doc == nil {
				return at(spec.Pos(), text+"\n\t")
			}
			if importPath(spec) < path {
				same = spec
			}
		}
		other = spec
	}
	switch {
	case same != nil:
		// Behind the last smaller one: before a larger one that follows it, or at its end.
		return at(lineEnd(same), "\n\t"+text)
	case other != nil && thirdParty(path):
		return at(lineEnd(other), "\n\n\t"+text)
	case other != nil:
		return at(block.Specs[0].Pos(), text+"\n\n\t")
	}
	return at(block.Rparen, "\t"+text+"\n")
}

func lineEnd(spec *ast.ImportSpec) token.Pos {
	if spec.Comment != nil {
		return spec.Comment.End()
	}
	return spec.End()
}

// cgo reports whether the declaration is that of import "C", which is left alone.
func cgo(g *ast.GenDecl) bool {
	return slices.ContainsFunc(g.Specs, func(s ast.Spec) bool { return importPath(s.(*ast.ImportSpec)) == "C" })
}

func thirdParty(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

func importPath(spec *ast.ImportSpec) string {
	path, _ := strconv.Unquote(spec.Path.Value)
	return path
}

// removal returns the edit that removes an import, unless another took its place.
func (s *Set) removal(file *ast.File, spec *ast.ImportSpec, replaced bool) (analysis.TextEdit, bool) {
	tf := s.pass.Fset.File(file.FileStart)
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || !slices.Contains(g.Specs, ast.Spec(spec)) {
			continue
		}
		if !g.Lparen.IsValid() && len(file.Imports) == 1 && replaced {
			return analysis.TextEdit{}, false // place has put another there
		}
		from, to := spec.Pos(), lineEnd(spec)
		if spec.Doc != nil {
			from = spec.Doc.Pos()
		}
		if !g.Lparen.IsValid() {
			from = g.Pos()
			if g.Doc != nil {
				from = g.Doc.Pos()
			}
		}
		// With its line, if that is all that is on it.
		content, err := s.pass.ReadFile(tf.Name())
		if err != nil || len(content) != tf.Size() {
			return analysis.TextEdit{Pos: from, End: to}, true
		}
		begin, end := tf.Offset(from), tf.Offset(to)
		for begin > 0 && (content[begin-1] == ' ' || content[begin-1] == '\t') {
			begin--
		}
		for end < len(content) && (content[end] == ' ' || content[end] == '\t' || content[end] == ';' || content[end] == '\r') {
			end++
		}
		if (begin == 0 || content[begin-1] == '\n') && end < len(content) && content[end] == '\n' {
			return analysis.TextEdit{Pos: tf.Pos(begin), End: tf.Pos(end + 1)}, true
		}
		return analysis.TextEdit{Pos: from, End: tf.Pos(end)}, true
	}
	return analysis.TextEdit{}, false
}
