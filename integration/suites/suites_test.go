package suites

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// suite is the tests of a module that need no server.
type suite struct {
	module, version string
	packages        []string
	skip            string // tests, as for go test
	dropped         string // lines of tests with it
	without         []string
	least           int      // how many tests pass, so that nothing is compared with nothing
	modules         []string // for a module without a go.mod
	stub            stub     // in the place of a module
}

// stub is a package of a module that is not there.
type stub struct{ module, name, source string }

// What other tests of this module build as well keeps the version that it has there, so
// that it is not built twice.
var pinned = []string{"github.com/mattn/go-sqlite3", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "gorm.io/gorm"}

func TestSuitesHaveTheirVerdicts(t *testing.T) {
	for _, s := range []suite{
		{
			module: "maragu.dev/goqite", version: "v0.4.0", packages: []string{".", "./jobs", "./http"}, least: 25,
			skip:    "./../^postgresql$|TestRunner_Start/processes_jobs_with_higher_priority_first", // by chance, with and without
			dropped: "internaltesting.NewPostgreSQLDB(t)}",                                          // a server
		},
		{
			// The tests of its main package build programs and wait for servers.
			module: "github.com/pressly/goose/v3", version: "v3.29.0", packages: []string{"./database", "./tests/gomigrations/..."}, least: 10,
		},
		{module: "gorm.io/driver/sqlite", version: "v1.6.0", packages: []string{"."}, least: 20},
		{
			module: "github.com/dexidp/dex", version: "v2.13.0+incompatible", packages: []string{"./storage/sql"}, least: 10,
			without: []string{"cmd", "connector", "server", "examples", "api", "web", "storage/etcd", "storage/kubernetes", "glide_test.go"},
			modules: []string{
				"github.com/kylelemons/godebug@v1.1.0", "github.com/pkg/errors@v0.9.1",
				"github.com/lib/pq@v1.12.3", "github.com/sirupsen/logrus@v1.9.3", "golang.org/x/crypto@v0.45.0",
				"gopkg.in/square/go-jose.v2@v2.6.0",
			},
			// For CockroachDB alone, and no longer on the proxy.
			stub: stub{"github.com/cockroachdb/cockroach-go", "crdb", `package crdb

import "database/sql"

func ExecuteTx(*sql.DB, func(*sql.Tx) error) error { panic("no CockroachDB") }
`},
		},
	} {
		t.Run(s.module, func(t *testing.T) {
			bare, traced := s.copy(t), s.copy(t)
			files := trace(t, traced)
			want := s.verdicts(t, bare, "")
			spans := filepath.Join(t.TempDir(), "spans")
			different := differences(want, s.verdicts(t, traced, spans))
			for range 2 { // what depends on time may have another verdict for once
				if len(different) > 0 {
					again := differences(want, s.verdicts(t, traced, spans))
					maps.DeleteFunc(different, func(name, _ string) bool { return again[name] == "" })
				}
			}
			for _, name := range slices.Sorted(maps.Keys(different)) {
				t.Errorf("%s: %s", name, different[name])
			}
			passed := 0
			for _, verdict := range want {
				if verdict == "pass" {
					passed++
				}
			}
			counted, err := os.ReadFile(spans)
			if passed < s.least || len(counted) == 0 || err != nil {
				t.Errorf("%d tests pass, want %d; %d spans, %v", passed, s.least, len(counted), err)
			}
			t.Logf("%s@%s: %d tests, %d pass, with and without; %d spans, %d files opened by otdb", s.module, s.version, len(want), passed, len(counted), files)
		})
	}
}

// differences returns what is not the same of the verdicts without otdb and with it.
func differences(bare, traced map[string]string) map[string]string {
	different := make(map[string]string)
	for name, verdict := range bare {
		if traced[name] != verdict {
			different[name] = fmt.Sprintf("%q, and %q without otdb", traced[name], verdict)
		}
	}
	for name, verdict := range traced {
		if bare[name] == "" {
			different[name] = fmt.Sprintf("%q, and not there without otdb", verdict)
		}
	}
	return different
}

