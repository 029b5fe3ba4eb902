package dbcontext

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"github.com/taskspan/taskspan/cmd/otdbvet/internal/source"
)

// inScope is a context that a call could be given.
type inScope struct {
	text    string
	several bool // there are others: a tool cannot know which one is meant
}

// context returns the context that the call could be given, nil if there is
// none that is known to be right there.
func (c *checker) context(around []ast.Node, call *ast.CallExpr) *inScope {
	var candidates []*types.Var
	var request *inScope
	reach := true // whether what is declared further out is the call's own
	var past []ast.Node
	for i := len(around) - 1; i >= 0; i-- {
		switch n := around[i].(type) {
		case *ast.DeferStmt, *ast.GoStmt:
			// A call that is deferred, or runs by itself, may have to run after the context is done.
			// A function literal's own context was seen before.
			if len(candidates) > 0 || request != nil {
				return c.choose(candidates, request, call)
			}
			return nil
		case *ast.FuncLit:
			candidates = append(candidates, c.declared(n.Body, call)...)
			own, req := c.params(n.Type, call)
			candidates = append(candidates, own...)
			if request == nil {
				request = req
			}
			if len(candidates) > 0 || request != nil {
				return c.choose(candidates, request, call)
			}
			// The literal uses the context itself, or is called at once or together with it.
			reach = immediate(around, i)
			past = append(past, n)
			if parent := c.parentCall(around, i); parent != nil && cleanup(parent) {
				return nil
			} else if parent != nil {
				past = append(past, argumentsOf(parent)...)
			}
		case *ast.FuncDecl:
			if n.Body == nil {
				return nil
			}
			candidates = append(candidates, c.declared(n.Body, call)...)
			own, req := c.params(n.Type, call)
			candidates = append(candidates, own...)
			if len(candidates) == 0 && request == nil {
				request = req
			}
			if !reach {
				candidates = c.mentioned(candidates, past)
				if request != nil && !c.mentions(past, request.text) {
					request = nil
				}
			}
			return c.choose(candidates, request, call)
		}
	}
	return nil
}

// immediate reports whether the literal around[i] is called where it stands.
func immediate(around []ast.Node, i int) bool {
	for j := i - 1; j >= 0; j-- {
		switch n := around[j].(type) {
		case *ast.ParenExpr:
			continue
		case *ast.CallExpr:
			return ast.Unparen(n.Fun) == around[i]
		default:
			return false
		}
	}
	return false
}

// parentCall returns the call that the literal around[i] is an argument of.
func (c *checker) parentCall(around []ast.Node, i int) *ast.CallExpr {
	for j := i - 1; j >= 0; j-- {
		switch n := around[j].(type) {
		case *ast.ParenExpr:
			continue
		case *ast.CallExpr:
			return n
		default:
			return nil
		}
	}
	return nil
}

// cleanup reports whether what the call is given runs at the end of something.
func cleanup(call *ast.CallExpr) bool {
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
		switch sel.Sel.Name {
		case "Cleanup", "AfterFunc", "DeferCleanup", "RegisterOnShutdown", "AfterAll", "AfterEach":
			return true
		}
	}
	return false
}

// argumentsOf returns the arguments that are no functions.
func argumentsOf(call *ast.CallExpr) (args []ast.Node) {
	for _, a := range call.Args {
		if _, ok := ast.Unparen(a).(*ast.FuncLit); !ok {
			args = append(args, a)
		}
	}
	return args
}

// mentioned returns those of the variables that the nodes refer to.
func (c *checker) mentioned(vars []*types.Var, in []ast.Node) (kept []*types.Var) {
	for _, v := range vars {
		found := false
		for _, n := range in {
			ast.Inspect(n, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && c.TypesInfo.Uses[id] == v {
					found = true
				}
				return !found
			})
		}
		if found {
			kept = append(kept, v)
		}
	}
	return kept
}

// mentions reports whether the nodes hold the text of a request's context.
func (c *checker) mentions(in []ast.Node, text string) bool {
	found := false
	for _, n := range in {
		ast.Inspect(n, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && types.ExprString(call) == text {
				found = true
			}
			return !found
		})
	}
	return found
}

