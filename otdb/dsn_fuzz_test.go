package otdb

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
	for i := range dsnForms {
		for j, template := range dsnNasty {
			if (i+j)%7 != 0 {
				continue // a seventh of all pairs, each form and each template
			}
			before, after, _ := strings.Cut(dsnNastyText(template), dsnCanary)
			f.Add(uint8(i), before, after, "pw", "")
			f.Add(uint8(i), "app", "", before, after)
		}
	}
	for i, tt := range dsnTests {
		f.Add(uint8(i), tt.driver, tt.dsn, "", "")
	}
	f.Fuzz(func(t *testing.T, form uint8, a, b, c, d string) {
		fm := dsnForms[int(form)%len(dsnForms)]
		user, password := a+dsnCanary+b, c+dsnCanary+d
		for _, dsn := range []string{
			fm.dsn(user, "pw", "x"),
			fm.dsn("app", password, "x"),
			fm.dsn("app", "pw", password),
			fm.dsn(user, password, "x"),
			fm.dsn(user, password, user),
			fm.dsn(a, b+dsnCanary+c, d),
		} {
			got := targetFromDSN(fm.driver, nil, dsn)
			if part := dsnLeak(got); part != "" {
				t.Errorf("%q of the canary leaks: %s\n%q\n%+v", part, fm.driver, dsn, got)
			}
			checkDSNTarget(t, got)
		}
		for _, dsn := range []string{a, b, c, d, a + b, a + c + "@" + d} {
			checkDSNTarget(t, targetFromDSN(fm.driver, nil, dsn))
			checkDSNTarget(t, targetFromDSN(a, nil, dsn))
		}
		// White space around a list means nothing.
		if list := strings.TrimFunc(a, unicode.IsSpace); isDSNPostgresList(targetPostgreSQL, list) {
			if got, want := targetFromDSN("pgx", nil, " "+list), targetFromDSN("pgx", nil, list); got != want {
				t.Errorf("%q: got %+v with a space before it, want %+v", list, got, want)
			}
		}
	})
}
