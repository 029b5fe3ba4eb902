package sqltext_test

import (
	"strings"
	"testing"

	"github.com/taskspan/taskspan/internal/sqltext"
)

const tag = "/*a='b'*/"

// placed returns query with the comment tag at its place.
func placed(d sqltext.Dialect, query string) string {
	return sqltext.AddComment(query, tag, sqltext.Parse(d, query).CommentAt)
}

func TestCommentsGoBehindTheLastStatement(t *testing.T) {
	const comment = " /*a='b'*/"
	for _, d := range dialects {
		if d == sqltext.SQLite {
			continue
		}
		for _, test := range []struct{ query, want string }{
			{"SELECT id FROM t", "SELECT id FROM t" + comment},
			{"SELECT id FROM t\n", "SELECT id FROM t\n" + comment},
			// Behind a semicolon it would be a statement more, without rows.
			{"SELECT id FROM t;", "SELECT id FROM t" + comment + ";"},
			{"SELECT id FROM t ; \n", "SELECT id FROM t " + comment + "; \n"},
			{"SELECT id FROM t;\f", "SELECT id FROM t" + comment + ";\f"},
			{"SELECT id FROM t;\v\n", "SELECT id FROM t" + comment + ";\v\n"},
			{"SELECT id FROM t;\u00a0", "SELECT id FROM t" + comment + ";\u00a0"},
			{"SELECT id FROM t -- all\n;", "SELECT id FROM t -- all\n" + comment + ";"},
			{"SELECT id FROM t /* all */", "SELECT id FROM t /* all */" + comment},
			{"DELETE FROM a; DELETE FROM b", "DELETE FROM a; DELETE FROM b" + comment},
			// Where it would not be read as a comment.
			{"SELECT id FROM t -- all", ""},
			{"SELECT id FROM t -- all;", ""},
			{"SELECT id FROM t -- all;\n", ""},
			{"SELECT id FROM t -- all;\n;", ""},
			{"SELECT id FROM t /* all", ""},
			{"SELECT 'unterminated", ""},
			{"SELECT 'unterminated;", ""},
		} {
			if test.want == "" {
				test.want = test.query
			}
			if got := placed(d, test.query); got != test.want {
				t.Errorf("%v: %q becomes %q, want %q", d, test.query, got, test.want)
			}
		}
	}
}

// A text without a comment of ours is the application's to the last byte.
func TestNoComments(t *testing.T) {
	all := []string{
		"", " ", ";", " ;; \n", "\ufeff", "-- nothing\n", "-- nothing\n;", "/* nothing */", "/* nothing */;",
		// It has one already.
		"SELECT 1 /*x='y',z='%20'*/", "SELECT 1 /*x='y'*/;", "/*x='y'*/ SELECT 1", " \n/*x='y'*/SELECT 1",
		"SELECT 1 /*a='b'*/ -- c\n", "SELECT 1 /*traceparent='x'*/ /* y */;", "-- name: X\n/*a='b'*/ SELECT 1", "SELECT 1 /*a='b'*/ -- c",
		// It looks as if it had one.
		"SELECT '/*a=''b''*/'",
		// The database keeps definitions as they are written.
		"CREATE VIEW v AS SELECT 1", "create or replace function f() returns int return 1", "CREATE TABLE t (id INT)",
		"ALTER EVENT e DO DELETE FROM t", "-- make it\nCREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW SET @a = 1;",
		"DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT 1", "BEGIN; ALTER TABLE t ADD c INT; COMMIT",
		"SELECT " + strings.Repeat("a, ", 2000) + "b FROM t; CREATE VIEW v AS SELECT 1",
		// Data follows.
		"COPY t FROM STDIN", "COPY t FROM STDIN;\n1\talice\n", `COPY "t" ("id") FROM STDIN`, "copy t to stdout",
		// Most of it is not looked at.
		"SELECT 1" + strings.Repeat(" ", sqltext.MaxScan),
	}
	for _, d := range dialects {
		for _, query := range all {
			if got := placed(d, query); got != query {
				t.Errorf("%v: %.60q becomes %.100q", d, query, got)
			}
		}
	}
	for _, test := range []struct {
		dialect sqltext.Dialect
		queries []string
	}{
		// go-mssqldb calls a procedure by its name, and reads the text of a bulk copy itself.
		{sqltext.SQLServer, []string{
			"my_proc", "dbo.my_proc", "sp_who", "[my].[proc]", "[my proc]", "#temporary", "a..b", "select.it", "SELECT", "COMMIT",
			`INSERTBULK {"TableName":"t","ColumnsName":["id"],"Options":{}}`, `insertbulk {}`,
		}},
		{sqltext.Default, []string{
			"dbo.my_proc", "INSERTBULK {}",
			"INSERT INTO t FORMAT CSV\n1,alice", "INSERT INTO t VALUES (1)", "INSERT INTO t",
			"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
			"/*!50003 CREATE*/ /*!50020 DEFINER=root*/ /*!50003 TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1 */",
		}},
		{sqltext.MySQL, []string{
			"/*!50003 CREATE*/ /*!50003 TRIGGER*/ g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
			"/*M!100000 CREATE*/ VIEW v AS SELECT 1",
		}},
	} {
		for _, query := range test.queries {
			if got := placed(test.dialect, query); got != query {
				t.Errorf("%v: %q becomes %q", test.dialect, query, got)
			}
		}
	}
}

