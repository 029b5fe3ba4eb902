package taskz

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// page is the template of all views. It is embedded, so that a mistake in it is
// found by any test.
var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"number":  number,
	"count":   plural,
	"plural":  func(n int, thing string) string { return plural(int64(n), thing) },
	"share":   func(f float64) string { return percent(f, 1) },
	"hundred": func(f float64) string { return fmt.Sprintf("%.1f", 100*min(1, max(0, f))) },
	"clock":   func(t time.Time) string { return t.Format("2006-01-02 15:04:05") },
	"stamp":   func(t time.Time) string { return t.Format(time.RFC3339) },
	"run":     func(id uint64) string { return query{view: viewRun, run: id}.href() },
	"link":    func(view string) string { return query{view: view}.href() },
}).ParseFS(files, "assets/page.html"))

// writeHTML writes a view for a browser. Characters that HTML does not allow are
// replaced.
func writeHTML(b *bytes.Buffer, v *view) error {
	var raw bytes.Buffer
	if err := page.Execute(&raw, v); err != nil {
		return err
	}
	b.Write(bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || 0x7f <= r && r < 0xa0 {
			return utf8.RuneError
		}
		return r
	}, raw.Bytes()))
	return nil
}

// The methods below are for the template.

// Filter is what was typed.
func (v *view) Filter() string { return v.query.filter }

// Sort is the column that the table is sorted by.
func (v *view) Sort() string { return v.query.sort }

// As returns a link to the same in another format.
func (v *view) As(format string) string { return v.query.href() + "&format=" + format }

// Age is how long the page has watched.
func (v *view) Age() seconds { return seconds(v.Now.Sub(v.Since)) }

// Heading names the view.
func (v *view) Heading() string {
	switch v.View {
	case viewRunning:
		return "Running"
	case viewRecent:
		return "Recent"
	case viewStatements:
		return "Statements"
	case viewRun:
		return v.Run.Name()
	}
	return "Not found"
}

// Name is the task and the id of a run.
func (v *runView) Name() string {
	if v.ID == "" {
		return v.Task
	}
	return v.Task + " " + v.ID
}

// Attempts is which attempt a run is.
func (v *runView) Attempts() string {
	if n := v.Nth(); n != "" {
		return "attempt " + n
	}
	return ""
}

// Nth is the number of the attempt, and of how many.
func (v *runView) Nth() string {
	switch {
	case v.MaxAttempts > 0:
		return fmt.Sprintf("%d of %d", v.Attempt, v.MaxAttempts)
	case v.Attempt > 0:
		return strconv.Itoa(v.Attempt)
	}
	return ""
}

// Folds reports whether a bar stands for several statements.
func (v *runView) Folds() bool {
	return slices.ContainsFunc(v.Bars, func(b barView) bool { return b.Count > 1 })
}

// Opens reports whether a bar stands for something that is open.
func (v *runView) Opens() bool {
	return slices.ContainsFunc(v.Bars, func(b barView) bool { return b.Open })
}

// Live reports whether a run has not ended.
func (v *runView) Live() bool { return v.Result == resultRunning }

// Tone is the class of a result.
func (v *runView) Tone() string { return tone(v.Result, v.Found > 0) }

// Doing is what a running task does now, in words: what, and for how long.
func (v *runView) Doing() (d doing) {
	switch {
	case len(v.Now) > 0:
		d.What, d.For = v.Now[0].Summary, "for "+v.Now[0].For.String()
		if more := len(v.Now) - 1; more > 0 {
			d.For += fmt.Sprintf(", and %d more", more)
		}
	case v.Operations == 0 && len(v.Held) == 0:
		d.Says = "no statement yet"
	case v.Quiet == nil:
		d.Says = "between statements"
	default:
		d.Says = "no statement for " + v.Quiet.String()
		d.Last = v.quiet
	}
	return d
}

type doing struct{ What, For, Says, Last string }

// Far is how far a run is, if it did not report it: its age against its history.
func (h *historyView) Far() string {
	switch {
	case h.Ratio <= 0:
		return ""
	case h.Ratio >= 1000:
		return "> 1,000 × p95"
	case h.Ratio > 1.05:
		return trimmed(h.Ratio) + " × p95"
	}
	return fmt.Sprintf("%.0f %% of p95", 100*h.Ratio)
}

// trimmed returns a ratio with two digits or so.
func trimmed(f float64) string {
	if f < 10 {
		return fmt.Sprintf("%.1f", f)
	}
	return number(int64(f))
}

// Over reports whether a run takes longer than its history.
func (h *historyView) Over() bool { return h.Ratio > 1.05 }

// Says names a thing that is held.
func (h *heldView) Says() string {
	s := h.Kind + " " + h.For.String()
	if h.Idle > 0 {
		s += ", idle " + h.Idle.String()
	}
	return s
}

// Tone is the class of a result.
func (d *dotView) Tone() string { return tone(d.Result, d.Findings) }

// Says names a result for those who do not see its colour.
func (d *dotView) Says() string {
	s := d.Result + " after " + d.Duration.String()
	if d.Findings {
		s += ", with findings"
	}
	return s
}

// Mark is the sign of a result: colour alone is not enough.
func (d *dotView) Mark() string {
	switch d.Tone() {
	case "ok":
		return "✓"
	case "warn":
		return "!"
	case "none":
		return "–"
	}
	return "×"
}

// tone returns the class of a result.
func tone(result string, findings bool) string {
	switch result {
	case resultRunning:
		return "live"
	case "skip":
		return "none"
	case "success":
		if findings {
			return "warn"
		}
		return "ok"
	case "retry", "cancellation":
		return "warn"
	}
	return "bad"
}
