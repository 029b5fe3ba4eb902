package tree

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Widths of the columns of a tree, in characters.
const (
	durationWidth = 8
	barWidth      = 24
	noteWidth     = 120
	// Beside the name there are two blanks, the duration, a blank, and the bar between its edges.
	besideName = 2 + durationWidth + 1 + 1 + barWidth + 1
	// A branch is as wide as this.
	branchWidth = 3
	// Branches beside each other are at most these, however long lines are: each line holds them.
	maxBranches = 32
)

// line is a line of a tree before it is laid out.
type line struct {
	prefix     string // the branches
	name       string
	count      string // of operations; is never cut
	duration   string
	start, end time.Time
	fill       rune // of the bar; 0: solid
	note       string
	failure    string // comes after the note
	below      string // the branches of a line below this one
}

// lay writes a trace to buf.
func (l *layout) lay(buf *bytes.Buffer, tr *localTrace) {
	// Half of the room is for names.
	l.branches = min((l.columns-besideName)/2/branchWidth, maxBranches)
	l.span(tr.root, "", "", 0)

	nameWidth := 0
	for i := range l.lines {
		line := &l.lines[i]
		nameWidth = max(nameWidth, utf8.RuneCountInString(line.prefix+line.name+line.count))
		l.extend(line.start)
		if line.fill != fillRunning {
			l.extend(line.end)
		}
	}
	nameWidth = min(nameWidth, l.columns-besideName)
	for i := range l.lines {
		l.write(buf, &l.lines[i], nameWidth)
	}
	if tr.dropped > 0 {
		fmt.Fprintf(buf, "… %s of this trace not shown: no room\n", plural(tr.dropped, "span"))
	}
	if len(l.lines) > 1 {
		buf.WriteByte('\n')
	}
}

// Fills of bars that are not solid: of spans that repeat, and of one that is still running.
const (
	fillFold    = '░'
	fillRunning = '·'
)

// layout collects the lines of a trace, and its time.
type layout struct {
	columns    int
	repeats    int
	last       bool
	fit        bool // no line may be longer than columns
	color      bool
	branches   int // beside each other
	lines      []line
	start, end time.Time
}

func (l *layout) extend(at time.Time) {
	if l.start.IsZero() || at.Before(l.start) {
		l.start = at
	}
	if at.After(l.end) {
		l.end = at
	}
}

// span adds the line of a span, and those of the spans below it. The root has depth 0.
func (l *layout) span(s *span, prefix, childPrefix string, depth int) {
	if s.folded != nil {
		l.fold(row{name: s.name, fold: s.folded}, prefix, childPrefix)
		l.children(s, childPrefix, depth)
		return
	}
	line := line{prefix: prefix, below: childPrefix, name: printable(s.name), start: s.start, end: s.end}
	if line.name == "" {
		line.name = "(no name)"
	}
	var notes []string
	if s.ended {
		line.duration = humanDuration(s.duration())
	} else {
		line.duration, line.fill = "…", fillRunning
		notes = append(notes, "still running")
	}
	if s.remark != "" {
		notes = append(notes, clip(printable(s.remark), noteWidth))
	}
	if s.failed {
		line.failure = failure(s.errType, s.errText)
	}
	line.note = strings.Join(notes, ", ")
	l.lines = append(l.lines, line)
	if s.ended || l.last || s.parent == nil {
		l.children(s, childPrefix, depth)
	}
}

// children adds the lines of what is below s.
func (l *layout) children(s *span, prefix string, depth int) {
	if depth > 0 && depth%l.branches == 0 {
		prefix = "⋯" + strconv.Itoa(depth) + " "
	}
	rows := l.rows(s)
	for i, r := range rows {
		branch, below := "├─ ", "│  "
		if i == len(rows)-1 {
			branch, below = "└─ ", "   "
		}
		if r.fold != nil {
			l.fold(r, prefix+branch, prefix+below)
		} else {
			l.span(r.span, prefix+branch, prefix+below, depth+1)
		}
	}
}

