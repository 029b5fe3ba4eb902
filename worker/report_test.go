package worker

import (
	"context"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/ledger"
)

// aQuery is an entry of a statement of its own text.
func aQuery(summary string, rows int64, d time.Duration, failed bool) ledger.Entry {
	text := textOf(summary)
	text.SQL = summary + " WHERE id = ?"
	return ledger.Entry{Text: text, Rows: rows, Duration: d, Failed: failed}
}

// work leaves something in each field of a report.
func work(ctx context.Context) {
	l := ledger.FromContext(ctx)
	for range 20 {
		l.Record(aQuery("SELECT packages", 2, time.Millisecond, false))
	}
	l.Record(aQuery("SELECT imports", 1, 2*time.Second, true))
	l.Record(ledger.Entry{Duration: time.Millisecond})
	Progress(ctx, 3, 20)
}

var workDB = DBReport{
	Operations: 22, Errors: 1, Rows: 41, Duration: 2021 * time.Millisecond,
	Statements: []StatementReport{
		{Summary: "SELECT imports", Text: "SELECT imports WHERE id = ?", Count: 1, Errors: 1, Rows: 1, Total: 2 * time.Second, Slowest: 2 * time.Second},
		{Summary: "SELECT packages", Text: "SELECT packages WHERE id = ?", Count: 20, Rows: 40, Total: 20 * time.Millisecond, Slowest: time.Millisecond},
	},
}

var workFindings = []Finding{
	{Kind: FindingRepeatedStatement, Summary: "SELECT packages", Text: "SELECT packages WHERE id = ?", Count: 20},
	{Kind: FindingSlowStatement, Summary: "SELECT imports", Text: "SELECT imports WHERE id = ?", Count: 1, Slowest: 2 * time.Second},
}

// takeSpan checks that the report has a span, and takes that off, whose identifiers
// are random, and the locations in this file.
func takeSpan(t *testing.T, r Report) Report {
	t.Helper()
	if !r.Span.IsValid() {
		t.Errorf("the report of %s has no span", r.Name)
	}
	r.Span = r.Span.WithTraceID([16]byte{}).WithSpanID([8]byte{}).WithTraceFlags(0)
	r = r.clone()
	for i := range r.Findings {
		if l := &r.Findings[i].Location; filepath.Base(l.File) == "report_test.go" {
			*l = Location{}
		}
	}
	return r
}

// A report of a running task says what is known so far, and Watch is told all of
// it.
func TestReport(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithSlowStatements(time.Second))
		var told []Report
		stop := b.runner.Watch(func(ctx context.Context, r Report) {
			if _, ok := CurrentReport(ctx); ok {
				t.Error("a task that has ended has a current report")
			}
			if got := b.runner.Running(); len(got) != 0 {
				t.Errorf("a task that has ended is running: %v", got)
			}
			told = append(told, takeSpan(t, r))
		})
		start := time.Now()
		err := b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
			time.Sleep(took)
			work(ctx)
			got, ok := CurrentReport(ctx)
			want := Report{
				Name: "load", ID: "17", Attempt: 2, Start: start, Duration: took, Done: 3, Total: 20,
				DB: workDB, Findings: workFindings,
			}
			if !ok {
				t.Error("no report")
			}
			wantEqual(t, "report so far", takeSpan(t, got), want)
			running := b.runner.Running()
			if len(running) != 1 {
				t.Fatalf("%d tasks are running", len(running))
			}
			wantEqual(t, "running", running[0], got)
			time.Sleep(took)
			return errBoom
		}, WithID("17"), WithAttempt(2))
		if err != errBoom {
			t.Fatal(err)
		}
		want := Report{
			Name: "load", ID: "17", Attempt: 2, Start: start, Duration: 2 * took, Done: 3, Total: 20,
			Result: ResultFailure, Error: "boom", ErrorType: "*errors.errorString", ErrorKind: errs.KindOther,
			DB: workDB, Findings: workFindings,
		}
		wantEqual(t, "reports", told, []Report{want})
		wantEqual(t, "text", told[0].String(), strings.Join([]string{
			"load 17, attempt 2: failure after 60ms",
			"  error: boom",
			"  progress: 3 of 20",
			"  databases: 22 operations, 1 error, 41 rows, 2.021s in drivers",
			"         1×        2s  slowest 2s        SELECT imports WHERE id = ?",
			"        20×      20ms  slowest 1ms       SELECT packages WHERE id = ?",
			"  finding: repeated_statement 20×: SELECT packages WHERE id = ?",
			"  finding: slow_statement 1×, longest 2s: SELECT imports WHERE id = ?",
		}, "\n"))
		stop()
		stop()
		_ = b.runner.Run(t.Context(), "load", nothing)
		if len(told) != 1 {
			t.Error("told after the end")
		}
	})
}

