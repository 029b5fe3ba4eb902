package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/examples/internal/fetch"
	"github.com/taskspan/taskspan/examples/internal/receiver"
)

// asProgram makes the test binary behave as the program that it tests.
const asProgram = "QUICKSTART_TEST_AS_PROGRAM"

// canary stands for the password in a DSN.
const canary = "hunter2-canary"

// deadline is for what should take no time at all.
const deadline = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the command that runs the program, without what the environment
// of the test says about telemetry.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") })
	// The race detector would let every process sleep for a second at its end.
	cmd.Env = append(cmd.Env, asProgram+"=1", "COLUMNS=100", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// output runs a command to its end.
func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for _, secret := range []string{canary, confidential} {
		if strings.Contains(out.String()+errOut.String(), secret) {
			t.Errorf("the output holds %q:\n%s%s", secret, &out, &errOut)
		}
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// smallModule writes a module of two packages, whose graph is quick to load.
func smallModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":     "module example.com/small\n\ngo 1.26.0\n",
		"small.go":   "package small\n\nimport (\n\t_ \"example.com/small/in\"\n\t_ \"sync\"\n)\n",
		"in/side.go": "package in\n\nimport _ \"sync\"\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestMainJob does what `make demo` does, and compares the structure of what
// it prints with what the README shows.
func TestMainJob(t *testing.T) {
	start := time.Now()
	stdout, stderr, code := output(t, program(t, "-dir", "../.."))
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	if took := time.Since(start); took > deadline {
		t.Errorf("it took %v", took)
	}

	var packages, imports int
	if _, err := fmt.Sscanf(stdout, "%d packages with %d imports.", &packages, &imports); err != nil {
		t.Fatal(err)
	}
	if packages < 300 || imports < 2000 {
		t.Errorf("%d packages with %d imports are fewer than this project has", packages, imports)
	}
	for name, want := range map[string]struct {
		result     string
		statements int
	}{
		"quickstart.migrate":        {"success", 2},
		"quickstart.load":           {"success", 2 + packages + imports},
		"quickstart.resolve_naive":  {"success", 1 + imports},
		"quickstart.resolve_joined": {"success", 1},
		"quickstart.insert_twice":   {"failure", 2},
		"quickstart.report":         {"success", 1},
	} {
		line := regexp.MustCompile(fmt.Sprintf(`(?m)^%s +%s +[0-9.]+ [mµ]?s +%d +[0-9.]+ [mµ]?s +\d+%%$`,
			regexp.QuoteMeta(name), want.result, want.statements))
		if !line.MatchString(stdout) {
			t.Errorf("the table has no line like %s", line)
		}
	}
	inOrder(t, stdout, readmeShows(t), "the README")
}

// inOrder checks that every line that is shown is in the output, in the same
// order, with all figures and bars taken as equal.
func inOrder(t *testing.T, out, shown, where string) {
	t.Helper()
	rest := strings.Split(mask(out), "\n")
	for line := range strings.Lines(shown) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line == "…" {
			continue
		}
		i := slices.Index(rest, mask(line))
		if i < 0 {
			t.Fatalf("%s shows a line that is not printed (there):\n%s\nin\n%s", where, line, out)
		}
		rest = rest[i+1:]
	}
}

// mask replaces what differs from run to run.
func mask(text string) string {
	text = regexp.MustCompile(`▕[^▏\n]*.*▏`).ReplaceAllString(text, "|bar|")
	text = regexp.MustCompile(`\d+(\.\d+)?( (µs|ms|s|ns))?\b`).ReplaceAllString(text, "N")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

// readmeShows returns the output of the quickstart in the README.
func readmeShows(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)\n```text\n(.*?)\n```\n").FindAllSubmatch(readme, -1) {
		if bytes.Contains(block[1], []byte("quickstart.load")) {
			return string(block[1])
		}
	}
	t.Fatal("the README does not show the quickstart's output")
	return ""
}

func TestTwiceOnOneDatabase(t *testing.T) {
	dir, file := smallModule(t), filepath.Join(t.TempDir(), "index?#%.db")
	var outputs [2]string
	for i := range outputs {
		stdout, stderr, code := output(t, program(t, "-dir", dir, "-dsn", file))
		if code != exitOK || stderr != "" {
			t.Fatalf("run %d: exit code %d, stderr %q, stdout:\n%s", i+1, code, stderr, stdout)
		}
		outputs[i], _, _ = strings.Cut(stdout, "\nWhat each task did:")
	}
	if outputs[0] != outputs[1] {
		t.Errorf("reports differ:\n%s\n%s", outputs[0], outputs[1])
	}
	var paths []string
	rows, err := openFile(t, file).QueryContext(t.Context(), "SELECT path FROM quickstart_packages WHERE NOT standard ORDER BY path")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var path string
		if err := rows.Scan(&path); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"example.com/small", "example.com/small/in"}; !slices.Equal(paths, want) {
		t.Errorf("packages = %q, want %q", paths, want)
	}
}

