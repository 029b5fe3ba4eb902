package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	"go.yaml.in/yaml/v3"

	"github.com/taskspan/taskspan/metrics"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// shown is what a scenario shows.
type shown struct {
	alerts   []string           // that fire within an hour; all others are silent
	finding  worker.FindingKind // is at the line of the scenario's comment
	report   []string           // is in the text of a report
	running  []string           // is in that of a task that runs, after an hour
	exported map[string]float64 // series, without labels of their scope, at the end
}

var wanted = map[string]shown{
	"pool": {
		alerts:  []string{"DatabasePoolExhausted load", "TaskStuck load.hold", "TaskStuck load.victim"},
		finding: worker.FindingConnectionWait,
		report:  []string{"load.victim: success after 55m0s", "55m0s waiting for connections"},
		running: []string{"load.victim: running for 55m0s"},
		exported: map[string]float64{
			`worker_task_db_wait_seconds_sum{worker_task_name="load.victim"}`:                                  3300,
			`otdb_connection_wait_duration_seconds_total{}`:                                                    3300,
			`otdb_connection_waits_total{}`:                                                                    1,
			`worker_task_findings_total{worker_finding_kind="connection_wait",worker_task_name="load.victim"}`: 1,
			`worker_task_duration_seconds_sum{worker_task_name="load.victim",worker_task_result="success"}`:    3300,
			`worker_task_duration_seconds_count{worker_task_name="load.hold",worker_task_result="success"}`:    connections,
			`db_client_connection_count{db_client_connection_state="used"}`:                                    0,
			`db_client_connection_max{}`:                                                                       connections,
		},
	},
	"leaked-transaction": {
		alerts:  []string{"TaskLeaksTransactions load.leak"},
		finding: worker.FindingTransactionLeaked,
		report:  []string{"load.leak: success", "transaction_leaked 1×", ": SELECT count(*) FROM orders", "held: transaction"},
		exported: map[string]float64{
			`worker_task_findings_total{worker_finding_kind="transaction_leaked",worker_task_name="load.leak"}`: 2,
			`otdb_transaction_duration_seconds_count{otdb_transaction_outcome="rollback"}`:                      2,
			`otdb_transaction_duration_seconds_sum{otdb_transaction_outcome="rollback"}`:                        6600,
		},
	},
	"idle-transaction": {
		alerts:  []string{"TaskLeaksTransactions load.idle"},
		finding: worker.FindingTransactionIdle,
		report:  []string{"load.idle: success after 15s", "transaction_idle 1×, longest 15s", "UPDATE orders SET customer = ? WHERE id = ?"},
		exported: map[string]float64{
			`worker_task_findings_total{worker_finding_kind="transaction_idle",worker_task_name="load.idle"}`: 1,
			`otdb_transaction_duration_seconds_sum{otdb_transaction_outcome="commit"}`:                        15,
		},
	},
	"repeated-statement": {
		alerts:  []string{"TaskRepeatsStatements load.row_by_row"},
		finding: worker.FindingRepeatedStatement,
		report:  []string{"load.row_by_row: success", "repeated_statement 25×", "SELECT * FROM `orders` WHERE id = ?"},
		exported: map[string]float64{
			`worker_task_findings_total{worker_finding_kind="repeated_statement",worker_task_name="load.row_by_row"}`: 1,
			`worker_task_db_operations_sum{worker_task_name="load.row_by_row"}`:                                       25,
			"db_client_operation_duration_seconds_count{db_query_summary=\"SELECT `orders`\"}":                        25,
		},
	},
	"retry-storm": {
		alerts: []string{"TaskRetrying load.job"},
		report: []string{"load.job, attempt 2 of 3: retry", "error: the carrier is busy", "load.job, attempt 3 of 3: success"},
		exported: map[string]float64{
			`worker_task_duration_seconds_count{error_type="*errors.errorString",worker_task_name="load.job",worker_task_result="retry"}`: 24,
			`worker_task_duration_seconds_count{worker_task_name="load.job",worker_task_result="success"}`:                                12,
		},
	},
	"one-retry": {
		exported: map[string]float64{
			`worker_task_duration_seconds_count{error_type="*errors.errorString",worker_task_name="load.job",worker_task_result="retry"}`: 12,
			`worker_task_duration_seconds_count{worker_task_name="load.job",worker_task_result="success"}`:                                12,
		},
	},
	"first-failure": {
		alerts: []string{"TaskFailing load.nightly"},
		report: []string{"load.nightly: failure", "error: constraint (1555)", "INSERT INTO orders VALUES (?, ?)"},
		exported: map[string]float64{
			`worker_task_duration_seconds_count{error_type="1555",worker_task_name="load.nightly",worker_task_result="failure"}`: 1,
		},
	},
	"never": {
		alerts: []string{"TaskNotSucceeding load.nightly"},
		exported: map[string]float64{
			`worker_task_schedule_interval_seconds{worker_task_name="load.nightly"}`:        1800,
			`worker_task_schedule_start_timestamp_seconds{worker_task_name="load.nightly"}`: 0,
		},
	},
	"standby": {}, // with nightly on the other replica
	"nightly": {
		exported: map[string]float64{
			`worker_task_last_success_timestamp_seconds{worker_task_name="load.nightly"}`: 45 * 60,
		},
	},
	"once": {
		exported: map[string]float64{
			`worker_task_duration_seconds_count{worker_task_name="load.once",worker_task_result="success"}`: 1,
		},
	},
	"stuck": {
		alerts:  []string{"TaskStuck load.stuck"},
		finding: worker.FindingSlowStatement,
		report:  []string{"load.stuck: success after 55m0s", "slow_statement 1×, longest 55m0s"},
		running: []string{"load.stuck: running for 55m0s", "now: for 55m0s in SELECT stall() FROM orders LIMIT ?"},
		exported: map[string]float64{
			`worker_task_findings_total{worker_finding_kind="slow_statement",worker_task_name="load.stuck"}`: 1,
			`worker_task_db_duration_seconds_sum{worker_task_name="load.stuck"}`:                             3300,
		},
	},
}