// Every result has its name, and what is known of the error.
func TestReportResults(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithRecoverPanics())
		var got Report
		defer b.runner.Watch(func(_ context.Context, r Report) { got = r })()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		for _, tc := range []struct {
			ctx  context.Context
			run  func(context.Context) error
			want Report
		}{
			{t.Context(), nothing, Report{Result: ResultSuccess}},
			{t.Context(), func(context.Context) error { return errBoom }, Report{Result: ResultFailure, Error: "boom", ErrorType: "*errors.errorString", ErrorKind: errs.KindOther}},
			{t.Context(), func(context.Context) error { panic(errBoom) }, Report{Result: ResultPanic, Error: "panic (*errors.errorString): boom", ErrorType: "*errors.errorString", ErrorKind: errs.KindPanic}},
			{ctx, func(ctx context.Context) error { return ctx.Err() }, Report{Result: ResultCancellation}},
			{late, func(ctx context.Context) error { return ctx.Err() }, Report{Result: ResultTimeout, Error: "context deadline exceeded", ErrorType: "context.DeadlineExceeded", ErrorKind: errs.KindTimeout}},
			{t.Context(), func(context.Context) error { return Skip(nil) }, Report{Result: ResultSkip}},
			{t.Context(), func(context.Context) error { return tryAgain{} }, Report{Result: ResultFailure, Error: "try again", ErrorType: "again", ErrorKind: errs.KindOther, Retryable: true}},
		} {
			_ = b.runner.Run(tc.ctx, "load", tc.run)
			tc.want.Name, tc.want.Start = "load", got.Start
			got = takeSpan(t, got)
			wantEqual(t, string(tc.want.Result), got, tc.want)
		}
	})
}

type tryAgain struct{}

func (tryAgain) Error() string { return "try again" }
func (tryAgain) ErrorClass() errs.Class {
	return errs.Class{Kind: errs.KindOther, Type: "again", Retryable: true}
}

// Without a task there is no report and no progress.
func TestNoReport(t *testing.T) {
	for _, ctx := range []context.Context{nil, t.Context()} {
		if r, ok := CurrentReport(ctx); ok || !reflect.DeepEqual(r, Report{}) {
			t.Errorf("%v", r)
		}
		Progress(ctx, 1, 2)
	}
	defer SetDefault(nil)
	SetDefault(newBackend(t).runner)
	for _, r := range []*Runner{nil, {}} {
		if got := r.Running(); len(got) != 0 {
			t.Errorf("%v", got)
		}
		r.Watch(nil)()
		called := 0
		stop := r.Watch(func(context.Context, Report) { called++ })
		_ = Run(t.Context(), "load", nothing)
		stop()
		if called != 1 {
			t.Errorf("called %d times", called)
		}
	}
}

