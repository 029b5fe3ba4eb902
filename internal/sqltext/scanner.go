package sqltext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is the kind of the token before the scanner's position.
type token uint8

const (
	tokenNone  token = iota // the beginning of a statement
	tokenName               // a name or a word that may be one
	tokenWord               // a keyword before which or after which no name stands
	tokenValue              // a literal or a placeholder
	tokenDot                // a dot after a name
	tokenOpen
	tokenClose
	tokenComma
	tokenOp
)

// operand reports whether a sign after the token is a binary operator.
func (t token) operand() bool { return t == tokenName || t == tokenValue || t == tokenClose }

// maxDepth is the depth of parentheses down to which the summary is followed.
const maxDepth = 64

// scanner is one pass over a text: the tokens, the sanitised text that is
// written meanwhile, and the state of the summary.
type scanner struct {
	src     string
	pos     int // the next byte
	dialect Dialect
	whole   bool // src is all of the query

	// The sanitised text: out, then src[keep:pos], which is not written yet.
	out  []byte
	keep int

	placeholder bool
	unsure      bool // the rest of the text was dropped
	openLine    bool // the text ends in a line comment
	lineComment span // the last line comment
	ended       bool // a semicolon was read
	script      bool // and something behind one, perhaps
	newline     bool // white space with a line's end precedes the token

	written   bool // the text is recorded as written, where it may be
	announced bool // a word in the statement announces a secret
	rows      rows

	// Known by the operations.
	operations    int     // how many were begun
	targets       int     // how many targets were named
	first         keyword // the first operation
	renames       bool    // which is RENAME
	routineCalled bool    // EXECUTE PROCEDURE was read
	batched       bool    // a statement with many rows
	several       bool    // statements without semicolons between them
	parted        bool    // GO was read
	unparted      bool    // it is in a BATCH of Cassandra, which needs no semicolons
	kept          bool    // the text is kept by the database or holds data: CREATE, ALTER, COPY
	inserts       bool

	prev     token
	prevWord keyword // the keyword that is the token before, if it is one
	last     span    // the last word or quoted name
	starter  span    // the last word at the beginning of a statement that is no keyword

	setting  setting // the value that is given to a setting
	attach   attach  // the place in ATTACH
	password bool    // the next word is a password
	keyed    bool    // it is one behind =

	bracketEnd int // how far brackets were found to hold nothing doubtful (Default)
	list       inList

	// The summary.
	sum     summary
	routine routine
	target  bool // the last entry of the summary is a name that may go on
	dots    int  // dots after the target that are not written yet
	simple  span // that name, while it has one part
	frames  [maxDepth]frame
	depth   int
	over    int // parentheses that are open beyond maxDepth
	names   [maxNames]span
	named   int // common table expressions in scope
}

// maxPlaceholder is the length of the longest numbered placeholder: no database
// has more than 65535 in a statement.
const maxPlaceholder = len("$65535")

// inList is the list after IN that is being scanned.
type inList struct {
	active bool
	values bool // it has at least one value
	mark   int  // length of out after the parenthesis
}

// span is a part of the text. A frame holds several, and one is written for every
// operation and parenthesis.
type span struct{ from, to int32 }

func newSpan(from, to int) span { return span{int32(from), int32(to)} } // at most MaxScan

func newScanner() *scanner {
	return &scanner{out: make([]byte, 0, MaxText), sum: summary{buf: make([]byte, 0, maxSummaryBytes)}}
}

// reset prepares the scanner for a text.
func (s *scanner) reset(d Dialect, query string) {
	if d > Oracle {
		d = Default
	}
	s.src, s.whole = window(query)
	s.pos, s.keep, s.bracketEnd = 0, 0, 0
	s.dialect = d
	s.out = s.out[:0]
	s.placeholder, s.unsure, s.openLine = false, false, false
	s.ended, s.script = false, false
	s.newline = true
	s.prev, s.prevWord = tokenNone, kwNone
	s.list = inList{}
	s.setting, s.attach, s.password, s.keyed = setting{}, attachNone, false, false
	s.sum.reset()
	s.written, s.announced, s.rows = false, false, rows{}
	s.lineComment = span{}
	s.operations, s.targets, s.first, s.renames, s.routineCalled = 0, 0, kwNone, false, false
	s.batched, s.several, s.parted, s.kept, s.inserts, s.unparted = false, false, false, false, false, false
	s.last, s.starter, s.routine = span{}, span{}, routine{}
	s.target, s.dots = false, 0
	s.frames[0] = frame{start: true}
	s.depth, s.over, s.named = 0, 0, 0
}