// What merely resembles a definition is a statement like any other.
func TestCommentsOnStatements(t *testing.T) {
	for _, query := range []string{
		"SELECT created, altered FROM copies WHERE action = 'create'", "-- create one\nUPDATE t SET a = 'alter'",
		"DELETE FROM t /* copy */", "select 1", "WITH x AS (SELECT 1) SELECT * FROM x", "TRUNCATE TABLE t", "EXEC my_proc 1",
		";WITH x AS (SELECT 1) SELECT * FROM x", "/* a */ SELECT 1", "BEGIN TRAN", "SET LOCK_TIMEOUT 5", "SELECT\n1",
	} {
		for _, d := range dialects {
			if got := placed(d, query); !strings.Contains(got, "/*a='b'*/") {
				t.Errorf("%v: %q stays as it is", d, query)
			} else if again := placed(d, got); again != got {
				t.Errorf("%v: %q has a second comment: %q", d, query, again)
			}
		}
	}
	const insert = "INSERT INTO t VALUES (1)"
	for _, d := range dialects[1:] {
		if got := placed(d, insert); got == insert {
			t.Errorf("%v: %q stays as it is", d, insert)
		}
	}
}

// FuzzComments looks for a text that a comment changes: to the dialect it must
// read as before, it must be whole around the comment, and get no second one.
func FuzzComments(f *testing.F) {
	for i, query := range []string{
		"SELECT 1", "SELECT 1;", "SELECT 1 -- all;\n;", "SELECT 1 # all\n;", "SELECT 1 /* all */ ;\u00a0", "SELECT 1 - /* a */", ";SELECT 1",
		"SELECT 'a;' -- b", "SELECT $$ ; $$;", "/*a='b'*/ SELECT 1", "\ufeffUPDATE t SET a = 1;;", "SELECT [a;] FROM t;", "SELECT 1;\r;",
	} {
		f.Add(uint8(i), query)
		f.Add(uint8(i+1), query)
	}
	f.Fuzz(func(t *testing.T, dialect uint8, query string) {
		d := dialects[int(dialect)%len(dialects)]
		r := sqltext.Parse(d, query)
		at := r.CommentAt
		if at < 0 || len(query) > sqltext.MaxText/2 { // where Text is whole in either
			return
		}
		got := placed(d, query)
		if !strings.HasPrefix(got, query[:at]) || !strings.HasSuffix(got, query[at:]) || len(got) != len(query)+len("/*a='b'*/ ") {
			t.Errorf("%v: %q becomes %q", d, query, got)
		}
		if d == sqltext.Default && strings.Contains(query, "[") {
			return // one that is not closed is dropped with the quotes behind it: no database executes that
		}
		with := sqltext.Parse(d, got)
		if a, b := unspaced(r.Text), unspaced(with.Text); a != b || with.Summary != r.Summary || with.Placeholder != r.Placeholder {
			t.Errorf("%v: %q reads %q (%q), and with a comment %q (%q)", d, query, a, r.Summary, b, with.Summary)
		}
		if again := placed(d, got); again != got {
			t.Errorf("%v: %q has a second comment: %q", d, got, again)
		}
	})
}

// unspaced returns text without white space.
func unspaced(text string) string { return strings.Join(strings.Fields(text), "") }

// A comment behind a long text would be beyond what servers keep of it.
func TestCommentsGoInFrontOfLongTexts(t *testing.T) {
	padding := strings.Repeat("a, ", sqltext.MaxTail/3)
	for _, d := range dialects {
		for query, front := range map[string]bool{
			"SELECT " + padding + "b FROM t":                                    true,
			"SELECT " + padding + "b FROM t;":                                   true,
			"SELECT " + padding + "b FROM t -- all":                             true,
			"-- name: GetUser :one\nSELECT " + padding + "b FROM t":             true,
			"SELECT " + padding[:900] + "b FROM t":                              d == sqltext.SQLite,
			"/* first */ SELECT " + padding + "b FROM t":                        d == sqltext.SQLite,
			"SELECT /*+ hint */ " + padding + "b FROM t":                        d == sqltext.SQLite,
			"\ufeffSELECT " + padding + "b FROM t":                              d == sqltext.SQLite,
			"WITH x AS (SELECT " + padding + "b FROM t) SELECT * FROM x -- all": true,
		} {
			got := placed(d, query)
			if (got == tag+" "+query) != front || !strings.Contains(got, tag) && d != sqltext.Default {
				t.Errorf("%v: %.40q…: %.60q… %q", d, query, got, got[len(got)-20:])
			}
		}
		for _, query := range []string{"CREATE VIEW v AS SELECT " + padding + "b FROM t", "SELECT " + padding + "'b"} {
			if got := placed(d, query); got != query {
				t.Errorf("%v: %.40q… becomes %.60q…", d, query, got)
			}
		}
	}
}