// TestScenarios: each trouble is shown by an alert, a finding with its line, a report
// and figures that are exact; and nothing else is shown.
func TestScenarios(t *testing.T) {
	for _, p := range scenarios {
		if p.name == "crash" {
			continue // see TestCrash
		}
		t.Run(p.name, func(t *testing.T) {
			want := wanted[p.name]
			r := perform(t, p)
			all := []*performance{r}
			if p.name == "standby" {
				nightly, _ := find("nightly")
				all = append(all, perform(t, nightly))
			}
			if want.finding != "" {
				r.wantFinding(t, want.finding, p.name)
			}
			for _, text := range want.report {
				if !strings.Contains(strings.Join(r.reports, "\n"), text) {
					t.Errorf("no report says %q:\n%s", text, strings.Join(r.reports, "\n"))
				}
			}
			for _, text := range want.running {
				if !strings.Contains(strings.Join(r.running, "\n"), text) {
					t.Errorf("no report of a task that runs says %q:\n%s", text, strings.Join(r.running, "\n"))
				}
			}
			for series, value := range want.exported {
				if got, ok := r.last[series]; !ok || got != value {
					t.Errorf("%s is %v, want %v\n%s", series, got, value, strings.Join(slices.Sorted(maps.Keys(r.last)), "\n"))
				}
			}
			firing(t, want.alerts, all...)
		})
	}
}

// performance is what was seen of a scenario.
type performance struct {
	findings []worker.Finding
	reports  []string             // of tasks that have ended
	running  []string             // of those that had not when it was over
	scrapes  []map[string]float64 // one a minute
	last     map[string]float64   // after the end, without labels of their scope
}

const (
	calm  = 5  // minutes before a scenario is played
	hours = 60 // minutes in all
)