// scan reads the whole window.
func (s *scanner) scan() {
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		if s.setting.active {
			s.beginValue()
		}
		switch classes[c] {
		case space:
			s.pos++
		case newline:
			s.pos++
			s.newline = true
		case letter:
			s.word(s.pos)
		case digit:
			s.number(s.pos, s.pos)
		case wide:
			s.wide()
		case quote:
			s.quote(c)
		case bracket:
			s.bracket()
		case dollar:
			s.dollar()
		case sigil:
			s.sigil(c)
		case hash:
			s.hash()
		case dot:
			s.dot()
		case sign:
			s.sign(c)
		case slash:
			s.slash()
		case question:
			s.question()
		case open:
			s.pos++
			s.takeOpen()
		case closing:
			s.takeClose()
			s.pos++
		case comma:
			s.pos++
			s.takeComma()
		case semicolon:
			s.pos++
			s.takeSemicolon()
		default:
			s.operator()
		}
		if s.setting.active {
			s.endValue()
		}
	}
	if !s.whole && !s.unsure {
		s.dropRest(len(s.src))
		s.endValue()
	}
	s.flush(len(s.src))
	s.endTarget()
	s.sum.end()
}

// text returns the sanitised text.
func (s *scanner) text() string {
	n := len(s.out)
	if n == MaxText { // the end may have split a character
		for i := 1; i < utf8.UTFMax; i++ {
			if utf8.RuneStart(s.out[n-i]) {
				if !utf8.FullRune(s.out[n-i:]) {
					n -= i
				}
				break
			}
		}
	}
	for n > 0 && !s.written && isSpace(s.out[n-1]) {
		n--
	}
	return string(s.out[:n])
}

// write appends to the sanitised text what still fits.
func (s *scanner) write(text string) {
	if room := MaxText - len(s.out); len(text) > room {
		text = text[:room]
	}
	s.out = append(s.out, text...)
}

// flush writes what was kept up to a position, and resumes there.
func (s *scanner) flush(to int) {
	if s.keep < to {
		if len(s.out) == 0 && !s.written { // no white space is left of a comment in front
			for s.keep < to && isSpace(s.src[s.keep]) {
				s.keep++
			}
		}
		s.write(s.src[s.keep:to])
		s.keep = to
	}
}

// replace writes text in place of src[from:to], and goes on at to.
func (s *scanner) replace(from, to int, text string) {
	s.flush(from)
	s.write(text)
	s.keep, s.pos = to, to
}

// literal replaces the literal src[from:to].
func (s *scanner) literal(from, to int) {
	if s.edge(to) {
		s.dropRest(from)
		return
	}
	s.rows.plain = false
	if s.keepsLiteral(from, to) {
		s.pos = to
	} else {
		s.replace(from, to, "?")
	}
	s.takeValue()
}

// hidden replaces the secret src[from:to].
func (s *scanner) hidden(from, to int) {
	if s.edge(to) {
		s.dropRest(from)
		return
	}
	s.rows.plain = false
	s.replace(from, to, "?")
	s.takeValue()
}

// dropRest replaces everything from a position on: what is there can be read in
// more than one way, or is not known.
func (s *scanner) dropRest(from int) {
	s.script = s.script || strings.IndexByte(s.src[from:], ';') >= 0
	s.replace(from, len(s.src), "?")
	s.takeValue()
	s.unsure = true
}

// edge reports whether a token that ends at to may go on beyond the window.
func (s *scanner) edge(to int) bool { return !s.whole && to == len(s.src) }

// at returns the byte at i, 0 at the end.
func (s *scanner) at(i int) byte {
	if i < len(s.src) {
		return s.src[i]
	}
	return 0
}

