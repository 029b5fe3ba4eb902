package opendb

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"

	"golang.org/x/tools/go/analysis"

	"github.com/taskspan/taskspan/cmd/otdbvet/internal/source"
)

// An origin is what is known of a driver, by its name or its connector.
type origin int

const (
	none    origin = iota // no value was seen
	bare                  // not traced
	unknown               // perhaps traced
	traced                // by otdb, or by another library
)

// join is the origin of what may be either.
func join(a, b origin) origin { return max(a, b) }

// A value is what an object is given: an expression, or one of its results.
type value struct {
	expr   ast.Expr // nil: anything
	result int
}

// origins follows values through one package.
type origins struct {
	*analysis.Pass
	values    map[types.Object][]value
	calls     map[types.Object][]*ast.CallExpr // of functions and of variables that hold one
	escapes   map[types.Object]bool            // functions that are values somewhere
	params    map[types.Object]parameter
	bodies    map[types.Object]*ast.FuncDecl
	selectors map[*ast.Ident]bool
	wraps     bool // the package wraps drivers itself
	visiting  map[types.Object]bool
}

type parameter struct {
	fn    types.Object
	index int
}

func newOrigins(pass *analysis.Pass) *origins {
	o := &origins{
		Pass: pass, values: map[types.Object][]value{}, calls: map[types.Object][]*ast.CallExpr{},
		escapes: map[types.Object]bool{}, params: map[types.Object]parameter{}, bodies: map[types.Object]*ast.FuncDecl{},
		selectors: map[*ast.Ident]bool{}, visiting: map[types.Object]bool{},
	}
	for _, file := range pass.Files {
		called := map[*ast.Ident]bool{}
		ast.Inspect(file, func(n ast.Node) bool {
			o.visit(n, called)
			return true
		})
	}
	return o
}

// visit notes what a node gives to whom.
func (o *origins) visit(n ast.Node, called map[*ast.Ident]bool) {
	switch n := n.(type) {
	case *ast.FuncDecl:
		fn := o.TypesInfo.Defs[n.Name]
		o.bodies[fn] = n
		i := 0
		for _, field := range n.Type.Params.List {
			for _, name := range field.Names {
				if _, variadic := field.Type.(*ast.Ellipsis); !variadic {
					o.params[o.TypesInfo.Defs[name]] = parameter{fn, i}
				}
				i++
			}
			i += btoi(len(field.Names) == 0)
		}
	case *ast.FuncLit:
		for _, field := range n.Type.Params.List {
			for _, name := range field.Names {
				o.give(name, value{})
			}
		}
	case *ast.AssignStmt:
		o.assign(n.Lhs, n.Rhs, n.Tok == token.ASSIGN || n.Tok == token.DEFINE)
	case *ast.ValueSpec:
		if len(n.Values) > 0 {
			lhs := make([]ast.Expr, len(n.Names))
			for i, name := range n.Names {
				lhs[i] = name
			}
			o.assign(lhs, n.Values, true)
		}
	case *ast.CompositeLit:
		o.literal(n)
	case *ast.RangeStmt:
		o.ranges(n)
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			if _, ok := ast.Unparen(n.X).(*ast.CompositeLit); !ok && !called[key(n)] {
				o.give(n.X, value{})
			}
		}
	case *ast.IncDecStmt:
		o.give(n.X, value{})
	case *ast.CallExpr:
		o.call(n, called)
	case *ast.SelectorExpr:
		o.selectors[n.Sel] = true
	case *ast.Ident:
		if fn, ok := o.TypesInfo.Uses[n].(*types.Func); ok {
			if !called[n] {
				o.escapes[fn] = true
			}
			o.wraps = o.wraps || isWrapper(source.Name(fn))
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// key finds the identifier that stands for &x in the set of what was called.
func key(n *ast.UnaryExpr) *ast.Ident {
	switch x := ast.Unparen(n.X).(type) {
	case *ast.Ident:
		return x
	case *ast.SelectorExpr:
		return x.Sel
	}
	return nil
}

func (o *origins) call(n *ast.CallExpr, called map[*ast.Ident]bool) {
	var id *ast.Ident
	switch fun := ast.Unparen(n.Fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	}
	if id != nil {
		called[id] = true
		if obj := o.TypesInfo.Uses[id]; obj != nil {
			o.calls[obj] = append(o.calls[obj], n)
		}
	}
	// A flag gives a variable a value from the command line.
	if fn := source.Callee(o.TypesInfo, n); fn != nil && isFlag(fn) && len(n.Args) > 0 {
		if and, ok := ast.Unparen(n.Args[0]).(*ast.UnaryExpr); ok && and.Op == token.AND {
			if k := key(and); k != nil {
				called[k] = true
				o.give(and.X, value{expr: n})
			}
		}
	}
}

// give notes that what e names is given v.
func (o *origins) give(e ast.Expr, v value) {
	var obj types.Object
	switch x := ast.Unparen(e).(type) {
	case *ast.Ident:
		obj = o.TypesInfo.ObjectOf(x)
	case *ast.SelectorExpr:
		obj = o.TypesInfo.Uses[x.Sel]
	}
	if obj != nil {
		o.values[generic(obj)] = append(o.values[generic(obj)], v)
	}
}

// generic returns the generic form of a field.
func generic(obj types.Object) types.Object {
	if v, ok := obj.(*types.Var); ok {
		return v.Origin()
	}
	return obj
}

func (o *origins) assign(lhs, rhs []ast.Expr, plain bool) {
	for i, l := range lhs {
		switch {
		case !plain:
			o.give(l, value{})
		case len(lhs) == len(rhs):
			o.give(l, value{expr: rhs[i]})
		default:
			o.give(l, value{expr: rhs[0], result: i})
		}
	}
}

// literal notes what the fields of a struct are given.
func (o *origins) literal(n *ast.CompositeLit) {
	t := o.TypesInfo.TypeOf(n)
	if t == nil {
		return
	}
	s, ok := types.Unalias(t).Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, e := range n.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			o.give(kv.Key, value{expr: kv.Value})
		} else if i < s.NumFields() {
			f := s.Field(i).Origin()
			o.values[f] = append(o.values[f], value{expr: e})
		}
	}
}

