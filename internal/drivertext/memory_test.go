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
	var nobody *Memory
	for name, test := range map[string]struct {
		m    *Memory
		want bool
	}{"inner": {&inner, true}, "outer": {&outer, true}, "other": {&other, false}, "nobody": {nobody, false}} {
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
	if inner.texts.Len() != 1 || outer.texts.Len() != 1 || process.texts.Len() != maxProcess {
		t.Errorf("%d, %d and %d texts are known", inner.texts.Len(), outer.texts.Len(), process.texts.Len())
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
	for e := m.texts.Front(); e != nil; e = e.Next() {
		kept += len(e.Value.(*said).text.raw)
	}
	if kept > maxBytes || kept < maxBytes/2 || m.bytes != kept || len(m.byRaw) != m.texts.Len() {
		t.Errorf("%d bytes of %d texts, counted as %d of %d", kept, m.texts.Len(), m.bytes, len(m.byRaw))
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
				if spans := Find("x: "+text.raw, nil, &m); len(spans) != 1 || !spans[0].Whole {
					t.Errorf("%q is found %d times", text.raw, len(spans))
				}
			}
		})
	}
	wg.Wait()
}

// What is remembered is found whatever comes, goes and is said again between two looks.
func TestMemoryFinds(t *testing.T) {
	name := func(i int) string {
		return fmt.Sprintf("no login for user%d as the password is wrong, says server%d", i, i)
	}
	fill := func(m *Memory, from, n int) {
		for i := range n {
			m.Remember(nil, New(name(from+i), "safe"))
		}
	}
	found := func(m *Memory, text string) bool {
		spans := Find("load: "+text, nil, m)
		return len(spans) == 1 && spans[0].Whole && spans[0].Text.raw == text
	}
	for _, looks := range []bool{false, true} {
		var m Memory
		fill(&m, 0, maxTexts)
		if looks && !found(&m, name(0)) {
			t.Error("the oldest of a full memory is not found")
		}
		m.Remember(nil, New(name(0), "safe"))
		fill(&m, maxTexts, maxTexts-1) // all others are forgotten, with anchors that they share with the first
		if looks && !found(&m, name(2*maxTexts-2)) {
			t.Error("the newest is not found")
		}
		if !found(&m, name(0)) || found(&m, name(1)) {
			t.Errorf("looks between %v: what is remembered is not what is found", looks)
		}
		m.texts.Init()
		for _, e := range m.byRaw {
			m.drop(e.Value.(*said))
		}
		if len(m.index.hits)+len(m.index.whole)+len(m.byRaw)+m.bytes != 0 {
			t.Errorf("an empty memory holds %d anchors and %d texts", len(m.index.hits), len(m.index.whole))
		}
	}
}

// To look costs no more the more is remembered.
func TestMemoryIsIndexed(t *testing.T) {
	var empty, full Memory
	for i := range maxTexts {
		full.Remember(nil, New(fmt.Sprintf("no login for user%d as the password is wrong", i), "safe"))
	}
	const raw = "customer Ross has no address, and there is nobody else to ask"
	look := func(m *Memory) float64 {
		Find(raw, nil, m)
		return testing.AllocsPerRun(100, func() { Find(raw, nil, m) })
	}
	// The race detector has pools forget at random. A walk over what is remembered would allocate
	// for each of it.
	if few, many := look(&empty), look(&full); many > few+4 {
		t.Errorf("%v allocations with a full memory, %v with an empty one", many, few)
	}
}

// What a look was given is not known to the next one.
func TestFindForgets(t *testing.T) {
	const said = "nothing else here has got words like these"
	for _, given := range []string{said, said + strings.Repeat(" nor any of those", maxKept)} {
		var m Memory
		if spans := Find("load: "+given, []*Text{New(given, "safe")}, &m); len(spans) != 1 {
			t.Errorf("found %d times", len(spans))
		}
		for _, raw := range []string{"load: " + given, "", "no"} {
			if spans := Find(raw, nil, &m); len(spans) != 0 {
				t.Errorf("%d found in %.60q, where nobody looked for it", len(spans), raw)
			}
		}
	}
}
