package sqltext_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/taskspan/taskspan/internal/sqltext"
)

var dialects = []sqltext.Dialect{
	sqltext.Default, sqltext.PostgreSQL, sqltext.MySQL, sqltext.SQLite, sqltext.SQLServer, sqltext.Oracle,
}

// check tests everything that holds for the result of any text.
func check(t *testing.T, d sqltext.Dialect, query string) {
	t.Helper()
	r := sqltext.Parse(d, query)
	if !utf8.ValidString(r.Text) || !utf8.ValidString(r.Summary) {
		t.Fatalf("%v: %q: invalid UTF-8: %q, %q", d, query, r.Text, r.Summary)
	}
	if len(r.Text) > sqltext.MaxText || utf8.RuneCountInString(r.Summary) > sqltext.MaxSummary {
		t.Fatalf("%v: %q: too long: %d, %d", d, query, len(r.Text), utf8.RuneCountInString(r.Summary))
	}
	if len(r.Text) <= sqltext.MaxText-utf8.UTFMax {
		again := sqltext.Parse(d, r.Text)
		if again.Text != r.Text {
			t.Fatalf("%v: %q\nonce  %q\ntwice %q", d, query, r.Text, again.Text)
		}
		// The summary of a longer text may go on behind the end of what is recorded.
		if again.Summary != r.Summary && len(query) <= sqltext.MaxText {
			t.Fatalf("%v: %q\ntext  %q\nonce  %q\ntwice %q", d, query, r.Text, r.Summary, again.Summary)
		}
	}
	if !utf8.ValidString(query) || strings.IndexByte(query, 0) >= 0 || len(query) > sqltext.MaxScan {
		return
	}
	for _, reading := range readings[d] {
		checkReading(t, d, reading, query, r)
	}
}

// checkReading tests that nothing that is hidden by a reading survives.
func checkReading(t *testing.T, d sqltext.Dialect, how reading, query string, r sqltext.Result) {
	t.Helper()
	visible := how.visible(query)
	for _, word := range strings.FieldsFunc(r.Summary, func(c rune) bool {
		return c < utf8.RuneSelf && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}) {
		if !strings.Contains(visible, word) {
			t.Fatalf("%v, %s: %q\nsummary %q\n%q is not in %q", d, how.name, query, r.Summary, word, visible)
		}
	}
	if strings.ContainsRune(query, canaryRune) || strings.Contains(query, canaryNumber) {
		return
	}
	planted := how.plant(query)
	r = sqltext.Parse(d, planted)
	for _, out := range []string{r.Text, r.Summary} {
		if strings.ContainsRune(out, canaryRune) {
			t.Fatalf("%v, %s: %q\nplanted %q\nleaked  %q", d, how.name, query, planted, out)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, query := range []string{"WATCH#", "stop:\u0352\xf3", "stop.\xf3", "stop(\xf3", "stop=\xf3", "stop,\xf3", "WATCH--'", "WATCH/*'", "WATCH'x", "stop\xf3", "stop\x00"} {
		for d := range dialects {
			f.Add(uint8(d), query)
		}
	}
	for _, s := range statements {
		f.Add(uint8(s.dialect), s.query)
	}
	for _, s := range summaries {
		for _, letter := range s.dialects {
			f.Add(uint8(letters[letter]), s.query)
		}
	}
	f.Fuzz(func(t *testing.T, dialect uint8, query string) {
		check(t, dialects[int(dialect)%len(dialects)], query)
	})
}

// FuzzMixed reads each text in every dialect.
func FuzzMixed(f *testing.F) {
	for _, s := range statements {
		f.Add(s.query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, d := range dialects {
			check(t, d, query)
		}
	})
}

func FuzzTruncate(f *testing.F) {
	f.Add("SELECT 1")
	f.Add(strings.Repeat("é", sqltext.MaxText))
	f.Add(strings.Repeat("\xff", sqltext.MaxText-1))
	f.Fuzz(func(t *testing.T, text string) {
		out := sqltext.Truncate(text)
		if !utf8.ValidString(out) || len(out) > sqltext.MaxText {
			t.Fatalf("%q: %d bytes, valid: %v", text, len(out), utf8.ValidString(out))
		}
		if utf8.ValidString(text) && (!strings.HasPrefix(text, out) || len(text) <= sqltext.MaxText && out != text) {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

func TestParseProperties(t *testing.T) {
	for n, s := range statements {
		for m, d := range dialects {
			check(t, d, s.query)
			for i := (n + m) % stride; i < len(s.query); i += stride { // unterminated everywhere
				check(t, d, s.query[:i])
				check(t, d, s.query[i:])
			}
		}
	}
	for _, s := range summaries {
		for _, d := range dialects {
			check(t, d, s.query)
		}
	}
}
