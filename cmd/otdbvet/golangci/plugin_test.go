package golangci_test

import (
	"strings"
	"testing"

	"github.com/golangci/plugin-module-register/register"

	_ "github.com/taskspan/taskspan/cmd/otdbvet/golangci"
)

func TestPlugin(t *testing.T) {
	build, err := register.GetPlugin("otdbvet")
	if err != nil {
		t.Fatal(err)
	}
	for _, settings := range []any{map[string]any{"tests": true, "dbcontext-fix": true}, nil} {
		plugin, err := build(settings)
		if err != nil {
			t.Fatal(err)
		}
		if plugin.GetLoadMode() != register.LoadModeTypesInfo {
			t.Errorf("load mode %s", plugin.GetLoadMode())
		}
		analyzers, err := plugin.BuildAnalyzers()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range analyzers {
			names = append(names, a.Name)
			if f := a.Flags.Lookup("tests"); f != nil && (f.Value.String() == "true") != (settings != nil) {
				t.Errorf("%s: tests is %s", a.Name, f.Value)
			}
			if f := a.Flags.Lookup("fix"); f != nil && (f.Value.String() == "true") != (settings != nil) {
				t.Errorf("%s: fix is %s", a.Name, f.Value)
			}
		}
		if got := strings.Join(names, " "); got != "opendb dbcontext taskcontext ignore" {
			t.Errorf("analyzers %s", got)
		}
	}
	if _, err := build(map[string]any{"test": true}); err == nil || !strings.Contains(err.Error(), "the settings are tests") {
		t.Errorf("unknown setting: %v", err)
	}
}
