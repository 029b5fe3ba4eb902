// Package pq has errors of the shape of those of lib/pq, for tests: the module
// does not depend on it.
package pq

// ErrorCode is a SQLSTATE.
type ErrorCode string

// Error is an error of the server.
type Error struct {
	Severity         string
	Code             ErrorCode
	Message          string
	Detail           string
	Hint             string
	Position         string
	InternalPosition string
	InternalQuery    string
	Where            string
	Schema           string
	Table            string
	Column           string
	DataTypeName     string
	Constraint       string
	File             string
	Line             string
	Routine          string
}

func (e *Error) Error() string { return "pq: " + e.Message }
