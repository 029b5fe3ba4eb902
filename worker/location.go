package worker

import "strconv"

// Location is a place in the program's code: the first caller in the program's
// main module or, if there is none, the first one outside of database/sql,
// Taskspan and drivers. The zero Location is unknown.
type Location struct {
	File     string // code.file.path, as it was compiled
	Line     int    // code.line.number
	Function string // code.function.name
	// Stack is code.stacktrace: the functions and lines of up to eight such
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
