package target

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzDSN looks for a DSN that a secret gets out of. It fills a form with a
// fuzzed user, password and parameter, each of which has the canary in it, and
// reads the fuzzed texts as DSNs by themselves, of which only the form of the
// target can be told.
func FuzzDSN(f *testing.F) {
	for i := range forms {
		for j, template := range nasty {
			if (i+j)%7 != 0 {
				continue // a seventh of all pairs, each form and each template
			}
			before, after, _ := strings.Cut(nastyText(template), canary)
			f.Add(uint8(i), before, after, "pw", "")
			f.Add(uint8(i), "app", "", before, after)
		}
	}
	for i, tt := range dsnTests {
		f.Add(uint8(i), tt.driver, tt.dsn, "", "")
	}
	f.Fuzz(func(t *testing.T, form uint8, a, b, c, d string) {
		fm := forms[int(form)%len(forms)]
		user, password := a+canary+b, c+canary+d
		for _, dsn := range []string{
			fm.dsn(user, "pw", "x"),
			fm.dsn("app", password, "x"),
			fm.dsn("app", "pw", password),
			fm.dsn(user, password, "x"),
			fm.dsn(user, password, user),
			fm.dsn(a, b+canary+c, d),
		} {
			got := FromDSN(fm.driver, nil, dsn)
			if part := leak(got); part != "" {
				t.Errorf("%q of the canary leaks: %s\n%q\n%+v", part, fm.driver, dsn, got)
			}
			checkTarget(t, got)
		}
		for _, dsn := range []string{a, b, c, d, a + b, a + c + "@" + d} {
			checkTarget(t, FromDSN(fm.driver, nil, dsn))
			checkTarget(t, FromDSN(a, nil, dsn))
		}
		// White space around a list means nothing.
		if list := strings.TrimFunc(a, unicode.IsSpace); isPostgresList(postgreSQL, list) {
			if got, want := FromDSN("pgx", nil, " "+list), FromDSN("pgx", nil, list); got != want {
				t.Errorf("%q: got %+v with a space before it, want %+v", list, got, want)
			}
		}
	})
}
