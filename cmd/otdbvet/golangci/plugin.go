// Package golangci is otdbvet as a module plugin of golangci-lint, whose
// .custom-gcl.yml names it:
//
//	version: v2.15.0
//	plugins:
//	  - module: github.com/taskspan/taskspan/cmd/otdbvet
//	    import: github.com/taskspan/taskspan/cmd/otdbvet/golangci
//	    version: latest
//
// and whose .golangci.yml enables it:
//
//	linters:
//	  enable: [otdbvet]
//	  settings:
//	    custom:
//	      otdbvet:
//	        type: module
//	        settings:
//	          tests: true
//
// All settings are off by default.
package golangci

import (
	"fmt"
	"strconv"

	"github.com/golangci/plugin-module-register/register"
	"golang.org/x/tools/go/analysis"

	"github.com/taskspan/taskspan/cmd/otdbvet/dbcontext"
	"github.com/taskspan/taskspan/cmd/otdbvet/ignore"
	"github.com/taskspan/taskspan/cmd/otdbvet/opendb"
	"github.com/taskspan/taskspan/cmd/otdbvet/taskcontext"
)

func init() { register.Plugin("otdbvet", New) }

// Settings are those that .golangci.yml can have.
type Settings struct {
	// Tests has test files looked at too, if golangci-lint gives them.
	Tests bool `json:"tests"`
	// Any has opendb report drivers that may be traced already too.
	Any bool `json:"any"`
	// DBContextFix lets golangci-lint --fix give statements a context, which
	// can then end them.
	DBContextFix bool `json:"dbcontext-fix"`
}

type plugin struct{ settings Settings }

// New returns the plugin with the settings of .golangci.yml.
func New(conf any) (register.LinterPlugin, error) {
	if conf == nil {
		return &plugin{}, nil
	}
	s, err := register.DecodeSettings[Settings](conf)
	if err != nil {
		return nil, fmt.Errorf("otdbvet: %w; the settings are tests, any and dbcontext-fix", err)
	}
	return &plugin{s}, nil
}

// BuildAnalyzers returns the analyzers.
func (p *plugin) BuildAnalyzers() ([]*analysis.Analyzer, error) {
	all := []*analysis.Analyzer{opendb.Analyzer, dbcontext.Analyzer, taskcontext.Analyzer, ignore.Analyzer}
	for _, a := range all {
		for name, value := range map[string]bool{"tests": p.settings.Tests, "any": p.settings.Any, "fix": p.settings.DBContextFix} {
			if a.Flags.Lookup(name) == nil {
				continue
			}
			if err := a.Flags.Set(name, strconv.FormatBool(value)); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// GetLoadMode returns what the analyzers need.
func (*plugin) GetLoadMode() string { return register.LoadModeTypesInfo }
