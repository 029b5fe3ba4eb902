package opendb_test

import (
	"testing"

	"github.com/taskspan/taskspan/cmd/otdbvet/internal/vettest"
	"github.com/taskspan/taskspan/cmd/otdbvet/opendb"
)

func TestOpeners(t *testing.T) {
	vettest.Run(t, opendb.Analyzer, "open", "opendot", "opentraced", "openconnector", "openlibrary", "openlibrarydot", "github.com/jmoiron/sqlx")
}

func TestAny(t *testing.T) {
	set(t, "any")
	vettest.Run(t, opendb.Analyzer, "openany")
}

// set sets a flag for a test.
func set(t *testing.T, name string) {
	t.Helper()
	if err := opendb.Analyzer.Flags.Set(name, "true"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opendb.Analyzer.Flags.Set(name, "false") })
}
