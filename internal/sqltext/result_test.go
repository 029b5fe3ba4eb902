package sqltext_test

import (
	"strings"
	"testing"

	"github.com/taskspan/taskspan/internal/sqltext"
)

func TestParseNamesQueries(t *testing.T) {
	for query, want := range map[string]string{
		"-- name: GetUser :one\nSELECT 1":                     "GetUser",
		"-- name: List_2 :batchexec\r\nSELECT 1":              "List_2",
		"-- name: GetUser :one  \nSELECT 1":                   "GetUser",
		"-- name: GetUser :one\n":                             "GetUser",
		"-- name: GetUser :one":                               "",
		"-- name: GetUser :one extra\nSELECT 1":               "",
		"-- name: GetUser\nSELECT 1":                          "",
		"-- name: Get User :one\nSELECT 1":                    "",
		"-- name: 2nd :one\nSELECT 1":                         "",
		"-- name: O'Brien :one\nSELECT 1":                     "",
		"-- name: é :one\nSELECT 1":                           "",
		"--name: GetUser :one\nSELECT 1":                      "",
		"-- name:  GetUser :one\nSELECT 1":                    "",
		"-- name: GetUser  :one\nSELECT 1":                    "",
		"-- name: GetUser :\nSELECT 1":                        "",
		" -- name: GetUser :one\nSELECT 1":                    "",
		"/* name: GetUser :one */\nSELECT 1":                  "",
		"# name: GetUser :one\nSELECT 1":                      "",
		"SELECT 1 -- name: GetUser :one\n":                    "",
		"-- name: " + strings.Repeat("x", 255) + " :one\n":    strings.Repeat("x", 255),
		"-- name: " + strings.Repeat("x", 256) + " :one\n":    "",
		"-- name: GetUser :one\nSELECT 1\n-- name: B :one\n;": "GetUser",
	} {
		for _, d := range dialects {
			r := sqltext.Parse(d, query)
			if r.Name != want {
				t.Errorf("%v: %q: name %q, want %q", d, query, r.Name, want)
			}
			if strings.Contains(query, "SELECT") && !strings.Contains(r.Summary, "SELECT") {
				t.Errorf("%v: %q: summary %q", d, query, r.Summary)
			}
		}
	}
}

func TestParseNamesProcedures(t *testing.T) {
	for _, c := range []struct{ dialects, query, procedure string }{
		{"PMLSOD", "CALL p(1, 'x')", "p"},
		{"MD", "CALL `app`.`p`(@out)", "`app`.`p`"},
		{"PO", `CALL "s"."P"($1);`, `"s"."P"`},
		{"SOD", "EXEC dbo.p 1, 'x'", "dbo.p"},
		{"S", "EXECUTE @rc = [dbo].[p] @a = 1", "[dbo].[p]"},
		{"S", "dbo.p", "dbo.p"},
		{"S", "[dbo].[p] 1, 2", "[dbo].[p]"},
		{"D", "EXECUTE PROCEDURE p(1)", "p"},
		{"D", "{ call p(1) }", "p"},
		{"PMLD", "EXECUTE q(1)", ""}, // a prepared statement
		{"D", "EXECUTE TASK t", ""},
		{"SOD", "EXEC p; EXEC q", ""},
		{"S", "EXEC p\nEXEC q", ""},
		{"S", "INSERT t EXEC p", ""},
		{"S", "EXEC ('SELECT 1')", ""},
		{"S", "EXEC @p 1", ""},
		{"O", "EXECUTE IMMEDIATE 'x'", ""},
		{"PMLSOD", "SELECT p(1)", ""},
		{"PMLSOD", "CREATE PROCEDURE p() BEGIN CALL q(); END", ""},
		{"PMLSOD", "EXPLAIN CALL p(1)", ""},
		{"PMLSOD", "", ""},
	} {
		for _, letter := range c.dialects {
			if r := sqltext.Parse(letters[letter], c.query); r.Procedure != c.procedure {
				t.Errorf("%v: %q: %q, want %q", letters[letter], c.query, r.Procedure, c.procedure)
			}
		}
	}
}

