package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestTree(t *testing.T) {
	start := time.Now()
	at := func(process, id, parent, name string, from, to time.Duration) span {
		return span{process: process, id: id, parent: parent, name: name, start: start.Add(from), end: start.Add(to)}
	}
	failed := at("two", "c", "a", "third", 20*time.Millisecond, 2*time.Second)
	failed.failed = true
	failed.attributes = map[string]string{"worker.task.result": "failure"}
	spans := []span{
		failed,
		at("one", "a", "", "first", 0, 10*time.Millisecond),
		at("one", "b", "a", "second", time.Microsecond, 1500*time.Microsecond),
		at("two", "d", "c", "fourth", 30*time.Millisecond, 31*time.Millisecond),
		at("three", "e", "f", "orphan", 40*time.Millisecond, 41*time.Millisecond),
	}
	var out strings.Builder
	printTree(&out, spans)
	const want = `one    first               +0s           10ms
one    ├─ second           +1µs         1.5ms
two    └─ third (failure)  +20ms        1.98s ✗
two       └─ fourth        +30ms          1ms
three  … orphan            +40ms          1ms
`
	if out.String() != want {
		t.Errorf("the tree is\n%s, want\n%s", out.String(), want)
	}
}

func TestCollectorRejectsWhatIsNoExport(t *testing.T) {
	var c collector
	w := httptest.NewRecorder()
	c.receive(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/traces", strings.NewReader("no spans")))
	if w.Code != http.StatusBadRequest || len(c.spans) > 0 {
		t.Errorf("status %d, spans %v", w.Code, c.spans)
	}
}

func TestDSN(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "the temporary SQLite file",
		"queue.db":               "the SQLite file",
		"file:queue.db":          "the SQLite file",
		"postgres://h:5/d":       "PostgreSQL at h:5",
		"postgresql://h/d":       "PostgreSQL at h:5432",
		"postgres://u:p@h/d?a=@": "the PostgreSQL database",
	} {
		d, err := parseDSN(text)
		if err != nil || d.name != want {
			t.Errorf("%q is %q, %v, want %q", text, d.name, err, want)
			continue
		}
		// A worker is told of the same database.
		if again, err := parseDSN(d.source); err != nil || again != d {
			t.Errorf("%q is %+v, and then %+v, %v", text, d, again, err)
		}
	}
}

func TestPlural(t *testing.T) {
	if one, two := plural(1, "job", "jobs"), plural(2, "job", "jobs"); one != "1 job" || two != "2 jobs" {
		t.Errorf("%q, %q", one, two)
	}
}
