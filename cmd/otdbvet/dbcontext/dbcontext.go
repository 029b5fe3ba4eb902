// Package dbcontext finds statements without a context where there is one.
package dbcontext

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"

	"github.com/taskspan/taskspan/cmd/otdbvet/ignore"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/edit"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/source"
)

// Analyzer reports statements without a context where one is in scope.
var Analyzer = &analysis.Analyzer{
	Name: "dbcontext",
	Doc: `report statements without a context where one is in scope

A statement finds its task through its context:

	rows, err := db.Query(query)  // becomes db.QueryContext(ctx, query)

Reported are the methods of sql.DB, sql.Tx, sql.Stmt and their counterparts in
sqlx, and of interfaces that have them with and without a context. In scope are
variables of type context.Context and, where there is none, the context of an
*http.Request that is a parameter. Not reported are statements in defer and go
statements, and in functions that the context was not given to: there it may be
done already. Nor are those whose only context comes from context.Background,
which carries no task.

The fix changes what the program does: the context can now end the statement.
It is only offered with the flag fix, which otdbvet -dbcontext -fix sets.`,
	URL:      "https://pkg.go.dev/github.com/taskspan/taskspan/cmd/otdbvet",
	Requires: []*analysis.Analyzer{ignore.Analyzer},
	Run:      run,
}

var tests, fix bool

func init() {
	Analyzer.Flags.BoolVar(&tests, "tests", false, "look at test files too")
	Analyzer.Flags.BoolVar(&fix, "fix", false, "offer the fix, with which a context can end the statement")
}

// A form is how a method is written with a context.
type form struct {
	name string
	// tail follows the arguments of a method that has none.
	tail string
}

// The methods by their name: of database/sql, which interfaces have too, and of sqlx.
var (
	sqlForms = map[string]form{
		"Query": {name: "QueryContext"}, "QueryRow": {name: "QueryRowContext"}, "Exec": {name: "ExecContext"},
		"Prepare": {name: "PrepareContext"}, "Ping": {name: "PingContext"},
		"Begin": {name: "BeginTx", tail: "nil"}, "Stmt": {name: "StmtContext"},
	}
	sqlxForms = map[string]form{
		"Get": {name: "GetContext"}, "Select": {name: "SelectContext"}, "Queryx": {name: "QueryxContext"},
		"QueryRowx": {name: "QueryRowxContext"}, "NamedExec": {name: "NamedExecContext"},
		"MustExec": {name: "MustExecContext"}, "Preparex": {name: "PreparexContext"},
		"PrepareNamed": {name: "PrepareNamedContext"}, "Beginx": {name: "BeginTxx", tail: "nil"},
		"MustBegin": {name: "MustBeginTx", tail: "nil"}, "Stmtx": {name: "StmtxContext"},
		"NamedStmt": {name: "NamedStmtContext"},
	}
	sqlxNamedQuery = form{name: "NamedQueryContext"} // of a DB only
)

func run(pass *analysis.Pass) (any, error) {
	if !imports(pass.Pkg, "database/sql") && !imports(pass.Pkg, "github.com/jmoiron/sqlx") && !usesSQL(pass) {
		return nil, nil
	}
	c := &checker{Pass: pass, fixes: edit.NewSet(pass), visiting: map[*types.Var]bool{}}
	for _, file := range source.Files(pass, tests) {
		c.file(file)
	}
	c.fixes.Finish()
	return nil, nil
}

func imports(pkg *types.Package, path string) bool {
	return slices.ContainsFunc(pkg.Imports(), func(p *types.Package) bool { return p.Path() == path })
}

// usesSQL reports whether the package calls methods of database/sql's types,
// which it can do without importing it.
func usesSQL(pass *analysis.Pass) bool {
	for _, obj := range pass.TypesInfo.Uses {
		if fn, ok := obj.(*types.Func); ok && fn.Pkg() != nil && (fn.Pkg().Path() == "database/sql" || fn.Pkg().Path() == "github.com/jmoiron/sqlx") {
			return true
		}
	}
	return false
}

type checker struct {
	*analysis.Pass
	fixes    *edit.Set
	visiting map[*types.Var]bool
}

func (c *checker) file(file *ast.File) {
	var stack []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		if call, ok := n.(*ast.CallExpr); ok {
			c.call(call, stack)
		}
		return true
	})
}

// call looks at one call; around it is what it is in, and itself.
func (c *checker) call(call *ast.CallExpr, around []ast.Node) {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		c.value(call, around)
		return
	}
	f, ok := c.form(sel)
	if !ok {
		return
	}
	found := c.context(around, call)
	if found == nil {
		return
	}
	d := c.diagnostic(sel, f, found)
	fixed := c.fixes.Report(d)
	if fixed == nil || !fix || found.several || call.Ellipsis.IsValid() && len(call.Args) == 0 {
		return
	}
	fixed.Message = "Use " + f.name
	text := found.text
	if f.tail != "" {
		text += ", " + f.tail
	} else if len(call.Args) > 0 {
		text += ", "
	}
	fixed.Replace(sel.Sel, f.name)
	fixed.Insert(call.Lparen+1, text)
	if len(call.Args) == 1 {
		if t, ok := c.TypesInfo.TypeOf(call.Args[0]).(*types.Tuple); ok && t.Len() > 1 {
			fixed.Fail() // Query(f()), where f returns all arguments
		}
	}
}

