package sqltext_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/taskspan/taskspan/internal/sqltext"
)

// engine is what SQLite makes of texts. The module integration compares it with
// the engine, and writes it: `go test ./drivers -run SQLiteTexts -update`.
type engine struct {
	Literals     []string
	Placeholders []struct {
		Text   string
		Inputs int // -1: SQLite does not prepare it
	}
	Tables []struct {
		Text  string
		Needs []string // of t1, t2, t3
	}
}

func readEngine(t *testing.T) (e engine) {
	t.Helper()
	b, err := os.ReadFile("testdata/sqlite.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestSQLiteLiterals compares with the engine what is a literal: one that takes
// an argument in its place yields the same.
func TestSQLiteLiterals(t *testing.T) {
	for _, literal := range readEngine(t).Literals {
		query := "SELECT " + literal + ", typeof(" + literal + ")"
		if r := sqltext.Parse(sqltext.SQLite, query); r.Text != "SELECT ?, typeof(?)" {
			t.Errorf("%s: %q", query, r.Text)
		}
	}
}

// TestSQLitePlaceholders compares with the engine which texts hold placeholders.
func TestSQLitePlaceholders(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range readEngine(t).Placeholders {
		seen[p.Text] = true
		if p.Inputs < 0 {
			continue
		}
		if r := sqltext.Parse(sqltext.SQLite, p.Text); r.Placeholder != (p.Inputs > 0) && !strings.Contains(r.Text, "$tcl") {
			t.Errorf("%q: placeholder %v, the engine has %d", p.Text, r.Placeholder, p.Inputs)
		}
	}
	for _, s := range statements {
		if s.dialect == sqltext.SQLite && !seen[s.query] {
			t.Errorf("%q is not in testdata/sqlite.json: add it with any number of inputs, and have the engine write the file", s.query)
		}
	}
}

// TestSQLiteTables compares with the engine which tables a text reads.
func TestSQLiteTables(t *testing.T) {
	for _, text := range readEngine(t).Tables {
		r := sqltext.Parse(sqltext.SQLite, text.Text)
		for _, table := range []string{"t1", "t2", "t3"} {
			named := false
			for _, word := range strings.Fields(r.Summary) {
				named = named || strings.Trim(strings.TrimPrefix(word, "main."), `"`) == table
			}
			if needed := slices.Contains(text.Needs, table); named != needed {
				t.Errorf("%s: the engine needs %s: %v, the summary is %q", text.Text, table, needed, r.Summary)
			}
		}
	}
}
