package drivertext

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// word is a word of a text: letters, digits, and what else is beyond ASCII.
type word struct {
	start, end int    // in the text
	hash       uint64 // of its letters in lower case
}

// split returns the words of s.
func split(s string) []word {
	words := make([]word, 0, 4+len(s)/6)
	w := word{start: -1}
	for i := 0; i < len(s); {
		c, size := rune(folded[s[i]]), 1
		if c == other {
			if c, size = next(s[i:]); isWord(c) {
				c = fold(c)
			} else {
				c = 0
			}
		}
		switch {
		case c == 0 && w.start >= 0:
			w.end = i
			words = append(words, w)
			w.start = -1
		case c != 0 && w.start < 0:
			w = word{start: i, hash: basis}
			fallthrough
		case c != 0:
			w.hash = (w.hash ^ uint64(c)) * prime
		}
		i += size
	}
	if w.start >= 0 {
		w.end = len(s)
		words = append(words, w)
	}
	return words
}

// other stands in folded for what takes a closer look.
const other = 1

// folded has the letters and digits of ASCII in lower case, and 0 for what separates
// words.
var folded = func() (table [256]byte) {
	for c := range table {
		switch {
		case c >= utf8.RuneSelf || strings.IndexByte(`\&`+"\x1b", byte(c)) >= 0:
			table[c] = other
		case isWord(rune(c)):
			table[c] = byte(unicode.ToLower(rune(c)))
		}
	}
	return table
}()

func fold(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// letters returns the letters of a word in lower case.
func letters(s string) string {
	b := make([]byte, 0, len(s))
	for len(s) > 0 {
		r, size := next(s)
		b = utf8.AppendRune(b, fold(r))
		s = s[size:]
	}
	return string(b)
}

// next returns the first character of s. An entity of HTML, or an escape of %q or
// JSON, which may have been escaped again, is the character that it stands for. A color
// of a terminal is a character that belongs to no word.
func next(s string) (r rune, size int) {
	r, size = unescape(s)
	switch r {
	case '&':
		for r == '&' {
			c, n := entity(s[size:])
			if n == 0 {
				break
			}
			r, size = c, size+n
		}
	case '\x1b':
		size += len(color.FindString(s[size:]))
	}
	return r, size
}

var color = regexp.MustCompile(`^\[[0-9;:]*[A-Za-z]`)

// entity returns the character of the entity of HTML that s is the rest of, behind its
// '&', in any case, or 0.
func entity(s string) (rune, int) {
	end := strings.IndexByte(s[:min(len(s), len("#x10ffff;"))], ';')
	if end <= 0 {
		return 0, 0
	}
	name := strings.ToLower(s[:end])
	if digits, ok := strings.CutPrefix(name, "#"); ok {
		base := 10
		if hex, ok := strings.CutPrefix(digits, "x"); ok {
			digits, base = hex, 16
		}
		if n, err := strconv.ParseUint(digits, base, 31); err == nil && n <= unicode.MaxRune {
			return rune(n), end + 1
		}
		return 0, 0
	}
	if r, ok := entities[name]; ok {
		return r, end + 1
	}
	return 0, 0
}

var entities = map[string]rune{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\'', "nbsp": '\u00a0'}

// unescape is next for escapes of %q and JSON.
func unescape(s string) (r rune, size int) {
	if s[0] != '\\' {
		return utf8.DecodeRuneInString(s)
	}
	n := 1
	for n < len(s) && s[n] == '\\' {
		n++
	}
	if n == len(s) {
		return '\\', n
	}
	// Each time that a text is escaped doubles its backslashes, so that a power of two of
	// them escapes what follows. Those before are text.
	if escape := n & -n; escape < n {
		return '\\', n - escape
	}
	switch s[n] | 0x20 {
	case 'a', 'b', 'f', 'n', 'r', 't', 'v':
		return ' ', n + 1
	case 'x':
		if r, ok := fromHex(s[n+1:], 2); ok && r < utf8.RuneSelf {
			return r, n + 3
		} else if ok {
			return utf8.RuneError, n + 3
		}
	case 'u':
		// Go writes \U where four digits do not do. In JSON digits behind \u0001 are
		// text. A copy in other case may have either for the other.
		if r, ok := fromHex(s[n+1:], 8); ok && s[n] == 'U' && r > math.MaxUint16 && r <= unicode.MaxRune {
			return r, n + 9
		}
		if r, ok := fromHex(s[n+1:], 4); ok {
			return r, n + 5
		}
	}
	return '\\', n
}

func fromHex(s string, digits int) (rune, bool) {
	if len(s) < digits {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:digits], 16, 31)
	return rune(n), err == nil //nolint:gosec // of 31 bits
}

func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	}
	return r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsPunct(r)
}

// Words are hashed by FNV-1a.
const (
	basis uint64 = 14695981039346656037
	prime uint64 = 1099511628211
)

func hash(s string) uint64 {
	h := basis
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

// combine adds the hash of one more word to that of several.
func combine(h, word uint64) uint64 { return (h<<7|h>>57)*prime ^ word }

func hashOf(words []word) (h uint64) {
	for i := range words {
		h = combine(h, words[i].hash)
	}
	return h
}
