package observe

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/telemetry/tree"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/taskz"
)

// Outlets are the ways on which tasks are seen beside spans, metrics and logs: the page
// of tasks, reports, the tree of a trace, and what is printed to standard error or
// given to the default logger and to otel's error handler.
type Outlets struct {
	tb     testing.TB
	runner *worker.Runner
	page   *taskz.Page
	stderr *os.File
	tree   syncBuffer

	mu      sync.Mutex
	reports strings.Builder
	runs    map[string]bool // whose pages were read
}

// NewOutlets opens those of a runner, whose spans go to the provider, until the test ends.
func NewOutlets(tb testing.TB, runner *worker.Runner, provider *sdktrace.TracerProvider) *Outlets {
	tb.Helper()
	stderr, err := os.Create(filepath.Join(tb.TempDir(), "stderr"))
	if err != nil {
		tb.Fatal(err)
	}
	o := &Outlets{tb: tb, runner: runner, page: taskz.New(runner), stderr: stderr, runs: make(map[string]bool)}
	stop := runner.Watch(func(_ context.Context, r worker.Report) { o.report(r) })
	branches := tree.New(&o.tree, tree.WithColumns(1<<10))
	provider.RegisterSpanProcessor(branches)
	own, logger, handler := os.Stderr, slog.Default(), otel.GetErrorHandler()
	flags, writer := log.Flags(), log.Writer()
	os.Stderr = stderr
	slog.SetDefault(slog.New(slog.NewTextHandler(stderr, nil)))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { fmt.Fprintln(stderr, err) }))
	tb.Cleanup(func() {
		otel.SetErrorHandler(handler)
		slog.SetDefault(logger)
		log.SetFlags(flags)
		log.SetOutput(writer)
		os.Stderr = own
		provider.UnregisterSpanProcessor(branches)
		stop()
		if err := o.page.Close(); err != nil {
			tb.Errorf("closing the page: %v", err)
		}
		if err := stderr.Close(); err != nil {
			tb.Errorf("closing standard error: %v", err)
		}
	})
	return o
}

func (o *Outlets) report(r worker.Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(&o.reports, "report %s\n%+v\n", r, r)
}

// Look keeps what is seen of the tasks that run now.
func (o *Outlets) Look() {
	for _, r := range o.runner.Running() {
		o.report(r)
	}
	text := o.view("view=running", "json") + o.view("view=running", "text")
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reports.WriteString(text)
}

var runLink = regexp.MustCompile(`\brun=[0-9]+`)

// Take returns all that was seen since the last call. The page of each run is read in
// one of its forms, by turns.
func (o *Outlets) Take() string {
	o.tb.Helper()
	var b strings.Builder
	b.WriteString(o.view("view=recent", "html"))
	b.WriteString(o.view("view=statements", "json"))
	o.mu.Lock()
	for _, run := range runLink.FindAllString(b.String(), -1) {
		if !o.runs[run] {
			o.runs[run] = true
			b.WriteString(o.view(run, []string{"html", "json", "text"}[len(o.runs)%3]))
		}
	}
	b.WriteString(o.reports.String())
	o.reports.Reset()
	o.mu.Unlock()
	o.tree.mu.Lock()
	fmt.Fprintf(&b, "tree %s\n", o.tree.buf.String())
	o.tree.buf.Reset()
	o.tree.mu.Unlock()
	printed, err := os.ReadFile(o.stderr.Name())
	if err != nil {
		o.tb.Errorf("reading standard error: %v", err)
	}
	fmt.Fprintf(&b, "standard error %s\n", printed)
	return b.String()
}

// view returns a view of the page.
func (o *Outlets) view(query, format string) string {
	w := httptest.NewRecorder()
	o.page.ServeHTTP(w, httptest.NewRequestWithContext(o.tb.Context(), http.MethodGet, "/?"+query+"&format="+format, nil))
	if w.Code != http.StatusOK {
		o.tb.Errorf("the page %s is %d", query, w.Code)
	}
	return fmt.Sprintf("page %s %s: %s\n", query, format, w.Body.String())
}

// CheckUTF8 reports what is not valid UTF-8: it makes an exporter drop a batch.
func CheckUTF8(tb testing.TB, where, exported string) {
	tb.Helper()
	for line := range strings.Lines(exported) {
		if !utf8.ValidString(line) {
			tb.Errorf("%s: not UTF-8: %q", where, line)
			return
		}
	}
}
