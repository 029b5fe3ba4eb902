package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

const usage = "usage: river [-dsn database] [-role demo|producer|worker] [-name name] [-orders n] [-tasks address]"

const help = usage + `

Inserts jobs into a queue, works them in two processes, kills one of these in
the middle of a job, and prints who did what, and the trace of that job.

  -dsn database   a file for SQLite, or postgres://… (default: $RIVER_DSN, else a temporary file)
  -role role      what this process is (default: demo, which starts the others)
                  producer: prepare the database, and insert jobs
                  worker: work jobs until interrupted, and finish what has begun
  -name name      what a worker is called (default: the host and the process)
  -tasks address  where a worker serves the page of its tasks, for example localhost:8081
  -orders n       how many orders a producer places, each of them a job (default: 12)

OTEL_* variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, export the telemetry.
`

// dsnVariable is where a password is seen by fewer than among the arguments.
const dsnVariable = "RIVER_DSN"

const (
	defaultOrders = 12
	maxOrders     = 1_000_000
)

var errHelp = flag.ErrHelp

// flags are the program's arguments.
type flags struct {
	dsn    dsn
	role   string
	name   string
	tasks  string // "" for nowhere
	orders int
}

// parseFlags never repeats a value in an error: it may be a DSN that was put in
// the wrong place, password included.
func parseFlags(args []string, defaultDSN string) (flags, error) {
	var f flags
	var source, orders string
	set := flag.NewFlagSet("river", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&source, "dsn", defaultDSN, "")
	set.StringVar(&f.role, "role", "demo", "")
	set.StringVar(&f.name, "name", "", "")
	set.StringVar(&f.tasks, "tasks", "", "")
	set.StringVar(&orders, "orders", strconv.Itoa(defaultOrders), "")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return f, errHelp
		}
		if strings.HasPrefix(err.Error(), "bad flag syntax") {
			return f, errors.New("an argument is not a well-formed flag")
		}
		return f, err
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("%d arguments too many: there are only flags", set.NArg())
	}
	if roles[f.role] == nil {
		return f, errors.New("-role takes demo, producer or worker")
	}
	n, err := strconv.Atoi(orders)
	if err != nil || n < 1 || n > maxOrders {
		return f, fmt.Errorf("-orders takes a number from 1 to %d", maxOrders)
	}
	f.orders = n
	if f.dsn, err = parseDSN(source); err != nil {
		return f, err
	}
	if f.dsn.driver == "" && f.role != "demo" {
		return f, fmt.Errorf("a %s needs a -dsn that others use too", f.role)
	}
	if len(f.name) > maxName {
		return f, fmt.Errorf("-name takes at most %d characters", maxName)
	}
	if f.name == "" {
		f.name = processName()
	}
	return f, nil
}

// maxName keeps a name, with what is added to it, within what River takes.
const maxName = 60

// processName returns a name that no other process has.
func processName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "worker"
	}
	return fmt.Sprintf("%.*s-%d", maxName, host, os.Getpid())
}
