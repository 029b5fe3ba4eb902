package sqltext

import (
	"unicode"
	"unicode/utf8"
)

// class is what a byte may begin, outside literals, comments and quoted names.
type class uint8

const (
	other class = iota // operators and everything unknown
	space
	newline
	letter // letters and the underscore
	digit
	wide // the first byte of a character outside ASCII
	quote
	bracket
	dollar
	sigil // : and @
	hash
	dot
	sign
	slash
	question
	open
	closing
	comma
	semicolon
)

// classes maps a byte to its class.
var classes = func() (t [256]class) {
	for c := range t {
		switch {
		case c >= utf8.RuneSelf:
			t[c] = wide
		case c <= ' ' || c == 0x7f:
			t[c] = space
		case c >= '0' && c <= '9':
			t[c] = digit
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			t[c] = letter
		}
	}
	for c, k := range map[byte]class{
		'\n': newline, '\r': newline, '\'': quote, '"': quote, '`': quote, '[': bracket, '$': dollar,
		':': sigil, '@': sigil, '#': hash, '.': dot, '+': sign, '-': sign, '/': slash, '?': question,
		'(': open, ')': closing, ',': comma, ';': semicolon,
	} {
		t[c] = k
	}
	return t
}()

// wordParts maps a dialect and a byte to whether the byte continues a word.
// Bytes outside ASCII are decided by [isWordRune]. In Default, $ is decided in
// [scanner.wordEnd], and # may begin a comment.
var wordParts = func() (t [Oracle + 1][256]bool) {
	extra := [...]string{Default: "", PostgreSQL: "$", MySQL: "$", SQLite: "$", SQLServer: "@#$", Oracle: "@#$"}
	for d := range t {
		for c := range t[d] {
			t[d][c] = classes[c] == letter || classes[c] == digit
		}
		for _, c := range []byte(extra[d]) {
			t[d][c] = true
		}
	}
	return t
}()

// isDigit reports whether c is an ASCII digit.
func isDigit(c byte) bool { return c-'0' < 10 }

// isWordRune reports whether a character outside ASCII is part of a word. White
// space, controls and invisible characters separate words, as some database
// may read them so; a currency sign begins a number.
func isWordRune(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.In(r, unicode.Sc, unicode.Cc, unicode.Cf)
}
