package errs

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"strings"
)

// PanicError is a recovered panic, as an error.
//
// Its text is for the program that handles the error, and holds the value as fmt
// prints it. Telemetry gets [Message], which never has the value of a panic
// and names its type instead.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // the stack of the goroutine, as [Stack] returns it
}

var _ error = (*PanicError)(nil)

// Error returns "panic: " and the value, without the stack.
func (e *PanicError) Error() string {
	if e == nil {
		return "panic"
	}
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap returns the value if it is an error, so that errors.Is and errors.As
// see it, and nil otherwise.
func (e *PanicError) Unwrap() error {
	if e == nil {
		return nil
	}
	err, _ := e.Value.(error)
	return err
}

// Stack returns the stack of the calling goroutine in the form of
// [runtime/debug.Stack], for [PanicError]. It has functions, files and lines, and no
// arguments: an integer among them may be the number of a card.
func Stack() []byte { return []byte(withoutArguments(debug.Stack())) }

// SafeStack returns what may be exported of e.Stack, whoever made it: the lines that
// name a goroutine, a function, or a file and a line. Arguments become "...", and
// any other line is dropped.
func (e *PanicError) SafeStack() string {
	if e == nil {
		return ""
	}
	return withoutArguments(e.Stack)
}

func withoutArguments(stack []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(stack) {
		if s, ok := stackLine(strings.TrimRight(string(line), "\r\n")); ok {
			b.WriteString(s)
			b.WriteByte('\n')
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// stackLine returns what is kept of one line of a stack.
func stackLine(line string) (string, bool) {
	if file, ok := strings.CutPrefix(line, "\t"); ok { // file.go:12 +0x1d
		file, _, _ = strings.Cut(file, " +0x")
		colon := strings.LastIndex(file, ".go:")
		return "\t" + file, colon > 0 && isDigits(file[colon+len(".go:"):])
	}
	if rest, ok := strings.CutPrefix(line, "goroutine "); ok { // goroutine 1 [running]:
		number, state, _ := strings.Cut(strings.TrimSuffix(rest, "]:"), " [")
		state, _, _ = strings.Cut(state, ",") // and for how long
		return "goroutine " + number + " [" + state + "]:", isDigits(number) && !strings.ContainsAny(state, digits)
	}
	if function, ok := strings.CutPrefix(line, "created by "); ok {
		name, in, _ := strings.Cut(function, " in goroutine ")
		return line, isFunction(name) && (in == "" || isDigits(in))
	}
	end := strings.LastIndexByte(line, '(')
	if end <= 0 || !strings.HasSuffix(line, ")") {
		return "", false
	}
	return line[:end] + "(...)", isFunction(line[:end])
}

// isFunction reports whether s may be the name of a function with its package:
// encoding/json.(*Decoder).Decode, main.F[...], main.main.func1.
func isFunction(s string) bool {
	return s != "" && (strings.IndexByte(s, '.') > 0 || s == "panic") && !strings.ContainsAny(s, " \t\"'`={}<>@")
}
