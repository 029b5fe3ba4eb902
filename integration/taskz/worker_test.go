package taskz

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestWorker: the page of examples/worker shows what it does, and what goes wrong in it.
func TestWorker(t *testing.T) {
	b := newBrowser(t)
	program := filepath.Join(t.TempDir(), "worker")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./worker")
	build.Dir = "../../examples"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	addr := l.Addr().String()
	check(t, l.Close())
	worker := exec.CommandContext(t.Context(), program)
	worker.Dir = t.TempDir()
	worker.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") }), "ADDR="+addr, "TROUBLE=1")
	var log bytes.Buffer
	worker.Stdout, worker.Stderr = &log, &log
	check(t, worker.Start())
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		check(t, worker.Process.Signal(syscall.SIGTERM))
		if err := worker.Wait(); err != nil {
			t.Errorf("the worker: %v\n%s", err, &log)
		}
	}
	defer end()

	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for { // until it serves
		conn, err := new(net.Dialer).DialContext(b.ctx, "tcp", addr)
		if err == nil {
			check(t, conn.Close())
			break
		}
		select {
		case <-again.C:
		case <-b.ctx.Done():
			t.Fatalf("nobody serves: %v", err)
		}
	}
	// Running: what is stuck, and what it holds.
	b.do(chromedp.Navigate("http://" + addr + "/debug/tasks"))
	b.awaits("[...document.querySelectorAll('td.key')].some(e => e.innerText.includes('trouble.stuck'))")
	b.awaits("[...document.querySelectorAll('td')].some(e => e.innerText.includes('SELECT items'))")
	stuck := b.row("trouble.stuck")
	b.has(stuck[1], "between statements")
	b.has(stuck[2], "rows", "SELECT items")
	b.shoot("worker-running")

	// Recent.
	b.click("nav/a", "Recent")
	b.awaitHeading("Recent")
	b.awaits("[...document.querySelectorAll('td.key')].some(e => e.innerText.includes('invoices.send'))")
	for task, want := range map[string][]string{
		"invoices.send":   {"✓", "1", "0"},
		"trouble.repeats": {"!", "1", "0"},
		"trouble.big":     {"!", "1", "0"},
		"trouble.fails":   {"×", "1", "1"},
	} {
		if row := b.row(task); !slices.Equal(row[1:4], want) {
			t.Errorf("%s = %q, want %q", task, row, want)
		}
	}
	b.has(b.row("trouble.fails")[7], "failure", "duplicate primary key")
	b.shoot("worker-recent")

	// One run: the one that repeats, by the line of code; then the big one.
	run := func(task string) {
		b.do(chromedp.Navigate("http://" + addr + "/debug/tasks?view=recent"))
		b.awaitHeading("Recent")
		b.do(chromedp.Click(fmt.Sprintf("//tr[td[contains(@class, 'key')][contains(., %q)]]//a[contains(@class, 'dot')]", task)))
		b.awaitHeading(task)
	}
	run("trouble.repeats")
	b.has(b.says(".box")[0], "repeated_statement SELECT invoices ran 200 times", "trouble.go:")
	run("trouble.big")
	if bars := b.says(".fall .name"); !slices.Contains(bars, "REPLACE items × 4,992") {
		t.Errorf("the waterfall has %q", bars)
	}
	b.shoot("worker-run")

	// Statements.
	b.click("nav/a", "Statements")
	b.awaitHeading("Statements")
	for summary, want := range map[string][]string{ // how often, errors, by whom
		"UPDATE invoices": {"1", "0", "invoices.send"},
		"REPLACE items":   {"5,000", "0", "trouble.big"},
		"SELECT invoices": {"200", "0", "trouble.repeats"},
		"INSERT items":    {"1", "1", "trouble.fails"},
	} {
		if row := b.row(summary); !slices.Equal([]string{row[3], row[4], row[9]}, want) {
			t.Errorf("%s = %q, want %q", summary, row, want)
		}
	}
	b.shoot("worker-statements")
	end()
}
