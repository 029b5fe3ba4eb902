package otdb

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/taskspan/taskspan/internal/instrument"
)

// unclosed finds the rows that are open when their connection or their database is
// closed. It covers what was opened outside of tasks: a task reports its own leaks.
//
// database/sql closes no connection that rows hold, so it is the close of the connector
// that finds them. A connection knows of one result set: the one that has been open for
// longest, which is the leak if there is one.
type unclosed struct {
	mu       sync.Mutex
	conns    map[*conn]struct{} // that are open
	reported map[string]bool    // by summary
}

const (
	maxUnclosed       = 100 // summaries are reported, of one connector
	maxUnclosedInText = 10  // of them in one text
)

func (u *unclosed) add(c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conns == nil {
		u.conns = make(map[*conn]struct{})
	}
	u.conns[c] = struct{}{}
}

// connClosed is called before a connection is closed.
func (u *unclosed) connClosed(c *conn) {
	u.mu.Lock()
	delete(u.conns, c)
	u.mu.Unlock()
	if name, ok := c.takeOpen(); ok && len(u.report(map[string]int{name: 1})) > 0 {
		reportUnclosed("connection", name)
	}
}

// databaseClosed is called when the database is closed. Connections that are in use
// then, and only they, are still known.
func (u *unclosed) databaseClosed() {
	u.mu.Lock()
	conns := slices.Collect(maps.Keys(u.conns))
	u.mu.Unlock()
	counts := make(map[string]int)
	for _, c := range conns {
		if name, ok := c.takeOpen(); ok {
			counts[name]++
		}
	}
	names := u.report(counts)
	if len(names) == 0 {
		return
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var texts []string
	for _, name := range names[:min(len(names), maxUnclosedInText)] {
		texts = append(texts, fmt.Sprintf("%s (%d)", name, counts[name]))
	}
	text := strings.Join(texts, ", ")
	if more := len(names) - len(texts); more > 0 {
		text += fmt.Sprintf(" and those of %d other summaries", more)
	}
	reportUnclosed("database", text)
}

func reportUnclosed(closed, summaries string) {
	instrument.Handle(fmt.Errorf("otdb: rows were open when their %s was closed: %s; close rows, or cancel their context", closed, summaries))
}

// report returns those of the summaries that are to be reported, which are those that
// were not reported before.
func (u *unclosed) report(counts map[string]int) (names []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name := range counts {
		if u.reported[name] || len(u.reported) >= maxUnclosed {
			continue
		}
		if u.reported == nil {
			u.reported = make(map[string]bool)
		}
		u.reported[name] = true
		names = append(names, name)
	}
	return names
}

// takeOpen returns the summary of the rows that c has had open for longest, and forgets
// them. It may be called from any goroutine. Rows whose context is done are none:
// database/sql closes them.
func (c *conn) takeOpen() (summary string, ok bool) {
	r := c.open.Load()
	if r == nil || isDone(r.done) || isDone(r.txDone) || !c.open.CompareAndSwap(r, nil) {
		return "", false
	}
	return r.kind.name, true
}
