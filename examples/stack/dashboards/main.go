// Dashboards writes the Grafana dashboards of the stack.
//
//	go run ./stack/dashboards            # into stack/grafana/dashboards
//	go run ./stack/dashboards directory
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// files returns the dashboards, by the names of their files.
func files() (map[string][]byte, error) {
	all := make(map[string][]byte)
	for _, d := range []dashboard{tasks(), databases()} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(d); err != nil {
			return nil, err
		}
		all[d.UID+".json"] = b.Bytes()
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
