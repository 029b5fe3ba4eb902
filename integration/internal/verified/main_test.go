package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// events is a run of two tests of which one has a subtest.
const events = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"attr","Package":"p","Test":"TestA/x","Key":"database","Value":"SQLite"}
{"Action":"attr","Package":"p","Test":"TestA/x","Key":"driver","Value":"modernc, settings"}
{"Action":"attr","Package":"p","Test":"TestA/x","Key":"verified","Value":"statements"}
{"Action":"output","Package":"p","Test":"TestA/x","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
`

func TestRun(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(readme, []byte("before\n"+begin+end+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(strings.NewReader(events), &out, readme, false); err == nil {
		t.Error("a table that is out of date was not noticed")
	}
	if err := run(strings.NewReader(events), &out, readme, true); err != nil {
		t.Error(err)
	}
	if err := run(strings.NewReader(events), &out, readme, false); err != nil {
		t.Error(err)
	}
	want := "before\n" + begin + "| verified | SQLite<br>modernc |\n|---|:-:|\n| statements | ✓ |\n" + end + "after\n"
	if got, err := os.ReadFile(readme); err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
	if s := out.String(); strings.Contains(s, "noise") || !strings.Contains(s, "ok  \tp\t0.1s\n") || !strings.Contains(s, "2 tests passed") {
		t.Error(s)
	}
}

// TestNeeds: a test that another target runs is named, and the table is compared.
func TestNeeds(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(readme, []byte(begin+end), 0o600); err != nil {
		t.Fatal(err)
	}
	in := events + `{"Action":"attr","Package":"p","Test":"TestB","Key":"needs","Value":"make b"}
{"Action":"skip","Package":"p","Test":"TestB"}
`
	var out strings.Builder
	if err := run(strings.NewReader(in), &out, readme, false); err == nil {
		t.Error("the table was not compared")
	}
	if s := out.String(); !strings.Contains(s, "2 tests passed, 0 skipped") || !strings.Contains(s, "*** NOT DONE: make b does it\n") {
		t.Error(s)
	}
}

func TestRunFails(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	for name, in := range map[string]string{
		"a failure":              strings.Replace(events, `"pass","Package":"p","Test":"TestA/x"`, `"fail","Package":"p","Test":"TestA/x"`, 1),
		"a test that never ends": strings.Replace(events, `{"Action":"pass","Package":"p","Test":"TestA"}`, "", 1),
		"a build that fails":     `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: broken\n"}` + "\n" + `{"Action":"fail","Package":"p"}`,
		"nothing":                "",
		"no README":              events,
	} {
		var out strings.Builder
		if err := run(strings.NewReader(in), &out, readme, false); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	var out strings.Builder
	in := strings.Replace(events, `"pass","Package":"p","Test":"TestA/x"`, `"skip","Package":"p","Test":"TestA/x"`, 1)
	if err := run(strings.NewReader(in), &out, readme, false); err != nil || !strings.Contains(out.String(), "SKIPPED") {
		t.Error(err, out.String())
	}
}
