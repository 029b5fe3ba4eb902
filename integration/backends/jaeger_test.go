package backends

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// jaegerLimit bounds how long it may take until a trace can be asked for.
const jaegerLimit = time.Minute

// jaeger is a Jaeger with the configuration of the stack.
type jaeger struct {
	api, otlp string // addresses
}

// jaegerTrace is what its API answers.
type jaegerTrace struct {
	TraceID string
	Spans   []jaegerSpan
}

type jaegerSpan struct {
	SpanID, OperationName string
	References            []struct{ RefType, SpanID string }
	Tags                  []jaegerTag
	Logs                  []struct{ Fields []jaegerTag }
}

type jaegerTag struct {
	Key   string
	Value any
}

func (s jaegerSpan) tag(key string) any {
	for _, t := range s.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return nil
}

// children returns the names of a trace's spans, by the name of their parent.
func (t jaegerTrace) children() map[string][]string {
	names := make(map[string]string)
	for _, s := range t.Spans {
		names[s.SpanID] = s.OperationName
	}
	children := make(map[string][]string)
	for _, s := range t.Spans {
		parent := ""
		if len(s.References) > 0 {
			parent = cmp.Or(names[s.References[0].SpanID], "?")
		}
		children[parent] = append(children[parent], s.OperationName)
	}
	for _, c := range children {
		slices.Sort(c)
	}
	return children
}

// startJaeger runs a Jaeger. It is not run where nobody has built one, which takes
// longer than all other tests: `make jaeger` does.
func startJaeger(t *testing.T) *jaeger {
	t.Helper()
	t.Attr("needs", "make jaeger")
	binary := os.Getenv("TASKSPAN_JAEGER")
	if binary == "" {
		fmt.Fprintf(os.Stderr, "*** %s IS SKIPPED: make jaeger builds what it needs, and runs it\n", t.Name())
		t.Skip("needs a Jaeger: make jaeger")
	}
	directory := t.TempDir()
	j := &jaeger{api: freeAddress(t), otlp: freeAddress(t)}
	config, err := os.ReadFile("../../examples/stack/jaeger/jaeger.yml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/badger/", directory+"/", "0.0.0.0:16686", j.api, "0.0.0.0:4317", j.otlp).Replace(string(config))
	if strings.Contains(text, "0.0.0.0") || !strings.Contains(text, j.api) || !strings.Contains(text, directory) {
		t.Fatalf("the configuration of the stack is not as expected:\n%s", config)
	}
	file := filepath.Join(directory, "jaeger.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.Command(binary, "--config="+file, "--set=service.telemetry.metrics.level=none", "--set=extensions.jaeger_query.grpc.endpoint="+freeAddress(t))
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Env = append(os.Environ(), "OTEL_TRACES_SAMPLER=always_off") // it has traces of its own
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("jaeger: %v\n%s", err, &output)
		}
	})
	await(t, "an answer of Jaeger", func() bool { return j.get(t, "/api/services", nil, &[]string{}) })
	return j
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	late := time.After(jaegerLimit)
	for !so() {
		select {
		case <-ticks.C:
		case <-late:
			t.Fatalf("%s has not come in %v", what, jaegerLimit)
		}
	}
}

// get asks the API. It reports false while there is no answer yet.
func (j *jaeger) get(t *testing.T, path string, query url.Values, data any) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+j.api+path+"?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false
	}
	answer := struct{ Data any }{data}
	return json.NewDecoder(res.Body).Decode(&answer) == nil
}

// trace returns the newest trace of a service with such an operation and such tags,
// once it has so many spans.
func (j *jaeger) trace(t *testing.T, service, operation, tags string, spans int) (found jaegerTrace) {
	t.Helper()
	query := url.Values{"service": {service}, "operation": {operation}, "limit": {"1"}}
	if tags != "" {
		query.Set("tags", tags)
	}
	await(t, "the trace of "+operation, func() bool {
		var all []jaegerTrace
		if !j.get(t, "/api/traces", query, &all) || len(all) == 0 || len(all[0].Spans) < spans {
			return false
		}
		found = all[0]
		return true
	})
	return found
}

// start starts a program of the examples that exports to the Jaeger.
func (j *jaeger) start(t *testing.T, name string, args ...string) (cmd *exec.Cmd, output *bytes.Buffer) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(name))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./"+name)
	build.Dir = "../../examples"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	cmd.Dir = build.Dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") })
	cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir(), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://"+j.otlp, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc")
	output = new(bytes.Buffer)
	cmd.Stderr = output
	return cmd, output
}

