package sqltext

import (
	"strings"
	"unicode/utf8"
)

// The limits of a scan and of its results.
const (
	MaxScan    = 64 << 10 // bytes of a text that are scanned
	MaxText    = 4 << 10  // bytes of a sanitised or truncated text
	MaxSummary = 255      // characters of a summary
)

// Truncate returns text as a span may record it when it was not sanitised: cut
// at [MaxText] bytes between two characters, each run of invalid UTF-8 replaced by
// U+FFFD. A text that was cut or repaired is a copy, so that a long text is not
// kept alive by its beginning.
func Truncate(text string) string {
	head := cut(strings.ToValidUTF8(cut(text), "\uFFFD"))
	if len(text) > MaxText {
		return strings.Clone(head)
	}
	return head
}

// cut returns the beginning of text that a result may hold.
func cut(text string) string {
	if len(text) <= MaxText {
		return text
	}
	return cutRune(text[:MaxText])
}

// cutRune drops the beginning of a character from the end of text.
func cutRune(text string) string {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if c := text[len(text)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRuneInString(text[len(text)-n:]) {
				return text[:len(text)-n]
			}
			break
		}
	}
	return text
}

// window returns the part of query that is scanned: up to the scan limit, the
// first NUL byte or the first invalid UTF-8, and whether that is all of it.
func window(query string) (src string, whole bool) {
	src = query
	if len(src) > MaxScan {
		src = cutRune(src[:MaxScan])
	}
	if i := strings.IndexByte(src, 0); i >= 0 {
		src = src[:i]
	}
	if !utf8.ValidString(src) {
		for i, r := range src {
			if r == utf8.RuneError {
				if _, size := utf8.DecodeRuneInString(src[i:]); size == 1 {
					src = src[:i]
					break
				}
			}
		}
	}
	return src, len(src) == len(query)
}
