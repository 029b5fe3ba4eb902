package sqltext

import (
	"strings"
	"unicode/utf8"
)

// closed is how far a quoted token goes.
type closed uint8

const (
	closedYes  closed = iota
	closedNot         // it goes on to the end of the text
	closedElse        // by another reading it goes on
)

// quotedEnd returns the position after the quoted token whose content begins at
// i. The quote doubled is part of the content.
func (s *scanner) quotedEnd(i int, q byte, esc escape) (int, closed) {
	src := s.src
	for {
		j := strings.IndexByte(src[i:], q)
		if j < 0 {
			return len(src), closedNot
		}
		j += i
		if esc != escapeNever {
			n := 0
			for j-n > i && src[j-n-1] == '\\' {
				n++
			}
			if n%2 == 1 {
				if esc == escapeDoubt {
					return j, closedElse
				}
				i = j + 1
				continue
			}
		}
		if j+1 == len(src) || src[j+1] != q {
			return j + 1, closedYes
		}
		i = j + 2
	}
}

// stringLiteral replaces the string that begins at from, with a prefix perhaps,
// and whose content begins at i.
func (s *scanner) stringLiteral(from, i int, q byte, esc escape) {
	if s.dialect == Default && s.at(i) == q && s.at(i+1) == q { // perhaps a triple quote
		s.dropRest(from)
		return
	}
	end, ok := s.quotedEnd(i, q, esc)
	if ok != closedYes {
		s.dropRest(from)
		return
	}
	s.literal(from, end)
}

// quotedName takes the quoted name that begins at from, with a prefix perhaps,
// and whose content begins at i. No dialect has escapes in names.
func (s *scanner) quotedName(from, i int, q byte) {
	end, ok := s.quotedEnd(i, q, escapeNever)
	if ok != closedYes || s.edge(end) {
		s.dropRest(from)
		return
	}
	if isAddress(s.src[i:end]) {
		s.hidden(from, end)
		return
	}
	s.pos = end
	s.takeName(from, end)
}

// addressBytes are those that may make an address of a name.
var addressBytes = [256]bool{'?': true, '=': true, '@': true, ':': true}

// isAddress reports whether a quoted name may be an address with credentials in it, from
// which some databases read.
func isAddress(name string) bool {
	for i := range len(name) {
		if c := name[i]; addressBytes[c] && (c != ':' || strings.HasPrefix(name[i:], "://")) {
			return true
		}
	}
	return false
}

// quote reads a token in single, double or back quotes.
func (s *scanner) quote(q byte) {
	from := s.pos
	if s.quotedPragma(from) {
		return
	}
	switch q {
	case '\'':
		s.stringLiteral(from, from+1, q, s.dialect.plainEscape())
	case '"':
		s.doubleQuoted(from)
	default:
		switch s.dialect {
		case MySQL, SQLite:
			s.quotedName(from, from+1, q)
		case Default:
			// Elsewhere it may be an operator.
			end, ok := s.quotedEnd(from+1, q, escapeNever)
			if ok != closedYes || doubtful(s.src[from+1:end-1]) {
				s.dropRest(from)
				return
			}
			s.quotedName(from, from+1, q)
		default:
			s.operator()
		}
	}
}

// doubleQuoted reads a token in double quotes. It is a name in PostgreSQL and
// Oracle, and a string in MySQL. SQLite takes it for a string when no column has
// the name, SQL Server has QUOTED_IDENTIFIER, and Default is not known: there it
// is a name where no string can stand, and a string everywhere else.
func (s *scanner) doubleQuoted(from int) {
	switch s.dialect {
	case PostgreSQL, Oracle:
		s.quotedName(from, from+1, '"')
		return
	case MySQL:
		s.stringLiteral(from, from+1, '"', escapeDoubt)
		return
	}
	esc := s.dialect.plainEscape()
	if s.dialect == Default && s.at(from+1) == '"' && s.at(from+2) == '"' {
		s.dropRest(from)
		return
	}
	end, ok := s.quotedEnd(from+1, '"', esc)
	if ok != closedYes || s.edge(end) {
		s.dropRest(from)
		return
	}
	if isAddress(s.src[from:end]) {
		s.hidden(from, end)
		return
	}
	if s.prev == tokenDot || s.wantsName() || s.at(end) == '.' && qualifies(s.at(end+1)) {
		s.pos = end
		s.takeName(from, end)
		return
	}
	s.literal(from, end)
}

// qualifies reports whether c, after a dot, makes what is before the dot a name:
// no string is followed by a dot and another word. A question mark is a string
// that was replaced before.
func qualifies(c byte) bool {
	switch classes[c] {
	case letter, wide, quote, bracket, question:
		return true
	default:
		return c == '*'
	}
}

