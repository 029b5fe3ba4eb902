// Package taskcontext finds contexts that do not belong to the task whose
// function uses them.
package taskcontext

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/taskspan/taskspan/cmd/otdbvet/ignore"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/edit"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/source"
)

const worker = "github.com/taskspan/taskspan/worker"

// Analyzer reports outer contexts used inside a task's function.
var Analyzer = &analysis.Analyzer{
	Name: "taskcontext",
	Doc: `report an outer context used inside a task's function

What is done with the context from outside of a task is not the task's:

	worker.Run(ctx, "load", func(taskCtx context.Context) error {
		return store.Load(ctx)  // becomes store.Load(taskCtx)
	})

Looked at are functions given to Run, Do, Go and Wrap of package worker, and to
the methods of Runner and Group. Reported is an outer context, the context of an
outer request, or one derived from them, where it is passed to a call. Not
reported are contexts that were made to be others (context.Background,
context.WithoutCancel), what runs in go and defer statements, further tasks,
reads (Done, Err, Value, functions named FromContext), and packages that cannot
reach a database, such as log/slog.

The fix is offered where the task was given that very context.`,
	URL:      "https://pkg.go.dev/github.com/taskspan/taskspan/cmd/otdbvet",
	Requires: []*analysis.Analyzer{ignore.Analyzer},
	Run:      run,
}

var tests bool

func init() {
	Analyzer.Flags.BoolVar(&tests, "tests", false, "look at test files too")
}

// A task is a function literal that is given to worker.
type task struct {
	lit    *ast.FuncLit
	call   *ast.CallExpr
	param  *types.Var // the function's own context, nil if it has no name
	given  ast.Expr   // the context that the task is begun with, nil if that is not known
	group  types.Object
	outer  *task // the task that this one is in
	exact  bool  // the function's own context ends when the given one does
	wrong  []use
	others map[types.Object]int // uses of outer variables, whether they are wrong or not
}

// A use is where an outer context is passed to a call.
type use struct {
	expr  ast.Expr // what is outer
	text  string   // the context as it is passed
	to    string
	fixes bool
}

func run(pass *analysis.Pass) (any, error) {
	if !slices.ContainsFunc(pass.Pkg.Imports(), func(p *types.Package) bool { return p.Path() == worker }) {
		return nil, nil
	}
	c := &checker{Pass: pass, fixes: edit.NewSet(pass), values: map[types.Object][]ast.Expr{}, assigned: map[types.Object][]token.Pos{}}
	for _, file := range pass.Files {
		c.index(file)
	}
	for _, file := range source.Files(pass, tests) {
		c.file(file)
	}
	c.fixes.Finish()
	return nil, nil
}

type checker struct {
	*analysis.Pass
	fixes    *edit.Set
	values   map[types.Object][]ast.Expr  // what variables are given; the call where it has several results
	assigned map[types.Object][]token.Pos // where that is
}

// index notes what the variables of a file are given.
func (c *checker) index(file *ast.File) {
	give := func(l, r ast.Expr) {
		var obj types.Object
		switch l := ast.Unparen(l).(type) {
		case *ast.Ident:
			obj = c.TypesInfo.ObjectOf(l)
		case *ast.SelectorExpr:
			obj = c.TypesInfo.Uses[l.Sel]
		}
		if obj != nil {
			c.values[obj] = append(c.values[obj], r)
			c.assigned[obj] = append(c.assigned[obj], l.Pos())
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				give(l, n.Rhs[min(i, len(n.Rhs)-1)])
			}
		case *ast.ValueSpec:
			for i, l := range n.Names {
				if len(n.Values) > 0 {
					give(l, n.Values[min(i, len(n.Values)-1)])
				}
			}
		case *ast.RangeStmt:
			for _, l := range []ast.Expr{n.Key, n.Value} {
				if l != nil {
					give(l, nil)
				}
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				give(n.X, nil)
			}
		}
		return true
	})
}

// file looks at the tasks of one file.
func (c *checker) file(file *ast.File) {
	tasks := map[*ast.FuncLit]*task{}
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if t := c.task(call); t != nil {
				tasks[t.lit] = t
			}
		}
		return true
	})
	var order []*task
	var stack []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		if lit, ok := n.(*ast.FuncLit); ok && tasks[lit] != nil {
			t := tasks[lit]
			for i := len(stack) - 2; i >= 0 && t.outer == nil; i-- {
				if l, ok := stack[i].(*ast.FuncLit); ok {
					t.outer = tasks[l]
				}
			}
			order = append(order, t)
		}
		return true
	})
	mended := map[*types.Var][]*edit.Fix{}
	for _, t := range order {
		c.body(t, tasks)
		c.report(t, mended)
	}
	for v, fixes := range mended {
		c.unused(file, v, fixes)
	}
}

