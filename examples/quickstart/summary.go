package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Package worker's telemetry on the span of a task: attributes, and an event for
// each finding.
const (
	taskNameKey   = attribute.Key("worker.task.name")
	taskResultKey = attribute.Key("worker.task.result")
	taskDBTimeKey = attribute.Key("worker.task.db.duration")

	findingEvent    = "worker.finding"
	findingKindKey  = attribute.Key("worker.finding.kind")
	findingCountKey = attribute.Key("worker.finding.count")
)

// foldedCountKey is how many operations a span of package otdb stands for.
const foldedCountKey = attribute.Key("otdb.folded.count")

var _ sdktrace.SpanProcessor = (*summary)(nil)

// summary is a span processor that keeps one line for each task: the table at
// the end is made of nothing but spans.
type summary struct {
	mu         sync.Mutex
	tasks      []taskLine
	statements map[trace.SpanID]int // of tasks that have not ended yet, by their span
}

// taskLine is a task in the table.
type taskLine struct {
	name, result string
	start        time.Time
	duration     time.Duration
	statements   int
	dbTime       time.Duration
	errorType    string
	status       string
	findings     []string
}

func newSummary() *summary {
	return &summary{statements: make(map[trace.SpanID]int)}
}

// OnStart implements sdktrace.SpanProcessor.
func (s *summary) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (s *summary) OnEnd(span sdktrace.ReadOnlySpan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	attributes := attribute.NewSet(span.Attributes()...)
	if folded, ok := attributes.Value(foldedCountKey); ok {
		if !attributes.HasValue(semconv.DBOperationNameKey) {
			s.statements[span.Parent().SpanID()] += int(folded.AsInt64())
		}
		return
	}
	if attributes.HasValue(semconv.DBQueryTextKey) && !attributes.HasValue(semconv.DBOperationNameKey) {
		s.statements[span.Parent().SpanID()]++
		return
	}
	name, ok := attributes.Value(taskNameKey)
	if !ok {
		return
	}
	id := span.SpanContext().SpanID()
	line := taskLine{
		name:       name.AsString(),
		start:      span.StartTime(),
		duration:   span.EndTime().Sub(span.StartTime()),
		statements: s.statements[id],
	}
	if result, ok := attributes.Value(taskResultKey); ok {
		line.result = result.AsString()
	}
	if seconds, ok := attributes.Value(taskDBTimeKey); ok {
		line.dbTime = time.Duration(seconds.AsFloat64() * float64(time.Second))
	}
	if kind, ok := attributes.Value(semconv.ErrorTypeKey); ok {
		line.errorType = kind.AsString()
	}
	if status := span.Status(); status.Code == codes.Error {
		line.status = status.Description
	}
	for _, event := range span.Events() {
		if event.Name == findingEvent {
			line.findings = append(line.findings, findingText(event))
		}
	}
	delete(s.statements, id)
	s.tasks = append(s.tasks, line)
}

// findingText describes a finding.
func findingText(event sdktrace.Event) string {
	found := attribute.NewSet(event.Attributes...)
	kind, _ := found.Value(findingKindKey)
	count, _ := found.Value(findingCountKey)
	statement, _ := found.Value(semconv.DBQuerySummaryKey)
	return fmt.Sprintf("%s: %s ×%d", kind.AsString(), statement.AsString(), count.AsInt64())
}

// Shutdown implements sdktrace.SpanProcessor.
func (s *summary) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (s *summary) ForceFlush(context.Context) error { return nil }

func (s *summary) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tasks) == 0
}

// print writes the table, and below it what was found in the tasks and the
// errors that they ended with.
func (s *summary) print(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.tasks, func(a, b taskLine) int { return a.start.Compare(b.start) })
	width := len("task")
	for _, t := range s.tasks {
		width = max(width, len(t.name))
	}
	fmt.Fprintf(w, "%-*s  %-12s %9s %11s %12s %6s\n", width, "task", "result", "time", "statements", "in database", "share")
	for _, t := range s.tasks {
		fmt.Fprintf(w, "%-*s  %-12s %9s %11d %12s %5.0f%%\n", width,
			t.name, t.result, short(t.duration), t.statements, short(t.dbTime), 100*share(t.dbTime, t.duration))
	}
	fmt.Fprintln(w)
	for _, t := range s.tasks {
		for _, finding := range t.findings {
			fmt.Fprintf(w, "%s: %s\n", t.name, finding)
		}
		if t.errorType != "" {
			fmt.Fprintf(w, "%s: %s: %s\n", t.name, t.errorType, t.status)
		}
	}
}

func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// units are what short writes a duration in, largest first.
var units = []struct {
	name string
	unit time.Duration
}{{"s", time.Second}, {"ms", time.Millisecond}, {"µs", time.Microsecond}, {"ns", time.Nanosecond}}

// short writes a duration with three digits, in the unit that suits it.
func short(d time.Duration) string {
	for _, u := range units {
		if d < u.unit {
			continue
		}
		value := float64(d) / float64(u.unit)
		digits := 2
		if value >= 100 || u.unit == time.Nanosecond {
			digits = 0
		} else if value >= 10 {
			digits = 1
		}
		return strconv.FormatFloat(value, 'f', digits, 64) + " " + u.name
	}
	return "0 s"
}