func openFile(t *testing.T, file string) *sql.DB {
	t.Helper()
	d := sqlite(file)
	db, err := sql.Open(d.driver, d.source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestErrorOfATask(t *testing.T) {
	stdout, _, _ := output(t, program(t, "-dir", smallModule(t)))
	// The extended result code of SQLite is the class, and names are not values.
	want := regexp.MustCompile(`(?m)^quickstart\.insert_twice: 2067: .*constraint.*quickstart_packages\.path`)
	if !want.MatchString(stdout) {
		t.Errorf("no line like %s in\n%s", want, stdout)
	}
}

// TestFindings: a query for each import is found, and one for all of them is not.
func TestFindings(t *testing.T) {
	stdout, _, _ := output(t, program(t, "-dir", "../.."))
	statements := regexp.MustCompile(`(?m)^quickstart\.resolve_naive +success .*? (\d+) +\S+ m?s +\d+%$`).FindStringSubmatch(stdout)
	found := regexp.MustCompile(`(?m)^quickstart\.resolve_naive: repeated_statement: SELECT quickstart_packages ×(\d+)$`).FindStringSubmatch(stdout)
	if statements == nil || found == nil {
		t.Fatalf("no table or no finding in\n%s", stdout)
	}
	// All its statements but the one that lists the imports are the same.
	all, err1 := strconv.Atoi(statements[1])
	same, err2 := strconv.Atoi(found[1])
	if err1 != nil || err2 != nil || same != all-1 || same < 100 {
		t.Errorf("%d statements, of which %d repeat", all, same)
	}
	if strings.Contains(stdout, "quickstart.resolve_joined: ") {
		t.Errorf("something was found in the joined statement:\n%s", stdout)
	}
}

func TestTemporaryFileIsRemoved(t *testing.T) {
	tmp := t.TempDir()
	cmd := program(t, "-dir", smallModule(t))
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	if _, stderr, code := output(t, cmd); code != exitOK {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestUsage(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"unknown flag":         {[]string{"-database", "postgres://u:" + canary + "@h/d"}, "there is no flag -datab…"},
		"unknown flag, joined": {[]string{"-database=postgres://u:" + canary + "@h/d"}, "there is no flag -datab…"},
		"no space":             {[]string{"-dsnpostgres://u:" + canary + "@h/d"}, "there is no flag -dsn…"},
		"flag out of a value":  {[]string{"--" + canary}, "there is no flag -hunte…"},
		"serve without port":   {[]string{"-serve", canary}, "-serve takes a host and a port, such as localhost:9464"},
		"serve a DSN":          {[]string{"-serve", "postgres://u:" + canary + "@h/d"}, "-serve takes a host and a port, such as localhost:9464"},
		"serve no port":        {[]string{"-serve", "localhost:" + canary}, "-serve takes a host and a port, such as localhost:9464"},
		"page without port":    {[]string{"-tasks", canary}, "-tasks takes a host and a port, such as localhost:9464"},
		"serve high port":      {[]string{"-serve", "localhost:99999"}, "-serve: port 99999 is not between 0 and 65535"},
		"malformed flag":       {[]string{"-=" + canary}, "an argument is not a well-formed flag"},
		"no value":             {[]string{"-dsn"}, "flag needs an argument: -dsn"},
		"argument":             {[]string{"postgres://u:" + canary + "@h/d"}, "1 arguments too many: there are only flags"},
		"unknown scheme":       {[]string{"-dsn", "mysql://u:" + canary + "@h/d"}, "-dsn takes a file for SQLite or a postgres:// URL, and no other scheme"},
		"no URL":               {[]string{"-dsn", "postgres://u:" + canary + "%zz@h/d"}, "-dsn is not a valid postgres:// URL"},
		"settings":             {[]string{"-dsn", "host=h password=" + canary}, "-dsn takes a postgres:// URL for PostgreSQL, and no list of key=value settings"},
		"another driver's":     {[]string{"-dsn", "u:" + canary + "@tcp(h:3306)/d"}, "-dsn takes a postgres:// URL for PostgreSQL, and no list of key=value settings"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := output(t, program(t, tt.args...))
			if want := "quickstart: " + tt.want + " (see quickstart -help)\n"; code != exitUsage || stdout != "" || stderr != want {
				t.Errorf("exit code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, want)
			}
		})
	}
	t.Run("help", func(t *testing.T) {
		if stdout, stderr, code := output(t, program(t, "-help")); code != exitOK || stdout != help || stderr != "" {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	})
}

func TestFailures(t *testing.T) {
	small := smallModule(t)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	nobody, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close() // nobody listens there any more

	noDatabase := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(noDatabase, []byte(strings.Repeat("no database at all\n", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := smallModule(t)
	if err := os.WriteFile(filepath.Join(broken, "small.go"), []byte("package small\n\nimport _ \"example.com/absent\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "go.mod"), []byte("module example.com/empty\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	tests := map[string]struct {
		args []string
		want string // a part of the line
	}{
		"directory is no module":   {[]string{"-dir", t.TempDir()}, "is not the root of a Go module: it has no go.mod"},
		"directory does not exist": {[]string{"-dir", filepath.Join(small, "absent")}, "is not the root of a Go module: it has no go.mod"},
		"go list fails":            {[]string{"-dir", broken}, "example.com/absent"},
		"no packages":              {[]string{"-dir", empty}, "has no Go packages"},
		"file cannot be opened":    {[]string{"-dir", small, "-dsn", filepath.Join(small, "absent", "index.db")}, "the SQLite file of -dsn: quickstart.migrate: "},
		"file is no database":      {[]string{"-dir", small, "-dsn", noDatabase}, "the SQLite file of -dsn: quickstart.migrate: "},
		"nobody listens":           {[]string{"-dir", small, "-dsn", "postgres://u:" + canary + "@" + nobody.Addr().String() + "/d"}, "PostgreSQL at 127.0.0.1:"},
		"no PostgreSQL":            {[]string{"-dir", small, "-dsn", "postgres://u:" + canary + "@" + hangUp(t) + "/d?sslmode=disable"}, "PostgreSQL at 127.0.0.1:"},
		"address is taken":         {[]string{"-dir", small, "-serve", taken.Addr().String()}, "address already in use"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := output(t, program(t, tt.args...))
			if code != exitFailure || !strings.HasPrefix(stderr, "quickstart: ") || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, stderr %q, want %q", code, stderr, tt.want)
			}
			if strings.Count(stderr, "\n") != 1 {
				t.Errorf("stderr is not one line: %q", stderr)
			}
			if strings.Contains(stdout, "Most imported") {
				t.Errorf("it reports all the same:\n%s", stdout)
			}
		})
	}
}

// hangUp returns the address of a server that closes every connection at once.
func hangUp(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// TestNothingIsWrittenEarly shows that no database is made for a module that
// cannot be listed.
func TestNothingIsWrittenEarly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "index.db")
	if _, _, code := output(t, program(t, "-dir", t.TempDir(), "-dsn", file)); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

// TestNothingIsHalfWritten fails the load halfway, and expects the database to
// be as it was before.
func TestNothingIsHalfWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "index.db")
	db := openFile(t, file)
	before := strings.Replace(createPackages, "id INTEGER PRIMARY KEY", "id INTEGER PRIMARY KEY CHECK (id < 3)", 1)
	for _, statement := range []string{before, `INSERT INTO quickstart_packages VALUES (1, 'before', NULL, FALSE)`} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	_, stderr, code := output(t, program(t, "-dir", smallModule(t), "-dsn", file))
	if code != exitFailure || !strings.Contains(stderr, "quickstart.load: ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if got := content(t, db); got != "1 before" {
		t.Errorf("the table holds %q", got)
	}
}

// content returns how many packages a database has, and the first of them.
func content(t *testing.T, db *sql.DB) string {
	t.Helper()
	var n int
	var path sql.NullString
	if err := db.QueryRowContext(t.Context(), "SELECT count(*), min(path) FROM quickstart_packages").Scan(&n, &path); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(n, " ", path.String)
}

// TestForeignTable finds a table of another program under the name of one of
// its own, and expects the database to be as it was before.
func TestForeignTable(t *testing.T) {
	for name, columns := range map[string]string{
		"quickstart_packages": "id INTEGER PRIMARY KEY, title TEXT",
		"quickstart_imports":  "importer INTEGER, title TEXT",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "index.db")
			db := openFile(t, file)
			if _, err := db.ExecContext(t.Context(), "CREATE TABLE "+name+" ("+columns+")"); err != nil {
				t.Fatal(err)
			}
			_, stderr, code := output(t, program(t, "-dir", smallModule(t), "-dsn", file))
			if code != exitFailure || strings.Count(stderr, "\n") != 1 ||
				!strings.Contains(stderr, "quickstart.migrate: the tables quickstart_packages and quickstart_imports are not this program's: ") {
				t.Errorf("exit code %d, stderr %q", code, stderr)
			}
			var tables string
			if err := db.QueryRowContext(t.Context(), "SELECT group_concat(name) FROM sqlite_master WHERE type = 'table'").Scan(&tables); err != nil {
				t.Fatal(err)
			}
			if tables != name {
				t.Errorf("the tables are %s", tables)
			}
		})
	}
}

// TestFullDisk writes to a device that takes nothing.
func TestFullDisk(t *testing.T) {
	const device = "/dev/full"
	if _, err := os.Stat(device); err != nil {
		t.Skip("no " + device)
	}
	for name, args := range map[string][]string{
		"help":  {"-help"},
		"index": {"-dir", smallModule(t)},
		"serve": {"-dir", smallModule(t), "-serve", "127.0.0.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			full, err := os.OpenFile(device, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			cmd := program(t, args...)
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = full, &stderr
			var exit *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailure {
				t.Errorf("the program ends with %v", err)
			}
			if got, want := stderr.String(), "quickstart: writing the output: write: no space left on device\n"; got != want {
				t.Errorf("stderr %q, want %q", got, want)
			}
		})
	}
}

// cancelOn is a terminal on which a person presses ctrl-C as soon as they read
// a text.
type cancelOn struct {
	text   string
	cancel context.CancelFunc
	bytes.Buffer
}

func (c *cancelOn) Write(p []byte) (int, error) {
	n, err := c.Buffer.Write(p)
	if strings.Contains(c.String(), c.text) {
		c.cancel()
	}
	return n, err
}

func TestInterruptedLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "index.db")
	f, err := parseFlags([]string{"-dir", smallModule(t), "-dsn", file})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	terminal := &cancelOn{text: "loading imports", cancel: cancel}
	var stdout bytes.Buffer
	err = index(ctx, f, &stdout, &progress{w: terminal})
	if !errors.Is(err, context.Canceled) && errs.Classify(err).Kind != errs.KindCanceled {
		t.Errorf("index = %v", err)
	}
	if !regexp.MustCompile(`(?m)^quickstart\.load +cancellation `).MatchString(stdout.String()) {
		t.Errorf("the table does not say so:\n%s", &stdout)
	}
	if got := content(t, openFile(t, file)); got != "0 " {
		t.Errorf("the table holds %q", got)
	}
}

func TestInterruptedEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"-dir", smallModule(t)}, &stdout, &stderr); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if stdout.Len() > 0 || stderr.String() != "quickstart: interrupted\n" {
		t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
	}
}

func TestServe(t *testing.T) {
	// The port is the operator's, and is any that is free.
	cmd := program(t, "-dir", smallModule(t), "-serve", "127.0.0.1:1", "-tasks", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "OTEL_EXPORTER_PROMETHEUS_PORT=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	for b := make([]byte, 4096); !strings.Contains(seen.String(), "until interrupted"); {
		n, err := stdout.Read(b)
		seen.Write(b[:n])
		if err != nil {
			t.Fatalf("%v after %q, stderr %q", err, seen.String(), &stderr)
		}
	}
	told := regexp.MustCompile(`\nServing /metrics at (127\.0\.0\.1:\d+) until interrupted\.\n$`).FindStringSubmatch(seen.String())
	if told == nil {
		t.Fatalf("it does not say where it serves:\n%s", seen.String())
	}
	page := regexp.MustCompile(`(?m)^The tasks are at (http://127\.0\.0\.1:\d+/debug/tasks)$`).FindStringSubmatch(seen.String())
	if page == nil {
		t.Fatalf("it does not say where the page is:\n%s", seen.String())
	}
	if shown := get(t, page[1]+"?view=recent"); !bytes.Contains(shown, []byte("quickstart.insert_twice")) || bytes.Contains(shown, []byte(confidential)) {
		t.Errorf("the page shows\n%s", shown)
	}
	body := get(t, "http://"+told[1]+"/metrics")
	for _, want := range []string{
		`(?m)^worker_task_duration_seconds_count\{.*worker_task_name="quickstart\.load",worker_task_result="success".*\} 1$`,
		`(?m)^worker_task_duration_seconds_count\{error_type="2067",.*worker_task_name="quickstart\.insert_twice",worker_task_result="failure".*\} 1$`,
		`(?m)^db_client_operation_duration_seconds_count\{.*db_query_summary="SELECT quickstart_packages".*\} \d\d+$`,
	} {
		if !regexp.MustCompile(want).Match(body) {
			t.Errorf("no line of the metrics like %s", want)
		}
	}
	if bytes.Contains(body, []byte(confidential)) {
		t.Error("the metrics hold a value")
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v, stderr %q", err, &stderr)
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	body, err := fetch.Page(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(body)
}

// TestExport runs the main job with a collector, and expects every task there.
func TestExport(t *testing.T) {
	var mu sync.Mutex
	received := make(map[string][]byte)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		received[r.URL.Path] = append(received[r.URL.Path], body...)
	}))
	defer collector.Close()

	cmd := program(t, "-dir", "../..")
	cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	if stdout, stderr, code := output(t, cmd); code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	mu.Lock()
	defer mu.Unlock()
	for path, body := range received {
		if bytes.Contains(body, []byte(confidential)) {
			t.Errorf("what was sent to %s holds a value", path)
		}
	}
	for _, x := range (&indexer{}).tasks() {
		for _, path := range []string{"/v1/traces", "/v1/metrics"} {
			if !bytes.Contains(received[path], []byte(x.name)) {
				t.Errorf("nothing about %s was sent to %s", x.name, path)
			}
		}
	}
	if !bytes.Contains(received["/v1/logs"], []byte("quickstart.insert_twice")) {
		t.Error("the error of quickstart.insert_twice was not sent to /v1/logs")
	}
}