// unused renames a variable to _ that the fixes leave without a use, as they do
// with the context of a group. Only together they do, so each does it all.
func (c *checker) unused(file *ast.File, v *types.Var, fixes []*edit.Fix) {
	uses := 0
	for _, obj := range c.TypesInfo.Uses {
		uses += btoi(obj == v)
	}
	if len(c.values[v]) == 0 || uses > len(fixes) {
		return // a parameter, or one that is used elsewhere
	}
	var name *ast.Ident
	others := false
	ast.Inspect(file, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, l := range a.Lhs {
				if id, ok := l.(*ast.Ident); ok && c.TypesInfo.Defs[id] == v {
					name = id
					others = slices.ContainsFunc(a.Lhs, func(l ast.Expr) bool {
						o, ok := l.(*ast.Ident)
						return ok && o != id && o.Name != "_" && c.TypesInfo.Defs[o] != nil
					})
				}
			}
		}
		return true
	})
	if name == nil || !others || len(c.values[v]) != 1 {
		for _, f := range fixes {
			f.Fail()
		}
		return
	}
	fixes[0].Replace(name, "_")
	edit.Join(fixes)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// kinds are the functions that run tasks: the arguments that are the context,
// -1 if there is none, and the function.
var kinds = map[string][2]int{
	worker + ".Run":         {0, 2},
	worker + ".Do":          {0, 2},
	worker + ".Go":          {0, 2},
	worker + ".Wrap":        {-1, 1},
	worker + ".Runner.Run":  {0, 2},
	worker + ".Group.Go":    {-1, 1},
	worker + ".Group.TryGo": {-1, 1},
}

// task returns the task that a call runs, if its function is a literal.
func (c *checker) task(call *ast.CallExpr) *task {
	name := source.Name(source.Callee(c.TypesInfo, call))
	at, ok := kinds[name]
	if !ok || len(call.Args) <= at[1] {
		return nil
	}
	lit := c.literal(call.Args[at[1]])
	if lit == nil || len(lit.Type.Params.List) == 0 {
		return nil
	}
	t := &task{lit: lit, call: call, exact: !call.Ellipsis.IsValid(), others: map[types.Object]int{}}
	if names := lit.Type.Params.List[0].Names; len(names) > 0 && names[0].Name != "_" {
		t.param, _ = c.TypesInfo.Defs[names[0]].(*types.Var)
	}
	if at[0] >= 0 {
		t.given = call.Args[at[0]]
	} else if strings.Contains(name, ".Group.") {
		t.group = c.groupContext(call)
	}
	for _, option := range call.Args[at[1]+1:] {
		o, ok := ast.Unparen(option).(*ast.CallExpr)
		if !ok || source.Name(source.Callee(c.TypesInfo, o)) == worker+".WithDetached" {
			t.exact = false
		}
	}
	return t
}

// literal returns the function literal that e is, or that it is a variable of.
func (c *checker) literal(e ast.Expr) *ast.FuncLit {
	switch e := ast.Unparen(e).(type) {
	case *ast.FuncLit:
		return e
	case *ast.Ident:
		if v, ok := c.TypesInfo.Uses[e].(*types.Var); ok && len(c.values[v]) == 1 && v.Parent() != c.Pkg.Scope() {
			lit, _ := c.values[v][0].(*ast.FuncLit)
			return lit
		}
	}
	return nil
}

// groupContext returns the context that NewGroup returned with the group.
func (c *checker) groupContext(call *ast.CallExpr) (ctx types.Object) {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	id, ok := ast.Unparen(sel.X).(*ast.Ident)
	if !ok {
		return nil
	}
	group := c.TypesInfo.Uses[id]
	if len(c.values[group]) != 1 {
		return nil
	}
	made := c.values[group][0]
	for obj, values := range c.values {
		if obj != group && len(values) == 1 && values[0] == made && source.IsContext(obj.Type()) {
			ctx = obj
		}
	}
	return ctx
}

