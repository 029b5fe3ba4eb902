package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
)

const usage = "usage: quickstart [-dir directory] [-dsn database] [-serve address] [-tasks address]"

const help = usage + `

Indexes a Go module into a database, and prints its most imported packages,
the trace of each task, and a table of all tasks.

  -dir directory   the root of the module (default: that of the current directory)
  -dsn database    a file for SQLite, or postgres://… (default: a temporary file)
  -serve address   keep serving /metrics, for example at localhost:9464, until interrupted
  -tasks address   serve the page of tasks as well, for example at localhost:9465, until interrupted

OTEL_* variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, export the telemetry.
`

var errHelp = flag.ErrHelp

// flags are the program's arguments.
type flags struct {
	dir   string // "" for the module of the current directory
	dsn   dsn
	serve string // "" for not at all
	tasks string // likewise
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
	set.StringVar(&f.tasks, "tasks", "", "")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return f, errHelp
		}
		if given, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
			return f, fmt.Errorf("there is no flag %s", unknownFlag(set, given))
		}
		if strings.HasPrefix(err.Error(), "flag needs an argument") {
			return f, err
		}
		return f, errors.New("an argument is not a well-formed flag")
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("%d arguments too many: there are only flags", set.NArg())
	}
	if err := errors.Join(checkAddress("-serve", f.serve), checkAddress("-tasks", f.tasks)); err != nil {
		return f, err
	}
	var err error
	f.dsn, err = parseDSN(name)
	return f, err
}

// unknownFlag returns what is safe to print of a flag that set does not have. A
// value may follow without a space between: no more is printed than the name that
// it begins with, or as many letters as a name may have.
func unknownFlag(set *flag.FlagSet, given string) string {
	end, known, longest := 0, 0, 0
	for end < len(given) && (given[end] == '-' || 'a' <= given[end]|0x20 && given[end]|0x20 <= 'z') {
		end++
	}
	set.VisitAll(func(f *flag.Flag) {
		longest = max(longest, len(f.Name))
		if strings.HasPrefix(given, f.Name) {
			known = max(known, len(f.Name))
		}
	})
	if end = min(end, longest); known > 0 {
		end = known
	}
	if end < len(given) {
		return "-" + given[:end] + "…"
	}
	return "-" + given
}

// checkAddress finds early, and without the text itself, what cannot be served at.
func checkAddress(flag, address string) error {
	if address == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	n, numeric := strconv.Atoi(port)
	switch {
	case err != nil, numeric != nil:
		return fmt.Errorf("%s takes a host and a port, such as localhost:9464", flag)
	case n < 0 || n > math.MaxUint16:
		return fmt.Errorf("%s: port %d is not between 0 and %d", flag, n, math.MaxUint16)
	}
	return nil
}
