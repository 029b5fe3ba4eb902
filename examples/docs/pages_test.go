package docs

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// pages are the pages whose programs and links are checked.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{root + "/README.md", root + "/CONTRIBUTING.md"}
	for _, pattern := range []string{"/docs/*.md", "/examples/*.md", "/examples/*/*.md"} {
		found, err := filepath.Glob(root + pattern)
		check(t, err)
		all = append(all, found...)
	}
	return all
}

// fence is a fenced block of a page.
type fence struct {
	kind, text string
	where      string
}

func fences(t *testing.T, path string) (all []fence) {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	var in *fence
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		switch {
		case in == nil && strings.HasPrefix(line, "```"):
			in = &fence{kind: strings.TrimSpace(line[3:]), where: fmt.Sprintf("%s:%d", filepath.Base(path), number)}
		case in != nil && strings.TrimSpace(line) == "```":
			all = append(all, *in)
			in = nil
		case in != nil:
			in.text += line
		}
	}
	if in != nil {
		t.Errorf("%s: the block does not end", in.where)
	}
	return all
}

// imports are the packages that a snippet may use without saying so.
var imports = map[string]string{
	"attribute": "go.opentelemetry.io/otel/attribute", "context": "context", "driver": "database/sql/driver",
	"errors": "errors", "errs": "github.com/taskspan/taskspan/errs", "fmt": "fmt", "http": "net/http", "log": "log",
	"metrics": "github.com/taskspan/taskspan/metrics", "os": "os", "otdb": "github.com/taskspan/taskspan/otdb",
	"otpgx": "github.com/taskspan/taskspan/otdb/otpgx", "pgxpool": "github.com/jackc/pgx/v5/pgxpool",
	"otel": "go.opentelemetry.io/otel", "propagation": "go.opentelemetry.io/otel/propagation",
	"otlptracehttp": "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp",
	"sdkmetric":     "go.opentelemetry.io/otel/sdk/metric", "sdktrace": "go.opentelemetry.io/otel/sdk/trace",
	"filepath": "path/filepath", "slog": "log/slog", "sql": "database/sql", "strings": "strings",
	"tasktest": "github.com/taskspan/taskspan/worker/tasktest", "testing": "testing", "taskz": "github.com/taskspan/taskspan/worker/taskz", "telemetry": "github.com/taskspan/taskspan/telemetry",
	"time": "time", "trace": "go.opentelemetry.io/otel/trace", "worker": "github.com/taskspan/taskspan/worker",
}

// surroundings are what a snippet of statements finds around it.
const surroundings = `func _(ctx context.Context, dsn string, db *sql.DB, tx *sql.Tx, mux *http.ServeMux, logger *slog.Logger) error {
%s%s}
`

// program makes a file of a snippet: of a whole file, of declarations, or of
// statements.
func program(snippet string) ([]byte, error) {
	if strings.HasPrefix(snippet, "package ") {
		return []byte(snippet), nil
	}
	files := token.NewFileSet()
	body := snippet
	parsed, err := parser.ParseFile(files, "", "package snippet\n"+body, 0)
	if err != nil {
		for _, end := range []string{"return nil\n", ""} {
			body = fmt.Sprintf(surroundings, snippet, end)
			if parsed, err = parser.ParseFile(files, "", "package snippet\n"+body, 0); err != nil {
				return nil, err
			}
			list := parsed.Decls[0].(*ast.FuncDecl).Body.List
			if len(list) < 2 {
				break
			}
			// A return behind a return would not be reached.
			if _, returns := list[len(list)-2].(*ast.ReturnStmt); !returns || end == "" {
				break
			}
		}
	}
	used := make(map[string]bool)
	ast.Inspect(parsed, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && imports[x.Name] != "" {
				used[x.Name] = true
			}
		}
		return true
	})
	var b bytes.Buffer
	b.WriteString("package snippet\n\n")
	for _, name := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&b, "import %s %q\n", name, imports[name])
	}
	b.WriteString(body)
	return format.Source(b.Bytes())
}