// body looks for outer contexts in the function of t.
func (c *checker) body(t *task, tasks map[*ast.FuncLit]*task) {
	var walk func(n ast.Node, own bool)
	walk = func(n ast.Node, own bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.DeferStmt:
				return false // it may have to outlive the task
			case *ast.ReturnStmt:
				for _, r := range n.Results {
					if _, ok := ast.Unparen(r).(*ast.FuncLit); !ok {
						walk(r, own)
					}
				}
				return false
			case *ast.CompositeLit, *ast.SendStmt:
				return !holdsFunc(n)
			case *ast.FuncLit:
				if tasks[n] != nil {
					return false // looked at by itself
				}
				if !own && takesContext(c.TypesInfo, n) {
					walk(n.Body, true)
					return false
				}
			case *ast.CallExpr:
				c.pass(t, n, own)
				if outlives(c.TypesInfo, n) {
					return false
				}
			}
			return true
		})
	}
	walk(t.lit.Body, false)
	ast.Inspect(t.lit.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if obj := c.TypesInfo.Uses[id]; obj != nil {
				t.others[obj]++
			}
		}
		return true
	})
}

// holdsFunc reports whether a value that is stored holds a function.
func holdsFunc(n ast.Node) (holds bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if _, ok := n.(*ast.FuncLit); ok {
			holds = true
		}
		return !holds
	})
	return holds
}

func takesContext(info *types.Info, lit *ast.FuncLit) bool {
	for _, field := range lit.Type.Params.List {
		if source.IsContext(info.TypeOf(field.Type)) {
			return true
		}
	}
	return false
}

// outlives reports whether a function that the call is given may run when the
// task has ended.
func outlives(info *types.Info, call *ast.CallExpr) bool {
	fn := source.Callee(info, call)
	if fn == nil {
		return false
	}
	switch fn.Name() {
	case "AfterFunc", "Cleanup", "Submit", "Schedule", "Enqueue", "AddFunc", "HandleFunc", "RegisterOnShutdown", "SetFinalizer", "AddCleanup":
		return true
	case "Go":
		path := fn.Pkg().Path()
		return path != "golang.org/x/sync/errgroup" && path != worker && path != "sync"
	}
	return false
}

// reads are functions that take something out of a context, or note it.
var reads = regexp.MustCompile(`FromContext$|^FromContext|^Ctx$|^ContextWith|^Inject$|^Extract$`)

// elsewhere are packages that cannot reach a database through a context.
var elsewhere = regexp.MustCompile(`^(go\.opentelemetry\.io/|golang\.org/x/|go\.uber\.org/zap|github\.com/rs/zerolog|` +
	`github\.com/sirupsen/logrus|github\.com/go-logr/)`)

// pass looks at what a call is given.
func (c *checker) pass(t *task, call *ast.CallExpr, own bool) {
	if tv := c.TypesInfo.Types[call.Fun]; tv.IsType() || tv.IsBuiltin() {
		return
	}
	fn := source.Callee(c.TypesInfo, call)
	if fn != nil && fn.Pkg() != nil {
		path := fn.Pkg().Path()
		std := !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") && path != c.Pkg.Path() && !strings.HasPrefix(path, firstOf(c.Pkg.Path()))
		switch {
		case path == worker, elsewhere.MatchString(path) && path != "golang.org/x/sync/errgroup", reads.MatchString(fn.Name()):
			return
		case std && path != "database/sql" && path != "net/http":
			return
		}
	}
	for _, arg := range call.Args {
		if !source.IsContext(c.TypesInfo.TypeOf(arg)) {
			continue
		}
		if outer := c.outer(t, arg, 0); outer != nil {
			if slices.ContainsFunc(t.wrong, func(u use) bool { return u.expr == outer }) {
				continue
			}
			t.wrong = append(t.wrong, use{expr: outer, text: types.ExprString(arg), to: types.ExprString(call.Fun), fixes: !own && t.exact && c.begunWith(t, outer)})
		}
	}
}

// firstOf returns the first element of a module's path that has no dot in it,
// as those of tests, so that its packages are not taken for the library's.
func firstOf(path string) string {
	first, _, _ := strings.Cut(path, "/")
	if strings.Contains(first, ".") {
		return path
	}
	return first + "/"
}