// ranges notes what the variables of a loop are given.
func (o *origins) ranges(n *ast.RangeStmt) {
	if n.Key != nil {
		o.give(n.Key, value{})
	}
	if n.Value == nil {
		return
	}
	lit, ok := ast.Unparen(n.X).(*ast.CompositeLit)
	if !ok {
		o.give(n.Value, value{})
		return
	}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			e = kv.Value
		}
		o.give(n.Value, value{expr: e})
	}
}

// of returns the origin of a driver's name, or of a connector.
func (o *origins) of(e ast.Expr) origin { return o.ofResult(e, 0) }

func (o *origins) ofResult(e ast.Expr, result int) origin {
	if tv, ok := o.TypesInfo.Types[e]; ok && tv.Value != nil && tv.Value.Kind() == constant.String {
		return o.ofName(constant.StringVal(tv.Value))
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return o.ofObject(o.TypesInfo.ObjectOf(e))
	case *ast.SelectorExpr:
		return o.ofObject(o.TypesInfo.Uses[e.Sel])
	case *ast.CallExpr:
		return o.ofCall(e, result)
	case *ast.StarExpr:
		return o.of(e.X) // of a flag's pointer; what & was applied to is unknown
	case *ast.UnaryExpr:
		if lit, ok := ast.Unparen(e.X).(*ast.CompositeLit); ok && e.Op == token.AND {
			return o.ofConnector(o.TypesInfo.TypeOf(lit))
		}
	case *ast.CompositeLit:
		return o.ofConnector(o.TypesInfo.TypeOf(e))
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return join(unknown, join(o.of(e.X), o.of(e.Y)))
		}
	case *ast.IndexExpr:
		// A value from outside of the program is no name that it made up.
		if sel, ok := ast.Unparen(e.X).(*ast.SelectorExpr); ok {
			if v := o.TypesInfo.Uses[sel.Sel]; v != nil && v.Pkg() != nil && v.Pkg().Path() == "os" && v.Name() == "Args" {
				return bare
			}
		}
	}
	return unknown
}

var madeByOtdb = regexp.MustCompile(`-otdb(-\d+)?$`)

// ofName returns the origin of the driver of a name that is known.
func (o *origins) ofName(name string) origin {
	if madeByOtdb.MatchString(name) {
		return traced
	}
	result := none
	for fn, calls := range o.calls {
		if f, ok := fn.(*types.Func); !ok || source.Name(f) != "database/sql.Register" {
			continue
		}
		for _, call := range calls {
			if tv := o.TypesInfo.Types[call.Args[0]]; tv.Value == nil || constant.StringVal(tv.Value) != name {
				continue
			}
			result = join(result, o.of(call.Args[1]))
		}
	}
	switch {
	case result != none:
		return result
	case slices.Contains(drivers, name):
		return bare
	}
	return unknown
}

// ofObject returns the origin of what a variable or field can hold.
func (o *origins) ofObject(obj types.Object) origin {
	if obj == nil || o.visiting[obj] {
		return none
	}
	v, ok := obj.(*types.Var)
	if !ok {
		return unknown
	}
	o.visiting[obj] = true
	defer delete(o.visiting, obj)
	v = v.Origin()
	main := o.Pkg.Name() == "main"
	if v.Pkg() != o.Pkg || !main && v.Exported() && (v.IsField() || v.Parent() == o.Pkg.Scope()) {
		return unknown // others may set it
	}
	result := none
	for _, given := range o.values[v] {
		if given.expr == nil {
			return unknown
		}
		result = join(result, o.ofResult(given.expr, given.result))
	}
	if p, ok := o.params[obj]; ok {
		return join(result, o.ofParameter(p))
	}
	if result == none && v.IsField() && main {
		return bare // it is decoded from what is outside of the program
	}
	if result == none {
		return unknown
	}
	return result
}

