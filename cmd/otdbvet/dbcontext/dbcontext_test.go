package dbcontext_test

import (
	"testing"

	"github.com/taskspan/taskspan/cmd/otdbvet/dbcontext"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/vettest"
)

func TestFix(t *testing.T) {
	if err := dbcontext.Analyzer.Flags.Set("fix", "true"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dbcontext.Analyzer.Flags.Set("fix", "false") })
	vettest.Run(t, dbcontext.Analyzer, "statements")
}