// outer returns the outer context that e is or is derived from, nil if it is
// none for sure.
func (c *checker) outer(t *task, e ast.Expr, depth int) ast.Expr {
	if depth > 10 {
		return nil
	}
	inside := func(pos token.Pos) bool { return t.lit.Pos() <= pos && pos <= t.lit.End() }
	switch x := ast.Unparen(e).(type) {
	case *ast.Ident:
		v, ok := c.TypesInfo.Uses[x].(*types.Var)
		if !ok || v.IsField() || v.Parent() == c.Pkg.Scope() {
			return nil
		}
		if inside(v.Pos()) {
			// A variable of the function, which may be derived from an outer one.
			if len(c.values[v]) != 1 || v == t.param {
				return nil
			}
			call, ok := ast.Unparen(orNil(c.values[v][0])).(*ast.CallExpr)
			if !ok || !c.derives(call) {
				return nil
			}
			return c.outer(t, call.Args[0], depth+1)
		}
		if slices.ContainsFunc(c.assigned[v], inside) || slices.Contains(c.values[v], nil) {
			return nil
		}
		if !c.begunWith(t, x) && c.onPurpose(v, depth) {
			return nil
		}
		return x
	case *ast.CallExpr:
		if c.derives(x) {
			return c.outer(t, x.Args[0], depth+1)
		}
		sel, ok := ast.Unparen(x.Fun).(*ast.SelectorExpr)
		if !ok || source.Name(source.Callee(c.TypesInfo, x)) != "net/http.Request.Context" {
			return nil
		}
		if id, ok := ast.Unparen(sel.X).(*ast.Ident); ok {
			if v, ok := c.TypesInfo.Uses[id].(*types.Var); ok && !inside(v.Pos()) && !slices.ContainsFunc(c.assigned[v], inside) && v.Parent() != c.Pkg.Scope() {
				return x
			}
		}
	case *ast.SelectorExpr:
		// A context in a struct is known to be outer only if the task was begun with it.
		f, ok := c.TypesInfo.Uses[x.Sel].(*types.Var)
		if !ok || !f.IsField() || slices.ContainsFunc(c.assigned[f], inside) || !c.begunWith(t, x) {
			return nil
		}
		if root := rootOf(x); root != nil {
			if v, ok := c.TypesInfo.Uses[root].(*types.Var); ok && !inside(v.Pos()) && !slices.ContainsFunc(c.assigned[v], inside) {
				return x
			}
		}
	}
	return nil
}

func orNil(e ast.Expr) ast.Expr {
	if e == nil {
		return &ast.BadExpr{}
	}
	return e
}

func rootOf(sel *ast.SelectorExpr) *ast.Ident {
	switch x := ast.Unparen(sel.X).(type) {
	case *ast.Ident:
		return x
	case *ast.SelectorExpr:
		return rootOf(x)
	}
	return nil
}

// derives reports whether a call returns a context that is its first argument
// and something.
func (c *checker) derives(call *ast.CallExpr) bool {
	if len(call.Args) == 0 || !source.IsContext(c.TypesInfo.TypeOf(call.Args[0])) {
		return false
	}
	switch source.Name(source.Callee(c.TypesInfo, call)) {
	case "context.WithCancel", "context.WithCancelCause", "context.WithTimeout", "context.WithTimeoutCause",
		"context.WithDeadline", "context.WithDeadlineCause", "context.WithValue", "os/signal.NotifyContext",
		"go.opentelemetry.io/otel/trace.Tracer.Start":
		return true
	}
	return false
}

// onPurpose reports whether a variable holds a context that was made to belong
// to nothing.
func (c *checker) onPurpose(v *types.Var, depth int) bool {
	if depth > 10 || len(c.values[v]) == 0 {
		return false
	}
	for _, e := range c.values[v] {
		call, ok := ast.Unparen(orNil(e)).(*ast.CallExpr)
		if !ok {
			return false
		}
		switch source.Name(source.Callee(c.TypesInfo, call)) {
		case "context.Background", "context.TODO", "context.WithoutCancel":
			return true
		}
		if !c.derives(call) {
			continue
		}
		switch from := ast.Unparen(call.Args[0]).(type) {
		case *ast.CallExpr:
			switch source.Name(source.Callee(c.TypesInfo, from)) {
			case "context.Background", "context.TODO", "context.WithoutCancel":
				return true
			}
		case *ast.Ident:
			if w, ok := c.TypesInfo.Uses[from].(*types.Var); ok && w != v && c.onPurpose(w, depth+1) {
				return true
			}
		}
	}
	return false
}

// begunWith reports whether e is the context that the task was begun with, or
// a task around it whose own context it was begun with.
func (c *checker) begunWith(t *task, e ast.Expr) bool {
	for ; t != nil; t = t.outer {
		if t.given != nil && c.same(t.given, e) {
			return true
		}
		if id, ok := ast.Unparen(e).(*ast.Ident); ok && t.group != nil && c.TypesInfo.Uses[id] == t.group {
			return true
		}
		given, ok := ast.Unparen(orNil(t.given)).(*ast.Ident)
		if !ok || t.outer == nil || t.outer.param == nil || c.TypesInfo.Uses[given] != t.outer.param || !t.outer.exact {
			return false
		}
	}
	return false
}

