package sqltext

import (
	"strings"
	"unicode/utf8"
)

// Written returns a parameterised text as a span may record it: as it is written, up to
// [MaxText] bytes, except that
//
//   - a question mark stands for a literal that is no static text by its look: a quoted
//     one with more than 20 characters without a space, or one that looks like an
//     identifier, a number of many digits, an address, hexadecimal or base64;
//   - and for one whose place tells that it is secret: KEY '…', PASSWORD '…',
//     CONNECTION '…', and the arguments of functions that encrypt or connect;
//   - of the rows of an INSERT without literals, the first is kept, and the others are
//     one ellipsis;
//   - what [Parse] drops because it can be read in more than one way is dropped.
//
// It is for texts whose Result has a placeholder, and may be called concurrently.
func Written(d Dialect, query string) string {
	s := scanners.Get().(*scanner)
	s.reset(d, query)
	s.written = true
	s.scan()
	text := s.text()
	s.src = ""
	scanners.Put(s)
	return text
}

// keepsLiteral reports whether the literal src[from:to] stays in a text that is
// recorded as written.
func (s *scanner) keepsLiteral(from, to int) bool {
	return s.written && isStatic(s.src[from:to]) && !s.secretPlace(from)
}

const (
	maxStaticRun    = 20 // characters of a quoted literal without a space
	maxStaticDigits = 8  // digits of a number
)

// isStatic reports whether a literal looks as if the program's author wrote it.
func isStatic(literal string) bool {
	quoted := strings.ContainsAny(literal[len(literal)-1:], `'"$]`)
	digits := 0
	for i := range len(literal) {
		if isDigit(literal[i]) {
			digits++
		}
	}
	if !quoted {
		return digits <= maxStaticDigits && (len(literal) <= maxStaticDigits+2 || literal[0] != '0')
	}
	if digits > 5 || strings.ContainsRune(literal, '@') || strings.Contains(literal, "://") {
		return false
	}
	for word := range strings.FieldsSeq(literal) {
		if utf8.RuneCountInString(strings.Trim(word, `'"$`)) > maxStaticRun || isCode(word) {
			return false
		}
	}
	return true
}

// isCode reports whether a word of a literal looks like an identifier, or like bytes in
// hexadecimal or base64.
func isCode(word string) bool {
	word = strings.Trim(word, `'"`)
	if len(word) < 8 {
		return false
	}
	var digits, lowers, uppers, hex, others int
	for i := range len(word) {
		switch c := word[i]; {
		case isDigit(c):
			digits++
			hex++
		case c >= 'a' && c <= 'z':
			lowers++
			if c <= 'f' {
				hex++
			}
		case c >= 'A' && c <= 'Z':
			uppers++
			if c <= 'F' {
				hex++
			}
		default:
			others++
		}
	}
	switch {
	case hex == len(word):
		return true
	case digits >= 3 && lowers+uppers > 0: // cus_9s6XKzkN, ord-2024-17a
		return true
	case digits > 0 && lowers > 0 && uppers > 0 && others == 0:
		return true
	}
	return word[len(word)-1] == '=' && others <= 3
}

// secretPlace reports whether the literal at from stands where keys and passwords do:
// behind a word that announces one, or in the parentheses of a function that takes one.
func (s *scanner) secretPlace(from int) bool {
	if s.over > 0 || s.attach != attachNone {
		return true
	}
	if word := s.src[s.last.from:s.last.to]; announces(word) {
		between := strings.TrimSpace(s.src[s.last.to:from])
		switch {
		case strings.EqualFold(word, "key"): // a column's name as well
			if between == "" {
				return true
			}
		case between == "", between == "=", between == ":=", between == "=>", between == ":":
			return true
		}
	}
	for i := s.depth; i > 0; i-- {
		if c := s.frames[i].call; c.to > 0 && takesSecret(s.src[c.from:c.to]) {
			return true
		}
	}
	return false
}

// announces reports whether a secret may follow the word.
func announces(word string) bool {
	return containsAny(word, "key", "passw", "pwd", "secret", "token", "credential", "connection", "passphrase", "identified")
}

// takesSecret reports whether a function's arguments hold a secret.
func takesSecret(function string) bool {
	return containsAny(function, "crypt", "hmac", "passw", "passphrase", "secret", "dblink", "openrowset", "opendatasource",
		"credential", "connection", "set_config", "azure", "mysql", "postgres", "remote") ||
		strings.EqualFold(function, "s3") || strings.EqualFold(function, "url") || strings.EqualFold(function, "hdfs") ||
		strings.EqualFold(function, "encode") || strings.EqualFold(function, "decode")
}

// containsAny reports whether word contains one of parts, in any case.
func containsAny(word string, parts ...string) bool {
	for _, part := range parts {
		for i := 0; i+len(part) <= len(word); i++ {
			if equalLower(word[i:i+len(part)], part) {
				return true
			}
		}
	}
	return false
}

// rows is a list of rows after VALUES, in a text that is recorded as written.
type rows struct {
	depth  int  // of the list
	active bool // a row is open
	plain  bool // it holds no literal
	first  bool // it is the first
	comma  int  // length of out before the comma that precedes it
	elided bool // the row before was left out
}

// beginRow begins a row with the parenthesis that was read.
func (s *scanner) beginRow(f *frame) {
	if s.over > 0 || !f.values || f.stmt != kwInsert {
		return
	}
	switch {
	case s.prevWord == kwValues:
		s.rows = rows{depth: s.depth, active: true, plain: true, first: true}
	case s.prev == tokenComma && s.rows.comma > 0 && s.rows.depth == s.depth:
		s.rows.active, s.rows.plain, s.rows.first = true, true, false
	}
}

// endRow ends the row whose parenthesis is closed next, at the scanner's position.
func (s *scanner) endRow() {
	r := &s.rows
	if s.over > 0 || s.depth != r.depth+1 {
		return
	}
	r.active = false
	if r.first || !r.plain {
		r.elided = false
		return
	}
	s.flush(s.pos + 1)
	s.out = s.out[:min(r.comma, len(s.out))]
	if !r.elided {
		s.write(", …")
		r.comma = len(s.out)
	}
	r.elided = true
}
