package drivertext

import (
	"strings"
	"sync"
)

// maxText is how many bytes of a text are kept.
const maxText = 4 << 10

// Text is what a driver said, or a part of it.
type Text struct {
	Safe string // what stands in its place

	raw     string
	cut     bool // raw is only the beginning
	once    sync.Once
	words   []word
	all     uint64 // of all words
	anchors []anchor
}

// New returns the text raw, for which safe may be exported.
func New(raw, safe string) *Text {
	short := shorten(raw)
	return &Text{Safe: safe, raw: strings.Clone(short), cut: len(short) < len(raw)}
}

func shorten(raw string) string { return raw[:min(len(raw), maxText)] }

// anchor is a number of words in a row by which a text is recognised.
type anchor struct {
	hash  uint64
	n     int
	at    int  // the first of the words
	loose bool // they are telling enough for what somebody else's driver said
}

// The lengths of anchors.
const (
	maxAnchor = 5 // words from anywhere in a text
	minTail   = 3 // words that end a text
	minLoose  = 16
)

// parse prepares t for being looked for.
func (t *Text) parse() {
	t.once.Do(func() {
		t.words = split(t.raw)
		m := len(t.words)
		for i := range t.words {
			t.all = combine(t.all, t.words[i].hash)
		}
		for i := 0; i+maxAnchor <= m; i++ {
			t.anchor(i, maxAnchor, true)
		}
		if m > 0 && m < maxAnchor {
			t.anchor(0, m, m > 1 && len(t.raw) >= minLoose)
		}
		for i := max(1, m-maxAnchor+1); i < m; i++ {
			if m-i >= minTail || t.colonBefore(i) {
				t.anchor(i, m-i, false)
			}
		}
	})
}

func (t *Text) anchor(at, n int, loose bool) {
	t.anchors = append(t.anchors, anchor{hashOf(t.words[at : at+n]), n, at, loose})
}

// colonBefore reports whether word i follows a colon: programs cut such prefixes off.
func (t *Text) colonBefore(i int) bool { return strings.Contains(t.between(i), ": ") }

// between returns what stands in front of word i, up to the word before it.
func (t *Text) between(i int) string {
	from, to := 0, len(t.raw)
	if i > 0 {
		from = t.words[i-1].end
	}
	if i < len(t.words) {
		to = t.words[i].start
	}
	return t.raw[from:to]
}