// Nested tasks have reports of their own, and those around them have all of it.
func TestReportNested(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		var told []string
		defer b.runner.Watch(func(_ context.Context, r Report) { told = append(told, r.Name) })()
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			ledger.FromContext(ctx).Record(aQuery("SELECT a", 1, 1, false))
			time.Sleep(took)
			return b.runner.Run(ctx, "inner", func(inner context.Context) error {
				time.Sleep(took)
				ledger.FromContext(inner).Record(aQuery("SELECT b", 1, 1, false))
				Progress(inner, 1, 1)
				for ctx, want := range map[context.Context]Report{
					ctx:   {Name: "outer", DB: DBReport{Operations: 2}},
					inner: {Name: "inner", Done: 1, Total: 1, DB: DBReport{Operations: 1}},
				} {
					got, _ := CurrentReport(ctx)
					wantEqual(t, want.Name, Report{Name: got.Name, Done: got.Done, Total: got.Total, DB: DBReport{Operations: got.DB.Operations}}, want)
				}
				var names []string
				for _, r := range b.runner.Running() {
					names = append(names, r.Name)
				}
				wantEqual(t, "running", names, []string{"outer", "inner"})
				return nil
			})
		})
		wantEqual(t, "told", told, []string{"inner", "outer"})
	})
}

// A function that panics, exits, runs tasks, or watches others, disturbs nobody.
func TestWatchHostile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		other := b.newRunner()
		var told []Report
		defer b.runner.Watch(func(context.Context, Report) { panic("watcher") })()
		defer b.runner.Watch(func(ctx context.Context, r Report) {
			clear(r.DB.Statements)
			if r.Name == "load" {
				_ = b.runner.Run(ctx, "within", nothing)
			}
			var stop func()
			stop = other.Watch(func(context.Context, Report) { stop() })
			_ = other.Run(ctx, "other", nothing)
		})()
		defer b.runner.Watch(func(_ context.Context, r Report) { told = append(told, r) })()
		_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
			ledger.FromContext(ctx).Record(aQuery("SELECT a", 1, 1, false))
			return nil
		})
		if len(told) != 2 || told[1].Name != "load" || told[1].DB.Statements[0].Summary != "SELECT a" {
			t.Errorf("%v", told)
		}
		fault := "worker: a function given to Watch panicked with a string"
		b.WantHandled(fault, fault)
		if other.watchers.Load() != nil {
			t.Error("somebody still watches")
		}
	})
}

// Reports may be asked for while tasks run, begin and end, from everywhere.
func TestReportsConcurrently(t *testing.T) {
	b := newBackend(t, WithStillRunning(time.Nanosecond))
	var mu sync.Mutex
	told := make(map[Result]int)
	defer b.runner.Watch(func(_ context.Context, r Report) {
		mu.Lock()
		defer mu.Unlock()
		told[r.Result]++
	})()
	const workers, runs = 4, 50
	var tasks, watchers sync.WaitGroup
	over := make(chan struct{})
	for range 2 {
		watchers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				for _, r := range b.runner.Running() {
					_ = r.String()
				}
				b.runner.Watch(func(context.Context, Report) {})()
			}
		})
	}
	for range workers {
		tasks.Go(func() {
			for range runs {
				_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
					work(ctx)
					return b.runner.Run(ctx, "inner", func(ctx context.Context) error {
						work(ctx)
						if _, ok := CurrentReport(ctx); !ok {
							t.Error("no report")
						}
						return errBoom
					})
				})
			}
		})
	}
	tasks.Wait()
	close(over)
	watchers.Wait()
	wantEqual(t, "told", told, map[Result]int{ResultFailure: 2 * workers * runs})
	if err := b.runner.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// A task that runs for long is logged at d, 2d, 4d, …, by one timer.