// bracket reads an opening bracket: a quoted name or an array.
func (s *scanner) bracket() {
	from := s.pos
	switch s.dialect {
	case SQLServer:
		if s.over == 0 && s.top().arguments && s.prev != tokenDot {
			s.stringLiteral(from, from+1, ']', escapeNever)
			return
		}
		s.quotedName(from, from+1, ']')
	case SQLite:
		if s.quotedPragma(from) {
			return
		}
		end := strings.IndexByte(s.src[from:], ']')
		if end < 0 {
			s.dropRest(from)
			return
		}
		if isAddress(s.src[from : from+end]) {
			s.hidden(from, from+end+1)
			return
		}
		s.pos = from + end + 1
		s.takeName(from, s.pos)
	case Default:
		if from >= s.bracketEnd {
			end, _ := s.quotedEnd(from+1, ']', escapeNever)
			if doubtful(s.src[from:end]) {
				s.dropRest(from)
				return
			}
			s.bracketEnd = end
		}
		s.operator()
	default:
		s.operator()
	}
}

// prefixed reads a literal or a quoted name whose prefix is the word
// src[from:end], before the byte c. It reports whether it is one.
func (s *scanner) prefixed(from, end int, c byte) bool {
	word := s.src[from:end]
	if c == '&' {
		return s.unicodePrefixed(from, end)
	}
	if c == '"' && s.dialect != MySQL && s.dialect != Default {
		return false
	}
	if s.dialect == Oracle && (classes[word[0]] != letter || strings.IndexByte(word, '@') >= 0 || s.glued(from)) {
		// The end of name@link may be a prefix, and so may what follows a # that
		// begins no name. A prefix here may be the end of a name.
		s.dropRest(from)
		return true
	}
	first := lower[word[0]]
	if len(word) == 1 {
		switch s.dialect {
		case PostgreSQL:
			if first == 'e' {
				s.stringLiteral(from, end+1, c, escapeAlways)
				return true
			}
			if first == 'b' || first == 'x' || first == 'n' {
				s.stringLiteral(from, end+1, c, escapeDoubt)
				return true
			}
			return false
		case MySQL:
			if first != 'b' && first != 'x' && first != 'n' && first != '_' {
				return false
			}
		case SQLite:
			if first != 'x' {
				return false
			}
		case SQLServer:
			if first != 'n' {
				return false
			}
		case Oracle:
			if first == 'q' {
				s.alternative(from, end+1)
				return true
			}
			if first != 'n' {
				return false
			}
		default:
			if first == 'q' {
				s.dropRest(from)
				return true
			}
		}
		s.stringLiteral(from, end+1, c, s.dialect.plainEscape())
		return true
	}
	switch s.dialect {
	case MySQL:
		if first != '_' {
			return false
		}
	case Oracle:
		if len(word) == 2 && first == 'n' && lower[word[1]] == 'q' {
			s.alternative(from, end+1)
			return true
		}
		return false
	case Default:
		if len(word) == 2 && lower[word[1]] == 'q' {
			s.dropRest(from)
			return true
		}
		if len(word) > 2 && first != '_' || keywordOf(word) != kwNone {
			return false
		}
	default:
		return false
	}
	s.stringLiteral(from, end+1, c, s.dialect.plainEscape())
	return true
}

// glued reports whether a character outside ASCII that was taken for a space
// touches the word at from, and is part of it perhaps.
func (s *scanner) glued(from int) bool { return from > 0 && s.src[from-1] >= utf8.RuneSelf }

// unicodePrefixed reads U&'…' and U&"…", whose U is the word src[from:end].
func (s *scanner) unicodePrefixed(from, end int) bool {
	if end-from != 1 || lower[s.src[from]] != 'u' || s.dialect != PostgreSQL && s.dialect != Default {
		return false
	}
	switch q := s.at(end + 1); {
	case q == '\'':
		s.stringLiteral(from, end+2, q, escapeDoubt)
	case q == '"' && s.dialect == PostgreSQL:
		s.quotedName(from, end+2, q)
	default:
		return false
	}
	return true
}

// alternative replaces Oracle's q'[…]', which begins at from and whose delimiter
// is at i.
func (s *scanner) alternative(from, i int) {
	r, size := utf8.DecodeRuneInString(s.src[i:])
	if size == 0 || r == ' ' || r == '\t' || r == '\r' || r == '\n' {
		s.dropRest(from)
		return
	}
	last := s.src[i : i+size]
	switch r {
	case '[':
		last = "]"
	case '{':
		last = "}"
	case '<':
		last = ">"
	case '(':
		last = ")"
	}
	for j := i + size; ; {
		n := strings.Index(s.src[j:], last)
		if n < 0 {
			s.dropRest(from)
			return
		}
		j += n + len(last)
		if s.at(j) == '\'' {
			s.literal(from, j+1)
			return
		}
		if last == "'" {
			// Quotes may overlap: '''.
			continue
		}
	}
}

