// Package opendb finds databases that are opened without otdb.
package opendb

import (
	"fmt"
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"

	"github.com/taskspan/taskspan/cmd/otdbvet/ignore"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/edit"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/source"
)

const otdb = "github.com/taskspan/taskspan/otdb"

// Analyzer reports databases that are opened without otdb.
var Analyzer = &analysis.Analyzer{
	Name: "opendb",
	Doc: `report databases that are opened without otdb

What sql.Open opens is not traced:

	db, err := sql.Open("pgx", dsn)  // becomes otdb.Open("pgx", dsn)
	db := sql.OpenDB(connector)      // becomes otdb.OpenDB(connector)

The same holds for the functions of sqlx, GORM, goose, golang-migrate, ent and
pgx that open a database themselves, and for type assertions inside
sql.Conn.Raw, which need otdb.Raw on a traced database.

A driver that may be traced already is not reported: one whose name or connector
comes from otdb or from where the analyzer cannot see, such as an exported
function's parameter. The flag any reports these too; to give otdb.Open the name
of a traced driver changes nothing.`,
	URL:      "https://pkg.go.dev/github.com/taskspan/taskspan/cmd/otdbvet",
	Requires: []*analysis.Analyzer{ignore.Analyzer},
	Run:      run,
}

var tests, anyName bool

func init() {
	Analyzer.Flags.BoolVar(&tests, "tests", false, "look at test files too")
	Analyzer.Flags.BoolVar(&anyName, "any", false, "report drivers that may be traced already too")
}

// A finder looks for openers in one package.
type finder struct {
	*analysis.Pass
	origins *origins
	fixes   *edit.Set
	helpers map[string]*helper
}

func run(pass *analysis.Pass) (any, error) {
	f := &finder{Pass: pass, fixes: edit.NewSet(pass), helpers: map[string]*helper{}}
	// Most packages open nothing.
	if pass.Pkg.Path() == otdb || !opens(pass) {
		return nil, nil
	}
	f.origins = newOrigins(pass)
	for _, file := range source.Files(pass, tests) {
		f.file(file)
	}
	f.fixes.Finish()
	return nil, nil
}

// opens reports whether the package refers to any opener.
func opens(pass *analysis.Pass) bool {
	for _, obj := range pass.TypesInfo.Uses {
		if fn, ok := obj.(*types.Func); ok && (openers[source.Name(fn)] != nil || isRaw(fn)) {
			return true
		}
	}
	return false
}

// file looks at one file.
func (f *finder) file(file *ast.File) {
	called := map[ast.Expr]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			fn := source.Callee(f.TypesInfo, n)
			if isRaw(fn) {
				f.raw(file, n)
			}
			// A library that calls its own opener is not a program that uses it.
			if o := openers[source.Name(fn)]; o != nil && fn.Pkg() != f.Pkg {
				called[ast.Unparen(n.Fun)] = true
				if o.origin == nil || reported(o.origin(f, n)) {
					o.report(f, file, n)
				}
			}
		case *ast.SelectorExpr:
			// A value is met before what is below it, so its own call came first.
			if !called[n] {
				f.value(file, n)
			}
			return true
		case *ast.Ident:
			if _, ok := f.TypesInfo.Uses[n].(*types.Func); ok && !called[n] && !f.behindDot(n) {
				f.value(file, n)
			}
		}
		return true
	})
}

// behindDot reports whether id is the selector of an expression that was seen.
func (f *finder) behindDot(id *ast.Ident) bool { return f.origins.selectors[id] }

// reported reports whether a driver of that origin is reported.
func reported(o origin) bool { return o == bare || o == unknown && anyName }

// An opener is a function that opens a database.
type opener struct {
	// origin reports whether the database that the call opens is traced already.
	origin func(*finder, *ast.CallExpr) origin
	report func(*finder, *ast.File, *ast.CallExpr)
	// replacement is the function of otdb that has its parameters and more.
	replacement string
}

// driverName is the origin of a driver whose name is argument i.
func driverName(i int) func(*finder, *ast.CallExpr) origin {
	return func(f *finder, call *ast.CallExpr) origin {
		if i >= len(call.Args) {
			return unknown // open(f())
		}
		return f.origins.of(call.Args[i])
	}
}

var openers map[string]*opener

func init() {
	openers = map[string]*opener{
		"database/sql.Open": {
			origin:      driverName(0),
			report:      func(f *finder, file *ast.File, call *ast.CallExpr) { f.replace(file, call, "sql.Open", "Open") },
			replacement: "Open",
		},
		"database/sql.OpenDB": {
			origin:      driverName(0),
			report:      func(f *finder, file *ast.File, call *ast.CallExpr) { f.replace(file, call, "sql.OpenDB", "OpenDB") },
			replacement: "OpenDB",
		},
	}
	for name, o := range libraries {
		openers[name] = o
	}
}

// replace reports a call of a function for which otdb has one of the same shape.
func (f *finder) replace(file *ast.File, call *ast.CallExpr, was, is string) {
	fix := f.fixes.Report(analysis.Diagnostic{
		Pos: call.Fun.Pos(), End: call.Fun.End(),
		Message: fmt.Sprintf("%s opens a database that is not traced; use otdb.%s", was, is),
	})
	if fix == nil {
		return
	}
	fix.Message = "Replace " + was + " by otdb." + is
	fix.Replace(call.Fun, fix.Qualifier(file, otdb, "otdb", call.Pos())+is)
}

// value looks at a reference to sql.Open or sql.OpenDB that is no call: it is
// reported where the package calls it with a driver that is known.
func (f *finder) value(file *ast.File, e ast.Expr) {
	fn := source.Func(f.TypesInfo, e)
	if fn == nil {
		return
	}
	name := source.Name(fn)
	o := openers[name]
	if o == nil || o.replacement == "" || !reported(f.origins.ofCalls(e)) {
		return
	}
	is := o.replacement
	fix := f.fixes.Report(analysis.Diagnostic{
		Pos: e.Pos(), End: e.End(),
		Message: fmt.Sprintf("sql.%s opens databases that are not traced; use otdb.%s", fn.Name(), is),
	})
	if fix == nil {
		return
	}
	// otdb's function takes options, so that its type is another one.
	fix.Message = fmt.Sprintf("Call otdb.%s in place of sql.%s", is, fn.Name())
	sql := fix.Qualifier(file, "database/sql", "sql", e.Pos())
	q := fix.Qualifier(file, otdb, "otdb", e.Pos())
	if is == "Open" {
		fix.Replace(e, fmt.Sprintf("func(driverName, dsn string) (*%sDB, error) { return %sOpen(driverName, dsn) }", sql, q))
		return
	}
	driver := fix.Qualifier(file, "database/sql/driver", "driver", e.Pos())
	fix.Replace(e, fmt.Sprintf("func(c %sConnector) *%sDB { return %sOpenDB(c) }", driver, sql, q))
}
