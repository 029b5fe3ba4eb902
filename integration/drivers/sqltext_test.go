package drivers

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"testing"

	_ "github.com/mattn/go-sqlite3"
)

var update = flag.Bool("update", false, "write what SQLite makes of texts to ../../internal/sqltext/testdata")

// engineFile has texts and what SQLite makes of them. internal/sqltext tests that
// it reads the texts in the same way.
const engineFile = "../../internal/sqltext/testdata/sqlite.json"

type engineTexts struct {
	// Literals, as they stand in a text. To the engine, a text with placeholders
	// in their places and their values as arguments is the same.
	Literals []string `json:"literals"`
	// Placeholders has the number of placeholders of texts, -1 for those that
	// the engine does not prepare.
	Placeholders []engineInputs `json:"placeholders"`
	// Tables has the tables among t1, t2, t3 without which a text is not prepared.
	Tables []engineTables `json:"tables"`
}

type engineInputs struct {
	Text   string `json:"text"`
	Inputs int    `json:"inputs"`
}

type engineTables struct {
	Text  string   `json:"text"`
	Needs []string `json:"needs"`
}

// TestSQLiteTexts compares the file with the engine.
func TestSQLiteTexts(t *testing.T) {
	old, err := os.ReadFile(engineFile)
	if err != nil {
		t.Fatal(err)
	}
	var want engineTexts
	if err := json.Unmarshal(old, &want); err != nil {
		t.Fatal(err)
	}
	got := engineTexts{Literals: want.Literals}
	for _, literal := range want.Literals {
		checkLiteral(t, openSQLite(t), literal)
	}
	conn := openSQLite(t)
	for _, schema := range []string{
		"CREATE TABLE t (a, b)", "CREATE TABLE u (id, a)", "CREATE TABLE users (id, a, b, c, d)", "CREATE TABLE old (a)",
	} {
		execOn(t, conn, schema)
	}
	prepared := 0
	for _, p := range want.Placeholders {
		if p.Inputs = inputs(conn, p.Text); p.Inputs >= 0 {
			prepared++
		}
		got.Placeholders = append(got.Placeholders, p)
	}
	if prepared < 25 {
		t.Errorf("the engine prepares %d texts", prepared)
	}
	for _, text := range want.Tables {
		got.Tables = append(got.Tables, engineTables{text.Text, needs(t, conn, text.Text)})
	}
	if *update {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "\t")
		if err := enc.Encode(got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(engineFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i := range want.Placeholders {
		if got.Placeholders[i] != want.Placeholders[i] {
			t.Errorf("the engine has %+v, the file %+v; -update writes it", got.Placeholders[i], want.Placeholders[i])
		}
	}
	for i := range want.Tables {
		if !reflect.DeepEqual(got.Tables[i], want.Tables[i]) {
			t.Errorf("the engine has %+v, the file %+v; -update writes it", got.Tables[i], want.Tables[i])
		}
	}
}

// checkLiteral binds a literal's value to a placeholder in its place.
func checkLiteral(t *testing.T, conn *sql.Conn, literal string) {
	t.Helper()
	var want, got any
	var wantType, gotType string
	if err := conn.QueryRowContext(t.Context(), "SELECT "+literal+", typeof("+literal+")").Scan(&want, &wantType); err != nil {
		t.Errorf("%s: %v", literal, err)
		return
	}
	if err := conn.QueryRowContext(t.Context(), "SELECT ?, typeof(?)", want, want).Scan(&got, &gotType); err != nil {
		t.Errorf("%s: %v", literal, err)
		return
	}
	if !reflect.DeepEqual(got, want) || gotType != wantType {
		t.Errorf("%s: %v %s, as an argument %v %s", literal, want, wantType, got, gotType)
	}
}

// inputs returns the number of placeholders of a text, -1 if it cannot be prepared.
func inputs(conn *sql.Conn, text string) int {
	n := -1
	_ = conn.Raw(func(c any) error {
		s, err := c.(driver.Conn).Prepare(text)
		if err == nil {
			n = s.NumInput()
			err = s.Close()
		}
		return err
	})
	return n
}

// needs returns the tables without which a text cannot be prepared.
func needs(t *testing.T, conn *sql.Conn, text string) []string {
	t.Helper()
	tables := []string{"t1", "t2", "t3"}
	needed := []string{}
	for _, table := range append([]string{""}, tables...) {
		for _, other := range tables {
			execOn(t, conn, "DROP TABLE IF EXISTS "+other)
			if other != table {
				execOn(t, conn, fmt.Sprintf("CREATE TABLE %s (a UNIQUE, b)", other))
			}
		}
		switch prepares := inputs(conn, text) >= 0; {
		case table == "" && !prepares:
			t.Errorf("%s is not prepared, though there are all tables", text)
		case table != "" && !prepares:
			needed = append(needed, table)
		}
	}
	return needed
}

// openSQLite returns a connection to an empty database.
func openSQLite(t *testing.T) *sql.Conn {
	t.Helper()
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func execOn(t *testing.T, conn *sql.Conn, query string) {
	t.Helper()
	if _, err := conn.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
