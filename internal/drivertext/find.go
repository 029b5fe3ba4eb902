package drivertext

import (
	"slices"
	"strings"
	"sync"
)

// Span is a place where a driver's words stand in a text.
type Span struct {
	Start, End int
	Text       *Text
	Whole      bool // all of the words of Text
}

// Find returns where raw repeats drivers' texts, in order and without overlap:
// the whole of a text, five words in a row from anywhere in it, its last three, or
// what follows a colon in it up to its end. It looks for the texts given and for
// those that m knows. For texts that only the process knows the first two count, and
// the first only if they are of 16 bytes and two words. A word that was cut at either
// end counts with the others. Where a text is known up to its 4,096th byte only, the
// end or half of that takes the rest of raw.
//
// If several texts fit, the longest row of words counts, then the first of the texts
// given, then the latest one. It takes time in proportion to the length of
// raw and of the texts given, and not to what m knows.
func Find(raw string, texts []*Text, m *Memory) []Span {
	f := finders.Get().(*finder)
	defer f.release()
	f.raw, f.words, f.m = raw, split(raw), m
	f.hits = slices.Grow(f.hits, len(f.words))[:len(f.words)]
	for _, t := range slices.Backward(texts) {
		f.local.add(t)
	}
	f.look(&f.local)
	m.each(f.look)
	return f.spans()
}

// finders keeps what a look needs, most of all the tables of the texts that are given.
var finders = sync.Pool{New: func() any { return new(finder) }}

// maxKept is how many anchors a table may have held to be used again: to clear it takes
// time in proportion to the most that it ever held.
const maxKept = 256

func (f *finder) release() {
	if len(f.local.hits) > maxKept {
		f.local = index{}
	}
	clear(f.hits)
	clear(f.local.hits)
	clear(f.local.whole)
	*f = finder{hits: f.hits[:0], local: f.local}
	finders.Put(f)
}

type finder struct {
	raw   string
	words []word
	hits  []found // by their first word
	local index
	m     *Memory
}

// found is a hit of n words, or of none.
type found struct {
	hit
	n int
}

// look looks for all that x knows.
func (f *finder) look(x *index) {
	if len(x.hits) == 0 {
		return
	}
	for i := range f.words {
		var h uint64
		for n := 1; n <= maxAnchor && i+n <= len(f.words); n++ {
			h = combine(h, f.words[i+n-1].hash)
			key := h
			if n == 1 {
				key = single(f.raw, f.words[i])
			}
			if n > f.hits[i].n {
				if there, ok := x.hits[key]; ok {
					f.hits[i] = found{there, n}
				}
			}
		}
	}
}

// whole returns the text of just these words.
func (f *finder) whole(words []word) (t *Text) {
	h := hashOf(words)
	if t = f.local.whole[h]; t == nil {
		f.m.each(func(x *index) {
			if t == nil {
				t = x.whole[h]
			}
		})
	}
	return t
}

// spans joins the hits that overlap.
func (f *finder) spans() (spans []Span) {
	for i := 0; i < len(f.words); i++ {
		first := f.hits[i]
		if first.n == 0 {
			continue
		}
		last, end := first, i+first.n
		for j := i + 1; j < end; j++ {
			if h := f.hits[j]; h.n > 0 && j+h.n > end {
				last, end = h, j+h.n
			}
		}
		s := Span{Text: first.text}
		if t := f.whole(f.words[i:end]); t != nil {
			s.Text, s.Whole = t, true
			first = found{hit{t, 0}, end - i}
			last = first
		}
		from := 0
		if len(spans) > 0 {
			from = spans[len(spans)-1].End
		}
		s.Start = f.before(i, first.hit, from)
		if t := s.Text; t.cut && (last.at+last.n >= len(t.words)-1 || end-i >= len(t.words)/2) {
			s.End = len(f.raw)
		} else {
			s.End = f.after(end, last.text, last.at+last.n)
		}
		spans = append(spans, s)
		for i+1 < len(f.words) && f.words[i+1].start < s.End {
			i++
		}
	}
	return spans
}

// before returns where a place starts whose first word is i: with what was left of a
// word that was cut, and with the punctuation that the text has there.
func (f *finder) before(i int, h hit, from int) int {
	at := h.at
	if i > 0 && at > 0 && f.words[i-1].start >= from && strings.HasSuffix(h.text.letters(at-1), f.letters(i-1)) {
		i, at = i-1, at-1
	}
	start, context := f.words[i].start, h.text.between(at)
	for start > from && context != "" {
		c, d := f.raw[start-1], context[len(context)-1]
		if c != d && c != '\\' || at > 0 && !encloses(rune(c)) {
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
	if i < len(f.words) && at < len(t.words) && strings.HasPrefix(t.letters(at), f.letters(i)) {
		i, at = i+1, at+1
	}
	end, context := f.words[i-1].end, t.between(at)
	for end < len(f.raw) && context != "" {
		c, size := next(f.raw[end:])
		d, sizeThere := next(context)
		if c != d && c != '\\' || at < len(t.words) && !encloses(c) {
			break
		}
		if c == d {
			context = context[sizeThere:]
		}
		end += size
	}
	return end
}

// encloses reports whether c is a quote, a bracket, or a backslash in front of one.
func encloses(c rune) bool { return strings.ContainsRune("\"'`()[]{}<>\\", c) }

func (f *finder) letters(i int) string { return letters(f.raw[f.words[i].start:f.words[i].end]) }

func (t *Text) letters(i int) string { return letters(t.raw[t.words[i].start:t.words[i].end]) }
