package sqltext

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Written returns a parameterised text as a span may record it: as it is written, up to
// [MaxText] bytes, except that
//
//   - a question mark stands for a literal that is no static text by its look: a quoted
//     one with more than 20 characters without a space, or one that looks like an
//     identifier, a number of many digits, an address, hexadecimal or base64;
//   - and for one that may be secret by its place: KEY '…', every quoted literal
//     behind a word with PASSWORD, SECRET, TOKEN, CONNECTION or the like in its statement,
//     and the arguments of procedures and of functions that encrypt, hash or connect;
//   - of the rows of an INSERT the first is kept, and those that hold nothing but
//     placeholders and the first's words are one ellipsis;
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
	if !s.written {
		return false
	}
	literal := s.src[from:to]
	if announces(literal) { // {"token": "…"}, or the name before a value
		s.announced = true
		return false
	}
	return isStatic(literal) && !s.secretPlace(from, to)
}

const (
	maxStaticRun    = 20 // characters of a quoted literal without a space
	maxStaticDigits = 8  // digits of a number
)

// isStatic reports whether a literal looks as if the program's author wrote it.
func isStatic(literal string) bool {
	quoted := isQuoted(literal)
	digits := 0
	for i := range len(literal) {
		if isDigit(literal[i]) {
			digits++
		}
	}
	if !quoted {
		return digits <= maxStaticDigits && (len(literal) <= len("0xFFFF") || literal[0] != '0') && isNumber(literal)
	}
	if c := literal[0] | 0x20; (c == 'x' || c == 'b') && literal[1] == '\'' { // bytes
		return false
	}
	if digits > 5 || strings.ContainsRune(literal, '@') || strings.Contains(literal, "://") {
		return false
	}
	for word := range strings.FieldsSeq(literal) {
		if utf8.RuneCountInString(strings.Trim(word, `'"$`)) > maxStaticRun || isCode(word) ||
			slices.ContainsFunc(strings.FieldsFunc(word, notAlphanumeric), isCode) {
			return false
		}
	}
	return true
}

// isNumber reports whether a literal without quotes is more than a word that begins with
// a digit.
func isNumber(literal string) bool {
	if len(literal) > 1 && literal[0] == '0' && (literal[1]|0x20 == 'x' || literal[1]|0x20 == 'b' || literal[1]|0x20 == 'o') {
		return true
	}
	letters := 0
	for i := range len(literal) {
		if c := literal[i] | 0x20; c >= 'a' && c <= 'z' || literal[i] >= utf8.RuneSelf {
			letters++
		}
	}
	return letters <= 1 // 1e9, 5L
}

// isQuoted reports whether a literal is in quotes of any kind.
func isQuoted(literal string) bool { return strings.ContainsAny(literal[len(literal)-1:], `'"$]`) }

func notAlphanumeric(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// isCode reports whether a word of a literal looks like an identifier, or like bytes in
// hexadecimal or base64.
func isCode(word string) bool {
	word = strings.TrimPrefix(strings.Trim(word, `'"$`), `\x`)
	if len(word) < 8 {
		return false
	}
	var digits, lowers, uppers, hex, others, humps int
	for i := range len(word) {
		if i > 0 && word[i] >= 'A' && word[i] <= 'Z' && word[i-1] >= 'a' && word[i-1] <= 'z' {
			humps++
		}
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
	case digits > 0 && len(word) >= 16 && others == 0: // AKIAIOSFODNN7EXAMPLE
		return true
	case humps >= 3 && 4*humps > len(word): // eyJhbGciOi
		return true
	}
	return word[len(word)-1] == '=' && others <= 3
}

// secretPlace reports whether the literal src[from:to] stands where keys and passwords
// do: behind a word that announces one, or in the parentheses of a function or among the
// arguments of a procedure that takes one.
func (s *scanner) secretPlace(from, to int) bool {
	if s.over > 0 || s.attach != attachNone {
		return true
	}
	if isQuoted(s.src[from:to]) && (s.announced || s.frames[0].stmt == kwExec || s.frames[0].stmt == kwCall) {
		return true
	}
	if word := s.src[s.last.from:s.last.to]; announces(word) || containsAny(word, "key") || strings.EqualFold(word, "program") {
		between := strings.TrimSpace(s.src[s.last.to:from])
		switch {
		case between == "", between == ":=", between == "=>", between == ":":
			return true
		case between == "=": // a column's name as well
			return !strings.EqualFold(word, "key")
		}
	}
	for i := s.depth; i > 0; i-- {
		if c := s.frames[i].call; c.to > 0 && takesSecret(s.src[c.from:c.to]) {
			return true
		}
	}
	return false
}

// announces reports whether a secret may follow the word, anywhere in the statement.
func announces(word string) bool {
	return containsAny(word, "passw", "pwd", "secret", "token", "credential", "connection", "conninfo", "passphrase", "identified", "api_key", "apikey")
}

// takesSecret reports whether a function's arguments hold a secret.
func takesSecret(function string) bool {
	return containsAny(function, "crypt", "cipher", "hmac", "hash", "digest", "pwd", "passw", "passphrase", "secret", "dblink", "openrowset", "opendatasource",
		"credential", "connection", "authenticat", "keyring", "jwt", "set_config", "azure", "mysql", "postgres", "remote") ||
		strings.EqualFold(function, "sign") || strings.EqualFold(function, "verify") ||
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
	from   int  // where it begins
	model  span // the first
}

// beginRow begins a row with the parenthesis that was read.
func (s *scanner) beginRow(f *frame) {
	if s.over > 0 || !f.values || f.stmt != kwInsert {
		return
	}
	switch {
	case s.prevWord == kwValues:
		s.rows = rows{depth: s.depth, active: true, plain: true, first: true, from: s.pos}
	case s.prev == tokenComma && s.rows.comma > 0 && s.rows.depth == s.depth:
		s.rows.active, s.rows.plain, s.rows.first, s.rows.from = true, true, false, s.pos
	}
}

// endRow ends the row whose parenthesis is closed next, at the scanner's position.
func (s *scanner) endRow() {
	r := &s.rows
	if s.over > 0 || s.depth != r.depth+1 {
		return
	}
	r.active = false
	if r.first {
		r.model = newSpan(r.from, s.pos)
	}
	if r.first || !r.plain || !sameRow(s.src[r.model.from:r.model.to], s.src[r.from:s.pos]) {
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

// sameRow reports whether a row without literals holds nothing but placeholders, or those
// and the words of the first row.
func sameRow(first, row string) bool {
	words := skeleton(row)
	return strings.Trim(words, "?,") == "" || words == skeleton(first)
}

// skeleton returns a row without white space, each placeholder as a question mark.
func skeleton(row string) string {
	var b strings.Builder
	for i := 0; i < len(row); i++ {
		switch c := row[i]; classes[c] {
		case space, newline:
		case question, dollar, sigil:
			b.WriteByte('?')
			for i+1 < len(row) && (classes[row[i+1]] == letter || classes[row[i+1]] == digit || row[i+1] == ':') {
				i++
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
