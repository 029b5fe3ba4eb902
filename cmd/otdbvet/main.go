package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/taskspan/taskspan/cmd/otdbvet/dbcontext"
	"github.com/taskspan/taskspan/cmd/otdbvet/ignore"
	"github.com/taskspan/taskspan/cmd/otdbvet/opendb"
	"github.com/taskspan/taskspan/cmd/otdbvet/taskcontext"
)

// analyzers are all that there are, in the order of the documentation.
var analyzers = []*analysis.Analyzer{opendb.Analyzer, dbcontext.Analyzer, taskcontext.Analyzer, ignore.Analyzer}

// Exit codes, as those of go vet.
const (
	exitFound = 1 // something was reported, or could not be loaded
	exitUsage = 2
)

func main() {
	if byGoVet(os.Args[1:]) {
		vettool()
		return
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// byGoVet reports whether go vet calls, with its -vettool.
func byGoVet(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		return arg == "-flags" || strings.HasPrefix(arg, "-V=") || strings.HasSuffix(arg, ".cfg")
	})
}

// vettool answers go vet, which passes the flags that it was given.
func vettool() {
	if slices.ContainsFunc(os.Args[1:], func(arg string) bool { return arg == "-dbcontext" || arg == "-dbcontext=true" }) {
		offerContextFix()
	}
	flag.BoolFunc("tests", "look at test files too", setTests)
	unitchecker.Main(analyzers...)
}

// offerContextFix makes dbcontext offer its fix, since it was asked for by name.
func offerContextFix() { must(dbcontext.Analyzer.Flags.Set("fix", "true")) }

// setTests passes the flag -tests on to all analyzers.
func setTests(value string) error {
	for _, a := range analyzers {
		if a.Flags.Lookup("tests") == nil {
			continue
		}
		if err := a.Flags.Set("tests", value); err != nil {
			return err
		}
	}
	return nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// A command is what the command line asks for.
type command struct {
	patterns  []string
	analyzers []*analysis.Analyzer
	tests     bool
	tags      string
	fix, diff bool
	json      bool
	sarif     bool
}

const usage = `otdbvet finds what Taskspan does not trace, and mends it.

Usage: otdbvet [flags] [packages]      packages as go build takes them; . by default
       go vet -vettool=$(which otdbvet) [flags] [packages]

  opendb       databases that are opened without otdb
  dbcontext    statements without a context where one is in scope
  taskcontext  an outer context used inside a task's function
  ignore       //otdbvet:ignore comments without a reason

Flags:
`

const exits = `
Exit codes: 0 nothing to report, or -json and -sarif; 1 something was reported, or a package
could not be loaded; 2 the command line is wrong.

A plain -fix leaves out what dbcontext reports, since a context can end the statement that it is
given to: -dbcontext -fix applies it.
`

// parse reads the command line. It has answered by itself if the command is nil.
func parse(args []string, stdout, stderr io.Writer) (*command, int) {
	c := &command{}
	flags := flag.NewFlagSet("otdbvet", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&c.fix, "fix", false, "apply the fixes, and report what is left")
	flags.BoolVar(&c.diff, "diff", false, "print what -fix would change as a diff, and change nothing")
	flags.BoolVar(&c.json, "json", false, "print the reports as JSON, as go vet does")
	flags.BoolVar(&c.sarif, "sarif", false, "print the reports as SARIF 2.1.0, for code review")
	flags.BoolVar(&c.tests, "tests", false, "look at test files too")
	flags.StringVar(&c.tags, "tags", "", "comma-separated build `tags`, as those of go build")
	version := flags.Bool("version", false, "print the version")
	only := map[*analysis.Analyzer]string{}
	for _, a := range analyzers {
		flags.BoolFunc(a.Name, "run only "+a.Name+", or with =false all others", func(value string) error {
			if value != "true" && value != "false" {
				return errors.New("it is true or false")
			}
			only[a] = value
			return nil
		})
		a.Flags.VisitAll(func(f *flag.Flag) { flags.Var(f.Value, a.Name+"."+f.Name, f.Usage) })
	}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		fmt.Fprint(stdout, exits)
		return nil, 0
	case err != nil:
		return nil, misuse(stderr, err.Error())
	case *version:
		fmt.Fprintln(stdout, "otdbvet", moduleVersion())
		return nil, 0
	case c.json && c.sarif:
		return nil, misuse(stderr, "-json and -sarif are two forms of one output; choose one")
	case (c.json || c.sarif) && (c.fix || c.diff):
		return nil, misuse(stderr, "-json and -sarif report, -fix and -diff mend; run the tool once for each")
	}
	c.patterns = flags.Args()
	for _, p := range c.patterns {
		if strings.HasPrefix(p, "-") {
			return nil, misuse(stderr, fmt.Sprintf("%s stands behind the packages; flags come first", p))
		}
	}
	c.choose(only)
	if c.tests {
		must(setTests("true"))
	}
	return c, 0
}

// choose selects the analyzers as go vet does: those that were asked for, or all
// except those that were not wanted.
func (c *command) choose(only map[*analysis.Analyzer]string) {
	asked := func(value string) []*analysis.Analyzer {
		return slices.DeleteFunc(slices.Clone(analyzers), func(a *analysis.Analyzer) bool { return only[a] != value })
	}
	if c.analyzers = asked("true"); len(c.analyzers) == 0 {
		c.analyzers = slices.DeleteFunc(slices.Clone(analyzers), func(a *analysis.Analyzer) bool { return only[a] == "false" })
	}
	if only[dbcontext.Analyzer] == "true" {
		offerContextFix()
	}
}

// misuse reports a mistake on the command line.
func misuse(stderr io.Writer, problem string) int {
	fmt.Fprintf(stderr, "otdbvet: %s\notdbvet -help lists the flags\n", problem)
	return exitUsage
}

// moduleVersion returns the version that the tool was built from.
func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

// run follows the command line and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	c, code := parse(args, stdout, stderr)
	if c == nil {
		return code
	}
	switch {
	case c.fix || c.diff:
		return c.mend(stdout, stderr)
	default:
		r, err := c.analyze()
		if err != nil {
			fmt.Fprintln(stderr, "otdbvet:", err)
			return exitFound
		}
		return c.print(r, stdout, stderr)
	}
}