// same reports whether two expressions are the same variable, field of one, or
// request's context.
func (c *checker) same(a, b ast.Expr) bool {
	a, b = ast.Unparen(a), ast.Unparen(b)
	switch x := a.(type) {
	case *ast.Ident:
		y, ok := b.(*ast.Ident)
		return ok && c.TypesInfo.Uses[x] != nil && c.TypesInfo.Uses[x] == c.TypesInfo.Uses[y]
	case *ast.SelectorExpr:
		y, ok := b.(*ast.SelectorExpr)
		return ok && c.TypesInfo.Uses[x.Sel] == c.TypesInfo.Uses[y.Sel] && c.same(x.X, y.X)
	case *ast.CallExpr:
		y, ok := b.(*ast.CallExpr)
		return ok && len(x.Args) == 0 && len(y.Args) == 0 && c.same(x.Fun, y.Fun)
	}
	return false
}

// report reports what is wrong in a task, with the fixes.
func (c *checker) report(t *task, mended map[*types.Var][]*edit.Fix) {
	name, naming := c.naming(t)
	for _, u := range t.wrong {
		text := types.ExprString(u.expr)
		what := text
		if u.text != text {
			what = u.text + ", which comes from " + text + ","
		}
		use := "the context that its function is given"
		if t.param != nil {
			use = t.param.Name()
		}
		fix := c.fixes.Report(analysis.Diagnostic{
			Pos: u.expr.Pos(), End: u.expr.End(),
			Message: fmt.Sprintf("%s is not the context of the task around this call of %s, which is lost to the task; use %s", what, u.to, use),
		})
		if fix == nil || !u.fixes || name == "" {
			continue
		}
		if t.param != nil && source.Lookup(c.Pkg, name, u.expr.Pos()) != t.param {
			continue // shadowed
		}
		fix.Message = "Use the task's context"
		for _, n := range naming {
			fix.Between(n.Pos, n.End, string(n.NewText))
		}
		id, ok := u.expr.(*ast.Ident)
		if !ok || id.Name != name {
			fix.Replace(u.expr, name)
		}
		if ok {
			v := c.TypesInfo.Uses[id].(*types.Var)
			mended[v] = append(mended[v], fix)
		}
	}
}

// naming returns the name of the function's own context, and the edits that
// give it one: that of the outer context if it is used for nothing else.
func (c *checker) naming(t *task) (name string, edits []analysis.TextEdit) {
	if t.param != nil {
		return t.param.Name(), nil
	}
	if len(t.wrong) == 0 {
		return "", nil
	}
	first := t.lit.Type.Params.List[0]
	if id, ok := t.wrong[0].expr.(*ast.Ident); ok && !slices.ContainsFunc(t.wrong, func(u use) bool {
		other, ok := u.expr.(*ast.Ident)
		return !ok || !u.fixes || c.TypesInfo.Uses[other] != c.TypesInfo.Uses[id]
	}) && t.others[c.TypesInfo.Uses[id]] == len(t.wrong) && c.exemptNone(t) {
		name = id.Name
	} else {
		name = "taskCtx"
		free := source.Lookup(c.Pkg, name, t.lit.Body.Lbrace) == nil
		ast.Inspect(t.lit, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == name {
				free = false
			}
			return free
		})
		if !free {
			return "", nil
		}
	}
	if scope := c.TypesInfo.Scopes[t.lit.Type]; scope == nil || scope.Lookup(name) != nil {
		return "", nil
	}
	if len(first.Names) > 0 { // func(_ context.Context)
		return name, []analysis.TextEdit{{Pos: first.Names[0].Pos(), End: first.Names[0].End(), NewText: []byte(name)}}
	}
	edits = []analysis.TextEdit{{Pos: first.Type.Pos(), End: first.Type.Pos(), NewText: []byte(name + " ")}}
	for _, field := range t.lit.Type.Params.List[1:] {
		edits = append(edits, analysis.TextEdit{Pos: field.Type.Pos(), End: field.Type.Pos(), NewText: []byte("_ ")})
	}
	return name, edits
}

// exemptNone reports whether no comment exempts a use, which naming the
// parameter as the outer context would change.
func (c *checker) exemptNone(t *task) bool {
	return !slices.ContainsFunc(t.wrong, func(u use) bool { return source.Exempt(c.Pass, u.expr.Pos()) })
}