// wordEnd returns the end of the word that goes on at i. In Default it is not
// sure of a word with two dollar signs, which may be a dollar quote.
func (s *scanner) wordEnd(i int) (end int, sure bool) {
	parts, src := &wordParts[s.dialect], s.src
	for dollars := 0; ; {
		rest, n := src[i:], 0
		for n < len(rest) && parts[rest[n]] {
			n++
		}
		i += n
		switch c := s.at(i); {
		case c == '$' && s.dialect == Default:
			dollars++
			i++
			continue
		case c >= utf8.RuneSelf:
			if r, size := utf8.DecodeRuneInString(src[i:]); s.isWordRune(r) {
				i += size
				continue
			}
		}
		return i, dollars < 2
	}
}

// isWordRune reports whether a character outside ASCII continues a word: in
// PostgreSQL each of them does.
func (s *scanner) isWordRune(r rune) bool { return s.dialect == PostgreSQL || isWordRune(r) }

// word reads a word that begins at from: a keyword, a name, or the prefix of a
// literal.
func (s *scanner) word(from int) {
	if s.dialect == Default && s.bareEnd(from) > 0 {
		s.number(from, from)
		return
	}
	end, sure := s.wordEnd(from)
	if !sure || s.edge(end) {
		s.dropRest(from)
		return
	}
	if end < len(s.src) {
		switch c := s.src[end]; c {
		case '\'', '"', '&':
			if s.prefixed(from, end, c) {
				return
			}
		}
	}
	s.pos = end
	s.takeWord(from, end)
}

// wide reads a character outside ASCII.
func (s *scanner) wide() {
	r, size := utf8.DecodeRuneInString(s.src[s.pos:])
	switch {
	case unicode.Is(unicode.Sc, r):
		s.number(s.pos, s.pos+size)
	case s.isWordRune(r):
		s.word(s.pos)
	default:
		s.pos += size
	}
}

// sigil reads a colon or an at sign: a variable, a placeholder, or an operator.
func (s *scanner) sigil(c byte) {
	from := s.pos
	if s.dialect == SQLite {
		s.variable(from)
		return
	}
	i := from + 1
	if s.at(i) == c { // ::cast, @@global, @@ of full text search
		if c == '@' && (s.dialect == MySQL || s.dialect == SQLServer || s.dialect == Default) {
			end, sure := s.wordEnd(i + 1)
			if !sure || s.edge(end) || s.beforeQuote(end) {
				s.dropRest(from)
				return
			}
			s.pos = end
			s.takeVariable()
			return
		}
		s.pos = i + 1
		s.takeOp(c)
		return
	}
	var variable, placeholder bool
	switch s.dialect {
	case Oracle:
		variable, placeholder = c == ':', c == ':'
	case SQLServer:
		variable, placeholder = c == '@', c == '@'
	case MySQL:
		variable = c == '@'
	case Default:
		// After an operand, a colon is a slice, a path or a key, and an at sign
		// separates a user from a host.
		variable = !s.prev.operand() || (c == '@' && !isDigit(s.at(i)))
		placeholder = !s.prev.operand()
	}
	if !variable {
		s.pos = i
		s.takeOp(c)
		return
	}
	end, sure := s.wordEnd(i)
	if end == i {
		s.pos = i
		s.takeOp(c)
		return
	}
	if !sure || s.edge(end) || s.beforeQuote(end) {
		s.dropRest(from)
		return
	}
	s.pos = end
	if s.at(end) == '(' && s.dialect == Default {
		s.takeVariable()
		s.dropRest(end) // see variable
		return
	}
	s.placeholder = s.placeholder || placeholder
	s.takeVariable()
}

// beforeQuote reports whether the end of a variable that ends at i may be the
// prefix of a string, like Oracle's q'[…]'.
func (s *scanner) beforeQuote(i int) bool {
	return (s.dialect == Default || s.dialect == Oracle) && (s.at(i) == '\'' || s.at(i) == '"')
}

// question reads a question mark: a placeholder, a literal that was replaced
// before, or an operator.
func (s *scanner) question() {
	end := s.pos + 1
	if s.dialect == SQLite || s.dialect == Default {
		for isDigit(s.at(end)) {
			end++
		}
		if end-s.pos > maxPlaceholder {
			end = s.pos + 1
		}
	}
	if s.dialect != PostgreSQL {
		s.placeholder = s.placeholder || s.dialect != Oracle
	}
	if s.edge(end) && end > s.pos+1 {
		s.dropRest(s.pos)
		return
	}
	s.pos = end
	s.takeValue()
}

