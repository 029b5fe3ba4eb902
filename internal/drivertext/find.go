package drivertext

import (
	"strings"
	"unicode/utf8"
)

// Span is a place where a driver's words stand in a text.
type Span struct {
	Start, End int
	Text       *Text
	Whole      bool // all of the words of Text
}

// Find returns where raw repeats what drivers said, in order and without overlap:
// the whole of a text, five words in a row from anywhere in it, its last three, or
// what follows a colon in it up to its end. Of texts that a driver said to somebody
// else only the first two count, and the first only if they are of 16 bytes and two
// words. A word that was cut at either end counts with the others. Where a text is
// known up to its 4,096th byte only, the end or half of that takes the rest of raw.
//
// If several texts fit, the first that is whole is taken, else the first. It takes
// time in proportion to the lengths of all the texts together.
func Find(raw string, own, others []*Text) []Span {
	f := finder{raw: raw, words: split(raw)}
	if len(f.words) == 0 {
		return nil
	}
	f.index()
	for _, t := range own {
		f.look(t, false)
	}
	for _, t := range others {
		f.look(t, true)
	}
	return f.spans()
}

type finder struct {
	raw   string
	words []word
	grams [maxAnchor][]uint64 // of n+1 words, by the first of them
	there map[uint64]bool
	hits  map[uint64]hit
	whole map[uint64]*Text // by the hash of all of its words
}

// hit is where in a text the words of an anchor stand.
type hit struct {
	text *Text
	at   int
}

func (f *finder) index() {
	f.there = make(map[uint64]bool, maxAnchor*len(f.words))
	f.hits, f.whole = map[uint64]hit{}, map[uint64]*Text{}
	for n := range f.grams {
		for i := 0; i+n < len(f.words); i++ {
			var h uint64
			if n > 0 {
				h = f.grams[n-1][i]
			}
			h = combine(h, f.words[i+n].hash)
			f.grams[n] = append(f.grams[n], h)
			f.there[h] = true
		}
	}
}

func (f *finder) look(t *Text, loose bool) {
	t.parse()
	found := false
	for _, a := range t.anchors {
		if loose && !a.loose || !f.there[a.hash] {
			continue
		}
		found = true
		if _, ok := f.hits[a.hash]; !ok {
			f.hits[a.hash] = hit{t, a.at}
		}
	}
	if _, ok := f.whole[t.all]; found && !ok {
		f.whole[t.all] = t
	}
}

// spans joins the hits that overlap.
func (f *finder) spans() (spans []Span) {
	for i := 0; i < len(f.words); i++ {
		first, n := f.hitAt(i)
		if n == 0 {
			continue
		}
		last, lastN, end := first, n, i+n
		for j := i + 1; j < end; j++ {
			if h, n := f.hitAt(j); n > 0 && j+n > end {
				last, lastN, end = h, n, j+n
			}
		}
		s := Span{Text: first.text}
		if t := f.whole[hashOf(f.words[i:end])]; t != nil {
			s.Text, s.Whole = t, true
			first, last, lastN = hit{t, 0}, hit{t, 0}, end-i
		}
		from := 0
		if len(spans) > 0 {
			from = spans[len(spans)-1].End
		}
		s.Start = f.before(i, first, from)
		if t := s.Text; t.cut && (last.at+lastN >= len(t.words)-1 || end-i >= len(t.words)/2) {
			s.End = len(f.raw)
		} else {
			s.End = f.after(end, last.text, last.at+lastN)
		}
		spans = append(spans, s)
		for i+1 < len(f.words) && f.words[i+1].start < s.End {
			i++
		}
	}
	return spans
}

// hitAt returns the longest anchor that begins with word i.
func (f *finder) hitAt(i int) (hit, int) {
	for n := min(maxAnchor, len(f.words)-i); n > 0; n-- {
		if h, ok := f.hits[f.grams[n-1][i]]; ok && f.exact(i, n, h) {
			return h, n
		}
	}
	return hit{}, 0
}

// exact reports whether what stands at word i is not merely as short and common a
// word as the text is: one of up to two letters has to be the same in case.
func (f *finder) exact(i, n int, h hit) bool {
	w := f.words[i]
	return n > 1 || utf8.RuneCountInString(w.fold) > 2 || f.raw[w.start:w.end] == h.text.raw[h.text.words[h.at].start:h.text.words[h.at].end]
}

// before returns where a place starts whose first word is i: with what was left of a
// word that was cut, and with the punctuation that the text has there.
func (f *finder) before(i int, h hit, from int) int {
	at := h.at
	if i > 0 && at > 0 && f.words[i-1].start >= from && strings.HasSuffix(h.text.words[at-1].fold, f.words[i-1].fold) {
		i, at = i-1, at-1
	}
	start, context := f.words[i].start, h.text.between(at)
	for start > from && context != "" {
		c, d := f.raw[start-1], context[len(context)-1]
		if c != d && c != '\\' || at > 0 && !encloses(c) {
			break
		}
		if c == d {
			context = context[:len(context)-1]
		}
		start--
	}
	return start
}

// after returns where a place ends that is followed by word i of f and word at of t.
func (f *finder) after(i int, t *Text, at int) int {
	if i < len(f.words) && at < len(t.words) && strings.HasPrefix(t.words[at].fold, f.words[i].fold) {
		i, at = i+1, at+1
	}
	end, context := f.words[i-1].end, t.between(at)
	for end < len(f.raw) && context != "" {
		c, d := f.raw[end], context[0]
		if c != d && c != '\\' || at < len(t.words) && !encloses(c) {
			break
		}
		if c == d {
			context = context[1:]
		}
		end++
	}
	return end
}

// encloses reports whether c is a quote, a bracket, or a backslash in front of one.
func encloses(c byte) bool { return strings.IndexByte("\"'`()[]{}<>\\", c) >= 0 }
