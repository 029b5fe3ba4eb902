package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

const usage = "usage: quickstart [-dir directory] [-dsn database] [-serve address]"

const help = usage + `

Indexes a Go module into a database, and prints its most imported packages,
the trace of each task, and a table of all tasks.

  -dir directory   the root of the module (default: that of the current directory)
  -dsn database    a file for SQLite, or postgres://… (default: a temporary file)
  -serve address   keep serving /metrics, for example at localhost:9464, until interrupted

OTEL_* variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, export the telemetry.
`

var errHelp = flag.ErrHelp

// flags are the program's arguments.
type flags struct {
	dir   string // "" for the module of the current directory
	dsn   dsn
	serve string // "" for not at all
}

// parseFlags never repeats a value in an error: it may be a DSN that was put in
// the wrong place, password included.
func parseFlags(args []string) (flags, error) {
	var f flags
	var name string
	set := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.dir, "dir", "", "")
	set.StringVar(&name, "dsn", "", "")
	set.StringVar(&f.serve, "serve", "", "")
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
	var err error
	f.dsn, err = parseDSN(name)
	return f, err
}
