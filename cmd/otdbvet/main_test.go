package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// workspace copies packages of testdata/src, with those that they import, to a
// directory in which the go command finds them, and makes it the working one.
func workspace(t *testing.T, packages ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, p := range append(packages, "github.com", "golang.org", "gorm.io", "entgo.io") {
		from := filepath.Join("testdata", "src", p)
		err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			rel, err := filepath.Rel(filepath.Join("testdata", "src"), path)
			if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			put(t, filepath.Join(dir, "src", rel), string(content))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GO111MODULE", "off")
	t.Setenv("GOPATH", dir)
	t.Setenv("GOFLAGS", "")
	t.Chdir(filepath.Join(dir, "src"))
	t.Cleanup(reset)
}

// reset takes back what flags have set.
func reset() {
	for _, a := range analyzers {
		a.Flags.VisitAll(func(f *flag.Flag) { _ = f.Value.Set("false") })
	}
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// otdbvet runs the command and returns what it prints.
func otdbvet(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	reset()
	var out, err bytes.Buffer
	if code := run(args, &out, &err); code != want {
		t.Errorf("otdbvet %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), err.String())
	}
	return out.String(), err.String()
}

// goTool runs the go command and returns what it prints.
func goTool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command("go", args...).CombinedOutput()
	return string(out), err
}

const program = `package program

import (
	"context"
	"database/sql"

	"github.com/taskspan/taskspan/worker"
)

func do(ctx context.Context, dsn string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	return worker.Run(ctx, "do", func(taskCtx context.Context) error {
		if _, err := db.ExecContext(ctx, "DELETE"); err != nil {
			return err
		}
		_, err := db.Exec("INSERT") // für alle
		return err
	})
}
`

const found = `program/program.go:11:13: sql.Open opens a database that is not traced; use otdb.Open
program/program.go:16:31: ctx is not the context of the task around this call of db.ExecContext, which is lost to the task; use taskCtx
program/program.go:19:16: Exec runs without taskCtx, so its task does not see it; use ExecContext(taskCtx, …)
`

func TestCommand(t *testing.T) {
	workspace(t)
	put(t, "program/program.go", program)

	if out, err := otdbvet(t, 1, "./program"); out != "" || err != found {
		t.Errorf("printed\n%s%s\nwant\n%s", out, err, found)
	}
	if _, err := otdbvet(t, 1, "-taskcontext", "./program"); strings.Count(err, "\n") != 1 || !strings.Contains(err, "not the context of the task") {
		t.Errorf("-taskcontext printed\n%s", err)
	}
	if _, err := otdbvet(t, 1, "-taskcontext=false", "./program"); strings.Count(err, "\n") != 2 || strings.Contains(err, "not the context of the task") {
		t.Errorf("-taskcontext=false printed\n%s", err)
	}

	diff, _ := otdbvet(t, 1, "-diff", "./program")
	if text := contents("program/program.go"); text != program {
		t.Errorf("-diff changed the file:\n%s", text)
	}
	_, left := otdbvet(t, 1, "-fix", "./program")
	if want := strings.ReplaceAll(strings.Split(found, "\n")[2], ":19:", ":19:") + "\n"; left != want {
		t.Errorf("-fix printed\n%s\nwant\n%s", left, want)
	}
	fixed := contents("program/program.go")
	if got := patched(t, program, diff); got != fixed {
		t.Errorf("-diff is not what -fix does:\n%s", diff)
	}
	if !strings.Contains(fixed, `otdb.Open("mysql", dsn)`) || !strings.Contains(fixed, "ExecContext(taskCtx, ") || strings.Contains(fixed, "database/sql") {
		t.Errorf("-fix made\n%s", fixed)
	}
	if out, err := goTool(t, "vet", "./program"); err != nil {
		t.Errorf("after -fix: %v\n%s", err, out)
	}
	otdbvet(t, 0, "-dbcontext", "-fix", "./program")
	if fixed = contents("program/program.go"); !strings.Contains(fixed, `ExecContext(taskCtx, "INSERT")`) {
		t.Errorf("-dbcontext -fix made\n%s", fixed)
	}
	if out, err := otdbvet(t, 0, "./program"); out != "" || err != "" {
		t.Errorf("after both, printed\n%s%s", out, err)
	}
	if out, err := goTool(t, "vet", "./program"); err != nil {
		t.Errorf("after -dbcontext -fix: %v\n%s", err, out)
	}
}

// patched applies a diff of one file.
func patched(t *testing.T, text, diff string) string {
	t.Helper()
	before := lines([]byte(text))
	var after strings.Builder
	at := 0
	for _, l := range lines([]byte(diff)) {
		switch {
		case strings.HasPrefix(l, "---"), strings.HasPrefix(l, "+++"), strings.HasPrefix(l, `\`):
		case strings.HasPrefix(l, "@@"):
			var from int
			head := strings.FieldsFunc(l, func(r rune) bool { return strings.ContainsRune("@ ,-+", r) })
			for _, c := range head[0] {
				from = from*10 + int(c-'0')
			}
			if strings.Contains(strings.SplitN(l, "+", 2)[0], ",0 ") {
				from++
			}
			for ; at < from-1; at++ {
				after.WriteString(before[at])
			}
		case l[0] == '+':
			after.WriteString(l[1:])
		default:
			if l[1:] != before[at] {
				t.Fatalf("line %d is %q, in the diff %q", at+1, before[at], l[1:])
			}
			if l[0] == ' ' {
				after.WriteString(l[1:])
			}
			at++
		}
	}
	for ; at < len(before); at++ {
		after.WriteString(before[at])
	}
	return after.String()
}

func FuzzUnified(f *testing.F) {
	dashes, pluses := regexp.MustCompile(`(?m)^--+`), regexp.MustCompile(`(?m)^\+\++`)
	f.Add("a\nb\nc\n", "a\nx\nc\n")
	f.Add("", "a\n")
	f.Add("a\n", "")
	f.Add("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n", "a\nb\nx\nd\ne\nf\ng\nh\ni\ny\nk\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		// A line that begins with two of these reads as one of the format itself, where it is
		// taken off or added. The comparison is quadratic.
		before, after = before[:min(len(before), 250)], after[:min(len(after), 250)]
		before, after = dashes.ReplaceAllString(before, "-"), pluses.ReplaceAllString(after, "+")
		// The last line is one in a source file.
		before, after = strings.TrimSuffix(before, "\n")+"\n", strings.TrimSuffix(after, "\n")+"\n"
		if got := patched(t, before, unified("x", []byte(before), []byte(after))); got != after {
			t.Errorf("from %q: got %q, want %q\n%s", before, got, after, unified("x", []byte(before), []byte(after)))
		}
	})
}

func TestMachineReadable(t *testing.T) {
	workspace(t)
	put(t, "program/program.go", program)

	out, _ := otdbvet(t, 0, "-json", "./program")
	var tree map[string]map[string][]struct{ Posn, Message string }
	if err := json.Unmarshal([]byte(out), &tree); err != nil {
		t.Fatal(err)
	}
	if got := tree["program"]["opendb"]; len(got) != 1 || !strings.HasSuffix(got[0].Posn, "program.go:11:13") {
		t.Errorf("-json printed\n%s", out)
	}

	put(t, ".git/HEAD", "")
	out, _ = otdbvet(t, 0, "-sarif", "-dbcontext", "./program")
	var log sarifLog
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	if len(log.Runs) != 1 || len(log.Runs[0].Results) != 1 || log.Version != "2.1.0" {
		t.Fatalf("-sarif printed\n%s", out)
	}
	got := log.Runs[0].Results[0]
	where := got.Locations[0].PhysicalLocation
	if got.RuleID != "dbcontext" || where.ArtifactLocation != (sarifArtifact{"program/program.go", "%SRCROOT%"}) ||
		where.Region != (sarifRegion{19, 16, 19, 20}) || len(got.Fixes) != 1 {
		t.Errorf("-sarif printed\n%s", out)
	}
	if n := got.Fixes[0].ArtifactChanges[0].Replacements; len(n) != 2 || n[1].InsertedContent.Text != "taskCtx, " || n[1].DeletedRegion != (sarifRegion{19, 21, 19, 21}) {
		t.Errorf("its fix is %+v", got.Fixes[0])
	}
}

// Columns are bytes for Go and characters for SARIF.
func TestColumns(t *testing.T) {
	text := "a\nüü x\n"
	if got := column(text, 7, 6); got != 4 {
		t.Errorf("column %d, want 4", got)
	}
	if got := region(text, 6, 8); got != (sarifRegion{2, 3, 3, 1}) && got != (sarifRegion{2, 3, 2, 5}) {
		t.Errorf("region %+v", got)
	}
}

func TestMisuse(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-test", "./..."}, "flag provided but not defined: -test"},
		{[]string{"-json", "-sarif"}, "choose one"},
		{[]string{"-json", "-fix"}, "run the tool once for each"},
		{[]string{"./...", "-fix"}, "flags come first"},
		{[]string{"-opendb=perhaps"}, "true or false"},
	} {
		if _, err := otdbvet(t, 2, test.args...); !strings.Contains(err, test.want) || !strings.Contains(err, "otdbvet -help") {
			t.Errorf("otdbvet %v printed %s", test.args, err)
		}
	}
	if out, _ := otdbvet(t, 0, "-help"); !strings.Contains(out, "-opendb.any") || !strings.Contains(out, "Exit codes") {
		t.Errorf("-help printed\n%s", out)
	}
	if out, _ := otdbvet(t, 0, "-version"); !strings.HasPrefix(out, "otdbvet ") {
		t.Errorf("-version printed %s", out)
	}
}

// A package that does not compile is a problem, and the others are looked at.
func TestBroken(t *testing.T) {
	workspace(t)
	put(t, "program/program.go", program)
	put(t, "broken/broken.go", "package broken\n\nvar x int = \"\"\n")
	if _, err := otdbvet(t, 1, "./..."); !strings.Contains(err, "broken.go:3:13") || !strings.Contains(err, "program.go:11:13") {
		t.Errorf("printed\n%s", err)
	}
	if _, err := otdbvet(t, 1, "./nowhere"); !strings.Contains(err, "nowhere") {
		t.Errorf("printed\n%s", err)
	}
}

// Test files are looked at on demand, and a report of a package and of its
// variant for the test is one.
func TestTests(t *testing.T) {
	workspace(t)
	put(t, "program/program.go", program)
	put(t, "program/program_test.go", "package program\n\nimport \"database/sql\"\n\nvar _, _ = sql.Open(\"mysql\", \"\")\n")
	if _, err := otdbvet(t, 1, "./program"); strings.Contains(err, "_test.go") {
		t.Errorf("printed\n%s", err)
	}
	if _, err := otdbvet(t, 1, "-tests", "./program"); strings.Count(err, "program_test.go:5:12") != 1 || strings.Count(err, "program.go:11:13") != 1 {
		t.Errorf("-tests printed\n%s", err)
	}
	otdbvet(t, 1, "-tests", "-fix", "./program")
	if out, err := goTool(t, "vet", "./program"); err != nil {
		t.Errorf("after -fix: %v\n%s", err, out)
	}
}

// All that the analyzers' own tests have is mended by the command too.
func TestFixAll(t *testing.T) {
	all := []string{"open", "opendot", "openany", "openconnector", "openlibrary", "openlibrarydot", "statements", "task"}
	workspace(t, all...)
	args := []string{"-opendb", "-opendb.any", "-dbcontext", "-taskcontext", "-tests", "-fix"}
	for _, name := range all {
		args = append(args, "./"+name)
	}
	_, left := otdbvet(t, 1, args...)
	for l := range strings.Lines(left) {
		for _, fixable := range []string{"sql.Open opens a", "sql.OpenDB opens a", "sqlx."} {
			if strings.Contains(l, fixable) {
				t.Errorf("it is not mended: %s", l)
			}
		}
	}
	build := []string{"build"}
	for _, name := range all {
		build = append(build, "./"+name)
	}
	if out, err := goTool(t, build...); err != nil {
		t.Errorf("after -fix: %v\n%s", err, out)
	}
	// There is nothing more to mend.
	if diff, _ := otdbvet(t, 1, append(append([]string{}, args[:5]...), append([]string{"-diff"}, args[6:]...)...)...); diff != "" {
		t.Errorf("a second -fix changes\n%s", diff)
	}
}

// Line ends and the form of what gofmt did not write stay.
func TestForm(t *testing.T) {
	workspace(t)
	put(t, "crlf/crlf.go", strings.ReplaceAll("package crlf\n\nimport \"database/sql\"\n\nvar DB, _ = sql.Open(\"mysql\", \"\")\n", "\n", "\r\n"))
	put(t, "form/form.go", "package form\nimport \"database/sql\"\nvar   DB *sql.DB\nfunc init(){DB,_=sql.Open(\"mysql\",\"\")}\n")
	otdbvet(t, 0, "-fix", "./crlf", "./form")
	if got, want := contents("crlf/crlf.go"), strings.ReplaceAll("package crlf\n\nimport \"github.com/taskspan/taskspan/otdb\"\n\nvar DB, _ = otdb.Open(\"mysql\", \"\")\n", "\n", "\r\n"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	want := "package form\nimport (\n\t\"database/sql\"\n\n\t\"github.com/taskspan/taskspan/otdb\"\n)\nvar   DB *sql.DB\nfunc init(){DB,_=otdb.Open(\"mysql\",\"\")}\n"
	if got := contents("form/form.go"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A fix is applied whole or not at all.
func TestMerge(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	put(t, name, "0123456789")
	a := report{fix: &fix{edits: []change{{name, 1, 3, "a"}, {name, 5, 5, "+"}}}}
	same := a
	overlaps := report{fix: &fix{edits: []change{{name, 8, 9, "never"}, {name, 2, 4, "b"}}}}
	within := report{fix: &fix{edits: []change{{name, 2, 2, "never"}}}}
	beside := report{fix: &fix{edits: []change{{name, 3, 4, "c"}}}}
	texts, left, again, err := merge([]report{a, same, overlaps, within, beside, {message: "none"}})
	if err != nil || !again || len(left) != 3 || string(texts[name].text) != "0ac4+56789" {
		t.Errorf("%q, %d left, again %t, %v", texts[name].text, len(left), again, err)
	}
}

// go vet runs the analyzers with the tool's flags.
func TestVettool(t *testing.T) {
	tool := filepath.Join(t.TempDir(), "otdbvet.exe")
	if out, err := goTool(t, "build", "-o", tool, "."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	workspace(t)
	put(t, "program/program.go", program)
	put(t, "program/program_test.go", "package program\n\nimport \"database/sql\"\n\nvar _, _ = sql.Open(\"mysql\", \"\")\n")
	out, err := goTool(t, "vet", "-vettool="+tool, "./program")
	if err == nil || !strings.Contains(out, strings.TrimPrefix(strings.Split(found, "\n")[0], "program/")) || strings.Contains(out, "_test.go") || strings.Count(out, "program.go:") != 3 {
		t.Errorf("go vet: %v\n%s", err, out)
	}
	if out, err = goTool(t, "vet", "-vettool="+tool, "-opendb", "-tests", "./program"); err == nil || !strings.Contains(out, "program_test.go:5:12") || strings.Count(out, "program.go:") != 1 {
		t.Errorf("go vet -opendb -tests: %v\n%s", err, out)
	}
}

// What a module has to require is said once it is missing.
func TestMissing(t *testing.T) {
	for text, want := range map[string]bool{
		"module m\n": true,
		"module m\n\nrequire github.com/taskspan/taskspan v0.1.0\n":         false,
		"module m\n\nrequire (\n\tgithub.com/taskspan/taskspan v0.1.0\n)\n": false,
		"module m\n\nrequire github.com/taskspan/taskspan/telemetry v0.1.0": true,
		"module github.com/taskspan/taskspan\n":                             false,
	} {
		if got := !requirement.MatchString(text); got != want {
			t.Errorf("%q is missing Taskspan: %t, want %t", text, got, want)
		}
	}
}

// go run takes no module that replaces another one, and a user's build nothing
// of ours that the tool does not need.
func TestModule(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mod), "replace") || strings.Count(string(mod), taskspan) != 1 {
		t.Errorf("go.mod replaces a module or requires one of ours:\n%s", mod)
	}
}
