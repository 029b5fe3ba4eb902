package taskcontext_test

import (
	"testing"

	"github.com/taskspan/taskspan/cmd/otdbvet/internal/vettest"
	"github.com/taskspan/taskspan/cmd/otdbvet/taskcontext"
)

func TestTasks(t *testing.T) { vettest.Run(t, taskcontext.Analyzer, "task") }