// value looks at a call of a variable that holds a method.
func (c *checker) value(call *ast.CallExpr, around []ast.Node) {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok {
		return
	}
	v, ok := c.TypesInfo.Uses[id].(*types.Var)
	if !ok || v.IsField() || v.Parent() == c.Pkg.Scope() {
		return
	}
	sel := c.held(v, around)
	if sel == nil {
		return
	}
	f, ok := c.form(sel)
	if !ok {
		return
	}
	if found := c.context(around, call); found != nil {
		d := c.diagnostic(sel, f, found)
		d.Pos, d.End = id.Pos(), id.End()
		c.fixes.Report(d) // the type of the variable would be another one
	}
}

// held returns the method that is all that the local variable is ever given.
func (c *checker) held(v *types.Var, around []ast.Node) (held *ast.SelectorExpr) {
	count := 0
	ast.Inspect(around[0], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if id, ok := l.(*ast.Ident); ok && c.TypesInfo.ObjectOf(id) == v {
					count++
					if len(n.Lhs) == len(n.Rhs) {
						held, _ = ast.Unparen(n.Rhs[i]).(*ast.SelectorExpr)
					}
				}
			}
		case *ast.ValueSpec:
			for i, id := range n.Names {
				if c.TypesInfo.Defs[id] == v {
					count++
					if i < len(n.Values) {
						held, _ = ast.Unparen(n.Values[i]).(*ast.SelectorExpr)
					}
				}
			}
		case *ast.UnaryExpr:
			if id, ok := ast.Unparen(n.X).(*ast.Ident); ok && c.TypesInfo.Uses[id] == v {
				count += 2
			}
		}
		return true
	})
	if count != 1 {
		return nil
	}
	return held
}

// diagnostic describes the loss and the remedy.
func (c *checker) diagnostic(sel *ast.SelectorExpr, f form, found *inScope) analysis.Diagnostic {
	with := f.name + "(" + found.text
	if f.tail != "" {
		with += ", " + f.tail
	} else if f.name != "PingContext" {
		with += ", …"
	}
	return analysis.Diagnostic{
		Pos: sel.Sel.Pos(), End: sel.Sel.End(),
		Message: fmt.Sprintf("%s runs without %s, so its task does not see it; use %s)", sel.Sel.Name, found.text, with),
	}
}

// form returns how the method that sel names is written with a context: if it
// is one of database/sql or sqlx, and the same value has the other one too.
func (c *checker) form(sel *ast.SelectorExpr) (form, bool) {
	fn, ok := c.TypesInfo.Uses[sel.Sel].(*types.Func)
	if !ok || fn.Signature().Recv() == nil {
		return form{}, false
	}
	fn = fn.Origin()
	recv := fn.Signature().Recv().Type()
	f, ok := sqlForms[fn.Name()]
	switch {
	case types.IsInterface(recv):
		if !ok || !likeSQL(fn) {
			return form{}, false
		}
	case slices.ContainsFunc([]string{"DB", "Tx", "Stmt"}, func(name string) bool { return source.IsType(recv, "database/sql", name) }):
	case slices.ContainsFunc([]string{"DB", "Tx", "Stmt", "NamedStmt"}, func(name string) bool {
		return source.IsType(recv, "github.com/jmoiron/sqlx", name)
	}):
		switch {
		case fn.Name() == "NamedQuery" && source.IsType(recv, "github.com/jmoiron/sqlx", "DB"):
			f, ok = sqlxNamedQuery, true
		case !ok:
			f, ok = sqlxForms[fn.Name()]
		}
	default:
		return form{}, false
	}
	if !ok {
		return form{}, false
	}
	// A type that embeds a DB may have a method of its own of the other name.
	s := c.TypesInfo.Selections[sel]
	if s == nil || s.Kind() == types.MethodExpr {
		return form{}, false
	}
	other, _, _ := types.LookupFieldOrMethod(s.Recv(), true, c.Pkg, f.name)
	with, ok := other.(*types.Func)
	if !ok || with.Signature().Params().Len() == 0 || !source.IsContext(with.Signature().Params().At(0).Type()) {
		return form{}, false
	}
	if r := with.Origin().Signature().Recv(); !types.IsInterface(recv) && (r == nil || !types.Identical(r.Type(), recv)) {
		return form{}, false
	}
	want := fn.Signature()
	have := with.Signature()
	if have.Variadic() != want.Variadic() || f.tail == "" && have.Params().Len() != want.Params().Len()+1 ||
		f.tail != "" && have.Params().Len() != 2 || have.Results().Len() != want.Results().Len() {
		return form{}, false
	}
	for i := range have.Results().Len() {
		if !types.Identical(have.Results().At(i).Type(), want.Results().At(i).Type()) {
			return form{}, false
		}
	}
	return f, true
}

// likeSQL reports whether a method of an interface has the signature of one of
// sql.DB or sql.Tx, by its results.
func likeSQL(fn *types.Func) bool {
	results := fn.Signature().Results()
	if results.Len() == 0 {
		return false
	}
	first := results.At(0).Type()
	switch fn.Name() {
	case "Query":
		return source.IsType(first, "database/sql", "Rows")
	case "QueryRow":
		return source.IsType(first, "database/sql", "Row")
	case "Exec":
		return source.IsType(first, "database/sql", "Result")
	case "Prepare", "Stmt":
		return source.IsType(first, "database/sql", "Stmt")
	case "Begin":
		return source.IsType(first, "database/sql", "Tx")
	}
	return false
}
