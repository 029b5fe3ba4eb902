package ignore_test

import (
	"testing"

	"github.com/taskspan/taskspan/cmd/otdbvet/ignore"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/vettest"
)

func TestIgnore(t *testing.T) { vettest.Run(t, ignore.Analyzer, "ignored") }
