package worker

import (
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/internal/callsite"
	"github.com/taskspan/taskspan/internal/ledger"
)

// Location is a place in the program's code: the first caller in the program's
// main module, code that sqlc or ent has generated left out, or, if there is none,
// the first one outside of database/sql, Taskspan and drivers. The zero Location
// is unknown.
type Location struct {
	File     string // code.file.path, as it was compiled
	Line     int    // code.line.number
	Function string // code.function.name
	// Stack is code.stacktrace: the functions, files and lines of up to eight such
	// callers, the innermost first.
	Stack string
}

// String returns file and line, and "" for an unknown location.
func (l Location) String() string {
	if l.File == "" {
		return ""
	}
	return l.File + ":" + strconv.Itoa(l.Line)
}

// attributes appends the attributes of the location to kv.
func (l Location) attributes(kv []attribute.KeyValue) []attribute.KeyValue {
	if l.Function == "" {
		return kv
	}
	return append(kv,
		semconv.CodeFilePath(l.File),
		semconv.CodeLineNumber(l.Line),
		semconv.CodeFunctionName(l.Function),
		semconv.CodeStacktrace(l.Stack))
}

// locate returns the location of a site.
func locate(site ledger.Site) Location { return Location(callsite.Of(site)) }
