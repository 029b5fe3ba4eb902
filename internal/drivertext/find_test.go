package drivertext

import (
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// find is Find for texts that the task knows, and others that only the process does.
func find(raw string, own, others []*Text) []Span {
	m := Memory{index: index{loose: true}}
	for _, t := range slices.Backward(others) {
		m.add(nil, []*Text{t})
	}
	return Find(raw, own, &m)
}

// mark returns raw with what is found in brackets: in [] the whole of a text.
func mark(raw string, own, others []*Text) string {
	var b strings.Builder
	at := 0
	for _, s := range find(raw, own, others) {
		open, end := "{", "}"
		if s.Whole {
			open, end = "[", "]"
		}
		b.WriteString(raw[at:s.Start] + open + raw[s.Start:s.End] + end)
		at = s.End
	}
	return b.String() + raw[at:]
}

func TestFind(t *testing.T) {
	const said = `cannot log in as "Bob Ross": the password is wrong (code x)`
	const value = "no such host: bob"
	for _, test := range []struct{ said, raw, want string }{
		{said, said, "[" + said + "]"},
		{said, "open: " + said + ", giving up", "open: [" + said + "], giving up"},
		{said, "open: " + strings.ToUpper(said), "open: [" + strings.ToUpper(said) + "]"},
		{said, "open: " + strings.ToLower(said) + "!", "open: [" + strings.ToLower(said) + "]!"},
		{said, strings.ReplaceAll(said, " ", "\n\t"), "[" + strings.ReplaceAll(said, " ", "\n\t") + "]"},
		{said, strings.TrimPrefix(said, "cannot log in as "), `{"Bob Ross": the password is wrong (code x)}`},
		{said, "failed: " + said[strings.Index(said, "Ross"):], `failed: {Ross": the password is wrong (code x)}`},
		{said, "x: the password is wrong", "x: the password is wrong"}, // four words, and not the last
		{said, "x: password is wrong (code x)", "x: {password is wrong (code x)}"},
		{said, "x: wrong (code x)", "x: {wrong (code x)}"},
		{said, "x: code x", "x: code x"},
		{said, said[:len(said)-11] + "…", "{cannot log in as \"Bob Ross\": the password is wro}…"},
		{said, said[4:], "{" + said[4:] + "}"},
		{said, said + said, "[" + said + "][" + said + "]"},
		{said, "cannot log in", "cannot log in"},
		{value, "load: no such host: bob", "load: [no such host: bob]"},
		{value, "unknown field bob", "unknown field {bob}"}, // behind the colon
		{value, "no such host", "no such host"},
		{value, "bobby", "bobby"},
		{value, "such host: bob", "{such host: bob}"},
		{"bob", "dear bob, ", "dear [bob], "},
		{"Li", "Li and li", "[Li] and li"},
		{"é ü", "É Ü", "[É Ü]"},
		{"", "text", "text"},
		{"???", "???", "???"},
		{"a b", "", ""},
		{`path C:\temp\new`, `"path C:\\temp\\new"`, `"[path C:\\temp\\new]"`},
		{"two\nlines here", `two\nlines here`, `[two\nlines here]`},
		{"two\nlines here", `two\\nlines here`, `[two\\nlines here]`},
		{"tag <bob> & co", `tag \u003cbob\u003e \u0026 co`, `[tag \u003cbob\u003e \u0026 co]`},
		{"caf\u00e9 bob", `caf\u00e9 bob`, `[caf\u00e9 bob]`},
		{"bad\xffbyte bob", `bad\xffbyte bob`, `[bad\xffbyte bob]`},
		{"no \x1b[31mlogin\x1b[0m", `no \x1b[31mlogin\x1b[0m`, `[no \x1b[31mlogin\x1b[0m]`},
		{"no \x1b[31mlogin\x1b[0m", `NO \\U001B[31MLOGIN`, `[NO \\U001B[31MLOGIN]`},
		{"no \x1b[31mlogin", "no login", "[no login]"},
		{"no login", "no \x1b[1;31mlogin", "[no \x1b[1;31mlogin]"},
		{`the "a" & <b>`, "the &#34;a&#34; &amp; &lt;b&gt;", "[the &#34;a&#34; &amp; &lt;b&gt;]"},
		{`the "a" & <b>`, `THE \u0026QUOT;A\u0026QUOT; &AMP;AMP; &LT;B`, `[THE \u0026QUOT;A\u0026QUOT; &AMP;AMP; &LT;B]`},
		{"un café d'été", "un caf&#233; d&#x27;&amp;#xE9;t&#233;", "[un caf&#233; d&#x27;&amp;#xE9;t&#233;]"},
		{"salt & pepper; one & two;", "salt &amp; pepper; one &amp; two;", "[salt &amp; pepper; one &amp; two;]"},
	} {
		if got := mark(test.raw, []*Text{New(test.said, "safe")}, nil); got != test.want {
			t.Errorf("%q in %q\n got %s\nwant %s", test.said, test.raw, got, test.want)
		}
	}
}

// What a driver said to somebody else is found as the whole of a text that is long
// enough, and otherwise by five words in a row.
func TestFindOthers(t *testing.T) {
	const long, short = `cannot log in as "bob": the password is wrong`, "lost"
	others := []*Text{New(long, "safe"), New(short, "safe"), New("server at bob is down", "safe"), New("bob is busy today", "safe")}
	for raw, want := range map[string]string{
		"open: " + long:                  "open: [" + long + "]",
		"lost":                           "lost",
		"log in as bob: the":             "{log in as bob: the}",
		"as bob: the password":           "as bob: the password",
		"the password is wrong":          "the password is wrong",
		"x: bob is busy today":           "x: [bob is busy today]",
		"the server at bob is down, sir": "the [server at bob is down], sir",
	} {
		if got := mark(raw, nil, others); got != want {
			t.Errorf("in %q\n got %s\nwant %s", raw, got, want)
		}
	}
}

// Of several texts the one that is whole is taken, and two beside each other are two.
func TestFindSeveral(t *testing.T) {
	inner, outer := New("no such host as bob dot com", "inner"), New("dial tcp: no such host as bob dot com", "outer")
	for raw, want := range map[string]string{
		"x: dial tcp: no such host as bob dot com":                             "outer ",
		"x: no such host as bob dot com":                                       "inner ",
		"no such host as bob dot com dial tcp: no such host as bob dot com":    "inner outer ",
		"no such host as bob dot com, and then: no such host as bob dot com x": "inner inner ",
	} {
		got := ""
		for _, s := range find(raw, []*Text{outer, inner}, nil) {
			got += s.Text.Safe + " "
		}
		if got != want {
			t.Errorf("%q: %s, want %s", raw, got, want)
		}
	}
}

// The end of a text that is too long to be kept is not known, so that all behind its
// beginning counts.
func TestFindCut(t *testing.T) {
	long := "the driver said " + strings.Repeat("one word and another, ", 1000) + "and bob"
	raw := "load: " + long + " in the end"
	if got := mark(raw, []*Text{New(long, "safe")}, nil); strings.Contains(got, "}") && !strings.HasSuffix(got, "}") || strings.HasSuffix(got, "end") {
		t.Errorf("found up to …%s", got[len(got)-100:])
	}
}

// alter is every way in which a program changes a copy of a text.
var alterations = map[string]func(string) string{
	"as it is":     func(s string) string { return s },
	"upper case":   strings.ToUpper,
	"lower case":   strings.ToLower,
	"title case":   strings.ToTitle,
	"%q":           strconv.Quote,
	"%q twice":     func(s string) string { return strconv.Quote(strconv.Quote(s)) },
	"%+q":          strconv.QuoteToASCII,
	"JSON":         func(s string) string { b, _ := json.Marshal(s); return string(b) },
	"JSON in JSON": func(s string) string { b, _ := json.Marshal(s); b, _ = json.Marshal(string(b)); return string(b) },
	"joined lines": func(s string) string { return strings.Join(strings.Fields(s), " ") },
	"trimmed":      func(s string) string { return strings.TrimSpace(strings.Trim(s, `"'.:()`)) },
	"in brackets":  func(s string) string { return fmt.Sprintf("[%s]", s) },
	"HTML":         html.EscapeString,
	"JSON in HTML": func(s string) string { b, _ := json.Marshal(s); return html.EscapeString(string(b)) },
	"HTML in JSON": func(s string) string { b, _ := json.Marshal(html.EscapeString(s)); return string(b) },
}

// FuzzFind plants a value in what a driver says, and looks for what is left of it in
// altered copies.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"", "no such host: ", "a\nb\t\"c\" ", `\`, "é ", "\x00\xff ", "1 2 3 4 5 6 ", "ERROR: ", "<&> ", "ſıİK "} {
		f.Add(seed, "", "x: ", true)
		f.Add("", seed, "", false)
		f.Add(seed, seed, seed, false)
	}
	for _, seed := range []string{"\x1b[nnn", "&#34;", "&amp;#39;x", "&", "&lt", "\x1b[", "\x00EEEE", "\x01f600", "\U0001f600", "\U00010400 \u0451", `\u0000EEEE`, "X\\\u06c7", "X\\\\\u06c7 \\", "\b\xff\xffx", "\u2028\v\a"} {
		f.Add("{{x:  "+seed, "\b\xff\xffx", "{{x:", true)
		f.Add(seed, seed, "{{x:", false)
	}
	// What only its case says to be of four digits or of eight.
	ambiguous := regexp.MustCompile(`(?i)\\u00(0[1-9a-f]|10)[0-9a-f]{4}`)
	f.Fuzz(func(t *testing.T, before, after, around string, others bool) {
		const value = "zanzibar"
		const most = (maxText - len(value) - 2) / 2 // a longer text is not remembered whole
		said := before[:min(len(before), most)] + " " + value + " " + after[:min(len(after), most)]
		around = strings.NewReplacer("z", "", "Z", "").Replace(around)
		for name, change := range alterations {
			if strings.HasSuffix(name, "case") && ambiguous.MatchString(said) {
				continue
			}
			raw := around + " " + change(said) + " " + around
			text := New(said, "safe")
			own, foreign := []*Text{text}, []*Text(nil)
			if others {
				if text.parse(); len(text.words) < 2 || len(said) < minLoose {
					continue
				}
				own, foreign = foreign, own
			}
			left, at := "", 0
			for _, s := range find(raw, own, foreign) {
				if s.Start < at || s.End < s.Start || s.End > len(raw) {
					t.Fatalf("%s: the places overlap, or are outside: %+v", name, s)
				}
				left += raw[at:s.Start] + " "
				at = s.End
			}
			left += raw[at:]
			if strings.Contains(strings.ToLower(left), value) {
				t.Errorf("%s: %q is left of %q", name, left, raw)
			}
		}
	})
}

// The time is linear in the lengths of the texts.
func TestFindIsLinear(t *testing.T) {
	took := func(n int) time.Duration {
		best := time.Hour
		raw := strings.Repeat("a b c a b ", n)
		for range 5 {
			texts := []*Text{New(strings.Repeat("a b c a b ", 400), "x"), New(strings.Repeat("b a ", 400), "x")}
			start := time.Now()
			Find(raw, texts, nil)
			best = min(best, time.Since(start))
		}
		return best
	}
	// Others may use the processors too: one attempt within the limit shows it.
	var small, large time.Duration
	for range 5 {
		if small, large = took(1000), took(16000); large <= 64*small+50*time.Millisecond {
			return
		}
	}
	t.Errorf("16 times the text took %v instead of %v", large, small)
}
