package drivertext

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// A task knows what it was told, however much others are, and the tasks around it
// know it too. Others know the newest.
func TestMemory(t *testing.T) {
	var outer, inner, other Memory
	inner.Init(&outer)
	err := errors.New("the first of all")
	inner.Remember(err, New("the first of all", "safe"))
	for i := range 2 * maxTexts {
		text := fmt.Sprintf("another driver said %d", i)
		other.Remember(errors.New(text), New(text, "safe"))
	}
	var process *Memory
	for name, test := range map[string]struct {
		m    *Memory
		want bool
	}{"inner": {&inner, true}, "outer": {&outer, true}, "other": {&other, false}, "process": {process, false}} {
		if got := test.m.Said(nil, "the first of all"); got != test.want {
			t.Errorf("%s: said %v", name, got)
		}
		if got := test.m.Said(err, "in other words"); got != test.want {
			t.Errorf("%s: said by identity %v", name, got)
		}
		if test.m.Said(errors.New("the first of all"), "in other words") {
			t.Errorf("%s: an equal error is known", name)
		}
		last := fmt.Sprintf("another driver said %d", 2*maxTexts-1)
		if !test.m.Said(nil, last) {
			t.Errorf("%s: the newest text is not known", name)
		}
	}
	if task, others := inner.Known(); len(task) != 2 || len(others) != maxProcess {
		t.Errorf("%d and %d texts are known", len(task), len(others))
	}
}

// A text that is said again is as new as one that is said for the first time.
func TestMemorySaidAgain(t *testing.T) {
	var m Memory
	for i := range 3 * maxTexts {
		m.Remember(nil, New("again and again", "safe"), New(fmt.Sprintf("text %d", i), "safe"))
	}
	if !m.Said(nil, "again and again") || m.Said(nil, "text 0") {
		t.Error("the wrong text is forgotten")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var m Memory
	for i := range 1000 {
		m.Remember(nil, New(fmt.Sprintf("%d %s", i, strings.Repeat("x", 10_000)), "safe"))
	}
	kept := 0
	texts, _ := m.Known()
	for _, text := range texts {
		kept += len(text.raw)
	}
	if kept > maxBytes || kept < maxBytes/2 || m.bytes != kept || len(m.byRaw) != len(texts) {
		t.Errorf("%d bytes of %d texts, counted as %d of %d", kept, len(texts), m.bytes, len(m.byRaw))
	}
	if !m.Said(nil, "999 "+strings.Repeat("x", 10_000)) || !m.Said(nil, "999 "+strings.Repeat("x", 20_000)) {
		t.Error("a long text is not known by its beginning")
	}
}

func TestMemoryConcurrently(t *testing.T) {
	var outer Memory
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var m Memory
			m.Init(&outer)
			for j := range 100 {
				text := New(fmt.Sprintf("driver %d said the text %d", i, j%7), "safe")
				m.Remember(nil, text)
				task, others := m.Known()
				if spans := Find("x: "+text.raw, task, others); len(spans) != 1 || !spans[0].Whole {
					t.Errorf("%q is found %d times", text.raw, len(spans))
				}
			}
		})
	}
	wg.Wait()
}
