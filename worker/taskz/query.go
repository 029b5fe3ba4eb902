package taskz

import (
	"net/url"
	"strconv"
	"strings"
)

// The views of a page.
const (
	viewRunning    = "running"
	viewRecent     = "recent"
	viewStatements = "statements"
	viewRun        = "run"
)

// query is what the query of a URL asks for.
type query struct {
	view   string
	run    uint64
	sort   string // the key of a column, with a minus for the largest first; "" for the view's own order
	filter string
}

// maxFilter bounds what is typed.
const maxFilter = 200

// parseQuery returns false if there is no such view.
func parseQuery(v url.Values) (query, bool) {
	q := query{view: v.Get("view"), sort: v.Get("sort"), filter: cut(strings.ToValidUTF8(v.Get("q"), "\uFFFD"), maxFilter)}
	if s := v.Get("run"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		q.view, q.run = viewRun, n
		return q, err == nil
	}
	switch q.view {
	case "":
		q.view = viewRunning
	case viewRunning, viewRecent, viewStatements:
	default:
		return q, false
	}
	return q, true
}

// href returns a link relative to the page.
func (q query) href() string {
	v := make(url.Values)
	if q.view == viewRun {
		v.Set("run", strconv.FormatUint(q.run, 10))
	} else {
		v.Set("view", q.view)
	}
	if q.sort != "" {
		v.Set("sort", q.sort)
	}
	if q.filter != "" {
		v.Set("q", q.filter)
	}
	return "?" + v.Encode()
}

// finds reports whether one of the texts contains what was typed.
func (q query) finds(texts ...string) bool {
	if q.filter == "" {
		return true
	}
	filter := strings.ToLower(q.filter)
	for _, s := range texts {
		if strings.Contains(strings.ToLower(s), filter) {
			return true
		}
	}
	return false
}

// column is the head of a column of a table.
type column struct {
	key, Label string
	Number     bool
	Down       bool // the largest first, when it is clicked
	Href       string
	Sorted     string // the value of aria-sort, if it is the one
}

// columns returns the heads with their links. A column without a key is not
// sorted by.
func (q query) columns(cs ...column) []column {
	by, down := strings.CutPrefix(q.sort, "-")
	for i := range cs {
		c := &cs[i]
		if c.key == "" {
			continue
		}
		to, first := q, c.Down
		if c.key == by {
			c.Sorted = "ascending"
			if down {
				c.Sorted = "descending"
			}
			first = !down
		}
		if to.sort = c.key; first {
			to.sort = "-" + c.key
		}
		c.Href = to.href()
	}
	return cs
}
