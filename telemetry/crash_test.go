package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/taskspan/taskspan/worker"
)

// crashEndpoint is where the process exports to that crashes.
const crashEndpoint = "TASKSPAN_CRASH_ENDPOINT"

// TestCrash: with the documented set-up alone, a panic in a task on a goroutine of
// its own, nested in another task, ends the process, and before that the traces, the
// metrics and the logs of both tasks have arrived.
func TestCrash(t *testing.T) {
	if endpoint := os.Getenv(crashEndpoint); endpoint != "" {
		crash(t, endpoint)
	}
	c := newCollector(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), crashEndpoint+"="+c.URL)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "panic: ") || !strings.Contains(string(out), "telemetry.fall(") {
		t.Fatalf("it did not crash: %v\n%s", err, out)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	var spans, logs, measured []string
	for _, s := range c.spans {
		spans = append(spans, s.item.GetName()+" "+attributesOf(s.item.GetAttributes())["worker.task.result"])
	}
	for _, l := range c.logs {
		logs = append(logs, l.item.GetBody().GetStringValue()+" "+attributesOf(l.item.GetAttributes())["worker.task.name"])
	}
	for _, m := range c.metrics {
		if m.item.GetName() != "worker.task.duration" {
			continue
		}
		for _, p := range m.item.GetHistogram().GetDataPoints() {
			kv := attributesOf(p.GetAttributes())
			measured = append(measured, kv["worker.task.name"]+" "+kv["worker.task.result"])
		}
	}
	slices.Sort(measured)
	for what, is := range map[string]struct{ got, want []string }{
		"spans": {spans, []string{"inner panic", "outer panic"}},
		"logs":  {logs, []string{"the outer one works ", "the inner one works ", "task failed inner"}},
		// The inner one is exported again with the outer one: a metric is cumulative.
		"metrics": {slices.Compact(measured), []string{"inner panic", "outer panic"}},
	} {
		if !slices.Equal(is.got, is.want) {
			t.Errorf("%s: %q, want %q\n%s", what, is.got, is.want, out)
		}
	}
}

// crash is the process that crashes.
func crash(t *testing.T, endpoint string) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	if _, err := Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	slog.SetDefault(slog.New(NewLogHandler(slog.NewTextHandler(os.Stderr, nil))))
	_ = worker.Run(t.Context(), "outer", func(ctx context.Context) error {
		slog.InfoContext(ctx, "the outer one works")
		_, err := worker.Go(ctx, "inner", func(ctx context.Context) (int, error) {
			slog.InfoContext(ctx, "the inner one works")
			return fall(0)
		}).Wait()
		return err
	})
	t.Fatal("the panic did not go on")
}

//go:noinline
func fall(n int) (int, error) { return 1 / n, nil }