// A Jaeger that is not ours answers what the documentation and the dashboards ask it.
func TestJaeger(t *testing.T) {
	j := startJaeger(t)
	t.Run("quickstart", func(t *testing.T) { quickstartInJaeger(t, j) })
	t.Run("http", func(t *testing.T) { httpInJaeger(t, j) })
	t.Run("crash", func(t *testing.T) { crashInJaeger(t, j) })
}

func quickstartInJaeger(t *testing.T, j *jaeger) {
	cmd, output := j.start(t, "quickstart")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	const service, task, statement = "taskspan-quickstart", "quickstart.resolve_naive", "SELECT quickstart_packages"
	trace := j.trace(t, service, task, "", 100)
	below := trace.children()[task]
	if n := len(below); n < 100 || !slices.Contains(below, "SELECT quickstart_imports") {
		t.Errorf("%d spans below the task", n)
	}
	for _, s := range trace.Spans {
		if s.OperationName != task {
			continue
		}
		if s.tag("worker.task.result") != "success" || s.tag("worker.task.findings") != float64(1) {
			t.Errorf("the task's tags are %v", s.Tags)
		}
		if len(s.Logs) != 1 || !strings.Contains(fmt.Sprint(s.Logs[0]), "repeated_statement") || !strings.Contains(fmt.Sprint(s.Logs[0]), "tasks.go") {
			t.Errorf("the finding and its file are not among %v", s.Logs)
		}
	}
	// The link of the dashboard: spans that stand for many statements are internal.
	folded := j.trace(t, service, statement, `{"span.kind":"internal"}`, 100)
	if !slices.ContainsFunc(folded.Spans, func(s jaegerSpan) bool {
		n, _ := s.tag("otdb.folded.count").(float64)
		return s.OperationName == statement && n > 100
	}) {
		t.Error("no span stands for many statements")
	}
	failed := j.trace(t, service, "quickstart.insert_twice", `{"error":"true","error.type":"2067"}`, 2)
	if !slices.Contains(failed.children()["quickstart.insert_twice"], "INSERT quickstart_packages") {
		t.Errorf("the failed task has %v", failed.children())
	}
}

func httpInJaeger(t *testing.T, j *jaeger) {
	cmd, output := j.start(t, "http", "-addr", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	for _, request := range []struct{ path, body string }{{"/products/tea", `{"stock": 3}`}, {"/orders/1", `{"product": "tea", "quantity": 2}`}} {
		if err != nil {
			break
		}
		var r *http.Request
		if r, err = http.NewRequestWithContext(t.Context(), http.MethodPut, address+request.path, strings.NewReader(request.body)); err == nil {
			var res *http.Response
			if res, err = (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r); err == nil {
				_ = res.Body.Close()
			}
		}
	}
	_ = cmd.Process.Signal(os.Interrupt)
	if wait := cmd.Wait(); wait != nil || err != nil {
		t.Fatalf("%v, %v\n%s", err, wait, output)
	}
	// The request, its task with its statements, and the task in the background.
	got := j.trace(t, "taskspan-http", "orders.place", "", 8).children()
	want := map[string][]string{
		"":                 {"PUT /orders/{id}"},
		"PUT /orders/{id}": {"orders.confirm", "orders.place"},
		"orders.place":     {"BEGIN", "COMMIT", "INSERT shop_orders", "UPDATE shop_products"},
		"orders.confirm":   {"UPDATE shop_orders"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the trace of an order is %v, want %v", got, want)
	}
}

func crashInJaeger(t *testing.T, j *jaeger) {
	cmd, output := j.start(t, "stack/load", "-addr", "127.0.0.1:0", "-scenario", "crash")
	if err := cmd.Run(); err == nil || !strings.Contains(output.String(), "panic: ") {
		t.Fatalf("it did not crash: %v\n%s", err, output)
	}
	trace := j.trace(t, "taskspan-load", "load.outer", `{"worker.task.result":"panic"}`, 2)
	if got := fmt.Sprint(trace.children()); got != "map[:[load.outer] load.outer:[load.inner]]" {
		t.Errorf("the trace is %s", got)
	}
	for _, s := range trace.Spans {
		if s.tag("error") != true || s.tag("worker.task.result") != "panic" {
			t.Errorf("the tags of %s are %v", s.OperationName, s.Tags)
		}
		if s.OperationName == "load.inner" && !strings.Contains(fmt.Sprint(s.Logs), "scenario.go:") {
			t.Errorf("the line of the panic is not among %v", s.Logs)
		}
	}
}