// ofParameter returns the origin of what a function is called with.
func (o *origins) ofParameter(p parameter) origin {
	fn, ok := p.fn.(*types.Func)
	if !ok || o.escapes[fn] || len(o.calls[fn]) == 0 || fn.Exported() && o.Pkg.Name() != "main" {
		return unknown
	}
	if fn.Signature().Recv() != nil || fn.Signature().TypeParams() != nil {
		return unknown // it may be called through an interface
	}
	result := none
	for _, call := range o.calls[fn] {
		if p.index >= len(call.Args) {
			return unknown
		}
		result = join(result, o.of(call.Args[p.index]))
	}
	return result
}

// ofCall returns the origin of a result of a call.
func (o *origins) ofCall(call *ast.CallExpr, result int) origin {
	if tv, ok := o.TypesInfo.Types[call.Fun]; ok && tv.IsType() && len(call.Args) == 1 {
		return o.of(call.Args[0])
	}
	fn := source.Callee(o.TypesInfo, call)
	if fn == nil {
		return unknown
	}
	name := source.Name(fn)
	switch {
	case isWrapper(name):
		return traced
	case isFlag(fn):
		joined := bare
		for _, arg := range call.Args {
			if o.TypesInfo.Types[arg].Value == nil && types.Identical(o.TypesInfo.TypeOf(arg), types.Typ[types.String]) {
				joined = join(joined, o.of(arg)) // a default that is made up
			}
		}
		return joined
	case name == "os.Getenv", name == "os.LookupEnv", fn.Pkg() != nil && slices.Contains(driverPackages, source.Path(fn.Pkg().Path())):
		return bare
	case name == "strings.ToLower", name == "strings.TrimSpace", name == "strings.TrimPrefix", name == "strings.TrimSuffix":
		return o.of(call.Args[0])
	case name == "cmp.Or":
		joined := none
		for _, arg := range call.Args {
			if tv := o.TypesInfo.Types[arg]; tv.Value != nil && tv.Value.Kind() == constant.String && constant.StringVal(tv.Value) == "" {
				continue
			}
			joined = join(joined, o.of(arg))
		}
		return joined
	}
	if body := o.bodies[fn]; body != nil && body.Body != nil && fn.Signature().Recv() == nil && !o.visiting[fn] {
		o.visiting[fn] = true
		defer delete(o.visiting, fn)
		return o.ofReturns(body, result)
	}
	return unknown
}

// ofReturns returns the origin of a result of a function of the package.
func (o *origins) ofReturns(fn *ast.FuncDecl, result int) origin {
	joined := none
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			switch {
			case len(n.Results) == 0:
				joined = join(joined, unknown)
			case result < len(n.Results):
				e := n.Results[result]
				if tv := o.TypesInfo.Types[e]; tv.IsNil() || tv.Value != nil && tv.Value.Kind() == constant.String && constant.StringVal(tv.Value) == "" {
					return true // beside an error
				}
				joined = join(joined, o.of(e))
			default:
				joined = join(joined, o.ofResult(n.Results[0], result))
			}
		}
		return true
	})
	if joined == none {
		return unknown
	}
	return joined
}

// ofConnector returns the origin of a connector or driver that is made of a
// literal of type t.
func (o *origins) ofConnector(t types.Type) origin {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil {
		return unknown
	}
	if slices.Contains(driverPackages, source.Path(n.Obj().Pkg().Path())) {
		return bare
	}
	s, ok := n.Underlying().(*types.Struct)
	if !ok || n.Obj().Pkg() != o.Pkg || o.wraps {
		return unknown
	}
	for f := range s.Fields() {
		if types.IsInterface(f.Type()) || source.IsType(f.Type(), "database/sql", "DB") {
			return unknown // around another one, perhaps
		}
	}
	return bare
}

// ofCalls returns the origin of the drivers that a function, which is a value
// in e, is called with: where e is all that a variable ever holds.
func (o *origins) ofCalls(e ast.Expr) origin {
	for obj, values := range o.values {
		if len(values) != 1 || values[0].expr == nil || ast.Unparen(values[0].expr) != e {
			continue
		}
		v, ok := obj.(*types.Var)
		if !ok || v.IsField() || v.Exported() && v.Parent() == o.Pkg.Scope() && o.Pkg.Name() != "main" {
			return unknown
		}
		result := none
		for _, call := range o.calls[v] {
			if len(call.Args) == 0 {
				return unknown
			}
			result = join(result, o.of(call.Args[0]))
		}
		if result == none {
			return unknown
		}
		return result
	}
	return unknown
}
