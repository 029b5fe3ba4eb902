package metrics

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// omFamily is a metric family of an OpenMetrics exposition.
type omFamily struct {
	name, kind, help, unit string
	samples                []omSample
}

// omSample is one line of it.
type omSample struct {
	name     string
	labels   map[string]string
	value    float64
	exemplar *omExemplar
}

type omExemplar struct {
	labels    map[string]string
	value     float64
	timestamp float64
}

var (
	omMetricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`)
	omLabelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*`)
	// omSuffixes are the endings that the samples of a family of each kind may have.
	omSuffixes = map[string][]string{
		"counter":   {"_total", "_created"},
		"gauge":     {""},
		"histogram": {"_bucket", "_count", "_sum", "_created"},
		"info":      {"_info"},
		"summary":   {"", "_count", "_sum", "_created"},
		"unknown":   {""},
	}
)

// parseOpenMetrics is a strict reader of what the OpenMetrics 1.0 text format allows, as far as this
// package can produce it (no timestamps on samples, no state sets).
func parseOpenMetrics(text string) ([]*omFamily, error) {
	body, ok := strings.CutSuffix(text, "# EOF\n")
	if !ok {
		return nil, errors.New("does not end in # EOF")
	}
	var families []*omFamily
	seenFamily := make(map[string]bool)
	seenSeries := make(map[string]bool)
	family := func(name string) *omFamily {
		if n := len(families); n > 0 && families[n-1].name == name {
			return families[n-1]
		}
		f := &omFamily{name: name}
		families = append(families, f)
		return f
	}
	for i, line := range strings.SplitAfter(body, "\n") {
		if line == "" {
			break
		}
		line, ok := strings.CutSuffix(line, "\n")
		if !ok || line == "" {
			return nil, fmt.Errorf("line %d: %q: empty or unterminated", i+1, line)
		}
		if comment, ok := strings.CutPrefix(line, "# "); ok {
			parts := strings.SplitN(comment, " ", 3)
			if len(parts) != 3 || omMetricName.FindString(parts[1]) != parts[1] {
				return nil, fmt.Errorf("line %d: %q: malformed descriptor", i+1, line)
			}
			f := family(parts[1])
			if len(f.samples) > 0 {
				return nil, fmt.Errorf("line %d: %q: descriptor after samples", i+1, line)
			}
			field := map[string]*string{"TYPE": &f.kind, "HELP": &f.help, "UNIT": &f.unit}[parts[0]]
			if field == nil || *field != "" {
				return nil, fmt.Errorf("line %d: %q: unknown or repeated descriptor", i+1, line)
			}
			*field = parts[2]
			continue
		}
		s, err := parseSample(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", i+1, line, err)
		}
		if len(families) == 0 {
			return nil, fmt.Errorf("line %d: %q: sample before any descriptor", i+1, line)
		}
		f := families[len(families)-1]
		suffix, ok := strings.CutPrefix(s.name, f.name)
		if !ok || !slices.Contains(omSuffixes[f.kind], suffix) {
			return nil, fmt.Errorf("line %d: %q: not a sample of %s %s", i+1, line, f.kind, f.name)
		}
		if s.exemplar != nil && suffix != "_total" && suffix != "_bucket" {
			return nil, fmt.Errorf("line %d: %q: exemplar not allowed here", i+1, line)
		}
		series := fmt.Sprint(s.name, s.labels)
		if seenSeries[series] {
			return nil, fmt.Errorf("line %d: %q: repeated series", i+1, line)
		}
		seenSeries[series] = true
		f.samples = append(f.samples, s)
	}
	for _, f := range families {
		if seenFamily[f.name] {
			return nil, fmt.Errorf("%s: samples of one family are apart", f.name)
		}
		seenFamily[f.name] = true
		if f.unit != "" && !strings.HasSuffix(f.name, "_"+f.unit) {
			return nil, fmt.Errorf("%s: does not end in its unit %s", f.name, f.unit)
		}
		if f.kind == "histogram" {
			if err := checkHistogram(f); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	return families, nil
}

// checkHistogram checks that buckets are in order, cumulative, complete, and that exemplars fall into
// the buckets that they are on.
func checkHistogram(f *omFamily) error {
	var le, count float64 = math.Inf(-1), 0
	complete := true
	for _, s := range f.samples {
		switch {
		case strings.HasSuffix(s.name, "_bucket"):
			bound, err := strconv.ParseFloat(s.labels["le"], 64)
			if err != nil {
				return fmt.Errorf("bucket bound: %w", err)
			}
			if complete {
				le, count = math.Inf(-1), 0
			}
			if bound <= le || s.value < count {
				return fmt.Errorf("bucket %v not above %v, or %v below %v", bound, le, s.value, count)
			}
			if e := s.exemplar; e != nil && (e.value > bound || e.value <= le) {
				return fmt.Errorf("exemplar %v not in bucket (%v, %v]", e.value, le, bound)
			}
			le, count, complete = bound, s.value, math.IsInf(bound, 1)
		case strings.HasSuffix(s.name, "_count"):
			if !complete || s.value != count {
				return fmt.Errorf("count %v, but +Inf bucket %v (complete: %t)", s.value, count, complete)
			}
		}
	}
	return nil
}

func parseSample(line string) (omSample, error) {
	s := omSample{name: omMetricName.FindString(line)}
	if s.name == "" {
		return s, errors.New("no metric name")
	}
	rest := line[len(s.name):]
	var err error
	if s.labels, rest, err = parseLabels(rest); err != nil {
		return s, err
	}
	rest, ok := strings.CutPrefix(rest, " ")
	if !ok {
		return s, errors.New("no space before the value")
	}
	value, exemplar, hasExemplar := strings.Cut(rest, " # ")
	if s.value, err = strconv.ParseFloat(value, 64); err != nil {
		return s, err
	}
	if !hasExemplar {
		return s, nil
	}
	e := &omExemplar{}
	if e.labels, rest, err = parseLabels(exemplar); err != nil {
		return s, err
	}
	size := 0
	for k, v := range e.labels {
		size += utf8.RuneCountInString(k) + utf8.RuneCountInString(v)
	}
	if e.labels == nil || size > 128 {
		return s, fmt.Errorf("exemplar with %d characters of labels", size)
	}
	fields := strings.Split(rest, " ")
	if len(fields) != 3 || fields[0] != "" {
		return s, errors.New("exemplar without value or timestamp")
	}
	if e.value, err = strconv.ParseFloat(fields[1], 64); err != nil {
		return s, err
	}
	if e.timestamp, err = strconv.ParseFloat(fields[2], 64); err != nil {
		return s, err
	}
	s.exemplar = e
	return s, nil
}

// parseLabels reads an optional label set, and returns what follows it.
func parseLabels(text string) (map[string]string, string, error) {
	rest, ok := strings.CutPrefix(text, "{")
	if !ok {
		return nil, text, nil
	}
	labels := make(map[string]string)
	for {
		if after, ok := strings.CutPrefix(rest, "}"); ok {
			return labels, after, nil
		}
		if len(labels) > 0 {
			if rest, ok = strings.CutPrefix(rest, ","); !ok {
				return nil, "", errors.New("no comma between labels")
			}
		}
		name := omLabelName.FindString(rest)
		rest, ok = strings.CutPrefix(rest[len(name):], `="`)
		if name == "" || !ok {
			return nil, "", errors.New("malformed label")
		}
		var value strings.Builder
		for {
			if rest == "" {
				return nil, "", errors.New("unterminated label value")
			}
			c := rest[0]
			rest = rest[1:]
			if c == '"' {
				break
			}
			if c == '\\' {
				if rest == "" || !strings.ContainsRune(`\n"`, rune(rest[0])) {
					return nil, "", errors.New("bad escape")
				}
				if c = rest[0]; c == 'n' {
					c = '\n'
				}
				rest = rest[1:]
			}
			value.WriteByte(c)
		}
		if _, ok := labels[name]; ok {
			return nil, "", fmt.Errorf("label %s twice", name)
		}
		labels[name] = value.String()
	}
}

// The checks of the reader themselves: each of these texts breaks one rule.
func TestParseOpenMetricsIsStrict(t *testing.T) {
	const histogram = "# HELP h x\n# TYPE h histogram\n"
	for name, text := range map[string]string{
		"no EOF":             "# TYPE a gauge\na 1\n",
		"text after EOF":     "# TYPE a gauge\na 1\n# EOF\n\n",
		"counter name":       "# TYPE a counter\na 1\n# EOF\n",
		"no type":            "a 1\n# EOF\n",
		"apart":              "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x=\"1\"} 1\n# EOF\n",
		"repeated series":    "# TYPE a gauge\na{x=\"1\"} 1\na{x=\"1\"} 2\n# EOF\n",
		"late help":          "# TYPE a gauge\na 1\n# HELP a x\n# EOF\n",
		"unit":               "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",
		"bad value":          "# TYPE a gauge\na x\n# EOF\n",
		"bad escape":         "# TYPE a gauge\na{x=\"\\q\"} 1\n# EOF\n",
		"exemplar on gauge":  "# TYPE a gauge\na 1 # {trace_id=\"1\"} 1 1\n# EOF\n",
		"exemplar too long":  "# TYPE a counter\na_total 1 # {trace_id=\"" + strings.Repeat("x", 130) + "\"} 1 1\n# EOF\n",
		"exemplar no time":   "# TYPE a counter\na_total 1 # {trace_id=\"1\"} 1\n# EOF\n",
		"exemplar misplaced": histogram + "h_bucket{le=\"1\"} 1 # {t=\"1\"} 2 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# EOF\n",
		"not cumulative":     histogram + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# EOF\n",
		"no +Inf":            histogram + "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n# EOF\n",
	} {
		if _, err := parseOpenMetrics(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	const valid = histogram + "h_bucket{a=\"x\\n\\\"\",le=\"1\"} 1 # {t=\"1\"} 0.5 1\nh_bucket{a=\"x\\n\\\"\",le=\"+Inf\"} 1\n" +
		"h_sum{a=\"x\\n\\\"\"} 1\nh_count{a=\"x\\n\\\"\"} 1\n# EOF\n"
	if _, err := parseOpenMetrics(valid); err != nil {
		t.Error(err)
	}
}
