package worker

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxReportLines is how many statements, findings and so on the text of a
	// report lists of each.
	maxReportLines = 10
	// maxReportText is how many bytes of a statement's text a line shows.
	maxReportText = 100
)

// String returns the report as some lines of text, for a terminal, a log or a
// failed test.
func (r Report) String() string {
	var b strings.Builder
	b.WriteString(r.Name)
	if r.ID != "" {
		b.WriteString(" " + r.ID)
	}
	switch {
	case r.MaxAttempts > 0:
		fmt.Fprintf(&b, ", attempt %d of %d", r.Attempt, r.MaxAttempts)
	case r.Attempt > 0:
		fmt.Fprintf(&b, ", attempt %d", r.Attempt)
	}
	if r.Result == "" {
		fmt.Fprintf(&b, ": running for %s", brief(r.Duration))
	} else {
		fmt.Fprintf(&b, ": %s after %s", r.Result, brief(r.Duration))
	}
	if r.ErrorType != "" {
		line(&b, "error", oneLine(r.Error))
		if r.Retryable {
			b.WriteString(" (retryable)")
		}
	}
	switch {
	case r.Total > 0:
		line(&b, "progress", fmt.Sprintf("%d of %d", r.Done, r.Total))
	case r.Done > 0:
		line(&b, "progress", strconv.FormatInt(r.Done, 10))
	}
	r.writeDB(&b)
	for i := range listed(&b, "findings", len(r.Findings)) {
		line(&b, "finding", r.Findings[i].String())
	}
	if r.Span.IsValid() {
		line(&b, "trace", r.Span.TraceID().String())
	}
	return b.String()
}

func (r *Report) writeDB(b *strings.Builder) {
	db, end := &r.DB, r.end()
	if db.Operations == 0 && db.Wait == 0 && len(db.InProgress) == 0 && len(db.Held) == 0 {
		return
	}
	line(b, "databases", fmt.Sprintf("%s, %s, %s, %s in drivers",
		plural(db.Operations, "operation"), plural(db.Errors, "error"), plural(db.Rows, "row"), brief(db.Duration)))
	if db.Wait > 0 {
		fmt.Fprintf(b, ", %s waiting for connections", brief(db.Wait))
	}
	for i := range listed(b, "statements", len(db.Statements)) {
		s := &db.Statements[i]
		fmt.Fprintf(b, "\n    %6d× %9s  slowest %-9s %s", s.Count, brief(s.Total), brief(s.Slowest), statementText(s.Summary, s.Text))
	}
	for i := range listed(b, "operations in progress", len(db.InProgress)) {
		op := &db.InProgress[i]
		line(b, "now", fmt.Sprintf("for %s in %s", brief(end.Sub(op.Since)), statementText(op.Summary, op.Text)))
	}
	for i := range listed(b, "connections held", len(db.Held)) {
		h := &db.Held[i]
		text := fmt.Sprintf("%s, for %s", h.Kind, brief(end.Sub(h.Since)))
		if h.Idle > 0 {
			text += fmt.Sprintf(" (%s of it idle)", brief(h.Idle))
		}
		if h.Summary != "" {
			text += ": " + h.Summary
		}
		line(b, "held", text)
	}
}

// end returns when the report was made or, if the task has ended, when it did.
func (r *Report) end() time.Time { return r.Start.Add(r.Duration) }

// String returns the finding as one line of text.
func (f *Finding) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.Pool != "" {
		b.WriteString(" " + f.Pool)
	}
	fmt.Fprintf(&b, " %d×", f.Count)
	if f.Slowest > 0 {
		fmt.Fprintf(&b, ", longest %s", brief(f.Slowest))
	}
	if f.Kind == FindingRowsLeaked {
		fmt.Fprintf(&b, ", %s read", plural(f.Rows, "row"))
	}
	if at := f.Location.String(); at != "" {
		b.WriteString(", at " + at)
	}
	if text := statementText(f.Summary, f.Text); text != "" {
		b.WriteString(": " + text)
	}
	return b.String()
}

func line(b *strings.Builder, what, text string) { fmt.Fprintf(b, "\n  %s: %s", what, text) }

// listed returns how many of n a report lists, and how many more there are of
// them.
func listed(b *strings.Builder, what string, n int) int {
	if n <= maxReportLines {
		return n
	}
	line(b, what, fmt.Sprintf("the first %d of %d", maxReportLines, n))
	return maxReportLines
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}

// statementText returns what a line shows of a statement.
func statementText(summary, text string) string {
	if text == "" {
		return summary
	}
	text = oneLine(text)
	if len(text) <= maxReportText {
		return text
	}
	cut := maxReportText
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// brief returns a duration to four digits or so.
func brief(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(time.Microsecond)
	}
	return d.String()
}