// dollarQuote replaces $tag$…$tag$, or takes the dollar sign as an operator. Only
// PostgreSQL is known to have it; elsewhere it may be one.
func (s *scanner) dollarQuote(from int) {
	i := from + 1
	for i < len(s.src) {
		c := s.src[i]
		if classes[c] == letter || c >= utf8.RuneSelf || i > from+1 && isDigit(c) {
			i++
			continue
		}
		break
	}
	if s.edge(i) {
		s.dropRest(from)
		return
	}
	if s.at(i) != '$' {
		s.pos = from + 1
		s.takeOp('$')
		return
	}
	if s.dialect != PostgreSQL {
		s.dropRest(from)
		return
	}
	tag := s.src[from : i+1]
	n := strings.Index(s.src[i+1:], tag)
	if n < 0 {
		s.dropRest(from)
		return
	}
	s.literal(from, i+1+n+len(tag))
}

// number replaces the number that begins at from, its digits at i, perhaps after
// a sign.
func (s *scanner) number(from, i int) {
	end := s.numberEnd(i)
	q := s.at(end)
	if q == '&' {
		q = s.at(end + 1)
	}
	if q == '\'' || q == '"' {
		// The end of the number may be a prefix of what is in the quotes.
		s.dropRest(from)
		return
	}
	if q == '$' && (s.dialect == PostgreSQL || s.dialect == Default) {
		// A word at the end of the number goes on with the dollar sign, and a
		// dollar quote that seems to begin here may begin later.
		s.dropRest(from)
		return
	}
	s.literal(from, end)
}

// numberEnd returns the end of the number that begins at i, with every byte that
// some database may read as part of it, and the word that touches it.
func (s *scanner) numberEnd(i int) int {
	src := s.src
	i = max(i, s.bareEnd(i))
	hex := s.at(i) == '0' && (s.at(i+1)|0x20) == 'x'
	for i < len(src) {
		switch classes[src[i]] {
		case digit, dot, letter:
			i++
		case wide:
			r, size := utf8.DecodeRuneInString(src[i:])
			if !isWordRune(r) {
				return i
			}
			i += size
		case sign: // of an exponent
			if hex || src[i-1]|0x20 != 'e' || !isDigit(s.at(i+1)) {
				return i
			}
			i++
		default:
			// SQL Server goes on with a binary constant on the next line.
			if !hex || src[i] != '\\' || s.dialect != SQLServer && s.dialect != Default || classes[s.at(i+1)] != newline {
				return i
			}
			i += 2
			if src[i-1] == '\r' && s.at(i) == '\n' {
				i++
			}
		}
	}
	return i
}

// The forms of what Cassandra writes without quotes: a UUID, and one of the two of
// a duration.
const (
	uuidForm     = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	durationForm = "P0000-00-00T00:00:00"
)

// bareEnd returns the end of the UUID or the duration without quotes that begins
// at i, and is 0 if there is none: only Default looks for them.
func (s *scanner) bareEnd(i int) int {
	if s.dialect != Default {
		return 0
	}
	if s.at(i) == 'P' {
		return s.durationEnd(i)
	}
	if s.at(i+8) == '-' && s.hasForm(i, uuidForm) {
		return i + len(uuidForm)
	}
	return 0
}

// durationEnd returns the end of a duration like P1Y2M3DT4H5M6S, in capitals. A
// name may have that form, too, but then it is known by its place.
func (s *scanner) durationEnd(i int) int {
	if s.prev == tokenDot || s.wantsName() {
		return 0
	}
	end := s.amountsEnd(i+1, "YMWD")
	if s.at(end) == 'T' {
		end = s.amountsEnd(end+1, "HMS")
	}
	if s.hasForm(i, durationForm) {
		end = i + len(durationForm)
	} else if c := s.src[end-1]; c == 'P' || c == 'T' { // without an amount
		return 0
	}
	if next, _ := s.wordEnd(end); next > end || s.at(end) == '.' {
		return 0
	}
	return end
}

// amountsEnd returns the end of the amounts that begin at i, each with a unit
// that stands behind that of the last one.
func (s *scanner) amountsEnd(i int, units string) int {
	for {
		j := i
		for isDigit(s.at(j)) {
			j++
		}
		unit := strings.IndexByte(units, s.at(j))
		if j == i || unit < 0 {
			return i
		}
		i, units = j+1, units[unit+1:]
	}
}

// hasForm reports whether the text at i has a form, in which x is a hexadecimal
// digit and 0 a decimal one.
func (s *scanner) hasForm(i int, form string) bool {
	if len(s.src)-i < len(form) {
		return false
	}
	for n := range len(form) {
		c := s.src[i+n]
		switch form[n] {
		case 'x':
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		case '0':
			if !isDigit(c) {
				return false
			}
		default:
			if c != form[n] {
				return false
			}
		}
	}
	return true
}