func TestParseKindsOfTexts(t *testing.T) {
	const definition, several, batch = 1, 2, 4
	for _, c := range []struct {
		dialects, query string
		kind            int
	}{
		{"PMLSOD", "CREATE TABLE t (a int)", definition},
		{"PMLSOD", "ALTER TABLE t ADD b int", definition},
		{"PMLSOD", "DROP TABLE t", definition},
		{"PMLSOD", "GRANT SELECT ON t TO bob", definition},
		{"PO", "COMMENT ON TABLE t IS 'x'", definition},
		{"M", "RENAME TABLE a TO b", definition},
		{"P", "SECURITY LABEL ON TABLE t IS 'x'", definition},
		{"PMSOD", "TRUNCATE TABLE t", 0},
		{"PMLSOD", "SELECT 1 FROM t", 0},
		{"PMLSOD", "EXPLAIN CREATE TABLE t AS SELECT 1", 0},
		{"PMLSOD", "CREATE TABLE t (a int); DROP TABLE u", definition | several},
		{"PMLSOD", "SELECT 1; SELECT 2", several},
		{"PMLSOD", "SELECT 1;", 0},
		{"PMLSOD", "SELECT 1; -- done\n", 0},
		{"S", "DELETE t\nFETCH NEXT FROM c", several},
		{"S", "DELETE t\nGO\nDELETE u", several},
		{"S", "DELETE t\nGO", 0},
		{"S", "DELETE t\nWHERE a = 1", 0},
		{"PMLSOD", "INSERT INTO t (a) VALUES (1), (2)", batch},
		{"PMLSOD", "INSERT INTO t (a) VALUES (1)", 0},
		{"MLD", "REPLACE INTO t VALUES (1), (2)", batch},
		{"M", "INSERT INTO t VALUES ROW(1), ROW(2)", batch},
		{"M", "INSERT INTO t VALUES ROW(1)", 0},
		{"M", "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = (2), b = (3)", 0},
		{"PL", "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET (a, b) = (1, 2), (c, d) = (3, 4)", 0},
		{"PL", "INSERT INTO t VALUES (1) RETURNING a, (b)", 0},
		{"PL", "WITH x AS (SELECT 1) INSERT INTO t VALUES (1), (2)", batch},
		{"PMLSOD", "INSERT INTO t SELECT a FROM u", 0},
		{"PMLSOD", "SELECT a FROM t WHERE (a, b) IN ((1, 2), (3, 4))", 0},
		{"O", "INSERT ALL INTO t VALUES (1) INTO u VALUES (2) SELECT 1 FROM dual", batch},
		{"PD", "COPY t FROM STDIN", batch},
		{"MD", "LOAD DATA INFILE 'x' INTO TABLE t", batch},
		{"S", "BULK INSERT t FROM 'x'", batch},
	} {
		for _, letter := range c.dialects {
			r := sqltext.Parse(letters[letter], c.query)
			got := 0
			for bit, is := range map[int]bool{definition: r.Definition, several: r.Several, batch: r.Batch} {
				if is {
					got |= bit
				}
			}
			if got != c.kind {
				t.Errorf("%v: %q: %03b, want %03b", letters[letter], c.query, got, c.kind)
			}
		}
	}
}

func TestParseHashes(t *testing.T) {
	hash := func(query string) uint64 { return sqltext.Parse(sqltext.PostgreSQL, query).Hash }
	one := hash("SELECT a FROM t WHERE b = 1 AND c IN (1, 2)")
	if again := hash("SELECT a FROM t WHERE b = 'x' /* c */AND c IN (3)"); again != one {
		t.Error("two texts that differ in values have two hashes")
	}
	if other := hash("SELECT a FROM t WHERE d = 1 AND c IN (1, 2)"); other == one {
		t.Error("two texts have one hash")
	}
}
