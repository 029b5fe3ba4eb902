// Http is a service whose requests run tasks: the request, its task and the
// task's statements are one trace.
//
//	go run ./examples/http
//	go run ./examples/http -addr localhost:8080 -dsn postgres://user:password@localhost/shop
//
// Then, from another terminal:
//
//	curl -X PUT localhost:8080/products/tea -d '{"stock": 3}'
//	curl -X PUT localhost:8080/orders/1 -d '{"product": "tea", "quantity": 2}'
//	curl localhost:8080/orders/1
//	curl localhost:8080/metrics
//	curl localhost:8080/debug/tasks?view=recent
//
// The last one is a page in a browser.
//
// OTEL_TRACES_EXPORTER=tree prints the traces; the other OTEL_* variables export
// them by OTLP. SIGINT and SIGTERM end the service in order: it stops accepting
// requests, answers those that it has, finishes the tasks in the background, and
// flushes its telemetry.
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

	"github.com/taskspan/taskspan/errs"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program, until ctx is done: it returns its exit code. Logs and, on
// failure, one line go to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f, err := parseFlags(args)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, help)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "http: %v\n%s\n", err, usage)
		return exitUsage
	}
	if err := serve(ctx, f, stdout, stderr); err != nil {
		// A driver's text may hold values, and parts of a DSN.
		text := strings.Join(strings.Fields(errs.Message(err)), " ")
		fmt.Fprintf(stderr, "http: %s\n", text)
		return exitFailure
	}
	return exitOK
}
