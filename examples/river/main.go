// River is a queue of jobs, worked by two processes, of which one is killed in
// the middle of a job: the other one does it. The program inserts the jobs,
// starts the processes, and prints who did what, and the trace of that job
// across all of them.
//
//	go run ./examples/river
//	go run ./examples/river -dsn postgres://user:password@localhost/queue
//
// On many machines, each part runs on its own, with the same database, and with
// OTEL_EXPORTER_OTLP_ENDPOINT where the traces are to be put together:
//
//	RIVER_DSN=postgres://… river -role producer -orders 1000
//	RIVER_DSN=postgres://… river -role worker
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
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: it returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f, err := parseFlags(args, os.Getenv(dsnVariable))
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, help)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "river: %v\n%s\n", err, usage)
		return exitUsage
	}
	if err := roles[f.role](ctx, f, stdout); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "river: interrupted")
			return exitInterrupted
		}
		fmt.Fprintf(stderr, "river: %s\n", oneLine(problem.Explain(err)))
		return exitFailure
	}
	return exitOK
}

// roles are what a process can be.
var roles = map[string]func(context.Context, flags, io.Writer) error{
	"demo":     runDemo,
	"producer": runProducer,
	"worker":   runWorker,
}

// oneLine joins the lines of a text.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
