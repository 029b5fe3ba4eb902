package sqltext

import (
	"slices"
	"strings"
	"unicode"
)

// MaxTail is how many bytes of a text servers keep in their views and logs, by default. A
// comment behind a longer text would not be seen there.
const MaxTail = 1 << 10

// AddComment returns query with the comment at a position that [Result.CommentAt] gave
// for it, and query itself for a negative position.
func AddComment(query, comment string, at int) string {
	switch {
	case at < 0 || comment == "":
		return query
	case at == 0:
		return comment + " " + query
	default:
		return query[:at] + " " + comment + query[at:]
	}
}

// commentAt returns where in query a comment goes, or -1 if it must have none, as a
// comment must change nothing of what the text does or returns.
//
// It goes behind the last statement and before its semicolon, unless it would not be
// read as a comment there. In a text of more than [MaxTail] bytes it goes in front,
// unless the text begins with a comment or holds a hint: some tools read only the first
// comment. On SQLite it always goes in front: a column without an alias is called by its
// expression and all that follows, comments as well, and drivers take what is behind the
// last semicolon for one more statement, whose rows are then those of the text.
func (s *scanner) commentAt(query, text string) int {
	if !s.takesComment(text) {
		return -1
	}
	comments := readComments(query)
	switch {
	case comments.tagged, comments.code && (s.dialect == MySQL || s.dialect == Default):
		return -1
	case s.dialect == SQLite:
		return 0
	case len(query) > MaxTail && !comments.hint && !comments.first && query[0] != '\xef':
		return 0
	case s.openLine:
		return -1
	}
	end := len(strings.TrimRightFunc(query, blank))
	semicolon := strings.IndexByte(query[end:], ';')
	if semicolon < 0 {
		return len(query)
	}
	// The semicolon may be a line comment's, or make none of what would be one before white space.
	at := end + semicolon
	if int(s.lineComment.from) <= at && at < int(s.lineComment.to) || s.dialect == MySQL && strings.HasSuffix(query[:end], "--") {
		return -1
	}
	return at
}

// takesComment reports whether query may have a comment at all. It must have none if
// there is no statement in it, if it was not read to its end, and if its text is more
// than a statement to be executed:
//
//   - The database keeps the text of a definition (CREATE, ALTER).
//   - Data follows COPY, and in databases that are not known INSERT: ClickHouse
//     reads what is behind FORMAT and VALUES as data.
//   - go-mssqldb takes a text that is only a name for the procedure to call, and
//     INSERTBULK for a bulk copy. There, and in databases that are not known, only
//     a text that begins with a known operation has a comment.
func (s *scanner) takesComment(text string) bool {
	if s.unsure || !s.whole || s.kept || strings.TrimLeftFunc(text, blank) == "" {
		return false
	}
	switch s.dialect {
	case SQLServer:
		return beginsOperation(text)
	case Default:
		return !s.inserts && beginsOperation(text)
	default:
		return true
	}
}

// operations are the first words of the statements that have comments where not
// every text is a statement.
var operations = []string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "EXEC", "EXECUTE", "CALL", "BEGIN", "DECLARE", "SET", "IF", "WHILE",
	"DROP", "TRUNCATE", "EXPLAIN", "SHOW",
}

// beginsOperation reports whether text begins with an operation and white space.
func beginsOperation(text string) bool {
	text = strings.TrimLeftFunc(text, blank)
	end := strings.IndexFunc(text, unicode.IsSpace)
	return end > 0 && slices.ContainsFunc(operations, func(w string) bool { return len(w) == end && strings.EqualFold(w, text[:end]) })
}

// blank reports whether r is nothing to execute: white space, the end of a
// statement, or a byte order mark.
func blank(r rune) bool { return r == ';' || r == '\ufeff' || unicode.IsSpace(r) }

// comments is what the block comments of a text hold. Text that only looks like a comment, in
// a literal, counts as one.
type comments struct {
	first  bool // the text begins with one
	tagged bool // one has sqlcommenter's form: the text has such a comment already
	hint   bool
	code   bool // to MySQL or MariaDB
}

func readComments(query string) (c comments) {
	c.first = strings.HasPrefix(strings.TrimLeftFunc(query, blank), "/*")
	for rest := query; ; {
		_, comment, ok := strings.Cut(rest, "/*")
		if !ok {
			return c
		}
		comment, rest, _ = strings.Cut(comment, "*/")
		c.tagged = c.tagged || strings.Contains(comment, "='")
		c.hint = c.hint || strings.HasPrefix(comment, "+")
		c.code = c.code || strings.HasPrefix(comment, "!") || strings.HasPrefix(comment, "M!")
	}
}