// params returns the contexts among the parameters, and the context of a request.
func (c *checker) params(t *ast.FuncType, call *ast.CallExpr) (vars []*types.Var, request *inScope) {
	for _, field := range t.Params.List {
		for _, name := range field.Names {
			v, ok := c.TypesInfo.Defs[name].(*types.Var)
			if !ok || name.Name == "_" || source.Lookup(c.Pkg, name.Name, call.Pos()) != v {
				continue
			}
			if source.IsContext(v.Type()) {
				vars = append(vars, v)
			} else if _, pointer := types.Unalias(v.Type()).(*types.Pointer); pointer && source.IsType(v.Type(), "net/http", "Request") {
				request = &inScope{text: name.Name + ".Context()"}
			}
		}
	}
	return vars, request
}

// declared returns the contexts that the body of a function declares, outside
// of the literals in it, before the call and around it.
func (c *checker) declared(body *ast.BlockStmt, call *ast.CallExpr) (vars []*types.Var) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.Ident:
			v, ok := c.TypesInfo.Defs[n].(*types.Var)
			if ok && n.End() <= call.Pos() && source.IsContext(v.Type()) && source.Lookup(c.Pkg, n.Name, call.Pos()) == v {
				vars = append(vars, v)
			}
		}
		return true
	})
	slices.Reverse(vars)
	return vars
}

// choose returns the context to use of those in scope, the innermost first.
// Contexts that may be done, or that carry no task, are no choice.
func (c *checker) choose(candidates []*types.Var, request *inScope, call *ast.CallExpr) *inScope {
	var usable []*types.Var
	for _, v := range candidates {
		switch c.state(v, call) {
		case live:
			usable = append(usable, v)
		case root, doubtful:
		}
	}
	switch {
	case len(usable) > 0:
		return &inScope{text: usable[0].Name(), several: len(usable) > 1}
	case len(candidates) == 0 && request != nil:
		return request
	}
	return nil
}

// A state is what is known of a context at a call.
type state int

const (
	live     state = iota
	root           // from context.Background: no task is lost
	doubtful       // it may be done, or be another's
)

// state looks at all that a context variable is given in its function.
func (c *checker) state(v *types.Var, call *ast.CallExpr) state {
	if c.visiting[v] {
		return live
	}
	c.visiting[v] = true
	defer delete(c.visiting, v)
	file := c.fileOf(call.Pos())
	result, given := live, false
	isParam := true
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				id, ok := ast.Unparen(l).(*ast.Ident)
				if !ok || c.TypesInfo.ObjectOf(id) != v {
					continue
				}
				if c.TypesInfo.Defs[id] == v {
					isParam = false
				}
				rhs := n.Rhs[0]
				if len(n.Lhs) == len(n.Rhs) {
					rhs = n.Rhs[i]
				}
				s := c.made(rhs, v, call)
				if s == live && len(n.Lhs) > 1 && len(n.Rhs) == 1 && c.cancelled(n, call) {
					s = doubtful
				}
				result, given = worst(result, s, given), true
			}
		case *ast.ValueSpec:
			for i, id := range n.Names {
				if c.TypesInfo.Defs[id] != v {
					continue
				}
				isParam = false
				switch {
				case len(n.Values) == 0: // nil until it is given a context
				case len(n.Values) == len(n.Names):
					result, given = worst(result, c.made(n.Values[i], v, call), given), true
				default:
					result, given = worst(result, c.made(n.Values[0], v, call), given), true
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && c.TypesInfo.ObjectOf(id) == v {
					result, given, isParam = doubtful, true, false
				}
			}
		case *ast.UnaryExpr:
			// <-ctx.Done() before the call; or &ctx, which somebody else may change.
			if id, ok := ast.Unparen(n.X).(*ast.Ident); ok && n.Op == token.AND && c.TypesInfo.Uses[id] == v {
				result, given = doubtful, true
			}
			if n.Op == token.ARROW && n.End() <= call.Pos() && c.isDone(n.X, v) && !c.elsewhere(file, n, call) {
				result, given = doubtful, true
			}
		}
		return true
	})
	if isParam && result == root {
		return live
	}
	if !isParam && !given {
		return doubtful
	}
	return result
}

// worst joins two states; the first is unknown if none was given.
func worst(a, b state, given bool) state {
	switch {
	case a == doubtful || b == doubtful:
		return doubtful
	case !given:
		return b
	case a == live || b == live:
		return live
	}
	return root
}

