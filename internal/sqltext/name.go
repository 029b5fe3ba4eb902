package sqltext

import "strings"

// queryName returns the name of a query in the form that sqlc generates, alone on the
// first line, and "" for any other text:
//
//	-- name: GetUser :one
func queryName(query string) string {
	rest, ok := strings.CutPrefix(query, "-- name: ")
	if !ok {
		return ""
	}
	n := wordLen(rest)
	if n == 0 || n > MaxSummary || isDigit(rest[0]) {
		return ""
	}
	name, rest := rest[:n], rest[n:]
	rest, ok = strings.CutPrefix(rest, " :")
	if !ok {
		return ""
	}
	n = wordLen(rest)
	if rest = strings.TrimLeft(rest[n:], " \t\r"); n == 0 || rest == "" || rest[0] != '\n' {
		return ""
	}
	return name
}

// wordLen returns how many letters, digits and underscores text begins with.
func wordLen(text string) (n int) {
	for n < len(text) && (classes[text[n]] == letter || classes[text[n]] == digit) {
		n++
	}
	return n
}

// procedure returns the part of the summary that names the procedure which the text
// calls, if it does nothing else.
func (s *scanner) procedure(summary string) string {
	if s.script || s.several || s.targets != 1 || s.operations > 1 {
		return ""
	}
	if s.operations == 0 {
		return summary // a batch of SQL Server that is only a name
	}
	operation, name, ok := strings.Cut(summary, " ")
	switch s.first {
	case kwCall:
	case kwExec:
		switch s.dialect {
		case SQLServer, Oracle:
		case Default: // where EXECUTE may run a prepared statement
			ok = ok && (len(operation) == len("exec") || s.routineCalled)
		default:
			return ""
		}
	default:
		return ""
	}
	if !ok {
		return ""
	}
	return name
}