// dollar reads a dollar sign: a placeholder, a dollar quote, a variable, an
// amount of money or an operator.
func (s *scanner) dollar() {
	from := s.pos
	next := s.at(from + 1)
	switch s.dialect {
	case PostgreSQL, Default:
		if isDigit(next) {
			s.numbered(from)
			return
		}
		s.dollarQuote(from)
	case MySQL:
		s.dollarQuote(from)
	case SQLite:
		s.variable(from)
	case SQLServer:
		if isDigit(next) || next == '.' || next == '-' || next == '+' {
			s.number(from, from+1)
			return
		}
		s.pos++
		s.takeOp('$')
	default:
		s.word(from)
	}
}

// numbered reads $1. Default does not know money, so a number that no
// placeholder has is a literal.
func (s *scanner) numbered(from int) {
	end := from + 1
	for isDigit(s.at(end)) {
		end++
	}
	if s.dialect == Default && (end-from > maxPlaceholder || s.at(end) == '.' || s.at(end) == ',' && isDigit(s.at(end+1))) {
		s.number(from, from+1)
		return
	}
	if s.edge(end) {
		s.dropRest(from)
		return
	}
	s.pos = end
	s.placeholder = true
	s.takeValue()
}

// sign reads a plus or a minus: a comment, the sign of a number, or an operator.
func (s *scanner) sign(c byte) {
	next := s.at(s.pos + 1)
	if c == '-' && next == '-' && s.dashes() {
		return
	}
	if !s.prev.operand() && (isDigit(next) || next == '.' && isDigit(s.at(s.pos+2)) || s.bareEnd(s.pos+1) > 0) {
		s.number(s.pos, s.pos+1)
		return
	}
	s.operator()
}

// dot reads a dot: the beginning of a number, or between names.
func (s *scanner) dot() {
	if isDigit(s.at(s.pos+1)) && s.prev != tokenName && s.prev != tokenDot {
		s.number(s.pos, s.pos)
		return
	}
	s.pos++
	s.takeDot()
}

// slash reads a slash: a comment or an operator.
func (s *scanner) slash() {
	switch s.at(s.pos + 1) {
	case '*':
		s.block()
	case '/':
		switch {
		case s.dialect != Default:
			s.operator()
		case s.at(s.pos+2) == '*': // which is a line comment, or a block after an operator
			s.dropRest(s.pos)
		default:
			s.line(s.pos, s.pos+2, true)
		}
	default:
		s.operator()
	}
}

// hash reads a number sign: a comment, the beginning of a word or an operator.
func (s *scanner) hash() {
	switch s.dialect {
	case MySQL:
		s.line(s.pos, s.pos+1, false)
	case Default:
		s.line(s.pos, s.pos+1, true)
	case SQLServer, Oracle:
		s.word(s.pos)
	case SQLite:
		s.variable(s.pos)
	default:
		s.operator()
	}
}

// variable reads SQLite's :name, @name, $name or #name, with :: in the name
// perhaps, and the $name(anything) that it takes for one variable, too.
func (s *scanner) variable(from int) {
	end, _ := s.wordEnd(from + 1)
	named := end > from+1
	for s.at(end) == ':' && s.at(end+1) == ':' {
		next, _ := s.wordEnd(end + 2)
		named = named || next > end+2
		end = next
	}
	switch {
	case !named:
		s.pos = end
		s.takeOp(s.src[from])
	case s.edge(end):
		s.dropRest(from)
	case s.at(end) == '(':
		s.pos = end
		s.takeVariable()
		s.dropRest(end)
	default:
		s.pos = end
		s.placeholder = s.placeholder || s.src[from] != '#'
		s.takeVariable()
	}
}

// operator takes one byte of an operator.
func (s *scanner) operator() {
	c := s.src[s.pos]
	s.pos++
	s.takeOp(c)
}

// doubtful reports whether a part of the text changes meaning with the reading:
// it holds something that begins or ends a literal or a comment.
func doubtful(part string) bool {
	return strings.ContainsAny(part, "'\"`$\\#") || strings.Contains(part, "--") ||
		strings.Contains(part, "/*") || strings.Contains(part, "//") || strings.Contains(part, "*/")
}
