package docs

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table is the rows of a table; a cell is found by its column's title.
type table []map[string]string

// tables returns the tables of a page, by the heading above them.
func tables(page string) map[string]table {
	all := make(map[string]table)
	var heading string
	var columns []string
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
			columns = nil
		case !strings.HasPrefix(line, "|"):
			columns = nil
		case columns == nil:
			columns = cells(line)
		case !strings.HasPrefix(line, "|---"):
			row := make(map[string]string)
			for i, cell := range cells(line) {
				if i < len(columns) {
					row[columns[i]] = strings.Trim(cell, "`")
				}
			}
			all[heading] = append(all[heading], row)
		}
	}
	return all
}

func cells(line string) []string {
	parts := strings.Split(strings.Trim(line, "|"), "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// lines returns "key: value" of two columns, for comparison.
func (t table) lines(columns ...string) []string {
	var out []string
	for _, row := range t {
		var parts []string
		for _, c := range columns {
			parts = append(parts, row[c])
		}
		out = append(out, strings.Join(parts, " "))
	}
	return out
}

func (k keys) lines() []string {
	var out []string
	for key, kind := range k {
		out = append(out, key+" "+kind)
	}
	return out
}

// compare returns what differs between what the page says and what is emitted.
func compare(what string, page, code []string) (differences []string) {
	slices.Sort(page)
	slices.Sort(code)
	for i, line := range page {
		if i > 0 && page[i-1] == line {
			differences = append(differences, fmt.Sprintf("%s: the page has %q twice", what, line))
		}
		if !slices.Contains(code, line) {
			differences = append(differences, fmt.Sprintf("%s: the page has %q, which is not emitted", what, line))
		}
	}
	for _, line := range code {
		if !slices.Contains(page, line) {
			differences = append(differences, fmt.Sprintf("%s: %q is emitted, and the page does not have it", what, line))
		}
	}
	return differences
}

// differences compares a page with what is emitted.
func differences(page string, e *emitted) (all []string) {
	is := tables(page)
	diff := func(what string, page, code []string) { all = append(all, compare(what, page, code)...) }

	diff("operations", is["Operations"].lines("name"), slices.Collect(maps.Keys(e.operations)))
	diff("statement spans", is["Attributes of statement spans"].lines("attribute", "type"), e.statement.lines())
	diff("lifecycle spans", is["Attributes of lifecycle spans"].lines("attribute", "type"), e.lifecycle.lines())
	diff("folded spans", is["Attributes of folded spans"].lines("attribute", "type"), e.folded.lines())
	diff("task spans", is["Attributes of task spans"].lines("attribute", "type"), e.task.lines())
	diff("results", is["Results"].lines("value"), slices.Collect(maps.Keys(e.results)))
	diff("findings", is["Findings"].lines("kind"), slices.Collect(maps.Keys(e.findings)))
	for name, k := range e.events {
		diff("event "+name, is[name].lines("attribute", "type"), k.lines())
	}
	for message, l := range e.logs {
		diff("log record "+message, is[message].lines("attribute", "type"), l.keys.lines())
		if !strings.Contains(page, "### "+message+"\n\nLevel "+l.level.String()) {
			all = append(all, fmt.Sprintf("log record %s: its level is %s", message, l.level))
		}
	}
	for heading := range is {
		_, event := e.events[heading]
		_, log := e.logs[heading]
		if heading == strings.ToLower(heading) && !event && !log {
			all = append(all, fmt.Sprintf("the page has %q, which is not emitted", heading))
		}
	}
	for _, row := range is["Spans"] {
		for kind := range e.kinds[row["span"]] {
			if !strings.Contains(row["kind"], kind) {
				all = append(all, fmt.Sprintf("%s spans: %s is emitted, and the page does not have it", row["span"], kind))
			}
		}
	}

	var riverInstruments, riverLabels, riverNames, riverServed []string
	for name, m := range e.river.metrics {
		riverInstruments = append(riverInstruments, name+" "+m.kind+" "+m.unit)
		for key := range m.keys {
			riverLabels = append(riverLabels, name+" "+key)
		}
	}
	for name, kind := range e.river.served {
		riverServed = append(riverServed, name+" "+kind)
	}
	for _, row := range is["Metrics of River"] {
		riverNames = append(riverNames, row["Prometheus"]+" "+row["kind"])
	}
	diff("metrics of River", is["Metrics of River"].lines("metric", "kind", "unit"), riverInstruments)
	diff("labels of River", is["Labels of River"].lines("metric", "attribute"), riverLabels)
	diff("Prometheus of River", riverNames, riverServed)

	var instruments, labels, buckets, served []string
	for name, m := range e.metrics {
		instruments = append(instruments, name+" "+m.kind+" "+m.unit)
		for key := range m.keys {
			labels = append(labels, name+" "+key)
		}
		if m.buckets != nil {
			line := name
			for _, b := range m.buckets {
				line += " " + strings.TrimPrefix(strconv.FormatFloat(b, 'f', -1, 64), "0")
			}
			buckets = append(buckets, line)
		}
	}
	for name, kind := range e.served {
		served = append(served, name+" "+kind)
	}
	diff("metrics", is["Metrics"].lines("metric", "kind", "unit"), instruments)
	diff("labels", is["Labels"].lines("metric", "attribute"), labels)
	diff("buckets", is["Buckets"].lines("metric", "boundaries"), buckets)
	var names []string
	for _, row := range is["Metrics"] {
		kind := row["kind"]
		if kind == "updowncounter" {
			kind = "gauge"
		}
		names = append(names, row["Prometheus"]+" "+kind)
	}
	diff("Prometheus", names, served)

	// Values that the page lists one by one.
	for _, row := range is["Labels"] {
		if row["attribute"] != "reason" && row["attribute"] != "db.client.connection.state" {
			continue
		}
		var listed []string
		for value := range strings.SplitSeq(row["values"], ",") {
			listed = append(listed, strings.Trim(value, " `"))
		}
		if m := e.metrics[row["metric"]]; m != nil {
			diff(row["attribute"], listed, slices.Collect(maps.Keys(m.values[row["attribute"]])))
		}
	}
	return append(all, incomplete(is)...)
}

// incomplete returns which rows lack a stability or a cardinality.
func incomplete(is map[string]table) (all []string) {
	for heading, t := range is {
		for _, row := range t {
			if s, ok := row["stability"]; ok && !slices.Contains([]string{"stable", "development", "ours"}, s) {
				all = append(all, fmt.Sprintf("%s: %v has no such stability", heading, row))
			}
			if c, ok := row["cardinality"]; ok && !slices.Contains([]string{"one", "few", "names", "many"}, c) {
				all = append(all, fmt.Sprintf("%s: %v has no such cardinality", heading, row))
			}
		}
	}
	return all
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	check(t, err)
	return string(text)
}

// TestTelemetry: the page says what the code emits, no more and no less.
func TestTelemetry(t *testing.T) {
	for _, d := range differences(page(t, "telemetry.md"), emit(t)) {
		t.Error(d)
	}
}

// TestTelemetryNoticesEverything: without any one row of the page, or any one
// thing that is emitted, the comparison fails.
func TestTelemetryNoticesEverything(t *testing.T) {
	text := page(t, "telemetry.md")
	e := emit(t)
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		if without := strings.Join(slices.Delete(slices.Clone(lines), i, i+1), ""); len(differences(without, e)) == 0 {
			t.Errorf("the page would do without its line %d: %s", i+1, line)
		}
	}
	missing := func(what string) {
		t.Helper()
		if len(differences(text, e)) == 0 {
			t.Errorf("nobody misses %s", what)
		}
	}
	for name, m := range maps.Clone(e.metrics) {
		delete(e.metrics, name)
		missing(name)
		e.metrics[name] = m
		for key, kind := range maps.Clone(m.keys) {
			delete(m.keys, key)
			missing(name + " " + key)
			m.keys[key] = kind
		}
	}
	for _, k := range []keys{e.statement, e.lifecycle, e.folded, e.task} {
		for key, kind := range maps.Clone(k) {
			delete(k, key)
			missing(key)
			k[key] = kind
		}
	}
	for name, k := range maps.Clone(e.events) {
		delete(e.events, name)
		missing(name)
		e.events[name] = k
	}
	for name, l := range maps.Clone(e.logs) {
		delete(e.logs, name)
		missing(name)
		e.logs[name] = l
	}
	for _, set := range []map[string]bool{e.operations, e.findings, e.results} {
		for name := range maps.Clone(set) {
			delete(set, name)
			missing(name)
			set[name] = true
		}
	}
	if left := differences(text, e); len(left) > 0 {
		t.Errorf("put back, it should be whole again: %s", cmp.Or(left...))
	}
}
