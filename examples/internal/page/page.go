// Package page serves the page of tasks of the example programs.
package page

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/taskz"
)

// Serve serves the page of tasks at an address, if there is one, until the returned
// function is called.
func Serve(ctx context.Context, address, title string, runner *worker.Runner, out io.Writer) (stop func() error, err error) {
	if address == "" {
		return func() error { return nil }, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/tasks", taskz.New(runner, taskz.WithTitle(title)))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }() // until stop is called
	fmt.Fprintf(out, "The tasks are at http://%s/debug/tasks\n", l.Addr())
	return server.Close, nil
}