// copy returns a copy of the module that can be written to, with a go.mod that has otdb.
func (s suite) copy(t *testing.T) string {
	t.Helper()
	var module struct{ Dir string }
	out := command(t, t.TempDir(), nil, "go", "mod", "download", "-json", s.module+"@"+s.version)
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "module")
	err := filepath.WalkDir(module.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(module.Dir, path)
		if err != nil {
			return err
		}
		if slices.Contains(s.without, filepath.ToSlash(name)) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if s.dropped != "" && strings.HasSuffix(name, "_test.go") {
			var kept []byte
			for line := range bytes.Lines(content) {
				if !bytes.Contains(line, []byte(s.dropped)) {
					kept = append(kept, line...)
				}
			}
			content = kept
		}
		return os.WriteFile(filepath.Join(dir, name), content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if s.modules != nil {
		command(t, dir, nil, "go", "mod", "init", s.module)
	}
	edit := []string{
		"mod", "edit", "-go=1.26.0", "-toolchain=none", "-replace=github.com/taskspan/taskspan=" + root,
		"-require=github.com/taskspan/taskspan@v0.0.0-00010101000000-000000000000",
	}
	if s.stub.module != "" {
		stubbed := filepath.Join(dir, "internal", "stub", s.stub.name)
		if err := os.MkdirAll(stubbed, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{
			filepath.Join(stubbed, s.stub.name+".go"):      s.stub.source,
			filepath.Join(filepath.Dir(stubbed), "go.mod"): "module " + s.stub.module + "\n\ngo 1.26.0\n",
		} {
			if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		edit = append(edit, "-replace="+s.stub.module+"=./internal/stub", "-require="+s.stub.module+"@v0.0.0-00010101000000-000000000000")
	}
	for _, m := range slices.Concat(s.modules, versions(t, root)) {
		edit = append(edit, "-require="+m)
	}
	command(t, dir, nil, "go", edit...)
	return dir
}

// versions returns the pinned modules with their versions.
func versions(t *testing.T, root string) (list []string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "integration", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if f := strings.Fields(line); len(f) == 2 && slices.Contains(pinned, f[0]) {
			list = append(list, f[0]+"@"+f[1])
		}
	}
	if len(list) != len(pinned) {
		t.Fatalf("found %v in go.mod, want all of %v", list, pinned)
	}
	return list
}

// opener is the package that opens the databases of a traced copy.
const opener = `// Package traced opens databases with otdb, and counts their spans.
package traced

import (
	"context"
	"database/sql"
	"os"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/otdb"
)

var provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(counter{}))

// Open is sql.Open.
func Open(driverName, dsn string) (*sql.DB, error) {
	return otdb.Open(driverName, dsn, otdb.WithTracerProvider(provider), otdb.WithRowCounts(),
		otdb.WithQueryParameters(func(string) bool { return true }))
}

// counter appends a byte a span to a file.
type counter struct{}

func (counter) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (counter) Shutdown(context.Context) error                  { return nil }
func (counter) ForceFlush(context.Context) error                { return nil }

func (counter) OnEnd(sdktrace.ReadOnlySpan) {
	f, err := os.OpenFile(os.Getenv("TASKSPAN_SPANS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString("."); err != nil {
		panic(err)
	}
}
`

var packageClause = regexp.MustCompile(`(?m)^package \w+`)

// trace has the copy open its databases with otdb, and returns how many files do.
func trace(t *testing.T, dir string) (files int) {
	t.Helper()
	name := strings.TrimSpace(string(command(t, dir, []string{"GOFLAGS=-mod=mod"}, "go", "list", "-m")))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte(" sql.Open(")) {
			return err
		}
		files++
		content = bytes.ReplaceAll(content, []byte(" sql.Open("), []byte(" traced.Open("))
		at := packageClause.FindIndex(content)
		content = slices.Insert(content, at[1], fmt.Appendf(nil, "; import %q", name+"/internal/traced")...)
		content = append(content, "\nvar _ sql.IsolationLevel\n"...)
		return os.WriteFile(path, content, 0o644)
	})
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "internal", "traced"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "internal", "traced", "traced.go"), []byte(opener), 0o644)
	}
	if err != nil || files == 0 {
		t.Fatalf("%d files open a database: %v", files, err)
	}
	return files
}

// verdicts runs the tests and returns what became of each.
func (s suite) verdicts(t *testing.T, dir, spans string) map[string]string {
	t.Helper()
	args := []string{"test", "-race", "-json", "-count=1", "-timeout=5m"}
	if s.skip != "" {
		args = append(args, "-skip", s.skip)
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, s.packages...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -buildvcs=false", "TASKSPAN_SPANS="+spans)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	verdicts := make(map[string]string)
	var last bytes.Buffer
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var event struct{ Action, Package, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue
		}
		last.WriteString(event.Output)
		switch event.Action {
		case "pass", "fail", "skip":
			verdicts[event.Package+" "+event.Test] = event.Action
		case "build-fail":
			t.Errorf("%s is not built", event.Package)
		}
	}
	if err != nil {
		t.Logf("go test: %v\n%s\n%s", err, stderr.String(), last.Bytes()[max(0, last.Len()-4000):])
	}
	return verdicts
}

func command(t *testing.T, dir string, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS="), env...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if e, ok := err.(*exec.ExitError); ok {
			exit = e
			t.Fatalf("%s %v: %v\n%s", name, args, err, exit.Stderr)
		}
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return out
}
