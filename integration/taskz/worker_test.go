package taskz

import (
	"bytes"
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

// TestWorker: the page of examples/worker is there while it works.
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
	worker.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") }), "ADDR="+addr)
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
	b.do(chromedp.Navigate("http://" + addr + "/debug/tasks?view=recent"))
	b.awaits("[...document.querySelectorAll('td.key')].some(e => e.innerText.includes('invoices.send'))")
	send := b.row("invoices.send")
	if send[1] != "✓" || send[2] != "1" || send[3] != "0" {
		t.Errorf("invoices.send = %q, want one success", send)
	}
	b.shoot("worker")
	b.click("nav/a", "Statements")
	b.awaitHeading("Statements")
	if update := b.row("UPDATE invoices"); update[3] != "1" || update[9] != "invoices.send" {
		t.Errorf("UPDATE invoices = %q", update)
	}
	end()
}