// vet compiles and vets snippets, each as a package of its own.
func vet(t *testing.T, snippets []fence) (output string, ok bool) {
	t.Helper()
	dir := t.TempDir()
	absolute, err := filepath.Abs(root)
	check(t, err)
	mod, err := os.ReadFile("../go.mod")
	check(t, err)
	mod = bytes.Replace(mod, []byte("module github.com/taskspan/taskspan/examples\n"), []byte("module example.com/snippets\n"), 1)
	mod = bytes.ReplaceAll(mod, []byte("=> ../"), []byte("=> "+absolute+"/"))
	check(t, os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o644))
	sum, err := os.ReadFile("../go.sum")
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o644))
	for i, s := range snippets {
		file, err := program(s.text)
		if err != nil {
			t.Errorf("%s: %v", s.where, err)
			continue
		}
		name := fmt.Sprintf("%s_%d", strings.NewReplacer(".", "_", ":", "_", "-", "_").Replace(s.where), i)
		check(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		check(t, os.WriteFile(filepath.Join(dir, name, "main.go"), file, 0o644))
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestSnippets: every Go program in the pages compiles.
func TestSnippets(t *testing.T) {
	var snippets []fence
	for _, path := range pages(t) {
		for _, f := range fences(t, path) {
			switch f.kind {
			case "go":
				if strings.HasPrefix(f.text, "package orders\n") {
					continue // a file of integration/orders, whose test compares it
				}
				snippets = append(snippets, f)
			case "sh", "sh app", "text": // .ci/docs runs them
			default:
				t.Errorf("%s: a block fenced as %q would not be checked", f.where, f.kind)
			}
		}
	}
	if len(snippets) < 5 {
		t.Fatalf("there are only %d programs in the pages", len(snippets))
	}
	for _, s := range snippets {
		if formatted, err := format.Source([]byte(s.text)); err != nil || string(formatted) != s.text {
			t.Errorf("%s: gofmt would have it as (%v)\n%s", s.where, err, formatted)
		}
	}
	if output, ok := vet(t, snippets); !ok {
		t.Error(output)
	}
}

// TestSnippetsNotice: a program that does not compile is noticed.
func TestSnippetsNotice(t *testing.T) {
	for _, text := range []string{
		"otdb.Opens(\"sqlite3\", dsn)\n",
		"n := 1\n",
		"func f() int { return otdb.Version }\n",
		"package main\n\nfunc main() { worker.Run() }\n",
	} {
		if _, ok := vet(t, []fence{{kind: "go", text: text, where: "x.md:1"}}); ok {
			t.Errorf("this passes:\n%s", text)
		}
	}
	if output, ok := vet(t, []fence{{kind: "go", text: "_, err := db.ExecContext(ctx, dsn)\nreturn err\n", where: "x.md:1"}}); !ok {
		t.Errorf("this does not pass:\n%s", output)
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks: links within the repository lead to files and headings.
func TestLinks(t *testing.T) {
	for _, path := range pages(t) {
		text, err := os.ReadFile(path)
		check(t, err)
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(match[1], "://") {
				continue
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: nothing is at %s", path, match[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(t, file), anchor) {
				t.Errorf("%s: there is no heading for %s", path, match[1])
			}
		}
	}
}

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(t *testing.T, path string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	for line := range strings.Lines(string(text)) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			kept := strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
					return r
				}
				return -1
			}, strings.ToLower(strings.TrimSpace(heading)))
			all = append(all, kept)
		}
	}
	return all
}

// TestPagesAreWithinReach: the README leads to every page.
func TestPagesAreWithinReach(t *testing.T) {
	found, err := filepath.Glob(root + "/docs/*.md")
	check(t, err)
	var all strings.Builder
	for _, path := range append(found, root+"/README.md") {
		text, err := os.ReadFile(path)
		check(t, err)
		all.Write(text)
	}
	for _, path := range found {
		if !strings.Contains(all.String(), filepath.Base(path)) {
			t.Errorf("no page mentions %s", path)
		}
	}
}