func TestStillRunning(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithStillRunning(10*time.Second), WithRepeatedStatements(0), WithSlowStatements(0))
		var want []record
		at := func(seconds float64, name string, attrs kv) {
			attrs["worker.task.name"], attrs["worker.task.age"] = name, seconds
			for _, key := range []attribute.Key{"worker.task.db.operations", "worker.task.db.held", "worker.task.db.in_progress"} {
				if attrs[key] == nil {
					attrs[key] = int64(0)
				}
			}
			want = append(want, record{slog.LevelWarn, "task still running", name, attrs})
		}
		first := Go(t.Context(), "first", func(ctx context.Context) (int, error) {
			time.Sleep(15 * time.Second)
			work(ctx)
			time.Sleep(30 * time.Second)
			return 0, nil
		}, WithRunner(b.runner), WithID("17"))
		_ = b.runner.Run(t.Context(), "quick", func(context.Context) error { time.Sleep(4 * time.Second); return nil })
		second := Go(t.Context(), "second", func(context.Context) (int, error) { time.Sleep(9 * time.Second); return 0, nil }, WithRunner(b.runner))
		_, _ = first.Wait()
		_, _ = second.Wait()
		at(10, "first", kv{"worker.task.id": "17"})
		at(20, "first", kv{"worker.task.id": "17", "worker.task.db.operations": int64(22), "worker.task.progress.done": int64(3), "worker.task.progress.total": int64(20)})
		at(40, "first", kv{"worker.task.id": "17", "worker.task.db.operations": int64(22), "worker.task.progress.done": int64(3), "worker.task.progress.total": int64(20)})
		b.wantLog(want...)

		// Nothing runs: no timer does.
		time.Sleep(time.Hour)
		synctest.Wait()
		if due := b.runner.lookout.due.Load(); due != 0 {
			t.Errorf("the next look is at %v", time.Duration(due))
		}
		if err := b.runner.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStillRunningOff(t *testing.T) {
	b := newBackend(t)
	_ = b.runner.Run(t.Context(), "load", nothing)
	if b.runner.lookout.timer != nil {
		t.Error("there is a timer")
	}
	if _, err := New(WithStillRunning(-1)); err == nil {
		t.Error("a negative duration is no mistake")
	}
	if c := newConfig([]Option{WithStillRunning(1<<63 - 1)}); c.stillRunning <= 0 || 2*c.stillRunning <= 0 {
		t.Errorf("%v", c.stillRunning)
	}
}

// The text of a report is bounded, and one line for each thing.
func TestReportText(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := Report{
		Name: "load", Attempt: 1, MaxAttempts: 5, Start: start, Duration: time.Minute, Done: 7,
		DB: DBReport{
			Operations: 1, Rows: 1, Duration: 1234567, Wait: 1500 * time.Millisecond,
			InProgress: []OperationReport{{Summary: "SELECT a", Text: "SELECT\n  " + strings.Repeat("é", 60), Since: start.Add(50 * time.Second)}, {Summary: "BEGIN", Since: start}},
			Held: []HeldReport{
				{Kind: HeldTransaction, Summary: "UPDATE a", Since: start.Add(30 * time.Second), Idle: 20 * time.Second},
				{Kind: HeldRows, Since: start},
			},
		},
	}
	for range 12 {
		r.Findings = append(r.Findings, Finding{
			Kind: FindingRowsLeaked, Summary: "SELECT a", Count: 2, Rows: 3, Location: Location{File: "/src/load.go", Line: 12, Function: "main.load"},
		})
	}
	r.Findings[0] = Finding{Kind: "connection_wait", Pool: "db:5432/shop", Count: 2, Slowest: time.Second}
	got := strings.Split(r.String(), "\n")
	want := []string{
		"load, attempt 1 of 5: running for 1m0s",
		"  progress: 7",
		"  databases: 1 operation, 0 errors, 1 row, 1.235ms in drivers, 1.5s waiting for connections",
		"  now: for 10s in SELECT " + strings.Repeat("é", 46) + "…",
		"  now: for 1m0s in BEGIN",
		"  held: transaction, for 30s (20s of it idle): UPDATE a",
		"  held: rows, for 1m0s",
		"  findings: the first 10 of 12",
		"  finding: connection_wait db:5432/shop 2×, longest 1s",
		"  finding: rows_leaked 2×, 3 rows read, at /src/load.go:12: SELECT a",
	}
	wantEqual(t, "text", got[:len(want)], want)
	if len(got) != len(want)+8 {
		t.Errorf("%d lines", len(got))
	}
	if s := (Report{Name: "load", Result: ResultSuccess}).String(); s != "load: success after 0s" {
		t.Error(s)
	}
}
