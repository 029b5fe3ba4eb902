package main

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskspan/taskspan/examples/internal/fetch"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/tasktest"
)

// asProgram makes the test binary behave as the program that it tests.
const asProgram = "WORKER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestWorker: in an empty directory the program works, shows what it does, and ends in
// order when it is asked to.
func TestWorker(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Dir = t.TempDir()
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") })
	cmd.Env = append(cmd.Env, asProgram+"=1", "ADDR="+addr, "OTEL_TRACES_EXPORTER=tree")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	shown := map[string]string{
		`worker_task_duration_seconds_count{worker_task_name="invoices.send",worker_task_result="success"} 1`: "/metrics",
		`worker_task_schedule_interval_seconds{worker_task_name="invoices.send"} 300`:                         "/metrics",
		`db_client_connection_max{`: "/metrics",
		"invoices.send":             "/debug/tasks?view=recent",
	}
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	late := time.After(time.Minute)
	for len(shown) > 0 {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, &stderr)
		case <-late:
			t.Fatalf("there is no %q", slices.Collect(maps.Keys(shown)))
		case <-ticks.C:
		}
		maps.DeleteFunc(shown, func(text, path string) bool {
			return strings.Contains(scope.ReplaceAllString(get(t, "http://"+addr+path), ""), text)
		})
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, &stderr)
	}
	if text := stderr.String(); !strings.Contains(text, "UPDATE invoices") || strings.Contains(text, `"level"`) {
		t.Errorf("it should print trees, and nothing to worry about:\n%s", text)
	}
}

// scope matches labels that every series has.
var scope = regexp.MustCompile(`otel_scope_[a-z_]+="[^"]*",?`)

// get returns a page, or nothing while nobody serves it.
func get(t *testing.T, url string) string {
	t.Helper()
	text, err := fetch.Page(t.Context(), url)
	if err != nil {
		return ""
	}
	return text
}

// TestSend: each invoice is sent once.
func TestSend(t *testing.T) {
	h := tasktest.New(t)
	in := &invoices{h.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "invoices.db"))}
	h.Run("invoices.migrate", in.migrate).Succeeds()
	count := func(where string) (n int) {
		h.Run("count", func(ctx context.Context) error {
			return in.db.QueryRowContext(ctx, "SELECT count(*) FROM invoices WHERE "+where).Scan(&n)
		}).Succeeds()
		return n
	}
	h.Run("insert", func(ctx context.Context) error {
		_, err := in.db.ExecContext(ctx, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 150) INSERT INTO invoices (id) SELECT i FROM n")
		return err
	}).Succeeds()
	for i, want := range []int{100, 150, 150} {
		h.Run("invoices.send", in.send).Succeeds().MaxStatements(1).NoRepeats().NoLeaks()
		if got := count("sent_at IS NOT NULL"); got != want {
			t.Errorf("after run %d, %d are sent, want %d", i+1, got, want)
		}
	}
}

// TestAttempts: what may succeed is tried again, and nothing else is.
func TestAttempts(t *testing.T) {
	errBroken := errors.New("broken for good")
	for name, c := range map[string]struct {
		errs []error // of the attempts, the last one for all that follow
		want string
	}{
		"success":   {[]error{nil}, "1/5 success"},
		"for good":  {[]error{errBroken}, "1/5 failure"},
		"at last":   {[]error{driver.ErrBadConn, driver.ErrBadConn, nil}, "1/5 retry, 2/5 retry, 3/5 success"},
		"and again": {[]error{driver.ErrBadConn}, "1/5 retry, 2/5 retry, 3/5 retry, 4/5 retry, 5/5 failure"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runner, err := worker.New(worker.WithLogger(slog.New(slog.DiscardHandler)))
				if err != nil {
					t.Fatal(err)
				}
				var results []string
				runner.Watch(func(_ context.Context, r worker.Report) {
					results = append(results, fmt.Sprintf("%d/%d %s", r.Attempt, r.MaxAttempts, r.Result))
				})
				n := 0
				began := time.Now()
				err = attempt(runner.Context(t.Context()), "task", func(context.Context) error {
					err := c.errs[min(n, len(c.errs)-1)]
					n++
					return err
				})
				if got := strings.Join(results, ", "); got != c.want {
					t.Errorf("attempts %s, want %s", got, c.want)
				}
				if want := c.errs[len(c.errs)-1]; !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
				if got, want := time.Since(began), time.Duration(n*(n-1)/2)*time.Second; got != want {
					t.Errorf("it took %v, want %v", got, want)
				}
			})
		})
	}
}

// TestLength: what is to be copied is short.
func TestLength(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(program, []byte("\n")); n > 60 {
		t.Errorf("main.go has %d lines, and should have 60 at most", n)
	}
}
