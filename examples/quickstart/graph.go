package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/taskspan/taskspan/examples/internal/problem"
)

// graph is the packages of a module and all that they depend on, the standard
// library included.
type graph struct {
	packages []pkg
	imports  int // how many imports all packages have together
}

// pkg is one package of a graph.
type pkg struct {
	path     string
	module   string // "" for the standard library
	standard bool
	imports  []string
}

// moduleRoot returns the directory of the nearest go.mod at or above the
// current directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if isModule(dir) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", problem.New("the current directory is in no Go module: name one with -dir", nil)
		}
		dir = parent
	}
}

func isModule(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil && info.Mode().IsRegular()
}

// readGraph asks the go command for the graph of the module in dir.
func readGraph(ctx context.Context, dir string) (*graph, error) {
	if !isModule(dir) {
		return nil, problem.New(dir+" is not the root of a Go module: it has no go.mod", nil)
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=ImportPath,Standard,Module,Imports", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && stderr.Len() > 0:
		return nil, problem.New("go list in "+dir+": "+firstLine(stderr.String()), nil)
	case err != nil:
		return nil, problem.New("go list in "+dir, err)
	}
	g, err := decodeGraph(bytes.NewReader(out))
	if err != nil {
		return nil, problem.New("go list in "+dir, err)
	}
	if len(g.packages) == 0 {
		return nil, problem.New(dir+" has no Go packages", nil)
	}
	return g, nil
}

// decodeGraph reads the output of go list.
func decodeGraph(r io.Reader) (*graph, error) {
	g := new(graph)
	for dec := json.NewDecoder(r); ; {
		var listed struct {
			ImportPath string
			Standard   bool
			Module     *struct{ Path string }
			Imports    []string
		}
		if err := dec.Decode(&listed); errors.Is(err, io.EOF) {
			return g, nil
		} else if err != nil {
			return nil, err
		}
		p := pkg{path: listed.ImportPath, standard: listed.Standard, imports: listed.Imports}
		if listed.Module != nil {
			p.module = listed.Module.Path
		}
		g.packages = append(g.packages, p)
		g.imports += len(p.imports)
	}
}

// firstLine returns the first line of the go command's output that is neither
// empty nor a heading, nor about what it is doing.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "go: downloading "), strings.HasPrefix(line, "go: finding "):
		default:
			return line
		}
	}
	return "no reason given"
}
