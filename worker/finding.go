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

// The values of worker.finding.kind.
const (
	findingRepeatedStatement = "repeated_statement"
	findingRowsLeaked        = "rows_leaked"
	findingSlowStatement     = "slow_statement"
)

// findingEvent is the name of the span event of a finding.
const findingEvent = "worker.finding"

// maxFindings is how many findings of one kind a task reports: those of the
// statements that ran most often, or for the longest time.
const maxFindings = 16

// finding is something that a task should not do to its databases. There is
// one for all statements of one summary.
type finding struct {
	kind    string
	summary string
	count   int64         // statements
	rows    int64         // rows_leaked: rows read until then
	slowest time.Duration // slow_statement: the longest of them
}

// account is what a task's ledger came to.
type account struct {
	ledger.Totals
	findings []finding
}

// closeLedger ends the task for its ledger.
func (t *task) closeLedger(a *account) {
	defer guard("closing a task's ledger")
	l := &t.ledger
	limits := l.Limits()
	var leaks []ledger.Leak
	a.Totals, leaks = l.Settle()
	if n := limits.RepeatedStatements; n > 0 && a.Statements >= n {
		for _, s := range first(l.TakeRepeated(n)) {
			a.findings = append(a.findings, finding{kind: findingRepeatedStatement, summary: s.Summary, count: s.Count})
		}
	}
	if len(leaks) > 0 {
		a.findings = append(a.findings, first(leakFindings(leaks))...)
	}
	if limits.SlowStatements > 0 {
		for _, s := range first(l.Slow()) {
			a.findings = append(a.findings, finding{kind: findingSlowStatement, summary: s.Summary, count: s.Count, slowest: s.Slowest})
		}
	}
}

func first[T any](s []T) []T { return s[:min(len(s), maxFindings)] }

// leakFindings puts the leaks of one summary together, the most frequent first.
func leakFindings(leaks []ledger.Leak) []finding {
	var out []finding
	at := make(map[string]int)
	for _, l := range leaks {
		i, ok := at[l.Summary]
		if !ok {
			i = len(out)
			at[l.Summary] = i
			out = append(out, finding{kind: findingRowsLeaked, summary: l.Summary})
		}
		out[i].count++
		out[i].rows += l.Rows
	}
	slices.SortStableFunc(out, func(a, b finding) int { return cmp.Compare(b.count, a.count) })
	return out
}

// reportFinding puts a finding onto the span and into the log.
func (t *task) reportFinding(f *finding, recording bool) {
	if recording {
		kv := []attribute.KeyValue{keyFindingKind.String(f.kind), keyFindingCount.Int64(f.count)}
		if f.summary != "" {
			kv = append(kv, semconv.DBQuerySummary(f.summary))
		}
		switch f.kind {
		case findingRowsLeaked:
			kv = append(kv, keyFindingRows.Int64(f.rows))
		case findingSlowStatement:
			kv = append(kv, keyFindingSlowest.Float64(f.slowest.Seconds()))
		}
		t.span.AddEvent(findingEvent, trace.WithAttributes(kv...))
	}
	attrs := []slog.Attr{slog.String(string(keyFindingKind), f.kind), slog.Int64(string(keyFindingCount), f.count)}
	if f.summary != "" {
		attrs = append(attrs, slog.String(string(semconv.DBQuerySummaryKey), f.summary))
	}
	switch f.kind {
	case findingRowsLeaked:
		attrs = append(attrs, slog.Int64(string(keyFindingRows), f.rows))
	case findingSlowStatement:
		attrs = append(attrs, slog.Float64(string(keyFindingSlowest), f.slowest.Seconds()))
	}
	t.log(slog.LevelWarn, "task finding", attrs)
}

// options returns the options of an addition to worker.task.findings.
func (f *finding) options(k *name) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(k.kv, keyFindingKind.String(f.kind)))}
}
