package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// required is the variable with which a missing Prometheus is a failure.
const required = "TASKSPAN_STACK_CHECK"

// liveTimeout bounds how long it may take until every panel shows something.
const liveTimeout = 80 * time.Second

// TestLive: every expression of every panel, and every rule, finds something in
// a real Prometheus that scrapes a real worker.
func TestLive(t *testing.T) {
	prometheusPath, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv(required) != "" {
			t.Fatal("there is no prometheus: run examples/stack/check")
		}
		t.Skip("there is no prometheus; examples/stack/check installs it")
	}
	dir := t.TempDir()
	load := filepath.Join(dir, "load")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", load, "../load")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), liveTimeout)
	defer cancel()
	target, listen := address(t), address(t)
	rulesFile, err := filepath.Abs("../prometheus/rules.yml")
	check(t, err)
	config := filepath.Join(dir, "prometheus.yml")
	check(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: load
    static_configs: [{targets: [%q]}]
`, rulesFile, target), 0o644))
	start(t, sink(t), load, "-addr", target, "-interval", "100ms")
	start(t, "", prometheusPath, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+listen, "--enable-feature=exemplar-storage", "--log.level=error")

	p := &server{url: "http://" + listen}
	empty := make(map[string]string) // by panel and query, the expression
	for _, d := range boards(t) {
		for _, pan := range d.Panels {
			for _, q := range pan.Targets {
				empty[d.Title+": "+pan.Title+" "+q.RefID] = expand(q.Expr)
			}
		}
	}
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				empty["rule "+r.Record] = r.Record
			}
		}
	}
	checked := len(empty)
	exemplars := map[string]bool{"worker_task_duration_seconds_bucket": true, "db_client_operation_duration_seconds_bucket": true}

	ticks := time.NewTicker(500 * time.Millisecond)
	defer ticks.Stop()
	for len(empty) > 0 || len(exemplars) > 0 {
		select {
		case <-ctx.Done():
			for _, name := range slices.Sorted(maps.Keys(empty)) {
				t.Errorf("%s is empty: %s", name, empty[name])
			}
			for name := range exemplars {
				t.Errorf("%s has no exemplars", name)
			}
			return
		case <-ticks.C:
		}
		for name, expr := range empty {
			found, err := p.finds(ctx, expr)
			if err != nil {
				t.Fatalf("%s: %v in %s", name, err, expr)
			}
			if found {
				delete(empty, name)
			}
		}
		for name := range exemplars {
			if p.hasExemplar(ctx, name) {
				delete(exemplars, name)
			}
		}
	}
	for name, err := range p.rules(ctx, t) {
		if err != "" {
			t.Errorf("rule %s: %s", name, err)
		}
	}
	t.Logf("%d expressions found something", checked)

	// What it means to be empty is noticed too.
	if found, err := p.finds(ctx, `worker_task_active{worker_task_name="nobody"}`); err != nil || found {
		t.Errorf("a series that is not there is found (%v)", err)
	}
	if _, err := p.finds(ctx, `rate(`); err == nil {
		t.Error("an expression that is none is no error")
	}
}

// expand puts values in the place of a dashboard's variables.
func expand(expr string) string {
	for _, name := range []string{"job", "instance", "task", "system", "namespace", "statement", "pool"} {
		expr = strings.ReplaceAll(expr, `"$`+name+`"`, `".*"`)
	}
	return strings.NewReplacer("$__rate_interval", "10s", "$__range", "1m").Replace(expr)
}

// address returns an address of this machine that is free.
func address(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

// sink returns where traces are sent to by OTLP, for nobody to look at: without
// traces there are no exemplars.
func sink(t *testing.T) (endpoint string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(s.Close)
	return "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + s.URL + "/v1/traces"
}

// start starts a program with one more variable, and ends it with the test.
func start(t *testing.T, variable, path string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") })
	if variable != "" {
		cmd.Env = append(cmd.Env, variable)
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	check(t, cmd.Start())
	t.Cleanup(func() {
		check(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(path), err, &output)
		}
	})
}

// server is a Prometheus.
type server struct{ url string }

// get asks the server, and decodes the data of its answer. A server that does
// not answer yet has no data.
func (s *server) get(ctx context.Context, path string, query url.Values, data any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil //nolint:nilerr // it is still starting
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode == http.StatusServiceUnavailable {
		return err
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("the server says %q", answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// finds reports whether an expression has a sample that is a number.
func (s *server) finds(ctx context.Context, expr string) (bool, error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := s.get(ctx, "/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return false, err
	}
	for _, r := range data.Result {
		if text, ok := r.Value[1].(string); ok {
			if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) {
				return true, nil
			}
		}
	}
	return false, nil
}

// hasExemplar reports whether a metric has one that leads to a trace.
func (s *server) hasExemplar(ctx context.Context, name string) bool {
	var data []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	now := time.Now()
	err := s.get(ctx, "/api/v1/query_exemplars", url.Values{
		"query": {name}, "start": {strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix()+1, 10)},
	}, &data)
	if err != nil {
		return false
	}
	for _, series := range data {
		for _, e := range series.Exemplars {
			if e.Labels["trace_id"] != "" {
				return true
			}
		}
	}
	return false
}

// rules returns the rules, with the errors of their last evaluation.
func (s *server) rules(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	check(t, s.get(ctx, "/api/v1/rules", nil, &data))
	all := make(map[string]string)
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			all[r.Name] = r.LastError
			if r.Health != "ok" && r.LastError == "" {
				all[r.Name] = "its health is " + r.Health
			}
		}
	}
	if len(all) == 0 {
		t.Error("the server has no rules")
	}
	return all
}
