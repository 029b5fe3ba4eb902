package sqltext_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taskspan/taskspan/internal/sqltext"
)

func TestTruncate(t *testing.T) {
	long := strings.Repeat("x", sqltext.MaxText)
	for _, c := range []struct{ in, out string }{
		{"", ""},
		{"SELECT 1", "SELECT 1"},
		{long, long},
		{long + "y", long},
		{long[1:] + "é", long[1:]},
		{long[2:] + "é", long[2:] + "é"},
		{long[1:] + "世", long[1:]},
		{long[2:] + "世", long[2:]},
		{long[3:] + "世", long[3:] + "世"},
		{long[3:] + "🙂", long[3:]},
		{"a\xffb", "a\uFFFDb"},
		{long[1:] + "\xff", long[1:]},
		{long[:len(long)-3] + "\xff\xfe" + "zz", long[:len(long)-3] + "\uFFFD"},
	} {
		if out := sqltext.Truncate(c.in); out != c.out {
			t.Errorf("%d bytes, %q…: got %d bytes, want %d", len(c.in), c.in[:min(9, len(c.in))], len(out), len(c.out))
		}
	}
}

func TestParseLimits(t *testing.T) {
	names := make([]string, 60)
	for i := range names {
		names[i] = "table_" + strings.Repeat("é", 3) + string(rune('a'+i%26))
	}
	r := sqltext.Parse(sqltext.PostgreSQL, "SELECT * FROM "+strings.Join(names, ", "))
	if n := utf8.RuneCountInString(r.Summary); n > sqltext.MaxSummary || n < sqltext.MaxSummary-11 {
		t.Errorf("summary has %d characters", n)
	}
	for _, word := range strings.Fields(r.Summary)[1:] {
		if len(word) != len(names[0]) {
			t.Errorf("%q is cut", word)
		}
	}

	// A name that does not fit is left out, however long it is.
	for _, n := range []int{240, 255, 3000, 60000} {
		r = sqltext.Parse(sqltext.PostgreSQL, "SELECT * FROM a JOIN "+strings.Repeat("n", n)+" JOIN b")
		want := "SELECT a " + strings.Repeat("n", n) + " b"
		if len(want) > sqltext.MaxSummary {
			want = "SELECT a"
		}
		if r.Summary != want {
			t.Errorf("%d: summary %q", n, r.Summary)
		}
	}

	// What was left out of DELETE's aliases makes room again.
	r = sqltext.Parse(sqltext.MySQL, "DELETE "+strings.Repeat("a", 300)+" FROM b")
	if r.Summary != "DELETE" && r.Summary != "DELETE b" {
		t.Errorf("summary %q", r.Summary)
	}

	// The text is cut between two characters, the scan goes on.
	r = sqltext.Parse(sqltext.PostgreSQL, "SELECT "+strings.Repeat("é", 3000)+", $1 FROM t")
	if len(r.Text) != sqltext.MaxText-1 || !utf8.ValidString(r.Text) || r.Summary != "SELECT t" || !r.Placeholder {
		t.Errorf("%d bytes, %q, %v", len(r.Text), r.Summary, r.Placeholder)
	}

	// A list takes no room, whatever its length.
	r = sqltext.Parse(sqltext.PostgreSQL, "SELECT * FROM t WHERE a IN ("+strings.Repeat("'x', ", 9000)+"1) AND b = 2")
	if r.Text != "SELECT * FROM t WHERE a IN (?) AND b = ?" || r.Script {
		t.Errorf("%.80q", r.Text)
	}

	// The end of the window may be in the middle of anything.
	for _, tail := range []string{
		"'secret'", "secret_", "123456789", `"secret"`, "`secret`", "[secret]", "/* secret */", "-- secret\n", "$a$secret$a$",
		":secret", "@secret", "@@secret", "$secret", "$123456", "?123456", "$a::secret", "N'secret'", "q'[secret]'", "é'secret'",
	} {
		for _, d := range dialects {
			for shift := range len(tail) - 1 {
				const head = "SELECT a FROM t WHERE /*"
				pad := head + strings.Repeat("x", sqltext.MaxScan-len(head)-4-shift) + "*/ ="
				r = sqltext.Parse(d, pad+tail+strings.Repeat(" rest'", 100))
				if !r.Script || r.CommentAt >= 0 || strings.Contains(r.Text, "sec") || r.Summary != "SELECT t" {
					t.Errorf("%v, %q: %v, %q, %q", d, tail, r.Script, r.Text, r.Summary)
				}
			}
		}
	}

	// Parentheses may be deeper than they are followed.
	deep := strings.Repeat("(", 500)
	r = sqltext.Parse(sqltext.Default, "SELECT "+deep+`SELECT 'x' FROM "y"`+strings.Repeat(")", 500)+" FROM t")
	if r.Summary != "SELECT t" || strings.Contains(r.Text, "y") {
		t.Errorf("%q, %q", r.Summary, r.Text)
	}
	r = sqltext.Parse(sqltext.Default, "SELECT 1)))) FROM t")
	if r.Summary != "SELECT t" {
		t.Errorf("%q", r.Summary)
	}

	// So may common table expressions be more than are remembered.
	r = sqltext.Parse(sqltext.SQLite, "WITH a AS (SELECT 1)"+strings.Repeat(", b AS (SELECT 1)", 100)+" SELECT 1 FROM a")
	if strings.HasSuffix(r.Summary, " a") {
		t.Errorf("%q", r.Summary)
	}
}

