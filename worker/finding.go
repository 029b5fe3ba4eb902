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
// for each kind and text, or pool.
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
	// One text ran as often as WithRepeatedStatements allows, or more often.
	FindingRepeatedStatement FindingKind = "repeated_statement"
	// A statement took as long as WithSlowStatements sets, or longer.
	FindingSlowStatement FindingKind = "slow_statement"
	// Rows were open when the outermost task ended.
	FindingRowsLeaked FindingKind = "rows_leaked"
	// A transaction was open when the outermost task ended.
	FindingTransactionLeaked FindingKind = "transaction_leaked"
	// No operation of a transaction was open for as long as WithIdleTransactions
	// sets, or longer.
	FindingTransactionIdle FindingKind = "transaction_idle"
	// The task waited a second or more for the connections of a pool.
	FindingConnectionWait FindingKind = "connection_wait"
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
	if a.Totals == (ledger.Totals{}) && len(leaks) == 0 {
		return
	}
	var repeated []ledger.Repetition
	if n := l.Limits().RepeatedStatements; n > 0 && a.Statements >= n {
		repeated = l.TakeRepeated(n)
	}
	var waits []ledger.Wait
	if a.Wait >= ledger.LongWait {
		waits = l.TakeLongWaits()
	}
	a.findings = t.findings(repeated, waits, leaks)
}

// found returns what a running task has done so far.
func (t *task) found() []Finding {
	var repeated []ledger.Repetition
	if n := t.ledger.Limits().RepeatedStatements; n > 0 {
		repeated = t.ledger.Repeated(n)
	}
	return t.findings(repeated, t.ledger.LongWaits(), nil)
}

// findings returns the findings of a task.
func (t *task) findings(repeated []ledger.Repetition, waits []ledger.Wait, leaks []ledger.Leak) (out []Finding) {
	for _, s := range first(repeated) {
		out = append(out, Finding{Kind: FindingRepeatedStatement, Summary: s.Summary, Text: s.SQL, Count: s.Count, Location: locate(s.Site)})
	}
	if len(leaks) > 0 {
		out = append(out, leakFindings(leaks)...)
	}
	for _, s := range first(t.ledger.Slow()) {
		out = append(out, Finding{Kind: FindingSlowStatement, Summary: s.Summary, Text: s.SQL, Count: s.Count, Slowest: s.Slowest, Location: locate(s.Site)})
	}
	for _, x := range first(t.ledger.Idle()) {
		out = append(out, Finding{Kind: FindingTransactionIdle, Summary: x.Summary, Text: x.SQL, Count: x.Count, Slowest: x.Longest, Location: locate(x.Site)})
	}
	for _, w := range first(waits) {
		out = append(out, Finding{Kind: FindingConnectionWait, Pool: w.Pool, Count: w.Count, Slowest: w.Longest, Location: locate(w.Site)})
	}
	return out
}

func first[T any](s []T) []T { return s[:min(len(s), maxFindings)] }

// leakFindings puts the leaks of one kind and text together, the most frequent
// first.
func leakFindings(leaks []ledger.Leak) []Finding {
	type key struct {
		transaction bool
		hash        uint64
		summary     string // of an operation without a text
	}
	var rows, transactions []Finding
	at := make(map[key]int)
	for i := range leaks {
		l := &leaks[i]
		list, kind := &rows, FindingRowsLeaked
		if l.Transaction {
			list, kind = &transactions, FindingTransactionLeaked
		}
		k := key{l.Transaction, l.Hash, l.Summary}
		i, ok := at[k]
		if !ok {
			i = len(*list)
			at[k] = i
			*list = append(*list, Finding{Kind: kind, Summary: l.Summary, Text: l.SQL})
		}
		f := &(*list)[i]
		f.Count++
		f.Rows += l.Rows
		if f.Location == (Location{}) {
			f.Location = locate(l.Site)
		}
	}
	most := func(a, b Finding) int { return cmp.Compare(b.Count, a.Count) }
	slices.SortStableFunc(rows, most)
	slices.SortStableFunc(transactions, most)
	return append(first(rows), first(transactions)...)
}

// attributes returns the finding as the attributes of an event.
func (f *Finding) attributes() []attribute.KeyValue {
	kv := make([]attribute.KeyValue, 0, 10)
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
	case FindingSlowStatement, FindingTransactionIdle, FindingConnectionWait:
		kv = append(kv, keyFindingSlowest.Float64(f.Slowest.Seconds()))
	}
	if f.Pool != "" {
		kv = append(kv, semconv.DBClientConnectionPoolName(f.Pool))
	}
	return f.Location.attributes(kv)
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
