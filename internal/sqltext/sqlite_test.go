package sqltext_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/internal/sqltext"
)

// openSQLite returns a connection to an empty database.
func openSQLite(t *testing.T) *sql.Conn {
	t.Helper()
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestSQLiteReadsLiterals lets the engine tell what is a literal: a sanitised
// text to which its values are bound yields what the text yields.
func TestSQLiteReadsLiterals(t *testing.T) {
	conn := openSQLite(t)
	for _, literal := range []string{
		"'a'", "'it''s'", "''", "'back\\'", "'a\nb'", "'-- x'", "'/* x */'", "'é世'", "1", "1.5", ".5", "5.", "1e3", "1E-3", "1.5e+3",
		"0xFF", "0Xff", "9223372036854775807", "x'CAFE'", "X''", `"no such column"`, `"it""s"`, `'"'`, `"'"`,
	} {
		query := "SELECT " + literal + ", typeof(" + literal + ")"
		r := sqltext.Parse(sqltext.SQLite, query)
		if r.Text != "SELECT ?, typeof(?)" {
			t.Errorf("%s: %q", query, r.Text)
			continue
		}
		var want, got any
		var wantType, gotType string
		if err := conn.QueryRowContext(context.Background(), query).Scan(&want, &wantType); err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if err := conn.QueryRowContext(context.Background(), r.Text, want, want).Scan(&got, &gotType); err != nil {
			t.Errorf("%s: %v", r.Text, err)
			continue
		}
		if !reflect.DeepEqual(got, want) || gotType != wantType {
			t.Errorf("%s: %v %s, sanitised %v %s", query, want, wantType, got, gotType)
		}
	}
}

// TestSQLiteCountsPlaceholders lets the engine tell which texts hold placeholders,
// and whether a comment may be appended to them.
func TestSQLiteCountsPlaceholders(t *testing.T) {
	conn := openSQLite(t)
	for _, schema := range []string{
		"CREATE TABLE t (a, b)", "CREATE TABLE u (id, a)", "CREATE TABLE users (id, a, b, c, d)", "CREATE TABLE old (a)",
	} {
		if _, err := conn.ExecContext(context.Background(), schema); err != nil {
			t.Fatal(err)
		}
	}
	texts := []string{
		"SELECT 1", "SELECT ?", "SELECT ?1, ?2", "SELECT :a", "SELECT @a", "SELECT $a", "SELECT $a::b", "SELECT '?', ':a'",
		`SELECT "?"`, "SELECT [?] FROM (SELECT 1 AS [?])", "SELECT `?` FROM (SELECT 1 AS `?`)", "SELECT 1 -- ?", "SELECT 1 /* ? */",
		"SELECT a FROM t WHERE b IN (?, ?)", "SELECT '--', ?", "SELECT '/*', ?", "SELECT x'00', ?", "SELECT 'a'':b'",
		"SELECT 1 /* ?\n */ + ? -- x\n", "SELECT 1;",
	}
	for _, s := range statements {
		if s.dialect == sqltext.SQLite {
			texts = append(texts, s.query)
		}
	}
	checked := 0
	for _, text := range texts {
		var inputs int
		err := conn.Raw(func(c any) error {
			stmt, err := c.(driver.Conn).Prepare(text)
			if err == nil {
				inputs = stmt.NumInput()
				err = stmt.Close()
			}
			return err
		})
		if err != nil {
			continue // it needs another schema
		}
		checked++
		r := sqltext.Parse(sqltext.SQLite, text)
		if r.Placeholder != (inputs > 0) && !strings.Contains(r.Text, "$tcl") {
			t.Errorf("%q: placeholder %v, the engine has %d", text, r.Placeholder, inputs)
		}
	}
	if checked < 25 {
		t.Errorf("the engine prepared %d texts", checked)
	}
}

// TestSQLiteNamesTables lets the engine tell which tables a text reads: without
// one of them, it does not prepare.
func TestSQLiteNamesTables(t *testing.T) {
	conn := openSQLite(t)
	exec := func(query string) error {
		_, err := conn.ExecContext(context.Background(), query)
		return err
	}
	tables := []string{"t1", "t2", "t3"}
	for _, query := range []string{
		"SELECT * FROM t1",
		"SELECT t1.a FROM t1, t2 AS t3",
		"SELECT * FROM t1 JOIN t2 USING (a) WHERE t1.b IN (SELECT a FROM t3)",
		"SELECT (SELECT count(*) FROM t2) FROM t1 t2",
		"WITH t1 AS (SELECT * FROM t2) SELECT * FROM t1",
		"WITH t1(a) AS (VALUES (1) UNION ALL SELECT a + 1 FROM t1 WHERE a < 3), t2 AS (SELECT * FROM t3) SELECT * FROM t1, t2",
		"SELECT * FROM (t1 JOIN t2 ON t1.a = t2.a) CROSS JOIN t3",
		"SELECT * FROM t1 WHERE a IS NOT DISTINCT FROM b AND a IN (1, 2) ORDER BY a, b LIMIT 1, 2",
		"SELECT * FROM (WITH t2 AS (SELECT 1 AS a) SELECT * FROM t2), t1",
		"INSERT INTO t1 SELECT * FROM t2 WHERE true ON CONFLICT DO UPDATE SET a = 1, b = 2",
		"INSERT INTO t1 (a, b) VALUES (1, 't2'), (2, (SELECT max(a) FROM t3))",
		"UPDATE t1 SET a = t2.a, b = 2 FROM t2 WHERE t1.b = t2.b",
		"DELETE FROM t1 WHERE a IN (SELECT a FROM t2) AND b = 't3'",
		"REPLACE INTO t2 VALUES (1, 2)",
		`SELECT "t2" FROM "t1"`,
		"SELECT t1.a AS t2 FROM main.t1 -- t3",
	} {
		r := sqltext.Parse(sqltext.SQLite, query)
		for _, table := range tables {
			needed := false
			for _, with := range []bool{true, false} {
				for _, other := range tables {
					if err := exec("DROP TABLE IF EXISTS " + other); err != nil {
						t.Fatal(err)
					}
					if other != table || with {
						if err := exec(fmt.Sprintf("CREATE TABLE %s (a UNIQUE, b)", other)); err != nil {
							t.Fatal(err)
						}
					}
				}
				err := conn.Raw(func(c any) error {
					stmt, err := c.(driver.Conn).Prepare(query)
					if err == nil {
						err = stmt.Close()
					}
					return err
				})
				if with && err != nil {
					t.Fatalf("%s: %v", query, err)
				}
				needed = !with && err != nil
			}
			named := false
			for _, word := range strings.Fields(r.Summary) {
				word = strings.TrimPrefix(word, "main.")
				named = named || strings.Trim(word, `"`) == table
			}
			if named != needed {
				t.Errorf("%s: the engine needs %s: %v, the summary is %q", query, table, needed, r.Summary)
			}
		}
	}
}