// TestParseLinear reads texts that would be slow if a part of them were read
// again and again. It compares times with each other alone, so that it does not
// matter how fast the machine is: eight times the text takes as long as the text
// eight times, and eight times as long if it is quadratic.
func TestParseLinear(t *testing.T) {
	const size, factor, limit = 2 << 10, 8, 3
	parse := func(d sqltext.Dialect, unit string, size, times int) time.Duration {
		query := strings.Repeat(unit, size/len(unit))
		begin := time.Now()
		for range times { // so that both times are long for the clock
			sqltext.Parse(d, query)
			sqltext.Parse(d, "SELECT "+query)
		}
		return time.Since(begin)
	}
	for _, unit := range []string{
		"[", "]", "$", "$a", "$a$b", "'", `"`, "`", "/*", "*/", "/*/", "--", "-- \r", "#", "(", ")", "(SELECT ", "IN (", "\\", `'\'`,
		"a.", "?", ":", "@", "@@", "1e", "1.", "q'", "q'[", "U&", "E'", "é", "\u00a0", "x,", "WITH a AS (", "FROM a,", ";", "\r", "//",
		`""`, "''", "``", "DELETE a FROM ",
	} {
		for _, d := range dialects {
			var shorts, longs []time.Duration
			for len(shorts) == 0 || len(shorts) < 60 && shortest(longs) > limit*shortest(shorts) {
				shorts = append(shorts, parse(d, unit, size, factor))
				longs = append(longs, parse(d, unit, factor*size, 1))
			}
			if shortest(longs) > limit*shortest(shorts) {
				t.Errorf("%v, %q: %v for %d bytes, %v for %d", d, unit, shorts, size, longs, factor*size)
			}
		}
	}
}

// shortest is the time that no pause of the machine made longer.
func shortest(times []time.Duration) time.Duration { return slices.Min(times) }

func TestParseAllocations(t *testing.T) {
	for _, s := range statements {
		want := 0.0
		r := sqltext.Parse(s.dialect, s.query)
		if r.Text != "" {
			want++
		}
		if r.Summary != "" {
			want++
		}
		// A garbage collection may empty the pool.
		if got := testing.AllocsPerRun(50, func() { sqltext.Parse(s.dialect, s.query) }); got > want+2 {
			t.Errorf("%q: %v allocations, want %v", s.query, got, want)
		}
	}
}

// TestParseKeepsNothing checks that results do not keep the text alive.
func TestParseKeepsNothing(t *testing.T) {
	const n = 64
	results := make([]sqltext.Result, n)
	texts := make([]string, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		query := "SELECT a FROM t WHERE b = '" + strings.Repeat("x", 1<<20) + "'"
		results[i] = sqltext.Parse(sqltext.PostgreSQL, query)
		texts[i] = sqltext.Truncate(query)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > n*(3*sqltext.MaxText) {
		t.Errorf("%d bytes for %d results", grown, n)
	}
	runtime.KeepAlive(results)
	runtime.KeepAlive(texts)
}

// A SELECT behind FROM takes its place, and not that of an operation that is there because
// FROM did not fit.
func TestFullSummaryKeepsItsWords(t *testing.T) {
	query := "INSERT INTO " + strings.Repeat("a", 3000) + " FROM b SELECT c"
	if got := sqltext.Parse(sqltext.Default, query).Summary; got != "INSERT" {
		t.Errorf("%q", got)
	}
}
