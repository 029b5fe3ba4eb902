package sqltext

import "strings"

// comment removes the comment src[from:to]. Where it alone separates two
// tokens, a space takes its place.
func (s *scanner) comment(from, to int) {
	if s.dialect == MySQL && from > 0 && s.src[from-1] == '-' { // without the comment, dashes may be one
		s.dropRest(from)
		return
	}
	if s.written {
		s.pos = to
		return
	}
	s.flush(from)
	if n := len(s.out); n > 0 && n < MaxText && to < len(s.src) && !isSpace(s.out[n-1]) && !isSpace(s.src[to]) {
		s.write(" ")
	}
	s.keep, s.pos = to, to
}

// isSpace reports whether c is ASCII white space or a control character.
func isSpace(c byte) bool { return classes[c] == space || classes[c] == newline }

// dashes reads two dashes. It reports whether they begin a comment: in MySQL
// only before white space, in Default perhaps.
func (s *scanner) dashes() bool {
	c := s.at(s.pos + 2)
	sure := c == 0 || isSpace(c)
	switch s.dialect {
	case MySQL:
		if !sure && classes[c] != wide {
			return false
		}
		s.line(s.pos, s.pos+2, !sure)
	case Default:
		s.line(s.pos, s.pos+2, !sure)
	default:
		s.line(s.pos, s.pos+2, false)
	}
	return true
}

// line removes a line comment that begins at from, its text at body. If it may be
// no comment at all, it goes only if what follows is the same either way.
func (s *scanner) line(from, body int, doubt bool) {
	end, next := s.lineEnd(from)
	if end < 0 {
		s.dropRest(from)
		return
	}
	if doubt && doubtful(s.src[body:end]) {
		s.dropRest(from)
		return
	}
	s.comment(from, end)
	s.lineComment = newSpan(from, end)
	s.openLine = !next
}

// lineEnd returns the end of the line at from, and whether another follows. The
// end is negative if the dialect's reading of a lone carriage return matters and
// is not known.
func (s *scanner) lineEnd(from int) (end int, next bool) {
	i := from
	for {
		n := strings.IndexAny(s.src[i:], "\r\n")
		if n < 0 {
			return len(s.src), false
		}
		i += n
		if s.src[i] == '\n' || s.at(i+1) == '\n' || s.dialect == PostgreSQL {
			return i, true
		}
		if s.dialect != MySQL && s.dialect != SQLite {
			rest := s.src[i:]
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				rest = rest[:n]
			}
			if doubtful(rest) {
				return -1, false
			}
			return i + len(rest), i+len(rest) < len(s.src)
		}
		i++
	}
}

// block removes a block comment.
func (s *scanner) block() {
	from := s.pos
	nesting := s.dialect.nesting()
	depth, begin := 1, from+2 // begin is where the last opening or closing ended
	for i := begin; ; {
		n := strings.IndexByte(s.src[i:], '*')
		if n < 0 {
			break
		}
		i += n
		switch {
		case nesting != nestNever && i > begin && s.src[i-1] == '/':
			if nesting == nestDoubt {
				s.dropRest(from)
				return
			}
			depth++
			i++
			begin = i
		case s.at(i+1) == '/':
			depth--
			i += 2
			begin = i
			if depth == 0 {
				s.endBlock(from, i)
				return
			}
		default:
			i++
		}
	}
	s.dropRest(from)
}

// endBlock removes the closed block comment src[from:to]. MySQL executes what is
// in /*! */ and reads the hints in /*+ */, and a quote in there may hide the end.
func (s *scanner) endBlock(from, to int) {
	body := s.src[from+2 : to-2]
	if s.dialect == MySQL || s.dialect == Default {
		code := strings.HasPrefix(body, "!") || strings.HasPrefix(body, "+") || strings.HasPrefix(body, "M!")
		if code && doubtful(body) {
			s.dropRest(from)
			return
		}
	}
	s.comment(from, to)
}
