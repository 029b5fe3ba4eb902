package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/taskspan/taskspan/examples/internal/fetch"
)

// asProgram makes the test binary behave as the program that it tests.
const asProgram = "RIVER_TEST_AS_PROGRAM"

// canary stands for the password in a DSN.
const canary = "hunter2-canary"

// deadline is how long the main job may take.
const deadline = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the command that runs the program, without what the environment
// of the test says about telemetry and databases.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline) //nolint:usetesting // it ends after the test
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OTEL_") || strings.HasPrefix(v, "RIVER_")
	})
	cmd.Env = append(cmd.Env, asProgram+"=1", "TMPDIR="+t.TempDir())
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

// open opens the database of a test.
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

// count returns the only value of a query.
func count(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMainJob(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue?#%.db")
	mainJob(t, file, func() *sql.DB { return openFile(t, file) })
}

// TestMainJobOnPostgres is the same with pgxpool, in a database of its own on the server
// of that variable.
func TestMainJobOnPostgres(t *testing.T) {
	const environment = "TASKSPAN_TEST_POSTGRES"
	server := os.Getenv(environment)
	if server == "" {
		t.Skip(environment + " is not set")
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	name := fmt.Sprintf("riverdemo_%d", os.Getpid())
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	}()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	mainJob(t, u.String(), func() *sql.DB {
		db, err := sql.Open("pgx", u.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	})
}

// mainJob expects all jobs to be done by two processes, the job of the killed process by
// the other one, and one trace across the processes.
func mainJob(t *testing.T, source string, open func() *sql.DB) {
	t.Helper()
	start := time.Now()
	cmd := program(t, "-dsn", source)
	stdout, stderr, code := output(t, cmd)
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	if took := time.Since(start); took > deadline {
		t.Errorf("it took %v", took)
	}

	shape := regexp.MustCompile(`^12 jobs done by 2 processes:

  (worker-1-\d+)  \d+ jobs?: \d+( \d+)*
  (worker-2-\d+)  \d+ jobs?: \d+( \d+)*

(worker-[12]-\d+) is killed in the middle of job 13\.
River gives the job to another process once it has run for 5s\.
(?:  job 13: [a-z]+, attempt [12], \d+s after it was inserted\n){3,}(worker-[12]-\d+) has done it, in attempt 2, [0-9.]+m?s after it was inserted\.

(worker-[12]-\d+) has drained\.

The trace of job 13, ([0-9a-f]{32}), across the processes:

((?:.+\n)+)
Of the attempt that was killed there are only the spans that had ended, marked by …
$`)
	m := shape.FindStringSubmatch(stdout)
	if m == nil {
		t.Fatalf("the output is not of the form\n%s\nbut\n%s", shape, stdout)
	}
	victim, survivor, tree := m[5], m[6], m[9]
	if victim == survivor || survivor != m[7] || victim != m[1] && victim != m[3] || survivor != m[1] && survivor != m[3] {
		t.Errorf("of %s and %s, %s is killed, %s survives and %s drains", m[1], m[3], victim, survivor, m[7])
	}
	const times = ` +\+[0-9.]+(µ|m)?s +[0-9.]+(µ|m)?s`
	for _, want := range []string{
		`^producer-\d+  order \(success\)` + times + `\n`,
		`\nproducer-\d+  ├─ INSERT riverdemo_orders` + times + `\n`,
		`\nproducer-\d+  └─ insert default` + times + `\n`,
		`\n` + survivor + `  *    └─ invoice \(success\)` + times + `\n`,
		`\n` + survivor + `  *       ├─ SELECT riverdemo_orders` + times + `\n`,
		`\n` + survivor + `  *       └─ INSERT riverdemo_invoices` + times + `\n`,
		`\n` + victim + `  *… SELECT riverdemo_orders` + times + `\n`,
	} {
		if !regexp.MustCompile(want).MatchString(tree) {
			t.Errorf("the tree has no line like %q:\n%s", want, tree)
		}
	}

	db := open()
	if n := count(t, db, "SELECT count(*) FROM riverdemo_invoices"); n != 13 {
		t.Errorf("%d invoices", n)
	}
	if n := count(t, db, "SELECT count(*) FROM river_job WHERE state = 'completed'"); n != 13 {
		t.Errorf("%d jobs are completed", n)
	}
}

// TestTemporaryFileIsRemoved also shows that a program without a sampled trace
// works.
func TestTemporaryFileIsRemoved(t *testing.T) {
	tmp := t.TempDir()
	cmd := program(t, "-orders", "2")
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp, "OTEL_SDK_DISABLED=true")
	stdout, stderr, code := output(t, cmd)
	if code != exitOK || stderr != "" || !strings.HasSuffix(stdout, "No task was traced: see OTEL_SDK_DISABLED and OTEL_TRACES_SAMPLER.\n") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestDrain interrupts a worker in the middle of a job, and expects the job to be
// done, and no other one to be begun.
func TestDrain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	stdout, stderr, code := output(t, program(t, "-role", "producer", "-dsn", file, "-name", "shop", "-orders", "30"))
	if code != exitOK || stderr != "" || stdout != "shop has placed 30 orders.\n" {
		t.Fatalf("exit code %d, stderr %q, stdout %q", code, stderr, stdout)
	}

	cmd := program(t, "-role", "worker", "-name", "printer", "-tasks", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, dsnVariable+"="+file)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	line, err := lines.ReadString('\n')
	page, ok := strings.CutPrefix(strings.TrimSpace(line), "The tasks are at ")
	if err != nil || !ok {
		t.Fatalf("it says %q, %v, stderr %q", line, err, &errOut)
	}
	if line, err := lines.ReadString('\n'); err != nil || line != "printer works.\n" {
		t.Fatalf("it says %q, %v, stderr %q", line, err, &errOut)
	}
	db := openFile(t, file)
	// River says that a job runs before its task begins.
	waitFor(t, func() bool { return strings.Contains(get(t, page), "invoice") })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || string(rest) != "printer has drained.\n" || errOut.Len() > 0 {
		t.Errorf("%v, stdout %q, stderr %q", err, rest, &errOut)
	}
	running := count(t, db, "SELECT count(*) FROM river_job WHERE state = 'running'")
	completed := count(t, db, "SELECT count(*) FROM river_job WHERE state = 'completed'")
	available := count(t, db, "SELECT count(*) FROM river_job WHERE state = 'available' AND attempt = 0")
	if running != 0 || completed == 0 || available == 0 || completed+available != 30 {
		t.Errorf("%d jobs are running, %d completed and %d available", running, completed, available)
	}
	if n := count(t, db, "SELECT count(*) FROM riverdemo_invoices"); n != completed {
		t.Errorf("%d invoices of %d jobs", n, completed)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	body, err := fetch.Page(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// waitFor waits for another process.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for end := time.Now().Add(deadline); !done(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatal("it has not happened in time")
		}
	}
}

// TestWorkersEndWithTheirParent kills the demo itself.
func TestWorkersEndWithTheirParent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	cmd := program(t, "-dsn", file, "-orders", "1000")
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	db := openFile(t, file)
	waitFor(t, func() bool {
		var n int
		// There is no table at first.
		_ = db.QueryRowContext(t.Context(), "SELECT count(DISTINCT attempted_by) FROM river_job WHERE state = 'completed'").Scan(&n)
		return n == 2
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	// Both have ended when nothing runs for longer than a job takes to be fetched
	// and done. Most jobs are left.
	const steady = int(4 * shortWork / pollInterval)
	idle, done := 0, 0
	waitFor(t, func() bool {
		completed := count(t, db, "SELECT count(*) FROM river_job WHERE state = 'completed'")
		if idle++; completed != done || count(t, db, "SELECT count(*) FROM river_job WHERE state = 'running'") > 0 {
			idle, done = 0, completed
		}
		return idle > steady
	})
	if done > 500 {
		t.Errorf("%d jobs were done", done)
	}
}

func TestUsage(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"unknown flag":      {[]string{"-database", "postgres://u:" + canary + "@h/d"}, "flag provided but not defined: -database"},
		"malformed flag":    {[]string{"-=" + canary}, "an argument is not a well-formed flag"},
		"no value":          {[]string{"-dsn"}, "flag needs an argument: -dsn"},
		"argument":          {[]string{"postgres://u:" + canary + "@h/d"}, "1 arguments too many: there are only flags"},
		"unknown scheme":    {[]string{"-dsn", "mysql://u:" + canary + "@h/d"}, "-dsn takes a file for SQLite or a postgres:// URL, and no other scheme"},
		"no URL":            {[]string{"-dsn", "postgres://u:" + canary + "%zz@h/d"}, "-dsn is not a valid postgres:// URL"},
		"settings":          {[]string{"-dsn", "host=h password=" + canary}, "-dsn takes a postgres:// URL for PostgreSQL, and no list of key=value settings"},
		"another driver's":  {[]string{"-dsn", "u:" + canary + "@tcp(h:3306)/d"}, "-dsn takes a postgres:// URL for PostgreSQL, and no list of key=value settings"},
		"unknown role":      {[]string{"-role", canary}, "-role takes demo, producer or worker"},
		"no orders":         {[]string{"-orders", "0"}, "-orders takes a number from 1 to 1000000"},
		"orders of a kind":  {[]string{"-orders", canary}, "-orders takes a number from 1 to 1000000"},
		"worker on its own": {[]string{"-role", "worker"}, "a worker needs a -dsn that others use too"},
		"long name":         {[]string{"-name", strings.Repeat("x", 61)}, "-name takes at most 60 characters"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := output(t, program(t, tt.args...))
			if want := "river: " + tt.want + "\n" + usage + "\n"; code != exitUsage || stdout != "" || stderr != want {
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
	nobody, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close() // nobody listens there any more
	dir := t.TempDir()
	noDatabase := filepath.Join(dir, "text.db")
	if err := os.WriteFile(noDatabase, []byte(strings.Repeat("no database at all\n", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(dir, "absent", "queue.db")
	postgres := "postgres://u:" + canary + "@" + nobody.Addr().String() + "/d"
	tests := map[string]struct {
		args []string
		want string // a part of the line
	}{
		"demo, file cannot be opened":   {[]string{"-dsn", absent}, "the SQLite file: "},
		"demo, file is no database":     {[]string{"-dsn", noDatabase}, "the SQLite file: "},
		"demo, nobody listens":          {[]string{"-dsn", postgres}, "PostgreSQL at 127.0.0.1:"},
		"producer, nobody listens":      {[]string{"-role", "producer", "-dsn", postgres}, "PostgreSQL at 127.0.0.1:"},
		"worker, nobody listens":        {[]string{"-role", "worker", "-dsn", postgres}, "PostgreSQL at 127.0.0.1:"},
		"worker, nothing prepared":      {[]string{"-role", "worker", "-dsn", filepath.Join(dir, "new.db")}, "run -role producer first"},
		"worker, file cannot be opened": {[]string{"-role", "worker", "-dsn", absent}, "the SQLite file: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := output(t, program(t, tt.args...))
			if code != exitFailure || !strings.HasPrefix(stderr, "river: ") || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, tt.want)
			}
			if strings.Count(stderr, "\n") != 1 {
				t.Errorf("stderr is not one line: %q", stderr)
			}
		})
	}
}

// riverCancelled is what River's client logs where the signal meets an insert.
var riverCancelled = regexp.MustCompile(`(?m)^time=\S+ level=ERROR msg="Client: Failed to send job insert notification" queues=\S+ err="context canceled"\n`)

func TestInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	cmd := program(t, "-dsn", file, "-orders", "1000")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	db := openFile(t, file)
	waitFor(t, func() bool {
		var n int
		_ = db.QueryRowContext(t.Context(), "SELECT count(*) FROM river_job WHERE state = 'completed'").Scan(&n)
		return n > 0
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code says how it ended
	said := riverCancelled.ReplaceAllString(errOut.String(), "")
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || said != "river: interrupted\n" {
		t.Errorf("exit code %d, stderr %q", code, &errOut)
	}
	if n := count(t, db, "SELECT count(*) FROM river_job WHERE state = 'running'"); n != 0 {
		t.Errorf("%d jobs are running", n)
	}
}

// TestExport runs a worker with a collector of its own, as on many machines, and
// expects the trace there, and no value of a customer.
func TestExport(t *testing.T) {
	var mu sync.Mutex
	received := make(map[string][]byte)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		received[r.URL.Path] = append(received[r.URL.Path], body...)
	}))
	defer server.Close()
	cmd := program(t, "-role", "producer", "-orders", "2", "-dsn", filepath.Join(t.TempDir(), "queue.db"))
	cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	if _, stderr, code := output(t, cmd); code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	mu.Lock()
	defer mu.Unlock()
	for path, body := range received {
		if bytes.Contains(body, []byte(confidential)) {
			t.Errorf("what was sent to %s holds a value", path)
		}
	}
	for _, name := range []string{"insert default", "INSERT riverdemo_orders", "messaging.message.id"} {
		if !bytes.Contains(received["/v1/traces"], []byte(name)) {
			t.Errorf("nothing about %s was sent", name)
		}
	}
}
