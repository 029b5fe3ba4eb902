// Package ignore knows which lines of a package its comments exempt.
package ignore

import (
	"go/ast"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Analyzer reports otdbvet's own comments that do nothing: an ignore without a
// reason, and a directive that does not exist. Its result, a [Table], is what
// the other analyzers ask before they report.
var Analyzer = &analysis.Analyzer{
	Name: "ignore",
	Doc: `report //otdbvet: comments that do nothing

An exception needs a reason, for whoever reads it next:

	db, err := sql.Open("pgx", dsn) //otdbvet:ignore traced by the proxy in front of it

It holds for the statement or declaration that begins on its line, or on the
next one if it stands alone. golangci-lint's //nolint, //nolint:otdbvet and
//nolint:opendb (or another analyzer's name) do the same.`,
	URL:        "https://pkg.go.dev/github.com/taskspan/taskspan/cmd/otdbvet",
	Run:        run,
	ResultType: reflect.TypeFor[*Table](),
}

// A Table holds what the comments of one package exempt.
type Table struct {
	exemptions []exemption
}

// An exemption is a range of positions in which some analyzers are silent.
type exemption struct {
	from, to token.Pos
	names    []string // none: all of them
}

// Exempts reports whether the analyzer of that name is to be silent at pos.
func (t *Table) Exempts(analyzer string, pos token.Pos) bool {
	return slices.ContainsFunc(t.exemptions, func(e exemption) bool {
		return e.from <= pos && pos <= e.to && (len(e.names) == 0 || slices.Contains(e.names, analyzer))
	})
}

var (
	nolint    = regexp.MustCompile(`^//\s*nolint(?::\s*([\w-]+(?:\s*,\s*[\w-]+)*))?(?:[^\w:-]|$)`)
	directive = regexp.MustCompile(`^//otdbvet:(\w*)(.*)$`)
)

func run(pass *analysis.Pass) (any, error) {
	table := &Table{}
	for _, file := range pass.Files {
		tf := pass.Fset.File(file.FileStart)
		lines := map[int][][]string{} // what is exempt from a line on
		for _, group := range file.Comments {
			for _, comment := range group.List {
				names, ok := exempted(comment.Text)
				if m := directive.FindStringSubmatch(comment.Text); m != nil {
					if problem := fault(m[1], m[2]); problem != "" {
						if !ast.IsGenerated(file) {
							pass.Reportf(comment.Pos(), "%s", problem)
						}
						continue
					}
					names, ok = nil, true
				}
				if !ok {
					continue
				}
				line := tf.Line(comment.Pos())
				if alone(file, tf, comment.Pos(), line) {
					line = tf.Line(group.End()) + 1
				}
				lines[line] = append(lines[line], names)
				if line <= tf.Line(file.Package) {
					table.exemptions = append(table.exemptions, exemption{file.FileStart, file.FileEnd, names})
				}
			}
		}
		if len(lines) > 0 {
			table.add(file, tf, lines)
		}
	}
	return table, nil
}

// exempted returns the analyzers that a //nolint comment silences, none for
// all of them, and whether it silences any.
func exempted(comment string) (names []string, ok bool) {
	m := nolint.FindStringSubmatch(comment)
	if m == nil {
		return nil, false
	}
	if m[1] == "" {
		return nil, true
	}
	for name := range strings.SplitSeq(m[1], ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "all", "otdbvet":
			return nil, true
		case "opendb", "dbcontext", "taskcontext":
			names = append(names, name)
		}
	}
	return names, len(names) > 0
}

// fault describes the mistake in the directive of that verb.
func fault(verb, reason string) string {
	if verb != "ignore" {
		return "there is no //otdbvet:" + verb + "; an exception is written //otdbvet:ignore reason"
	}
	if reason = strings.TrimLeft(reason, " \t:-"); reason == "" {
		return "this exception has no reason and is not respected; write //otdbvet:ignore reason"
	}
	return ""
}

// alone reports whether nothing but comments is on the line of the comment at pos.
func alone(file *ast.File, tf *token.File, pos token.Pos, line int) bool {
	start, found := tf.LineStart(line), false
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil || found || n.End() < start || n.Pos() >= pos && n != file {
			return false
		}
		switch n.(type) {
		case *ast.Comment, *ast.CommentGroup:
			return false
		case *ast.File:
		default:
			// A token of this node is before the comment, on its line.
			found = found || n.Pos() >= start && n.Pos() < pos || n.End() > start && n.End() <= pos
			if open := opening(n); open.IsValid() {
				found = found || open >= start && open < pos
			}
		}
		return !found
	})
	return !found && tf.Line(file.Package) != line
}

// opening returns where the brace of a block is.
func opening(n ast.Node) token.Pos {
	switch n := n.(type) {
	case *ast.BlockStmt:
		return n.Lbrace
	case *ast.CompositeLit:
		return n.Lbrace
	case *ast.FieldList:
		return n.Opening
	case *ast.CallExpr:
		return n.Lparen
	case *ast.GenDecl:
		return n.Lparen
	case *ast.CaseClause:
		return n.Colon
	case *ast.CommClause:
		return n.Colon
	}
	return token.NoPos
}

// add exempts the lines, all that begins on them, and the simple statements
// that end on them.
func (t *Table) add(file *ast.File, tf *token.File, lines map[int][][]string) {
	for line, names := range lines {
		if line > tf.LineCount() {
			continue
		}
		end := tf.Pos(tf.Size())
		if line < tf.LineCount() {
			end = tf.LineStart(line + 1)
		}
		for _, n := range names {
			t.exemptions = append(t.exemptions, exemption{tf.LineStart(line), end - 1, n})
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.File, *ast.Comment, *ast.CommentGroup:
			return true
		}
		from := lines[tf.Line(n.Pos())]
		switch n.(type) {
		case *ast.ExprStmt, *ast.AssignStmt, *ast.ReturnStmt, *ast.ValueSpec, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt:
			if last := tf.Line(n.End()); last != tf.Line(n.Pos()) {
				from = append(slices.Clip(from), lines[last]...)
			}
		}
		for _, names := range from {
			t.exemptions = append(t.exemptions, exemption{n.Pos(), n.End(), names})
		}
		return true
	})
}