// perform plays a scenario, while Prometheus scrapes what it exports, for an hour.
func perform(t *testing.T, p scenario) *performance {
	t.Helper()
	dir := t.TempDir()
	seen := new(performance)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m, err := metrics.New()
		check(t, err)
		defer func() { check(t, m.Shutdown(context.WithoutCancel(ctx))) }()
		runner, err := worker.New(append([]worker.Option{
			worker.WithMeterProvider(m), worker.WithTracerProvider(noop.NewTracerProvider()), worker.WithLogger(slog.New(slog.DiscardHandler)),
		}, p.options...)...)
		check(t, err)
		var mu sync.Mutex
		runner.Watch(func(_ context.Context, r worker.Report) {
			mu.Lock()
			defer mu.Unlock()
			seen.findings = append(seen.findings, r.Findings...)
			seen.reports = append(seen.reports, r.String())
		})
		s, err := newScene(ctx, dir, ctx.Done(), runner, otdb.WithMeterProvider(m), otdb.WithTracerProvider(noop.NewTracerProvider()))
		check(t, err)
		defer func() { check(t, s.db.Close()) }()

		base := time.Now()
		var played sync.WaitGroup
		for minute := range hours + 1 {
			if minute == calm {
				played.Go(func() {
					if err := p.play(ctx, s); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
			seen.scrapes = append(seen.scrapes, scraped(t, m.Handler(), base))
			if minute < hours {
				time.Sleep(time.Minute)
			}
		}
		for _, r := range runner.Running() {
			seen.running = append(seen.running, r.String())
		}
		cancel()
		played.Wait()
		seen.last = make(map[string]float64)
		for series, value := range scraped(t, m.Handler(), base) {
			if !strings.Contains(series, "_bucket{") {
				seen.last[strings.ReplaceAll(scope.ReplaceAllString(series, ""), ",}", "}")] += value
			}
		}
		check(t, runner.Drain(context.WithoutCancel(ctx)))
	})
	return seen
}

// scope matches labels that do not matter here.
var scope = regexp.MustCompile(`\b(?:otel_scope_\w+|db_system_name|db_namespace|db_client_connection_pool_name)="[^"]*",?`)

// ours matches the series of Taskspan. Of their buckets, rules ask for the tasks' alone.
var ours = regexp.MustCompile(`^(?:db|otdb|worker)_\w+(?:_count|_sum|_total|_max|_active|_seconds)\{|^worker_task_duration_seconds_bucket\{`)

// scraped returns the series of Taskspan, and times as seconds since base.
func scraped(t *testing.T, h http.Handler, base time.Time) map[string]float64 {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	all := make(map[string]float64)
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		if !ours.MatchString(lines.Text()) {
			continue
		}
		i := strings.LastIndexByte(lines.Text(), ' ')
		value, err := strconv.ParseFloat(lines.Text()[i+1:], 64)
		check(t, err)
		series := lines.Text()[:i]
		if strings.Contains(series, "_timestamp_seconds{") {
			value -= float64(base.Unix())
		}
		all[series] = value
	}
	return all
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantFinding checks that the last finding of a kind is where a comment is.
func (p *performance) wantFinding(t *testing.T, kind worker.FindingKind, comment string) {
	t.Helper()
	line := lineOf(t, comment)
	for _, f := range slices.Backward(p.findings) {
		if f.Kind != kind {
			continue
		}
		if got := filepath.Base(f.Location.String()); got != "scenario.go:"+line {
			t.Errorf("%s is at %s, want line %s", kind, f.Location, line)
		}
		return
	}
	t.Errorf("there is no %s", kind)
}

// lineOf returns the line of the code that a comment marks.
func lineOf(t *testing.T, comment string) string {
	t.Helper()
	source, err := os.ReadFile("scenario.go")
	check(t, err)
	before, _, ok := strings.Cut(string(source), "// here: "+comment)
	if !ok {
		t.Fatalf("no line is that of %s", comment)
	}
	return strconv.Itoa(1 + strings.Count(before, "\n"))
}

// firing checks which alerts fire within the hour, with the rules of the stack and what
// the instances of a program have exported.
func firing(t *testing.T, want []string, instances ...*performance) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("TASKSPAN_STACK_CHECK") != "" {
			t.Fatal("there is no promtool: run examples/stack/check")
		}
		t.Skip("there is no promtool; examples/stack/check installs it")
	}
	type series struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	type sample struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
	var input []series
	for i, p := range instances {
		names := make(map[string]bool)
		for _, s := range p.scrapes {
			for name := range s {
				names[name] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			var values []string
			for _, s := range p.scrapes {
				v, ok := s[name]
				switch {
				case ok:
					values = append(values, strconv.FormatFloat(v, 'g', -1, 64))
				case len(values) > 0 && values[len(values)-1] != "_" && values[len(values)-1] != "stale":
					values = append(values, "stale")
				default:
					values = append(values, "_")
				}
			}
			labelled := strings.Replace(name, "{", fmt.Sprintf(`{job="load",instance="load-%d",`, i), 1)
			input = append(input, series{labelled, strings.Join(values, " ")})
		}
	}
	samples := []sample{}
	for _, a := range want {
		alert, subject, _ := strings.Cut(a, " ")
		label := "worker_task_name"
		if strings.HasPrefix(alert, "Database") {
			label = "db_client_connection_pool_name"
		}
		samples = append(samples, sample{fmt.Sprintf("{alertname=%q, %s=%q}", alert, label, subject), 1})
	}
	rules, err := filepath.Abs("../prometheus/rules.yml")
	check(t, err)
	text, err := yaml.Marshal(map[string]any{
		"rule_files":          []string{rules},
		"evaluation_interval": "1m",
		"tests": []any{map[string]any{
			"interval": "1m", "input_series": input,
			"promql_expr_test": []any{map[string]any{
				"expr":      `count by (alertname, worker_task_name, db_client_connection_pool_name) (max_over_time(ALERTS{alertstate="firing"}[2h]))`,
				"eval_time": fmt.Sprint(hours, "m"), "exp_samples": samples,
			}},
		}},
	})
	check(t, err)
	file := filepath.Join(t.TempDir(), "test.yml")
	check(t, os.WriteFile(file, text, 0o600))
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", file).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, bytes.TrimSpace(out))
	}
}
