package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The settings that docs/production.md explains are those of examples/worker.
func TestProductionSettings(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/production.md")
	check(t, err)
	files, err := filepath.Glob(root + "/examples/worker/*.go")
	check(t, err)
	var program strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			text, err := os.ReadFile(file)
			check(t, err)
			program.Write(text)
		}
	}
	_, settings, _ := strings.Cut(string(page), "## Each setting, and its reason")
	settings, _, _ = strings.Cut(settings, "\n## ")
	explained := 0
	for line := range strings.Lines(settings) {
		if setting, _, found := strings.Cut(strings.TrimPrefix(line, "| "), " | "); found && strings.HasPrefix(line, "| ") && setting != "in `main.go`" {
			explained++
			for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(setting, -1) {
				if code = strings.Trim(code, "`"); !strings.Contains(program.String(), code) && !strings.HasPrefix(code, "OTEL_") {
					t.Errorf("examples/worker has no %s", code)
				}
			}
		}
	}
	if explained < 10 {
		t.Errorf("%d settings are explained", explained)
	}
}
