package drivertext

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxText is how many bytes of a text are kept.
const maxText = 4 << 10

// Text is a driver's text, or a part of it.
type Text struct {
	Safe string // what stands in its place

	raw   string
	cut   bool // raw is only the beginning
	once  sync.Once
	words []word
}

// New returns the text raw, for which safe may be exported.
func New(raw, safe string) *Text {
	short := shorten(raw)
	return &Text{Safe: safe, raw: short, cut: len(short) < len(raw)}
}

func shorten(raw string) string { return raw[:min(len(raw), maxText)] }

var (
	markup = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&quot;", `"`, "&apos;", "'", "&lt;", "<", "&gt;", ">", "&amp;", "&")
	colors = regexp.MustCompile("\x1b\\[[0-9;:]*[A-Za-z]")
)

// maxEscapes is how often a text may have been escaped for HTML.
const maxEscapes = 3

// Plain returns s without what only shows it: without the entities of HTML and the
// colors of a terminal.
func Plain(s string) string {
	for i := 0; i < maxEscapes && strings.IndexByte(s, '&') >= 0; i++ {
		s = markup.Replace(s)
	}
	if strings.IndexByte(s, '\x1b') >= 0 {
		s = colors.ReplaceAllLiteralString(s, "")
	}
	return s
}

// parse prepares t for being looked for.
func (t *Text) parse() { t.once.Do(func() { t.words = split(t.raw) }) }

// The lengths of anchors.
const (
	maxAnchor = 5 // words from anywhere in a text
	minTail   = 3 // words that end a text
	minLoose  = 16
)

// anchors calls f for each row of words by which t is recognised, with its hash and
// with the first of the words. With loose only those count that are long enough for
// the text of somebody else's driver.
func (t *Text) anchors(loose bool, f func(hash uint64, at int)) {
	m := len(t.words)
	for i := 0; i+maxAnchor <= m; i++ {
		f(hashOf(t.words[i:i+maxAnchor]), i)
	}
	switch {
	case m == 1 && !loose:
		f(single(t.raw, t.words[0]), 0)
	case m > 1 && m < maxAnchor && (!loose || len(t.raw) >= minLoose):
		f(hashOf(t.words), 0)
	}
	if loose {
		return
	}
	for i := max(1, m-maxAnchor+1); i < m; i++ {
		switch {
		case m-i >= minTail:
			f(hashOf(t.words[i:]), i)
		case !t.colonBefore(i):
		case m-i == 1:
			f(single(t.raw, t.words[i]), i)
		default:
			f(hashOf(t.words[i:]), i)
		}
	}
}

// single is the hash of a word of s by which a text is recognised alone. One of up to
// two letters has to be the same in case.
func single(s string, w word) uint64 {
	if exact := s[w.start:w.end]; len(exact) <= 2*utf8.UTFMax && utf8.RuneCountInString(exact) <= 2 {
		return combine(1, hash(exact))
	}
	return combine(0, w.hash)
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

// index finds texts by their anchors. If two texts share one, it finds the one that was
// added last.
type index struct {
	loose bool // for the text of somebody else's driver
	hits  map[uint64]hit
	whole map[uint64]*Text // by the hash of all of their words
}

// hit is where in a text the words of an anchor stand.
type hit struct {
	text *Text
	at   int
}

func (x *index) add(t *Text) {
	t.parse()
	if x.hits == nil {
		x.hits, x.whole = make(map[uint64]hit), make(map[uint64]*Text)
	}
	known := false
	t.anchors(x.loose, func(hash uint64, at int) {
		x.hits[hash] = hit{t, at}
		known = true
	})
	if known {
		x.whole[hashOf(t.words)] = t
	}
}

func (x *index) remove(t *Text) {
	t.anchors(x.loose, func(hash uint64, _ int) {
		if x.hits[hash].text == t {
			delete(x.hits, hash)
		}
	})
	if all := hashOf(t.words); x.whole[all] == t {
		delete(x.whole, all)
	}
}
