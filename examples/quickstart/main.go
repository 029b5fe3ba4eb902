// Quickstart is a worker that indexes a Go module into a database, and shows
// what Taskspan sees of it: the packages of a directory and what they import
// are loaded, resolved and reported by separate tasks, and each task is then
// printed as a tree of its statements and as a line of a table.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -dsn postgres://user:password@localhost/index
//	go run ./examples/quickstart -serve localhost:9464
//
// The usual OTEL_* variables export the same traces, metrics and logs by OTLP.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/taskspan/taskspan/examples/internal/problem"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it: 128 + SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns its exit code. Everything that the program
// prints goes to stdout, except one line on stderr when something went wrong,
// and for progress where stderr is a terminal.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f, err := parseFlags(args)
	switch {
	case errors.Is(err, errHelp):
		if _, err := io.WriteString(stdout, help); err != nil {
			return failed(stderr, writing(err))
		}
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "quickstart: %v (see quickstart -help)\n", err)
		return exitUsage
	}
	if err := index(ctx, f, stdout, newProgress(stderr)); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "quickstart: interrupted")
			return exitInterrupted
		}
		return failed(stderr, err)
	}
	return exitOK
}

// failed is why the program ends.
func failed(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "quickstart: %s\n", oneLine(problem.Explain(err)))
	return exitFailure
}

// writing returns the error of a program whose output is lost, or nil.
func writing(err error) error {
	if err != nil {
		return problem.New("writing the output", err)
	}
	return nil
}

// oneLine joins the lines of a text.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
