package main

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// collector receives what a process exports by OTLP over HTTP.
type collector struct {
	mu      sync.Mutex
	spans   []string           // names and results
	logs    []string           // texts and stacks
	metrics map[string]float64 // runs of tasks, as Prometheus names them
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := c.receive(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (c *collector) receive(r *http.Request) error {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			return err
		}
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.URL.Path {
	case "/v1/traces":
		var request coltrace.ExportTraceServiceRequest
		err = proto.Unmarshal(data, &request)
		for _, rs := range request.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					if result := value(s.GetAttributes(), "worker.task.result"); result != "" {
						c.spans = append(c.spans, s.GetName()+" "+result)
					}
				}
			}
		}
	case "/v1/logs":
		var request collogs.ExportLogsServiceRequest
		err = proto.Unmarshal(data, &request)
		for _, rl := range request.GetResourceLogs() {
			for _, sl := range rl.GetScopeLogs() {
				for _, l := range sl.GetLogRecords() {
					c.logs = append(c.logs, l.GetBody().GetStringValue()+"\n"+value(l.GetAttributes(), "exception.stacktrace"))
				}
			}
		}
	case "/v1/metrics":
		var request colmetrics.ExportMetricsServiceRequest
		err = proto.Unmarshal(data, &request)
		for _, rm := range request.GetResourceMetrics() {
			for _, sm := range rm.GetScopeMetrics() {
				for _, m := range sm.GetMetrics() {
					if m.GetName() != "worker.task.duration" {
						continue
					}
					for _, p := range m.GetHistogram().GetDataPoints() {
						var labels []string
						for _, kv := range p.GetAttributes() {
							labels = append(labels, strings.ReplaceAll(kv.GetKey(), ".", "_")+`="`+kv.GetValue().GetStringValue()+`"`)
						}
						slices.Sort(labels)
						c.metrics["worker_task_duration_seconds_count{"+strings.Join(labels, ",")+"}"] = float64(p.GetCount())
					}
				}
			}
		}
	}
	return err
}

func value(attributes []*common.KeyValue, key string) string {
	for _, kv := range attributes {
		if kv.GetKey() == key {
			return kv.GetValue().GetStringValue()
		}
	}
	return ""
}

// TestCrash: a process that a panic ends has exported before that what is asked
// afterwards: which tasks ended so, where, and series for which the alert fires though
// no more come. Prometheus cannot scrape them: the process is gone.
func TestCrash(t *testing.T) {
	c := &collector{metrics: make(map[string]float64)}
	server := httptest.NewUnstartedServer(c)
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-addr", "127.0.0.1:0", "-scenario", "crash")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") })
	cmd.Env = append(cmd.Env, asProgram+"=1", "TMPDIR="+t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: ") {
		t.Fatalf("it did not crash: %v\n%s", err, out)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if want := []string{"load.schema success", "load.inner panic", "load.outer panic"}; !slices.Equal(c.spans, want) {
		t.Errorf("spans %q, want %q", c.spans, want)
	}
	if at := "scenario.go:" + lineOf(t, "crash"); len(c.logs) != 1 || !strings.HasPrefix(c.logs[0], "task failed\n") || !strings.Contains(c.logs[0], at) {
		t.Errorf("the log should have one record, with the line %s: %q", at, c.logs)
	}
	for name, want := range map[string]float64{
		`worker_task_duration_seconds_count{error_type="runtime.errorString",worker_task_name="load.inner",worker_task_result="panic"}`: 1,
		`worker_task_duration_seconds_count{error_type="runtime.errorString",worker_task_name="load.outer",worker_task_result="panic"}`: 1,
	} {
		if got := c.metrics[name]; got != want {
			t.Errorf("%s is %v, want %v: %v", name, got, want, c.metrics)
		}
	}
	pushed := new(performance)
	for minute := range hours + 1 {
		if minute == calm {
			pushed.scrapes = append(pushed.scrapes, c.metrics)
		} else {
			pushed.scrapes = append(pushed.scrapes, nil)
		}
	}
	firing(t, []string{"TaskFailing load.inner", "TaskFailing load.outer"}, pushed)
}