// With the settings that OpenTelemetry has by default, and a collector that takes its
// time, nothing is lost: each task arrives, and each statement in a span of its own or
// folded into one.
func TestSlowCollector(t *testing.T) {
	c := receiver.New(t, 50*time.Millisecond)
	cmd := program(t, "-dir", "../..")
	cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+c.URL+"/v1/traces", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	stdout, stderr, code := output(t, cmd)
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	var packages, imports int
	if _, err := fmt.Sscanf(stdout, "%d packages with %d imports.", &packages, &imports); err != nil {
		t.Fatal(err)
	}
	spans, size := c.Spans()
	t.Logf("%d spans in %d bytes", len(spans), size)
	names := make(map[string]string) // of tasks, by their span
	for _, s := range spans {
		if strings.HasPrefix(s.GetName(), "quickstart.") {
			names[string(s.GetSpanId())] = s.GetName()
		}
	}
	got := make(map[string]map[string]int64) // statements by task and summary
	for _, s := range spans {
		var summary string
		count := int64(1)
		for _, kv := range s.GetAttributes() {
			switch kv.GetKey() {
			case "db.query.summary":
				summary = kv.GetValue().GetStringValue()
			case "otdb.folded.count":
				count = kv.GetValue().GetIntValue()
			}
		}
		if task := names[string(s.GetParentSpanId())]; summary != "" && s.GetName() == summary {
			if got[task] == nil {
				got[task] = make(map[string]int64)
			}
			got[task][summary] += count
		}
	}
	want := map[string]map[string]int64{
		"quickstart.migrate":        {"CREATE TABLE quickstart_packages": 1, "CREATE TABLE quickstart_imports": 1},
		"quickstart.load":           {"DELETE quickstart_imports": 1, "DELETE quickstart_packages": 1, "INSERT quickstart_packages": int64(packages), "INSERT quickstart_imports": int64(imports)},
		"quickstart.resolve_naive":  {"SELECT quickstart_imports": 1, "SELECT quickstart_packages": int64(imports)},
		"quickstart.resolve_joined": {"SELECT quickstart_imports quickstart_packages": 1},
		"quickstart.insert_twice":   {"INSERT quickstart_packages": 2},
		"quickstart.report":         {"SELECT quickstart_imports quickstart_packages": 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("statements by task and summary:\n%v\nwant\n%v", got, want)
	}
}

// TestDisabled serves nothing, says so, and ends.
func TestDisabled(t *testing.T) {
	cmd := program(t, "-dir", smallModule(t), "-serve", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "OTEL_SDK_DISABLED=true")
	stdout, stderr, code := output(t, cmd)
	if code != exitOK || stderr != "" || !strings.Contains(stdout, "Most imported:") || !strings.Contains(stdout, "No task was traced") ||
		!strings.HasSuffix(stdout, "\nNot serving /metrics: see OTEL_SDK_DISABLED.\n") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
}
