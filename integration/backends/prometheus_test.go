package backends

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/telemetry/tree"
)

// program returns the path of an installed program. A build server has to have it.
func program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		tb.Fatalf("this test needs %s: %v", name, err)
	default:
		fmt.Fprintf(os.Stderr, "*** %s IS SKIPPED: it needs %s\n", tb.Name(), name)
		tb.Skipf("needs %s", name)
	}
	return path
}

// worked starts telemetry for Prometheus, runs tasks of different speed and
// luck, and returns the server of their metrics.
func worked(t *testing.T) *httptest.Server {
	t.Helper()
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	mux := http.NewServeMux()
	tel := start(t, telemetry.WithPrometheus(),
		telemetry.WithSpanProcessor(tree.New(&bytes.Buffer{}))) // for exemplars there have to be spans
	mux.Handle("/metrics", tel.MetricsHandler())
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.Close()
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := newService(t)
	for i := range 8 {
		if err := s.index(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := s.runner.Run(t.Context(), "flaky", func(context.Context) error {
			if i%4 == 0 {
				return errFailed
			}
			return nil
		})
		if (err != nil) != (i%4 == 0) {
			t.Fatal(err)
		}
	}
	err := s.runner.Run(t.Context(), "slow", func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO jobs (payload) SELECT MAX(i) FROM n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// startPrometheus runs a Prometheus that scrapes the target, and returns its address.
func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	binary := program(t, "prometheus")
	directory := t.TempDir()
	config := filepath.Join(directory, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil,
		"global: {scrape_interval: 1s}\nscrape_configs: [{job_name: worker, static_configs: [{targets: [%q]}]}]\n", target), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	var output bytes.Buffer
	cmd := exec.Command(binary, "--config.file="+config, "--web.listen-address="+address,
		"--storage.tsdb.path="+filepath.Join(directory, "data"), "--enable-feature=exemplar-storage", "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("prometheus: %v\n%s", err, &output)
		}
	})
	return "http://" + address
}

// sample is one element of an answer of Prometheus.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// ask asks Prometheus until it has an answer.
func ask[T any](t *testing.T, prometheus, path string, params url.Values, enough func([]T) bool) []T {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var body string
	for time.Now().Before(deadline) {
		var err error
		if _, body, err = get(client, prometheus+path+"?"+params.Encode()); err == nil {
			var answer struct {
				Status string
				Data   json.RawMessage
			}
			_ = json.Unmarshal([]byte(body), &answer)
			var list []T
			var vector struct{ Result []T }
			if json.Unmarshal(answer.Data, &list) != nil && json.Unmarshal(answer.Data, &vector) == nil {
				list = vector.Result
			}
			if enough(list) {
				return list
			}
		}
		<-tick.C
	}
	t.Fatalf("%s: %s", params, body)
	return nil
}

func query(t *testing.T, prometheus, promQL string) []sample {
	t.Helper()
	return ask(t, prometheus, "/api/v1/query", url.Values{"query": {promQL}}, func(s []sample) bool { return len(s) > 0 })
}

// A Prometheus that is not ours answers what an operator asks first: which task
// is the slowest, how often one fails, and which trace to look at.
func TestPrometheusAnswersWhichTaskIsSlowAndWhichFails(t *testing.T) {
	t.Attr("database", "SQLite")
	t.Attr("driver", "modernc.org/sqlite")
	t.Attr("verified", "Prometheus tells the slowest task, error ratios and exemplars")
	program(t, "prometheus")
	server := worked(t)
	prometheus := startPrometheus(t, strings.TrimPrefix(server.URL, "http://"))

	slowest := query(t, prometheus, `topk(1, sum by (worker_task_name) (worker_task_duration_seconds_sum) / sum by (worker_task_name) (worker_task_duration_seconds_count))`)
	if len(slowest) != 1 || slowest[0].Metric["worker_task_name"] != "slow" {
		t.Errorf("the slowest task is %v", slowest)
	}
	ratio := query(t, prometheus, `sum by (worker_task_name) (worker_task_duration_seconds_count{worker_task_result!="success"}) / sum by (worker_task_name) (worker_task_duration_seconds_count)`)
	if len(ratio) != 1 || ratio[0].Metric["worker_task_name"] != "flaky" || value(t, ratio[0]) != 0.25 {
		t.Errorf("the error ratios are %v", ratio)
	}
	statements := query(t, prometheus, `sum by (db_query_summary) (db_client_operation_duration_seconds_count{db_query_summary="INSERT jobs"})`)
	if len(statements) != 1 || value(t, statements[0]) != 8 {
		t.Errorf("the inserts are %v", statements)
	}
	type exemplars struct {
		SeriesLabels map[string]string
		Exemplars    []struct{ Labels map[string]string }
	}
	now := time.Now()
	found := ask(t, prometheus, "/api/v1/query_exemplars", url.Values{
		"query": {`worker_task_duration_seconds_bucket{worker_task_name="slow"}`},
		"start": {strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)}, "end": {strconv.FormatInt(now.Add(time.Hour).Unix(), 10)},
	}, func(e []exemplars) bool { return len(e) > 0 })
	if labels := found[0].Exemplars[0].Labels; len(labels["trace_id"]) != 32 || len(labels["span_id"]) != 16 {
		t.Errorf("the exemplar has the labels %v", labels)
	}
}

func value(t *testing.T, s sample) float64 {
	t.Helper()
	text, _ := s.Value[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// promtool finds nothing to complain about but the suffix of
// db_client_connection_count, which is the convention's.
func TestPromtoolComplainsOfNothingElse(t *testing.T) {
	t.Attr("database", "SQLite")
	t.Attr("driver", "modernc.org/sqlite")
	t.Attr("verified", "promtool check metrics")
	binary := program(t, "promtool")
	server := worked(t)
	_, body, err := get(server.Client(), server.URL+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range []string{"db_client_connection_count", "worker_task_duration_seconds", "otdb_connection_waits_total", "target_info"} {
		if !strings.Contains(body, metric) {
			t.Errorf("%s is not served", metric)
		}
	}
	cmd := exec.Command(binary, "check", "metrics")
	cmd.Stdin = strings.NewReader(body)
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(output)) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "db_client_connection_count non-histogram and non-summary metrics should not have \"_count\" suffix") {
			t.Errorf("promtool: %s", line)
		}
	}
}
