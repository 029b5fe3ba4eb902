package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const usage = "usage: http [-addr address] [-dsn postgres://…] [-grace duration]"

const help = usage + `

Serves a shop of one shelf: products, and orders that take from their stock.

  -addr address    where to listen (default localhost:8080)
  -dsn database    postgres://… (default: SQLite, in a file that is removed at the end)
  -grace duration  how long a shutdown waits for requests and tasks (default 10s)

  PUT /products/{name}  {"stock": 3}
  PUT /orders/{id}      {"product": "tea", "quantity": 2}
  GET /orders/{id}
  GET /metrics
  GET /healthz

OTEL_* variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, export the telemetry.
`

var errHelp = flag.ErrHelp

// flags are the program's arguments.
type flags struct {
	addr  string
	dsn   string // "" for SQLite; it may hold a password, so it is never printed
	grace time.Duration
}

// parseFlags never repeats a value in an error: it may be a DSN that was put in
// the wrong place, password included.
func parseFlags(args []string) (flags, error) {
	var f flags
	set := flag.NewFlagSet("http", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.addr, "addr", "localhost:8080", "")
	set.StringVar(&f.dsn, "dsn", "", "")
	grace := set.String("grace", "10s", "")
	if err := set.Parse(args); err != nil {
		switch {
		case errors.Is(err, flag.ErrHelp):
			return f, errHelp
		case strings.HasPrefix(err.Error(), "flag needs an argument"):
			return f, err
		default:
			return f, errors.New("there is an argument that is no flag of this program")
		}
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("%d arguments too many: there are only flags", set.NArg())
	}
	_, port, err := net.SplitHostPort(f.addr)
	if n, numeric := strconv.Atoi(port); err != nil || numeric != nil || n < 0 || n > 65535 {
		return f, errors.New("-addr takes a host and a port, such as localhost:8080")
	}
	if f.grace, err = time.ParseDuration(*grace); err != nil || f.grace <= 0 {
		return f, errors.New("-grace takes a positive duration, such as 10s")
	}
	if f.dsn != "" {
		scheme, _, _ := strings.Cut(f.dsn, "://")
		if scheme != "postgres" && scheme != "postgresql" {
			return f, errors.New("-dsn takes a postgres:// URL")
		}
		if _, err := pgx.ParseConfig(f.dsn); err != nil {
			return f, errors.New("-dsn is not a valid postgres:// URL") // the error repeats it
		}
	}
	return f, nil
}