// made returns the state of a context that is made by e.
func (c *checker) made(e ast.Expr, v *types.Var, call *ast.CallExpr) state {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if w, ok := c.TypesInfo.Uses[e].(*types.Var); ok && w != v && !w.IsField() {
			if w.Parent() == c.Pkg.Scope() {
				return doubtful
			}
			return c.state(w, call)
		}
		return live
	case *ast.CallExpr:
		fn := source.Callee(c.TypesInfo, e)
		name := source.Name(fn)
		switch name {
		case "context.Background", "context.TODO":
			return root
		case "context.WithCancel", "context.WithCancelCause", "context.WithTimeout", "context.WithTimeoutCause",
			"context.WithDeadline", "context.WithDeadlineCause", "context.WithValue", "context.WithoutCancel", "os/signal.NotifyContext":
			return c.made(e.Args[0], v, call)
		case "net/http.Request.Context", "testing.common.Context", "testing.T.Context", "testing.B.Context", "testing.F.Context", "testing.TB.Context":
			return live
		}
		// A function that returns a context, alone or with a span, returns one that lasts.
		switch t := c.TypesInfo.TypeOf(e).(type) {
		case *types.Tuple:
			if t.Len() == 2 && source.IsContext(t.At(0).Type()) {
				if n, ok := types.Unalias(t.At(1).Type()).(*types.Named); ok && n.Obj().Name() == "Span" {
					return c.parent(e, v, call)
				}
			}
		default:
			return c.parent(e, v, call)
		}
	}
	return doubtful
}

// parent returns the state of the context in the arguments of a call; without one the
// new one comes from elsewhere, such as a request, and lasts as long.
func (c *checker) parent(e *ast.CallExpr, v *types.Var, call *ast.CallExpr) state {
	for _, arg := range e.Args {
		if source.IsContext(c.TypesInfo.TypeOf(arg)) {
			s := c.made(arg, v, call)
			if s == root {
				return live // a span may begin here
			}
			return s
		}
	}
	return live
}

// cancelled reports whether the function that an assignment gives beside a
// context is called before the call, other than by defer.
func (c *checker) cancelled(assign *ast.AssignStmt, call *ast.CallExpr) bool {
	for _, l := range assign.Lhs {
		id, ok := l.(*ast.Ident)
		if !ok || id.Name == "_" {
			continue
		}
		obj := c.TypesInfo.ObjectOf(id)
		if obj == nil {
			continue
		}
		if _, ok := obj.Type().Underlying().(*types.Signature); !ok {
			continue
		}
		found := false
		file := c.fileOf(call.Pos())
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.DeferStmt:
				return false
			case *ast.CallExpr:
				if fun, ok := ast.Unparen(n.Fun).(*ast.Ident); ok && c.TypesInfo.Uses[fun] == obj && n.End() <= call.Pos() && !c.elsewhere(file, n, call) {
					found = true
				}
			}
			return !found
		})
		if found {
			return true
		}
	}
	return false
}

// elsewhere reports whether n is in a branch or function that control does not
// leave towards the call.
func (c *checker) elsewhere(file *ast.File, n ast.Node, call *ast.CallExpr) bool {
	for _, around := range source.Enclosing(file, n.Pos(), n.End()) {
		if around.Pos() <= call.Pos() && call.End() <= around.End() {
			return false
		}
		switch around := around.(type) {
		case *ast.FuncLit:
			return true
		case *ast.BlockStmt:
			if leaves(around.List) {
				return true
			}
		case *ast.CaseClause:
			if leaves(around.Body) {
				return true
			}
		case *ast.CommClause:
			if leaves(around.Body) {
				return true
			}
		}
	}
	return false
}

// leaves reports whether a list of statements ends by leaving what it is in.
func leaves(list []ast.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	switch s := list[len(list)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		if call, ok := s.X.(*ast.CallExpr); ok {
			switch fun := call.Fun.(type) {
			case *ast.Ident:
				return fun.Name == "panic"
			case *ast.SelectorExpr:
				return fun.Sel.Name == "Fatal" || fun.Sel.Name == "Fatalf" || fun.Sel.Name == "Exit"
			}
		}
	}
	return false
}

// isDone reports whether e is v.Done().
func (c *checker) isDone(e ast.Expr, v *types.Var) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Done" {
		return false
	}
	id, ok := ast.Unparen(sel.X).(*ast.Ident)
	return ok && c.TypesInfo.Uses[id] == v
}

func (c *checker) fileOf(pos token.Pos) *ast.File {
	for _, file := range c.Files {
		if file.FileStart <= pos && pos <= file.FileEnd {
			return file
		}
	}
	return nil
}
