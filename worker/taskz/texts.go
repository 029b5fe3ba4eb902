package taskz

import (
	"strings"
	"unicode/utf8"
)

// maxText is how many bytes of a text are kept.
const maxText = 4096

// texts keeps each text once, as long as something uses it.
type texts struct {
	all  map[string]*text
	size int // in bytes
}

type text struct {
	value string
	uses  int
}

// textOverhead is about what an entry costs beside the bytes of the text.
const textOverhead = 80

// use returns the text, cut to maxText bytes, to be given back by drop.
func (t *texts) use(s string) string {
	if s == "" {
		return ""
	}
	s = cut(s, maxText)
	e := t.all[s]
	if e == nil {
		e = &text{value: strings.Clone(s)}
		t.all[e.value] = e
		t.size += len(e.value) + textOverhead
	}
	e.uses++
	return e.value
}

// drop gives a text back that use returned.
func (t *texts) drop(s string) {
	e := t.all[s]
	if e == nil {
		return
	}
	if e.uses--; e.uses == 0 {
		delete(t.all, s)
		t.size -= len(s) + textOverhead
	}
}

// cut returns the beginning of a text, at most n bytes of it.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
