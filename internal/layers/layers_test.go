package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	module  = "github.com/taskspan/taskspan"
	otelAPI = "go.opentelemetry.io/otel"
	otelSDK = "go.opentelemetry.io/otel/sdk"
	semconv = "go.opentelemetry.io/otel/semconv/"
)

// A layer says what a package may import besides the standard library. Every
// entry stands for the path itself and, outside this module, all below it.
type layer struct {
	imports []string
	// sdk says that the package sets telemetry up, rather than only using it.
	sdk bool
}

// layers has every package of the module, by its path below the module's.
var layers = map[string]layer{
	"errs":                {imports: []string{"internal/drivertext", otelAPI}},
	"internal/callsite":   {},
	"internal/drivertext": {},
	"internal/fakedb":     {},
	"internal/instrument": {imports: []string{otelAPI}},
	"internal/layers":     {},
	"internal/ledger":     {imports: []string{"internal/drivertext"}},
	"internal/oteltest":   {imports: []string{otelAPI}, sdk: true},
	"internal/sqltext":    {},
	"internal/target":     {},
	"metrics":             {imports: []string{otelAPI, "github.com/prometheus"}, sdk: true},
	"otdb":                {imports: []string{"errs", "internal/instrument", "internal/ledger", "internal/sqltext", "internal/target", "github.com/XSAM/otelsql", otelAPI}},
	"worker":              {imports: []string{"errs", "internal/callsite", "internal/instrument", "internal/ledger", otelAPI}},
	"worker/tasktest":     {imports: []string{"errs", "internal/callsite", "internal/ledger", "otdb", "worker", otelAPI}, sdk: true},
	"worker/taskz":        {imports: []string{"worker", "internal/ledger"}},
}

// goPackage is what the test needs of an entry of go list's output.
type goPackage struct {
	ImportPath   string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

func TestModule(t *testing.T) {
	packages, err := list(t, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations(packages) {
		t.Error(v)
	}
	for name := range layers {
		if !slices.ContainsFunc(packages, func(p goPackage) bool { return p.ImportPath == module+"/"+name }) {
			t.Errorf("%s has a layer, but is not in the module", name)
		}
	}
}

// TestPlanted shows that a breach of the rules in a file is found.
func TestPlanted(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	planted, overlay := filepath.Join(dir, "planted.go"), filepath.Join(dir, "overlay.json")
	files, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, "otdb", "planted.go"): planted}})
	if err != nil {
		t.Fatal(err)
	}
	source := "package otdb\n\nimport (\n\t_ \"" + otelSDK + "/trace\"\n\t_ \"" + module + "/worker\"\n)\n"
	if err := errors.Join(os.WriteFile(planted, []byte(source), 0o600), os.WriteFile(overlay, files, 0o600)); err != nil {
		t.Fatal(err)
	}
	packages, err := list(t, overlay)
	if err != nil {
		t.Fatal(err)
	}
	got := violations(packages)
	for _, want := range []string{"otdb imports " + module + "/worker", "otdb reaches the SDK: " + otelSDK + "/trace"} {
		if !slices.Contains(got, want) {
			t.Errorf("violations = %q, want %q among them", got, want)
		}
	}
}

// TestViolations shows that every rule can fail.
func TestViolations(t *testing.T) {
	std := goPackage{ImportPath: "fmt", Standard: true}
	tests := []struct {
		name    string
		graph   []goPackage
		want    string
		allowed bool
	}{
		{
			name:  "otdb imports worker",
			graph: []goPackage{{ImportPath: module + "/otdb", Imports: []string{"fmt", module + "/worker"}}},
			want:  "otdb imports " + module + "/worker",
		}, {
			name:  "worker imports otdb",
			graph: []goPackage{{ImportPath: module + "/worker", Imports: []string{module + "/otdb"}}},
			want:  "worker imports " + module + "/otdb",
		}, {
			name:  "a package below an allowed one of this module",
			graph: []goPackage{{ImportPath: module + "/worker", Imports: []string{module + "/errs/internal"}}},
			want:  "worker imports " + module + "/errs/internal",
		}, {
			name:  "a path that only begins like an allowed one",
			graph: []goPackage{{ImportPath: module + "/errs", Imports: []string{otelAPI + "sql"}}},
			want:  "errs imports " + otelAPI + "sql",
		}, {
			name:  "the text of SQL needs the standard library only",
			graph: []goPackage{{ImportPath: module + "/internal/sqltext", Imports: []string{otelAPI + "/attribute"}}},
			want:  "internal/sqltext imports " + otelAPI + "/attribute",
		}, {
			name:  "the SDK itself",
			graph: []goPackage{{ImportPath: module + "/errs", Imports: []string{otelSDK + "/trace"}, Deps: []string{otelSDK + "/trace"}}},
			want:  "errs reaches the SDK: " + otelSDK + "/trace",
		}, {
			name:  "the SDK through a dependency",
			graph: []goPackage{{ImportPath: module + "/otdb", Imports: []string{"github.com/XSAM/otelsql"}, Deps: []string{"github.com/XSAM/otelsql", otelSDK + "/metric"}}},
			want:  "otdb reaches the SDK: " + otelSDK + "/metric",
		}, {
			name:  "a package of the tests of another, in what is not a test",
			graph: []goPackage{{ImportPath: module + "/errs", Imports: []string{module + "/errs/internal/lookalike"}}},
			want:  "errs imports " + module + "/errs/internal/lookalike",
		}, {
			name:  "a package of the tests of another, with a dependency",
			graph: []goPackage{{ImportPath: module + "/errs/internal/lookalike", Imports: []string{otelAPI}}},
			want:  "errs/internal/lookalike imports " + otelAPI,
		}, {
			name:  "an unknown package",
			graph: []goPackage{{ImportPath: module + "/helpers"}},
			want:  "helpers has no layer",
		}, {
			name: "two versions of the conventions, one of them in a test",
			graph: []goPackage{
				{ImportPath: module + "/otdb", Imports: []string{semconv + "v1.43.0"}},
				{ImportPath: module + "/worker", XTestImports: []string{semconv + "v1.42.0/dbconv"}},
			},
			want: "more than one version of the semantic conventions: v1.42.0, v1.43.0",
		}, {
			name: "what the layers allow",
			graph: []goPackage{
				{ImportPath: module + "/otdb", Imports: []string{"fmt", module + "/errs", otelAPI + "/trace"}, TestImports: []string{otelSDK + "/trace"}},
				{ImportPath: module + "/metrics", Imports: []string{otelSDK + "/metric"}, Deps: []string{otelSDK + "/metric"}},
			},
			allowed: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := violations(append(tt.graph, std))
			if tt.allowed != (len(got) == 0) || (!tt.allowed && !slices.Contains(got, tt.want)) {
				t.Errorf("violations = %q, want %q", got, tt.want)
			}
		})
	}
}

