// Dashboards writes the Grafana dashboards of the stack.
//
//	go run ./stack/dashboards            # into stack/grafana/dashboards
//	go run ./stack/dashboards directory
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// files returns the dashboards, by the names of their files.
func files() (map[string][]byte, error) {
	all := make(map[string][]byte)
	for _, made := range []func() (file, error){tasks, databases} {
		f, err := made()
		if err != nil {
			return nil, err
		}
		all[f.name] = f.text
	}
	return all, nil
}

func main() {
	dir := filepath.Join("stack", "grafana", "dashboards")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := write(dir); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	all, err := files()
	if err != nil {
		return err
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
