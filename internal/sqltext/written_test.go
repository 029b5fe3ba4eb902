package sqltext_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/taskspan/taskspan/internal/sqltext"
)

func TestWritten(t *testing.T) {
	for _, c := range []struct{ dialects, query, text string }{
		// As it is written.
		{"PLD", "SELECT a FROM t WHERE b = $1 AND c = 'active' AND d > 42 -- live ones\n", ""},
		{"PMLSOD", "SELECT a /* c */ FROM t WHERE b IN (1, 2, 3) AND c = 'not found yet' LIMIT 1000", ""},
		{"PMLSOD", "SELECT to_char(a, 'YYYY-MM-DD HH24:MI:SS'), 'utf8mb4', 'application/json' FROM t", ""},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'a sentence of more than twenty characters, in words'", ""},
		// No static text by its look.
		{"PMLSOD", "SELECT a FROM t WHERE b = 'abcdefghijklmnopqrstu'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'Bearer abcdefghijklmnopqrstu'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'qk3v9x1m8z2w7ab'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'deadbeef'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'aGVsbG8x'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'c2VjcmV0Cg=='", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'a@b.example'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = '4111 1111 1111 1111'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 's3://b/k'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 4111111111111111", "SELECT a FROM t WHERE b = ?"},
		{"MSD", "SELECT a FROM t WHERE b = 0xDEADBEEFCAFE", "SELECT a FROM t WHERE b = ?"},
		// By its place.
		{"PMLSOD", "SELECT pgp_sym_encrypt(a, 'key') FROM t", "SELECT pgp_sym_encrypt(a, ?) FROM t"},
		{"PMLSOD", "SELECT pgp_sym_decrypt(f(a), concat('k', 'e')) FROM t", "SELECT pgp_sym_decrypt(f(a), concat(?, ?)) FROM t"},
		{"PMLSOD", "SELECT AES_ENCRYPT(a, 'key'), hmac(b, 'key', 'sha256') FROM t", "SELECT AES_ENCRYPT(a, ?), hmac(b, ?, ?) FROM t"},
		{"PMLSOD", "SELECT a FROM t WHERE password = 'x' AND api_token = 'y' AND key = 'version'",
			"SELECT a FROM t WHERE password = ? AND api_token = ? AND key = 'version'"},
		{"P", "CREATE ROLE r PASSWORD 'x'", "CREATE ROLE r PASSWORD ?"},
		{"P", "CREATE SUBSCRIPTION s CONNECTION 'a b'", "CREATE SUBSCRIPTION s CONNECTION ?"},
		{"PD", "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password 'x')", "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password ?)"},
		{"L", "ATTACH ? AS a KEY 'x'", "ATTACH ? AS a KEY ?"},
		{"MO", "CREATE USER u IDENTIFIED BY 'x'", "CREATE USER u IDENTIFIED BY ?"},
		{"D", "COPY INTO t FROM @s CREDENTIALS = (AWS_KEY_ID = 'a' AWS_SECRET_KEY = 'b')",
			"COPY INTO t FROM @s CREDENTIALS = (AWS_KEY_ID = ? AWS_SECRET_KEY = ?)"},
		// Rows of placeholders.
		{"PD", "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4), ($5, $6) RETURNING a", "INSERT INTO t (a, b) VALUES ($1, $2), … RETURNING a"},
		{"MLD", "INSERT INTO t VALUES (?, ?),(?, ?)\n, (?, ?)", "INSERT INTO t VALUES (?, ?), …"},
		{"MLD", "REPLACE INTO t VALUES (?, now()), (?, now())", "REPLACE INTO t VALUES (?, now()), …"},
		{"PMLD", "INSERT INTO t VALUES (1, 2), (3, 4)", ""},
		{"MLD", "INSERT INTO t VALUES (?, 1), (?, 2), (?, ?), (?, 3)", "INSERT INTO t VALUES (?, 1), (?, 2), …, (?, 3)"},
		{"PMLD", "INSERT INTO t SELECT a FROM u WHERE (b, c) IN ((1, 2), (3, 4))", ""},
		// What is in doubt.
		{"MD", `SELECT a FROM t WHERE b = ? AND c = 'it\'s' AND d = 'x'`, "SELECT a FROM t WHERE b = ? AND c = ?"},
	} {
		for _, letter := range c.dialects {
			d := letters[letter]
			want := c.text
			if want == "" {
				want = c.query
			}
			if got := sqltext.Written(d, c.query); got != want {
				t.Errorf("%v: %q\n got %q\nwant %q", d, c.query, got, want)
			}
		}
	}
}

// A batch of any size fits.
func TestWrittenBatch(t *testing.T) {
	query := "INSERT INTO t VALUES (?, ?)" + strings.Repeat(", (?, ?)", 5000) + " ON DUPLICATE KEY UPDATE a = 1"
	if got := sqltext.Written(sqltext.MySQL, query); got != "INSERT INTO t VALUES (?, ?), … ON DUPLICATE KEY UPDATE a = 1" {
		t.Errorf("%.200q", got)
	}
}

// Names that are addresses are dropped in every dialect.
func TestAddressesAreNoNames(t *testing.T) {
	for _, name := range []string{"s3://b/k?sig=cAnArY", "https://h/cAnArY", "u:cAnArY@h", "a=cAnArY", "x?cAnArY"} {
		for _, d := range dialects {
			for _, quotes := range []string{`""`, "``"} {
				query := "SELECT a FROM " + quotes[:1] + name + quotes[1:] + " WHERE b = 1"
				if quotes == "``" && d != sqltext.MySQL && d != sqltext.SQLite && d != sqltext.Default {
					continue
				}
				if leaked(d, query) || d != sqltext.MySQL && strings.Contains(sqltext.Written(d, query), canary) {
					t.Errorf("%v: %q: %q", d, query, sqltext.Parse(d, query).Text)
				}
			}
		}
		for _, d := range []sqltext.Dialect{sqltext.SQLite, sqltext.SQLServer} {
			if query := "SELECT a FROM [" + name + "]"; leaked(d, query) {
				t.Errorf("%v: %q: %q", d, query, sqltext.Parse(d, query).Text)
			}
		}
	}
}

// FuzzWritten plants a secret in a parameterised text.
func FuzzWritten(f *testing.F) {
	for _, s := range statements {
		f.Add(uint8(s.dialect), s.query)
	}
	f.Fuzz(func(t *testing.T, dialect uint8, query string) {
		d := dialects[int(dialect)%len(dialects)]
		text := sqltext.Written(d, query)
		if !utf8.ValidString(text) || len(text) > sqltext.MaxText {
			t.Fatalf("%v: %q: %q", d, query, text)
		}
		if !strings.ContainsAny(query, "'\"") && len(query) < 1000 {
			secret := "SELECT pgp_sym_encrypt($1, 'zqzq'), '" + strings.Repeat("zq", 11) + "' FROM t; " + query
			if !strings.Contains(query, "zq") && strings.Contains(sqltext.Written(d, secret), "zq") {
				t.Fatalf("%v: %q: %q", d, secret, sqltext.Written(d, secret))
			}
		}
	})
}