// violations returns a line for each breach of the rules among packages, which
// are those of the module and all that they import.
func violations(packages []goPackage) []string {
	standard := make(map[string]bool)
	for _, p := range packages {
		if p.Standard {
			standard[p.ImportPath] = true
		}
	}
	var found, versions []string
	for _, p := range packages {
		name, ok := strings.CutPrefix(p.ImportPath, module+"/")
		if !ok {
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if rest, ok := strings.CutPrefix(path, semconv); ok {
				version, _, _ := strings.Cut(rest, "/")
				versions = append(versions, version)
			}
		}
		// What a package keeps below itself, for its tests, has a layer without an entry.
		l, ok := layers[name]
		if !ok && !strings.Contains(name, "/internal/") {
			found = append(found, name+" has no layer")
			continue
		}
		for _, path := range p.Imports {
			if !standard[path] && !slices.ContainsFunc(l.imports, func(allowed string) bool { return covers(allowed, path) }) {
				found = append(found, name+" imports "+path)
			}
		}
		for _, path := range p.Deps {
			if !l.sdk && covers(otelSDK, path) {
				found = append(found, name+" reaches the SDK: "+path)
			}
		}
	}
	slices.Sort(versions)
	if versions = slices.Compact(versions); len(versions) > 1 {
		found = append(found, "more than one version of the semantic conventions: "+strings.Join(versions, ", "))
	}
	return found
}

// covers reports whether the entry of a layer stands for the path.
func covers(allowed, path string) bool {
	if !strings.Contains(allowed, ".") {
		return path == module+"/"+allowed
	}
	return path == allowed || strings.HasPrefix(path, allowed+"/")
}

// TestNestedModules: a nested module works with every version of the root module
// that its users may have, so it uses nothing internal of it. Those that are never
// released keep to it too: what they need is what users need.
func TestNestedModules(t *testing.T) {
	found, err := internalImports(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
	broken := fstest.MapFS{
		"go.mod":             {},
		"a.go":               {Data: []byte(`package a; import _ "` + module + `/internal/ledger"`)},
		"nested/go.mod":      {},
		"nested/a.go":        {Data: []byte(`package a; import _ "` + module + `/errs"`)},
		"nested/b/b_test.go": {Data: []byte(`package b; import _ "` + module + `/internal/ledger"`)},
		"nested/c/c.go":      {Data: []byte(`package c; import _ "` + module + `/nested/internal/d"`)},
	}
	want := []string{"nested/b/b_test.go imports " + module + "/internal/ledger"}
	if got, err := internalImports(broken); err != nil || !slices.Equal(got, want) {
		t.Errorf("internalImports = %q, %v, want %q", got, err, want)
	}
}

// internalImports returns a line for each import of the root's internal packages in a nested module.
func internalImports(root fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(name, ".go") || !nested(root, path.Dir(name)):
			return nil
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			if p, err := strconv.Unquote(spec.Path.Value); err == nil && strings.HasPrefix(p, module+"/internal/") {
				found = append(found, name+" imports "+p)
			}
		}
		return nil
	})
	return found, err
}

// copies has the directories of nested modules with a copy of internal/oteltest.
var copies = []string{"integration/internal/oteltest", "otdb/otpgx/internal/oteltest"}

// TestCopies: there is one rig for the tests of all modules.
func TestCopies(t *testing.T) {
	const original = "../oteltest"
	files, err := os.ReadDir(original)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range copies {
		have, err := os.ReadDir(filepath.Join("../..", dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range have {
			if _, err := os.Stat(filepath.Join(original, f.Name())); err != nil {
				t.Errorf("%s has %s, which the original has not", dir, f.Name())
			}
		}
		for _, f := range files {
			if strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			want, err := os.ReadFile(filepath.Join(original, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join("../..", dir, f.Name())); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s/%s is not that of internal/oteltest (%v): copy it", dir, f.Name(), err)
			}
		}
	}
}

// nested reports whether the directory belongs to another module than the root's.
func nested(root fs.FS, dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, err := fs.Stat(root, dir+"/go.mod"); err == nil {
			return true
		}
	}
	return false
}

// list returns the packages of the module and their dependencies.
// The overlay, if there is one, is that of go list.
func list(t *testing.T, overlay string) ([]goPackage, error) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	if err := touch(root); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-overlay="+overlay, "-deps", "-json=ImportPath,Standard,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, &stderr)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// touch looks at every Go file below root, so that go test does not answer from
// its cache after one has changed: it does not see what go list reads.
func touch(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			_, err = os.Stat(path)
		}
		return err
	})
}
