package drivertext

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// word is a word of a text: letters, digits, and what else is beyond ASCII.
type word struct {
	start, end int // in the text
	fold       string
	hash       uint64
}

// split returns the words of s.
func split(s string) (words []word) {
	fold := make([]byte, 0, len(s))
	begin, start := 0, -1
	end := func(at int) {
		if start >= 0 {
			f := string(fold[begin:])
			words = append(words, word{start, at, f, hash(f)})
			begin, start = len(fold), -1
		}
	}
	for i := 0; i < len(s); {
		r, size := next(s[i:])
		if !isWord(r) {
			end(i)
		} else {
			if start < 0 {
				start = i
			}
			fold = utf8.AppendRune(fold, unicode.ToLower(unicode.ToUpper(r)))
		}
		i += size
	}
	end(len(s))
	return words
}

// next returns the first character of s. Of an escape of %q or JSON, which may have
// been escaped again, it is the one that it stands for.
func next(s string) (r rune, size int) {
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
		for _, digits := range [...]int{8, 4} {
			if r, ok := fromHex(s[n+1:], digits); ok && (digits == 4 || r <= unicode.MaxRune) {
				return r, n + 1 + digits
			}
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

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// combine adds the hash of one more word to that of several.
func combine(h, word uint64) uint64 { return (h<<7|h>>57)*1099511628211 ^ word }

func hashOf(words []word) (h uint64) {
	for i := range words {
		h = combine(h, words[i].hash)
	}
	return h
}