// row is a child, or several of the same name.
type row struct {
	name  string
	start time.Time
	span  *span
	fold  *fold
}

// rows returns the children of s in the order in which they are shown.
func (l *layout) rows(s *span) []row {
	counts := make(map[string]int, len(s.folds))
	folds := make(map[string]*fold, len(s.folds))
	for name, f := range s.folds {
		counts[name] = f.count
		folded := *f
		folds[name] = &folded
	}
	for _, c := range s.children {
		if c.ended {
			counts[c.name]++
		}
	}
	for name, n := range counts {
		if n > l.repeats && folds[name] == nil {
			folds[name] = &fold{}
		}
	}
	var rows []row
	for _, c := range s.children {
		if f := folds[c.name]; f != nil && c.ended && (c.folded != nil || counts[c.name] > l.repeats) {
			f.add(c)
			f.inside += below(c)
			continue
		}
		rows = append(rows, row{name: c.name, start: c.start, span: c})
	}
	for name, f := range folds {
		rows = append(rows, row{name: name, start: f.start, fold: f})
	}
	slices.SortFunc(rows, func(a, b row) int {
		if order := cmp.Or(a.start.Compare(b.start), cmp.Compare(a.name, b.name)); order != 0 || a.span == nil || b.span == nil {
			return order
		}
		return cmp.Or(a.span.end.Compare(b.span.end), slices.Compare(a.span.key.span[:], b.span.key.span[:]))
	})
	return rows
}

// below returns how many spans are below s.
func below(s *span) int {
	n := len(s.children)
	for _, f := range s.folds {
		n += f.count
	}
	for _, c := range s.children {
		n += below(c)
	}
	return n
}

// fold adds the line of spans that repeat.
func (l *layout) fold(r row, prefix, below string) {
	f := r.fold
	notes := []string{"mean " + humanDuration(f.mean()), "max " + humanDuration(f.max)}
	if f.inside > 0 {
		notes = append(notes, plural(f.inside, "span")+" inside")
	}
	failed := ""
	if f.failed > 0 {
		failed = failure(f.errType, strconv.Itoa(f.failed)+" of them")
	}
	name := printable(r.name)
	if name == "" {
		name = "(no name)"
	}
	l.lines = append(l.lines, line{
		prefix:   prefix,
		name:     name,
		count:    " ×" + strconv.Itoa(f.count),
		duration: humanDuration(f.total()),
		start:    f.start,
		end:      f.end,
		fill:     fillFold,
		note:     strings.Join(notes, ", "),
		failure:  failed,
		below:    below,
	})
}

// failure returns the note of a failed span.
func failure(errType, text string) string {
	errType, text = printable(errType), printable(text)
	note := "✗"
	for _, part := range []string{errType, text} {
		if part == "" || part == errType && note != "✗" {
			continue
		}
		if note != "✗" {
			note += ":"
		}
		note += " " + part
	}
	if note == "✗" {
		note = "✗ failed"
	}
	return clip(note, noteWidth)
}

// write lays out a line.
func (l *layout) write(buf *bytes.Buffer, line *line, nameWidth int) {
	name := clip(line.prefix+line.name, nameWidth-utf8.RuneCountInString(line.count)) + line.count
	buf.WriteString(name)
	pad(buf, nameWidth-utf8.RuneCountInString(name)+2)
	pad(buf, durationWidth-utf8.RuneCountInString(line.duration))
	buf.WriteString(line.duration)
	buf.WriteString(" ▕")
	for _, r := range l.bar(line) {
		buf.WriteRune(r)
	}
	buf.WriteString("▏")
	l.notes(buf, line, l.columns-nameWidth-besideName)
	buf.WriteByte('\n')
}

