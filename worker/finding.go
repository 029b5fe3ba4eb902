package worker

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
)

// Finding is something that a task should not do to its databases. There is one
// for all statements with one text, or for all waits for one pool.
type Finding struct {
	Kind    FindingKind
	Summary string // db.query.summary
	Text    string // the sanitised text, where one is known
	Count   int64  // how often it happened: statements, result sets, transactions, waits
	Rows    int64  // rows_leaked: rows read until then
	// Slowest is the longest of them: inside the driver (slow_statement), idle
	// (transaction_idle), or waiting (connection_wait).
	Slowest  time.Duration
	Pool     string   // connection_wait: the pool's name
	Location Location // where in the code, if that is known
}

// FindingKind is a value of the attribute worker.finding.kind.
type FindingKind string

// The values of [FindingKind].
const (
	FindingRepeatedStatement FindingKind = "repeated_statement"
	FindingRowsLeaked        FindingKind = "rows_leaked"
	FindingSlowStatement     FindingKind = "slow_statement"
)

// findingEvent is the name of the span event of a finding.
const findingEvent = "worker.finding"

// maxFindings is how many findings of one kind a task reports: those of the
// statements that ran most often, or for the longest time.
const maxFindings = 16

// account is what a task's ledger came to.
type account struct {
	ledger.Totals
	open     ledger.Snapshot // before the end, if somebody watches
	findings []Finding
}

// closeLedger ends the task for its ledger.
func (t *task) closeLedger(a *account) {
	defer scope.Guard("a task's ledger")
	l := &t.ledger
	var leaks []ledger.Leak
	a.Totals, leaks = l.Settle()
	var repeated []ledger.Repetition
	if n := l.Limits().RepeatedStatements; n > 0 && a.Statements >= n {
		repeated = l.TakeRepeated(n)
	}
	a.findings = t.findings(repeated, leaks)
}

// found returns what a running task has done so far.
func (t *task) found() []Finding {
	var repeated []ledger.Repetition
	if n := t.ledger.Limits().RepeatedStatements; n > 0 {
		repeated = t.ledger.Repeated(n)
	}
	return t.findings(repeated, nil)
}

// findings returns the findings of a task.
func (t *task) findings(repeated []ledger.Repetition, leaks []ledger.Leak) (out []Finding) {
	for _, s := range first(repeated) {
		out = append(out, Finding{Kind: FindingRepeatedStatement, Summary: s.Summary, Text: s.SQL, Count: s.Count})
	}
	if len(leaks) > 0 {
		out = append(out, first(leakFindings(leaks))...)
	}
	if t.ledger.Limits().SlowStatements > 0 {
		for _, s := range first(t.ledger.Slow()) {
			out = append(out, Finding{Kind: FindingSlowStatement, Summary: s.Summary, Text: s.SQL, Count: s.Count, Slowest: s.Slowest})
		}
	}
	return out
}

func first[T any](s []T) []T { return s[:min(len(s), maxFindings)] }

// leakFindings puts the leaks of one summary together, the most frequent first.
func leakFindings(leaks []ledger.Leak) []Finding {
	var out []Finding
	at := make(map[string]int)
	for _, l := range leaks {
		i, ok := at[l.Summary]
		if !ok {
			i = len(out)
			at[l.Summary] = i
			out = append(out, Finding{Kind: FindingRowsLeaked, Summary: l.Summary})
		}
		out[i].Count++
		out[i].Rows += l.Rows
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(b.Count, a.Count) })
	return out
}

// attributes returns the finding as the attributes of an event.
func (f *Finding) attributes() []attribute.KeyValue {
	kv := make([]attribute.KeyValue, 0, 6)
	kv = append(kv, keyFindingKind.String(string(f.Kind)), keyFindingCount.Int64(f.Count))
	if f.Summary != "" {
		kv = append(kv, semconv.DBQuerySummary(f.Summary))
	}
	if f.Text != "" {
		kv = append(kv, semconv.DBQueryText(f.Text))
	}
	switch f.Kind {
	case FindingRowsLeaked:
		kv = append(kv, keyFindingRows.Int64(f.Rows))
	case FindingSlowStatement:
		kv = append(kv, keyFindingSlowest.Float64(f.Slowest.Seconds()))
	}
	return kv
}

// reportFinding puts a finding onto the span and into the log.
func (t *task) reportFinding(f *Finding, recording bool) {
	kv := f.attributes()
	if recording {
		t.span.AddEvent(findingEvent, trace.WithAttributes(kv...))
	}
	t.log(slog.LevelWarn, "task finding", logAttributes(kv))
}

// logAttributes returns attributes as a log record has them.
func logAttributes(kv []attribute.KeyValue) []slog.Attr {
	attrs := make([]slog.Attr, len(kv))
	for i, a := range kv {
		attrs[i] = slog.Any(string(a.Key), a.Value.AsInterface())
	}
	return attrs
}

// options returns the options of an addition to worker.task.findings.
func (f *Finding) options(k *name) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(k.kv, keyFindingKind.String(string(f.Kind))))}
}
