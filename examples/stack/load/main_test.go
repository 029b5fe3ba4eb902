package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/examples/internal/fetch"
)

// asProgram makes the test binary behave as the program that it tests.
const asProgram = "LOAD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// freeAddress returns an address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// TestRun: the program makes every metric and every finding that it is there to
// show, and leaves nothing behind when it is interrupted.
func TestRun(t *testing.T) {
	t.Run("rounds", func(t *testing.T) {
		stderr := interrupted(t, []string{"-interval", "20ms"},
			`worker_finding_kind="repeated_statement"`, `worker_finding_kind="rows_leaked"`, `worker_task_result="panic"`,
			`worker_task_result="timeout"`, `worker_task_result="cancellation"`, `worker_task_result="skip"`,
			`worker_task_result="failure"`, `worker_task_result="retry"`, `worker_task_name="load.never"`, "worker_task_queue_duration_seconds_count",
			"worker_task_oldest_age_seconds", `river_queue_jobs{`, "river_queue_oldest_age_seconds",
			`worker_task_name="load.ship",worker_task_result="failure"`, "db_client_response_returned_rows_count")
		if stderr != "" {
			t.Errorf("stderr %q", stderr)
		}
	})
	t.Run("scenario", func(t *testing.T) {
		stderr := interrupted(t, []string{"-scenario", "leaked-transaction"}, `worker_finding_kind="transaction_leaked"`)
		if at := "scenario.go code.line.number=" + lineOf(t, "leaked-transaction"); !strings.Contains(stderr, at) {
			t.Errorf("the log does not have %s:\n%s", at, stderr)
		}
	})
}

// interrupted runs the program until its metrics have all texts, and interrupts it. It
// returns what went to stderr.
func interrupted(t *testing.T, args []string, missing ...string) string {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("TMPDIR", t.TempDir())
	addr := freeAddress(t)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, append(args, "-addr", addr), &stderr) }()

	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	late := time.After(time.Minute)
	for len(missing) > 0 {
		select {
		case c := <-code:
			t.Fatalf("it ended with %d\n%s", c, &stderr)
		case <-late:
			t.Fatalf("there is no %q", missing)
		case <-ticks.C:
		}
		served := scrape(t, addr)
		var still []string
		for _, m := range missing {
			if !strings.Contains(served, m) {
				still = append(still, m)
			}
		}
		missing = still
	}
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d\n%s", c, &stderr)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	return stderr.String()
}

// scrape returns the metrics, or nothing while nobody serves them.
func scrape(t *testing.T, addr string) string {
	t.Helper()
	text, err := fetch.Page(t.Context(), "http://"+addr+"/metrics")
	if err != nil {
		return ""
	}
	return text
}

func TestMistakes(t *testing.T) {
	for _, args := range [][]string{{"-interval", "0s"}, {"-nothing"}, {"too", "many"}, {"-scenario", "nothing"}} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, &stderr); code != 2 || !strings.Contains(stderr.String(), "usage: load") {
			t.Errorf("%q: exit code %d, %q", args, code, &stderr)
		}
	}
}
