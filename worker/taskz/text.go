package taskz

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeText writes a view for a terminal.
func writeText(b *bytes.Buffer, v *view) error {
	if v.View == viewNone {
		b.WriteString("There is no such view or run. Try ?view=running, ?view=recent or ?view=statements.\n")
		return nil
	}
	fmt.Fprintf(b, "%s · %s, at %s, watching for %s\n\n", plain(v.Title), plain(v.Heading()), v.Now.Format("15:04:05"), v.Age())
	if v.View == viewRun {
		v.Run.writeText(b)
		return nil
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	switch v.View {
	case viewRunning:
		textRow(w, "RUN", "TASK", "ID", "AGE", "DOING NOW", "HOLDS", "OPERATIONS", "HOW FAR")
		for i := range v.Running {
			r := &v.Running[i]
			textRow(w, fmt.Sprint(r.Run), r.Task, strings.TrimSpace(r.ID+" "+r.Attempts()), r.Duration.String(),
				r.Doing().String(), r.holds(), number(r.Operations), r.far())
		}
	case viewRecent:
		textRow(w, "TASK", "RUNS", "FAILED", "P50", "P95", "IN DATABASE", "LAST RESULTS", "LAST FAILURE")
		for i := range v.Tasks {
			t := &v.Tasks[i]
			var marks strings.Builder
			for j := range t.Last {
				marks.WriteString(t.Last[j].Mark())
			}
			last := ""
			if t.Trouble != nil {
				last = fmt.Sprintf("%s ago: %s", t.Trouble.Ago, oneLine(t.Trouble.Error))
			}
			textRow(w, t.Task, number(t.Count), number(t.Failures), t.P50.String(), t.P95.String(), percent(t.Share, 1), marks.String(), last)
		}
		textRow(w)
		textRow(w, "RUN", "TASK", "ID", "RESULT", "TOOK", "OPERATIONS", "FINDINGS", "ERROR")
		for i := range v.Runs {
			r := &v.Runs[i]
			textRow(w, fmt.Sprint(r.Run), r.Task, strings.TrimSpace(r.ID+" "+r.Attempts()), r.Result, r.Duration.String(),
				number(r.Operations), fmt.Sprint(r.Found), oneLine(r.Error))
		}
	case viewStatements:
		textRow(w, "STATEMENT", "SHARE", "TOTAL", "COUNT", "ERRORS", "ROWS", "P50", "P95", "MAX", "TASKS")
		for i := range v.Statements {
			s := &v.Statements[i]
			textRow(w, s.Summary, percent(s.Share, 1), s.Total.String(), number(s.Count), number(s.Errors), number(s.Rows),
				s.P50.String(), s.P95.String(), s.Max.String(), strings.Join(s.Tasks, ", "))
		}
	}
	return w.Flush()
}

// textRow writes a row. No cell breaks the table, or the terminal.
func textRow(w io.Writer, cells ...string) {
	for i := range cells {
		cells[i] = plain(cells[i])
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

// plain returns a text without control characters.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// String returns what a run does in words.
func (d doing) String() string {
	switch {
	case d.What != "":
		return d.What + " " + d.For
	case d.Last != "":
		return d.Says + ", the last was " + d.Last
	}
	return d.Says
}

func (v *runView) holds() string {
	var all []string
	for i := range v.Held {
		all = append(all, v.Held[i].Says())
	}
	return strings.Join(all, "; ")
}

func (v *runView) far() string {
	switch p := v.Progress; {
	case p != nil && p.Total > 0:
		s := fmt.Sprintf("%d %% (%s of %s)", p.Percent, number(p.Done), number(p.Total))
		if p.Left != nil {
			s += ", " + p.Left.String() + " left"
		}
		return s
	case p != nil:
		return number(p.Done) + " done"
	case v.History != nil:
		return v.History.Far()
	}
	return ""
}

func (v *runView) writeText(b *bytes.Buffer) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "%-12s %s\n", name, plain(text))
		}
	}
	line("run", fmt.Sprintf("%d %s", v.Run, v.Name()))
	line("result", v.Result+", "+v.Duration.String())
	line("attempt", v.Nth())
	line("how far", v.far())
	if v.Live() {
		line("doing now", v.Doing().String())
	}
	line("holds", v.holds())
	line("databases", fmt.Sprintf("%s, %s, %s, %s in drivers, %s waiting",
		plural(v.Operations, "operation"), plural(v.Errors, "error"), plural(v.Rows, "row"), v.Database, v.Wait))
	line("error", oneLine(v.Error))
	line("error type", v.ErrorType)
	line("trace", v.TraceID)
	for i := range v.Findings {
		f := &v.Findings[i]
		text := f.Kind + ": " + strings.TrimSpace(f.Summary+" "+f.Pool) + " " + f.Says
		if f.Location != "" {
			text += ", at " + f.Location
		}
		line("finding", text)
	}
	if len(v.Bars) > 0 {
		fmt.Fprintf(b, "\n%9s %9s  %s\n", "AT", "TOOK", "STATEMENT")
	}
	for i := range v.Bars {
		s := &v.Bars[i]
		text := s.Summary
		if s.Count > 1 {
			text += " × " + number(s.Count)
		}
		if s.Errors > 0 {
			text += ", " + plural(s.Errors, "error")
		}
		fmt.Fprintf(b, "%9s %9s  %s\n", s.Offset, s.Length, plain(text))
	}
	if len(v.Accounts) > 0 {
		fmt.Fprintf(b, "\n%9s %9s %9s  %s\n", "COUNT", "TOTAL", "SLOWEST", "STATEMENT")
	}
	for i := range v.Accounts {
		s := &v.Accounts[i]
		text := s.Text
		if text == "" {
			text = s.Summary
		}
		fmt.Fprintf(b, "%9s %9s %9s  %s\n", number(s.Count), s.Total, s.Slowest, plain(oneLine(text)))
	}
}