// notes writes the notes of a line, for which there are so many characters left. The rest continues
// below the line, within its branches.
func (l *layout) notes(buf *bytes.Buffer, line *line, left int) {
	below, first := clip(line.below, l.columns/2), true
	for _, part := range []struct {
		text string
		red  bool
	}{{line.note, false}, {line.failure, l.color}} {
		if part.text == "" {
			continue
		}
		separator := " "
		if !first {
			separator = ", "
		}
		first = false
		left -= len(separator) + utf8.RuneCountInString(part.text)
		for i, text := range l.wrap(part.text, left, l.columns-utf8.RuneCountInString(below)-2) {
			if i > 0 {
				separator, left = "\n"+below+"  ", 0
			}
			if text == "" {
				continue
			}
			if part.red {
				text = red + text + plain
			}
			buf.WriteString(separator + text)
		}
	}
}

// wrap breaks text that leaves less than no room on its line between words, into lines of so many characters
// below an empty one.
func (l *layout) wrap(text string, left, room int) []string {
	if !l.fit || left >= 0 {
		return []string{text}
	}
	lines := []string{""}
	current := ""
	for word := range strings.SplitSeq(text, " ") {
		word = clip(word, room)
		switch {
		case current == "":
			current = word
		case utf8.RuneCountInString(current)+1+utf8.RuneCountInString(word) <= room:
			current += " " + word
		default:
			lines = append(lines, current)
			current = word
		}
	}
	return append(lines, current)
}

func pad(buf *bytes.Buffer, n int) {
	for range n {
		buf.WriteByte(' ')
	}
}

// eighths are the blocks that fill a cell from the left.
var eighths = [...]rune{'▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'}

// bar draws when, in the time of the trace, the line's time is.
func (l *layout) bar(line *line) [barWidth]rune {
	var cells [barWidth]rune
	for i := range cells {
		cells[i] = ' '
	}
	from, to := l.position(line.start), l.position(line.end)
	if line.fill == fillRunning {
		to = barWidth
	}
	to = max(from, to)
	first := min(int(from), barWidth-1)
	switch {
	case line.fill != 0:
		for i := first; i == first || i < barWidth && float64(i) < to; i++ {
			cells[i] = line.fill
		}
	case to-float64(first) <= 1:
		cells[first] = eighth(to - from)
	default:
		whole := min(int(to), barWidth)
		for i := first; i < whole; i++ {
			cells[i] = eighths[7]
		}
		if rest := to - float64(whole); whole < barWidth && rest >= 1.0/16 {
			cells[whole] = eighth(rest)
		}
	}
	return cells
}

// eighth returns the block for a part of a cell; something is always visible.
func eighth(part float64) rune {
	return eighths[min(max(int(part*8+0.5), 1), 8)-1]
}

// position returns where in the bar a time is, in cells.
func (l *layout) position(at time.Time) float64 {
	total := l.end.Sub(l.start)
	if total <= 0 {
		return 0
	}
	return min(max(float64(at.Sub(l.start))/float64(total)*barWidth, 0), barWidth)
}

// humanDuration writes a duration with three significant digits, in a unit that suits it.
func humanDuration(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"ns", time.Nanosecond}, {"µs", time.Microsecond}, {"ms", time.Millisecond}, {"s", time.Second}} {
		limit := 999.5
		if u.unit == time.Second {
			limit = 59.95
		}
		v := float64(d) / float64(u.unit)
		switch {
		case v >= limit:
			continue
		case u.unit == time.Nanosecond || v >= 99.95:
			return strconv.FormatFloat(v, 'f', 0, 64) + " " + u.name
		case v >= 9.995:
			return strconv.FormatFloat(v, 'f', 1, 64) + " " + u.name
		default:
			return strconv.FormatFloat(v, 'f', 2, 64) + " " + u.name
		}
	}
	if d = d.Round(time.Second); d < time.Hour {
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

// printable returns text with everything escaped that could move the cursor, change the terminal's state
// or the direction of writing.
func printable(text string) string {
	clean := true
	for _, r := range text {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// clip shortens text to at most n characters.
func clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
