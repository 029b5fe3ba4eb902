package sqltext_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/taskspan/taskspan/internal/sqltext"
)

const canary = "cAnArY"

// form is one way to write a literal. It makes one of a content; the content is
// escaped as the form needs it.
type form struct {
	name     string
	dialects string // the letters of the dialects: P, M, L (SQLite), S, O, D
	make     func(content string) string
}

// wrapped returns a form with a beginning and an end, and the content's quotes doubled.
func wrapped(name, dialects, begin, end, q string) form {
	return form{name, dialects, func(c string) string {
		if q != "" {
			c = strings.ReplaceAll(c, q, q+q)
		}
		return begin + c + end
	}}
}

// escapedForm is wrapped for forms in which a backslash escapes.
func escapedForm(name, dialects, begin, end, q string) form {
	return form{name, dialects, func(c string) string {
		return begin + strings.NewReplacer(`\`, `\\`, q, `\`+q).Replace(c) + end
	}}
}

var forms = []form{
	wrapped("string", "PMLSOD", "'", "'", "'"),
	wrapped("national", "PMSOD", "N'", "'", "'"),
	wrapped("bits", "PMD", "b'", "'", "'"),
	wrapped("hex", "PMLD", "X'", "'", "'"),
	wrapped("unicode", "PD", "U&'", "'", "'"),
	escapedForm("E", "PD", "E'", "'", "'"),
	escapedForm("e", "PD", "e'", "'", "'"),
	wrapped("dollar", "P", "$$", "$$", ""),
	wrapped("tagged dollar", "PD", "$tag_1$", "$tag_1$", ""),
	escapedForm("escaped", "MD", "'", "'", "'"),
	escapedForm("double", "MD", `"`, `"`, `"`),
	wrapped("double, doubled", "MLSD", `"`, `"`, `"`),
	escapedForm("charset", "MD", "_utf8mb4'", "'", "'"),
	escapedForm("charset, double", "MD", `_latin1"`, `"`, `"`),
	wrapped("q[]", "OD", "q'[", "]'", ""),
	wrapped("q!!", "OD", "Q'!", "!'", ""),
	wrapped("nq{}", "OD", "nQ'{", "}'", ""),
	wrapped("block comment", "PMLSOD", "/*", "*/", ""),
	wrapped("hint", "PMLSOD", "/*+ ", "*/", ""),
	wrapped("version comment", "MD", "/*!50000 '", "' */", "'"),
	wrapped("MariaDB comment", "MD", "/*M!100000 '", "' */", "'"),
	wrapped("line comment", "PMLSOD", "-- ", "\n", ""),
	wrapped("hash comment", "MD", "# ", "\n", ""),
	wrapped("triple", "D", "'''", "'''", ""),
}

// contents are what a literal may hold: each contains the canary, and what could
// end the literal too soon.
var contents = []string{
	canary,
	"it's " + canary,
	"' " + canary,
	canary + "'",
	`" ` + canary,
	"` " + canary + " `",
	`\ ` + canary,
	`\' ` + canary,
	`\\' ` + canary,
	`' \` + canary + `\`,
	`\`,
	"-- " + canary,
	"/* " + canary,
	"$$ " + canary + " $1",
	"$x$ " + canary,
	"[" + canary + "]",
	"; SELECT " + canary + " FROM " + canary + "; ",
	", " + canary + ", ?",
	"( " + canary,
	") FROM " + canary,
	"é世" + canary,
	"\t" + canary,
	"# " + canary,
}

// positions are where a literal may stand.
var positions = []string{
	"%s",
	"SELECT %s",
	"SELECT a, %s FROM t WHERE b = 1",
	"SELECT * FROM t WHERE a = %s AND b IN (1, %[1]s)",
	"SELECT * FROM t WHERE a=%s",
	"SELECT * FROM t WHERE a LIKE %s ESCAPE '!'",
	"SELECT f(%s), g(1, %[1]s) FROM t JOIN u ON u.a = %[1]s",
	"INSERT INTO t (a, b) VALUES (%s, 1), (%[1]s, 2)",
	"UPDATE t SET a = %s WHERE b = %[1]s",
	"DELETE FROM t WHERE a IN (%s)",
	"WITH x AS (SELECT %s) SELECT * FROM x",
	"CALL p(%s)",
	"EXEC p %s, %[1]s",
	"SET x = %s",
	"SELECT 1; SELECT %s; SELECT 2",
	"SELECT -%s",
	"SELECT a FROM t ORDER BY %s LIMIT 5",
	"SELECT CASE WHEN a = %s THEN %[1]s ELSE %[1]s END FROM t",
	"SELECT 'x' || %s || 'y' FROM t",
	"SELECT a FROM t -- c\n WHERE b = %s",
	"SELECT %s::text, CAST(%[1]s AS text)",
	"CREATE TABLE t (a text DEFAULT %s)",
	"SELECT EXTRACT(YEAR FROM %s), TRIM(BOTH FROM %[1]s)",
	"SELECT x IS DISTINCT FROM %s FROM t",
	"PREPARE q FROM %s",
	"SHOW TABLES FROM d LIKE %s",
	"ALTER USER u IDENTIFIED BY %s",
	"SELECT a %s FROM t",
	"SELECT a AS %s FROM t",
}

// once returns a position in which the literal stands once.
func once(position string) string { return strings.ReplaceAll(position, "%[1]s", "1") }

// letter returns the letter of a dialect in a form.
func letter(d sqltext.Dialect) string {
	return map[sqltext.Dialect]string{
		sqltext.Default: "D", sqltext.PostgreSQL: "P", sqltext.MySQL: "M", sqltext.SQLite: "L",
		sqltext.SQLServer: "S", sqltext.Oracle: "O",
	}[d]
}

// leaked reports whether a canary is in what was found in a text.
func leaked(d sqltext.Dialect, query string) bool {
	r := sqltext.Parse(d, query)
	return strings.Contains(strings.ToLower(r.Text+r.Summary), strings.ToLower(canary))
}

func TestParseLeaksNothing(t *testing.T) {
	n := 0
	for _, d := range dialects {
		for _, f := range forms {
			if !strings.Contains(f.dialects, letter(d)) {
				continue
			}
			for _, content := range contents {
				literal := f.make(content)
				for _, position := range positions {
					query := fmt.Sprintf(position, literal)
					for _, query := range []string{
						query,
						fmt.Sprintf(once(position), literal[:len(literal)-1]), // not terminated
						query + "\x00 " + canary,
						query + "\xff " + canary,
						strings.ReplaceAll(query, canary, canary+"\x00"+canary),
					} {
						n++
						if f.closesEarly(content) {
							continue
						}
						if leaked(d, query) {
							t.Fatalf("%v, %s: %q: %q", d, f.name, query, sqltext.Parse(d, query).Text)
						}
					}
				}
			}
		}
	}
	t.Logf("%d texts", n)
}

// closesEarly reports whether the content ends the literal, so that what follows
// is none: a form without escapes cannot hold everything.
func (f form) closesEarly(content string) bool {
	literal := f.make(content)
	switch {
	case strings.HasPrefix(literal, "$$"):
		return strings.Contains(content, "$$")
	case f.name == "q[]", f.name == "q!!", f.name == "nq{}":
		return strings.Contains(content, literal[len(literal)-2:])
	case f.name == "triple":
		return false
	}
	return false
}

func TestParseLeaksNoNumber(t *testing.T) {
	for _, d := range dialects {
		for _, number := range []string{
			"867530", "-867530", "+867530", "867530.867530", ".867530", "867530.", "867530e5", "1e867530", "1e-867530",
			"0x867530", "0X867530", "0b867530", "0o867530", "867_530", "1_867530", "867530::int", "867530abc", "867530L",
			"0x_867530", "1867530..867530",
		} {
			for _, position := range positions {
				query := fmt.Sprintf(position, number)
				r := sqltext.Parse(d, query)
				if out := r.Text + r.Summary; strings.Contains(out, "867") || strings.Contains(out, "530") {
					t.Errorf("%v: %q: %q", d, query, out)
				}
			}
		}
	}
	for _, money := range []string{"$867530", "$867530.25", "-$867530", "£867530", "€ 867530", "$-867530", "$.867530"} {
		if r := sqltext.Parse(sqltext.SQLServer, "SELECT "+money); strings.Contains(r.Text, "867") {
			t.Errorf("%q: %q", money, r.Text)
		}
	}
}

// TestParseLeaksNoBareWord is about secrets that need no quotes.
func TestParseLeaksNoBareWord(t *testing.T) {
	for _, c := range []struct {
		dialect sqltext.Dialect
		query   string
	}{
		{sqltext.Oracle, "CREATE USER u IDENTIFIED BY cAnArY"},
		{sqltext.Oracle, `ALTER USER u IDENTIFIED BY "cAnArY" REPLACE cAnArY`},
		{sqltext.Oracle, "ALTER USER u IDENTIFIED BY /* c */ cAnArY"},
		{sqltext.Oracle, "CREATE DATABASE LINK l CONNECT TO u IDENTIFIED BY cAnArY USING 'x'"},
		{sqltext.SQLite, "PRAGMA key = cAnArY"},
		{sqltext.SQLite, `PRAGMA main.rekey = "cAnArY"`},
		{sqltext.SQLite, "PRAGMA hexkey=cAnArY"},
		{sqltext.SQLServer, "EXEC sp_addlogin bob, cAnArY"},
		{sqltext.SQLServer, "EXEC sp_addlogin @loginame = bob, @passwd = cAnArY"},
		{sqltext.SQLServer, "sp_addlogin bob, [cAnArY]"},
		{sqltext.SQLServer, "EXEC dbo.p a.cAnArY"},
		{sqltext.SQLite, "ATTACH DATABASE 'x' AS y KEY cAnArY"},
		{sqltext.SQLite, "ATTACH 'x' AS 'y' cAnArY KEY cAnArY"},
		{sqltext.SQLite, "ATTACH 'x' AS y.cAnArY KEY [cAnArY]"},
		{sqltext.SQLite, "ATTACH DATABASE cAnArY AS y"},
		{sqltext.SQLite, "ATTACH cAnArY || ('a' || cAnArY) AS y"},
		{sqltext.SQLite, "ATTACH [cAnArY] AS y"},
		{sqltext.SQLite, "ATTACH `cAnArY` AS y"},
		{sqltext.SQLite, `ATTACH "a"."cAnArY".cAnArY AS y`},
		{sqltext.Default, "attach cAnArY as y (TYPE cAnArY)"},
		{sqltext.PostgreSQL, `SET x = "cAnArY", 'a', cAnArY`},
		{sqltext.PostgreSQL, "SET x TO on.cAnArY"},
		{sqltext.PostgreSQL, "SET x = DEFAULT cAnArY"},
		{sqltext.PostgreSQL, "SET x = -cAnArY"},
		{sqltext.PostgreSQL, "SET x /* c */ = /* c */ a -- c\n cAnArY"},
		{sqltext.PostgreSQL, "ALTER ROUTINE f SET x TO cAnArY"},
		{sqltext.PostgreSQL, "ALTER ROLE u IN DATABASE d SET x TO a, cAnArY"},
		{sqltext.MySQL, "SET PERSIST x = (cAnArY), y := `cAnArY`, z = a.cAnArY"},
		{sqltext.MySQL, "SET PASSWORD FOR u = cAnArY"},
		{sqltext.Oracle, "ALTER SESSION SET x = a y = cAnArY"},
		{sqltext.Default, "SET x=cAnArY\x00"},
		{sqltext.PostgreSQL, "CREATE USER u WITH ENCRYPTED PASSWORD cAnArY"},
		{sqltext.PostgreSQL, `ALTER GROUP u PASSWORD "cAnArY"`},
		{sqltext.PostgreSQL, "ALTER ROLE u PASSWORD a.cAnArY"},
		{sqltext.PostgreSQL, "ALTER ROLE u PASSWORD a-'cAnArY'"},
		{sqltext.PostgreSQL, "CREATE USER u PASSWORD a!cAnArY"},
		{sqltext.PostgreSQL, "ALTER ROLE u SET password TO cAnArY"},
		{sqltext.Default, "ALTER ROLE u SET password TO cAnArY"},
		{sqltext.PostgreSQL, "ALTER ROLE u SET password TO password, cAnArY"},
		{sqltext.PostgreSQL, "CREATE ROLE r IN ROLE password PASSWORD cAnArY"},
		{sqltext.PostgreSQL, "ALTER ROLE u PASSWORD to.cAnArY"},
		{sqltext.PostgreSQL, "ALTER ROLE u PASSWORD by-cAnArY"},
		{sqltext.MySQL, "CREATE USER u IDENTIFIED WITH caching_sha2_password BY cAnArY"},
		{sqltext.Default, "CREATE USER u IDENTIFIED WITH caching_sha2_password BY cAnArY"},
		{sqltext.MySQL, "ALTER USER u IDENTIFIED WITH mysql_native_password AS `cAnArY`"},
		{sqltext.MySQL, "GRANT ALL ON *.* TO u IDENTIFIED VIA mysql_native_password USING cAnArY"},
		{sqltext.Default, "ALTER USER u PASSWORD IS cAnArY"},
		{sqltext.SQLServer, "CREATE LOGIN u WITH PASSWORD = cAnArY, CHECK_POLICY = OFF"},
		{sqltext.SQLServer, "ALTER LOGIN u WITH PASSWORD=[cAnArY]"},
		{sqltext.Default, "GRANT CONNECT TO u PASSWORD /* c */ cAnArY"},
		{sqltext.Default, "BACKUP d WITH PASSWORD = cAnArY"},
		{sqltext.PostgreSQL, "CREATE USER password PASSWORD cAnArY"},
		{sqltext.SQLServer, "ALTER LOGIN u WITH PASSWORD = a OLD_PASSWORD = cAnArY"},
		{sqltext.MySQL, "CHANGE MASTER TO MASTER_USER = u, MASTER_PASSWORD = cAnArY"},
		{sqltext.Oracle, `ADMINISTER KEY MANAGEMENT ALTER KEYSTORE PASSWORD IDENTIFIED BY "cAnArY" SET "cAnArY" WITH BACKUP`},
		{sqltext.Oracle, "ADMINISTER KEY MANAGEMENT ALTER KEYSTORE PASSWORD IDENTIFIED BY cAnArY SET cAnArY WITH BACKUP"},
		{sqltext.Oracle, `ADMINISTER KEY MANAGEMENT EXPORT KEYS WITH SECRET "cAnArY" TO '/tmp/x' IDENTIFIED BY x`},
		{sqltext.Oracle, "ADMINISTER KEY MANAGEMENT IMPORT KEYS WITH SECRET cAnArY FROM '/tmp/x'"},
		{sqltext.Default, "administer key management export keys with secret cAnArY"},
		{sqltext.Oracle, `ALTER PLUGGABLE DATABASE p UNPLUG INTO 'x' ENCRYPT USING "cAnArY"`},
		{sqltext.Oracle, "CREATE PLUGGABLE DATABASE p USING 'x' KEYSTORE IDENTIFIED BY EXTERNAL STORE DECRYPT USING cAnArY"},
		{sqltext.Oracle, "CREATE PLUGGABLE DATABASE p USING 'x' DECRYPT USING cAnArY"},
		{sqltext.SQLite, `VACUUM INTO "/tmp/cAnArY.db"`},
		{sqltext.Default, `VACUUM main INTO "/tmp/cAnArY.db"`},
		{sqltext.PostgreSQL, "COPY users FROM STDIN;\n1\tcAnArY\n\\."},
		{sqltext.PostgreSQL, "COPY s.users (a, b) FROM STDIN WITH (FORMAT csv) ; \ncAnArY,b\n\\."},
		{sqltext.Default, "copy users from stdin csv;\ncAnArY;cAnArY\n"},
		{sqltext.Default, "INSERT INTO t FORMAT CSV\n1,cAnArY,cAnArY"},
		{sqltext.Default, "INSERT INTO t (a, b) SETTINGS x = 1 FORMAT TabSeparated cAnArY"},
		{sqltext.Default, "INSERT INTO t SELECT a FROM input('a String') FORMAT Regexp\ncAnArY"},
		{sqltext.SQLServer, "[dbo].[sp_addlogin] bob, cAnArY"},
		{sqltext.SQLServer, "[sp_addlogin] bob, cAnArY"},
		{sqltext.SQLServer, `"sp_addlogin" bob, cAnArY`},
		{sqltext.SQLServer, `"dbo"."sp_addlogin" bob, cAnArY`},
		{sqltext.SQLServer, "IF 1 = 1 EXEC sp_addlogin bob, cAnArY"},
		{sqltext.SQLServer, "SET NOCOUNT ON EXEC p cAnArY"},
		{sqltext.SQLServer, "DECLARE @x int EXEC p cAnArY"},
		{sqltext.SQLServer, "SELECT 1 EXEC p cAnArY"},
		{sqltext.SQLServer, "BEGIN TRY EXEC p cAnArY END TRY"},
		{sqltext.SQLServer, "CREATE PROCEDURE q WITH EXECUTE AS OWNER AS EXECUTE p cAnArY"},
		{sqltext.SQLServer, "EXEC @proc cAnArY"},
		{sqltext.SQLServer, "EXEC @rc = @proc cAnArY"},
		{sqltext.SQLServer, "EXEC @rc = p cAnArY, @x = cAnArY"},
		{sqltext.SQLServer, "EXEC dbo.p;1 bob, cAnArY"},
		{sqltext.SQLServer, "dbo.p ; /* c */ 1 bob, cAnArY"},
		{sqltext.SQLServer, `EXEC "sp_addlogin" bob, cAnArY`},
		{sqltext.SQLServer, `EXEC @r = "sp_addlogin" bob, cAnArY`},
		{sqltext.SQLServer, `INSERT t EXEC "p" cAnArY`},
		{sqltext.SQLServer, `EXEC "master".."sp_addlogin" bob, cAnArY`},
		{sqltext.SQLServer, "EXEC N'p' cAnArY"},
		{sqltext.SQLServer, "EXEC @r = ..sp_addlogin bob, cAnArY"},
		{sqltext.SQLServer, "..sp_addlogin bob, cAnArY"},
		{sqltext.SQLServer, "SELECT 1\nGO\n..sp_addlogin [cAnArY]"},
		{sqltext.SQLite, `PRAGMA "key" = cAnArY`},
		{sqltext.SQLite, "PRAGMA 'key' = cAnArY"},
		{sqltext.SQLite, "PRAGMA [key] = cAnArY"},
		{sqltext.SQLite, "PRAGMA `rekey` = cAnArY"},
		{sqltext.SQLite, `PRAGMA main."key" = cAnArY`},
		{sqltext.SQLite, "PRAGMA [main].[key] = cAnArY"},
		{sqltext.SQLite, `PRAGMA "main".key = cAnArY`},
		{sqltext.Default, "PRAGMA [key] = cAnArY"},
		{sqltext.Default, "PRAGMA main.'key' = cAnArY"},
		{sqltext.PostgreSQL, "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.token TO cAnArY AS $$SELECT 1$$"},
		{sqltext.PostgreSQL, "CREATE OR REPLACE PROCEDURE f(a int) SET app.token = b, cAnArY AS $$SELECT 1$$"},
		{sqltext.Default, "SELECT * FROM t WHERE id = ca0a8400-cA0A-41d4-a716-446655440000 AND a = 550e8400-cA0A-ca0a-a716-446655440000"},
		{sqltext.PostgreSQL, "SELECT \u00a0E'a\\''cAnArY'b'"},
		{sqltext.PostgreSQL, "SELECT 1, a\u00a0E'a\\', 'cAnArY'"},
		{sqltext.PostgreSQL, "SELECT 1\u00a0E'a\\', 'cAnArY'"},
		{sqltext.Oracle, "SELECT \u00a0q'[a'b]', 'cAnArY'"},
		{sqltext.Oracle, "SELECT \u00a0q'[a]'cAnArY'"},
	} {
		if leaked(c.dialect, c.query) {
			t.Errorf("%v: %q: %q", c.dialect, c.query, sqltext.Parse(c.dialect, c.query).Text)
		}
	}
	for _, d := range dialects {
		for _, query := range []string{
			"ATTACH DATABASE cAnArY AS y KEY cAnArY",
			"CREATE USER u PASSWORD cAnArY",
			"ALTER ROLE u WITH PASSWORD=cAnArY",
			"PASSWORD cAnArY",
		} {
			if leaked(d, query) {
				t.Errorf("%v: %q: %q", d, query, sqltext.Parse(d, query).Text)
			}
		}
		if d == sqltext.SQLite || d == sqltext.SQLServer { // no settings of this form
			continue
		}
		for _, set := range []string{"SET", "SET LOCAL", "SET SESSION", "SET GLOBAL", "ALTER SYSTEM SET", "ALTER ROLE u SET", "ALTER DATABASE d SET"} {
			for _, value := range []string{" = cAnArY", " TO cAnArY", "=cAnArY", " = a, cAnArY", " TO a cAnArY", " = f(cAnArY, a)"} {
				if query := "BEGIN; " + set + " app.token" + value + "; COMMIT"; d != sqltext.MySQL && leaked(d, query) || leaked(d, strings.Replace(query, "a, ", "", 1)) {
					t.Errorf("%v: %q: %q", d, query, sqltext.Parse(d, query).Text)
				}
			}
		}
	}
}

// FuzzLiteral plants a canary between two arbitrary contents in a literal.
func FuzzLiteral(f *testing.F) {
	for i := range forms {
		f.Add(uint8(i), uint8(i), uint8(i), "a'b", `c\`, "")
		f.Add(uint8(i+1), uint8(i), uint8(i+7), `"`, "*", " AND b = 'x'")
	}
	f.Fuzz(func(t *testing.T, dialect, kind, position uint8, before, after, rest string) {
		d := dialects[int(dialect)%len(dialects)]
		form := forms[int(kind)%len(forms)]
		content := before + canary + after
		if !strings.Contains(form.dialects, letter(d)) || form.closesEarly(content) || form.open(content) {
			return
		}
		if strings.Contains(strings.ToLower(rest), strings.ToLower(canary)) || strings.HasPrefix(rest, ".") || strings.Contains(rest, `".`) {
			return // "…".x is a name, and so is "…""…".x
		}
		query := fmt.Sprintf(once(positions[int(position)%len(positions)]), form.make(content)) + rest
		if leaked(d, query) {
			t.Fatalf("%v, %s: %q: %q", d, form.name, query, sqltext.Parse(d, query).Text)
		}
	})
}

// open reports whether the content may end a form that cannot escape it.
func (f form) open(content string) bool {
	switch f.name {
	case "block comment", "hint", "version comment", "MariaDB comment":
		return strings.Contains(content, "*/") || strings.HasSuffix(content, "*") || strings.HasPrefix(content, "/")
	case "line comment", "hash comment":
		return strings.ContainsAny(content, "\r\n")
	case "tagged dollar", "dollar":
		return strings.Contains(content, "$")
	case "q[]", "q!!", "nq{}", "triple":
		return strings.Contains(content, "'")
	}
	return false
}

// Values without quotes, in Default, where nobody knows which database reads the text.
func TestUnquotedSecrets(t *testing.T) {
	for _, query := range []string{
		// Procedures and utilities.
		"EXEC sp_addlogin bob, %s", "EXECUTE sp_password NULL, %s, bob", "sp_addlogin bob, %s", "master..sp_addlogin bob, %s",
		"CALL set_password bob %s", "xp_cmdshell net %s", "AUTHENTICATE bob %s", "AUTH %s", "LOGIN bob %s", "ADMIN CONFIG %s",
		"CONNECT bob/%s@db", "CONNECT TO db USER bob USING %s",
		// Options of utilities.
		"COPY t FROM s3 CREDENTIALS %s", "COPY INTO t FROM @s CREDENTIALS=(AWS_KEY_ID=%s AWS_SECRET_KEY=%s)",
		"COPY INTO t FROM @s ENCRYPTION=(MASTER_KEY = %s)", "UNLOAD (x) TO y ACCESS_KEY_ID %s SECRET_ACCESS_KEY %s",
		"LOAD DATA FROM x AUTH %s", "IMPORT FROM x TOKEN %s", "EXPORT TO x API_KEY %s", "EXPORT TO x WITH (SESSION_TOKEN = %s)",
		"BACKUP DATABASE d TO x PASSWORD = %s", "RESTORE DATABASE d FROM x WITH MEDIAPASSWORD = %s", "START REPLICA USER=bob PASSWORD=%s",
		"START GROUP_REPLICATION USER=bob, PASSWORD=%s", "CHANGE MASTER TO MASTER_PASSWORD=%s", "OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = %s",
		// Options of objects.
		"CREATE SECRET s (TYPE s3, KEY_ID %s, SECRET %s)", "CREATE SECRET (TYPE s3, SECRET %s)", "CREATE STAGE s CREDENTIALS=(AWS_SECRET_KEY=%s)",
		"CREATE EXTERNAL TABLE t LOCATION (x) ACCESS_KEY = %s SECRET_KEY = %s", "CREATE SERVER s OPTIONS (USER bob, PASSWORD %s)",
		"CREATE CREDENTIAL c WITH IDENTITY = bob, SECRET = %s", "ALTER CREDENTIAL c WITH SECRET = %s", "CREATE NAMED COLLECTION c AS secret_access_key=%s",
		"CREATE ROLE bob WITH PASSWORD = %s AND LOGIN = true", "ALTER USER bob SET PASSWORD %s", "CREATE USER bob PASSWORD %s",
		// Settings.
		"SET PASSWORD %s", "SET PASSWORD FOR bob TO %s", "SET PASSWORD FOR %s", "SET aws_token = %s", "SET SESSION AUTHORIZATION bob PASSWORD %s",
	} {
		for _, secret := range []string{canary, canary + "-1", "9" + canary} {
			query := strings.ReplaceAll(query, "%s", secret)
			if r := sqltext.Parse(sqltext.Default, query); strings.Contains(r.Text+r.Summary, canary) {
				t.Errorf("%q: %q, %q", query, r.Text, r.Summary)
			}
			if text := sqltext.Written(sqltext.Default, query); strings.Contains(text, canary) {
				t.Errorf("%q is recorded as %q", query, text)
			}
		}
	}
	// Names and types are none.
	for _, query := range []string{
		"CREATE TABLE t (token text, api_key uuid, secret bytea)", "CREATE TYPE u (token text)", "ALTER TABLE t ADD token text",
		"CREATE FUNCTION f (token text) RETURNS int", "CREATE INDEX i ON t (token)", "GRANT SELECT (token, secret) ON t TO bob",
		"COPY t (token, secret) TO STDOUT", "COPY (SELECT token FROM t) TO STDOUT", "CREATE VIEW v AS SELECT token FROM t",
		"DROP SECRET s", "CREATE SECRET s", "SELECT token FROM secret WHERE api_key = credential", "UPDATE t SET token = secret",
		"INSERT INTO t (token) SELECT secret FROM u", "DELETE FROM t USING u WHERE u.token = t.token",
	} {
		if r := sqltext.Parse(sqltext.Default, query); r.Text != query {
			t.Errorf("%q becomes %q", query, r.Text)
		}
	}
}
