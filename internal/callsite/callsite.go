// Package callsite finds the line of code that a call into Taskspan came from: the
// first caller in the program's main module, code that sqlc or ent has generated left
// out, or, if there is none, the first one outside of database/sql, Taskspan and
// drivers.
package callsite

import (
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Location is a place in the program's code. The zero Location is unknown.
type Location struct {
	File     string // as it was compiled
	Line     int
	Function string
	// Stack has the functions, files and lines of up to [MaxStack] callers, the
	// innermost first.
	Stack string
}

// MaxStack is how many callers a location's stack has at most.
const MaxStack = 8

// Of returns the location of a call stack, as [runtime.Callers] gives it, the
// innermost frame first. It is zero if no frame is anybody's own.
func Of(stack []uintptr) Location {
	if len(stack) == 0 {
		return Location{}
	}
	var own, other []runtime.Frame
	for frames := runtime.CallersFrames(stack); ; {
		f, more := frames.Next()
		switch {
		case f.Function == "":
		case inMainModule(&f):
			own = append(own, f)
		case len(other) < MaxStack && !isLibrary(f.Function):
			other = append(other, f)
		}
		if !more {
			break
		}
	}
	if own = written(own); len(own) == 0 {
		own = other
	}
	if len(own) == 0 {
		return Location{}
	}
	own = own[:min(len(own), MaxStack)]
	l := Location{File: valid(own[0].File), Line: own[0].Line, Function: valid(own[0].Function)}
	var b strings.Builder
	for i := range own {
		f := &own[i]
		b.WriteString(f.Function + "\n\t" + f.File + ":" + strconv.Itoa(f.Line) + "\n")
	}
	l.Stack = valid(b.String())
	return l
}

// written returns the frames of code that somebody wrote, or all of them if that is
// none of it.
func written(frames []runtime.Frame) []runtime.Frame {
	var out []runtime.Frame
	generated := false
	for i := len(frames) - 1; i >= 0; i-- {
		// Functions that generated code calls in its own package were generated with it.
		inner := generated && packageOf(frames[i].Function) == packageOf(frames[i+1].Function)
		if generated = inner || isGenerated(&frames[i]); !generated {
			out = append(out, frames[i])
		}
	}
	if len(out) == 0 {
		return frames
	}
	slices.Reverse(out)
	return out
}

// isGenerated reports whether code lies where sqlc and ent put what they generate.
func isGenerated(f *runtime.Frame) bool {
	path := packageOf(f.Function)
	return strings.HasSuffix(f.File, ".sql.go") || strings.HasSuffix(path, "/ent") || strings.Contains(path, "/ent/")
}

// mainModule is the path of the module that the program's main package is in, or
// that a test is of. It is empty if the program was not built as part of a module.
var mainModule = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Path
	}
	return ""
})

// inMainModule reports whether a function is the program's own. Those of Taskspan
// are not, even where it is Taskspan that is tested.
func inMainModule(f *runtime.Frame) bool {
	path := packageOf(f.Function)
	if path == "main" {
		return true
	}
	module := mainModule()
	if module == "" || !inPackages(path, module) && !inPackages(strings.TrimSuffix(path, "_test"), module) {
		return false
	}
	return !isTaskspan(path) || strings.HasSuffix(f.File, "_test.go")
}

const taskspan = "github.com/taskspan/taskspan"

// isTaskspan reports whether a package is of those between a program and a driver.
func isTaskspan(path string) bool {
	rest, ok := strings.CutPrefix(path, taskspan+"/")
	if !ok {
		return path == taskspan
	}
	top, _, _ := strings.Cut(rest, "/")
	switch top {
	case "errs", "internal", "metrics", "otdb", "telemetry", "worker":
		return true
	}
	return false
}

// libraries are the modules and packages that are nobody's own code: the standard
// library's parts that call into otdb, what calls a task's function, and drivers,
// which wrap each other.
var libraries = []string{
	"runtime", "database/sql", "internal", "reflect", "sync", "testing",
	"github.com/XSAM/otelsql",
	"github.com/go-sql-driver/mysql",
	"github.com/jackc/pgx",
	"github.com/lib/pq",
	"github.com/mattn/go-sqlite3",
	"github.com/microsoft/go-mssqldb",
	"github.com/ncruces/go-sqlite3",
	"modernc.org/sqlite",
}

// isLibrary reports whether a function is of database/sql, Taskspan, a driver, or
// one of the runtime.
func isLibrary(function string) bool {
	path := packageOf(function)
	if isTaskspan(path) {
		return true
	}
	for _, l := range libraries {
		if inPackages(path, l) {
			return true
		}
	}
	return false
}

// inPackages reports whether a path is root, or of a package below it.
func inPackages(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '/')
}

// packageOf returns the import path of a function's package, as the linker writes
// it. Its last element may be escaped where it has dots in it.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/')
	if bracket := strings.IndexByte(function, '['); bracket >= 0 { // of type arguments, which are paths too
		slash = strings.LastIndexByte(function[:bracket], '/')
	}
	dot := strings.IndexByte(function[slash+1:], '.')
	if dot < 0 {
		return function
	}
	return function[:slash+1+dot]
}

// valid returns s without bytes that are no UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
