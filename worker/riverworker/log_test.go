package riverworker

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// logLines is a slog handler that keeps the messages.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) Enabled(context.Context, slog.Level) bool { return true }

func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r.Level.String()+" "+r.Message)
	return nil
}

func (l *logLines) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l *logLines) WithGroup(string) slog.Handler { return l }

// expectLog compares the levels of the records.
func (o *observed) expectLog(want ...string) {
	o.t.Helper()
	o.logLines.mu.Lock()
	defer o.logLines.mu.Unlock()
	var got []string
	for _, line := range o.logLines.lines {
		level, _, _ := strings.Cut(line, " ")
		got = append(got, level)
	}
	if !slices.Equal(got, want) {
		o.t.Errorf("the log is %q, want records of %q", o.logLines.lines, want)
	}
}
