package errs

import "strings"

// names collects the safe parts of the schema: labels and identifiers.
type names struct {
	text string
}

// add adds one name. A name that does not look like an identifier is left out: one
// that holds a quote, a blank or a letter outside ASCII may be a name, and may be
// a value in the wrong place.
func (n *names) add(label, name string) {
	if isIdentifier(name) {
		n.text += ", " + label + ` "` + name + `"`
	}
}

// addList adds a list of names, all of them or none.
func (n *names) addList(label string, list []string) {
	if len(list) > maxNames {
		return
	}
	for _, name := range list {
		if !isIdentifier(name) {
			return
		}
	}
	for _, name := range list {
		n.add(label, name)
	}
}

// addPostgres adds what PostgreSQL names in fields of their own.
func (n *names) addPostgres(schema, table, constraint, column, dataType string) {
	if schema != "" && table != "" {
		table = schema + "." + table
	}
	n.add("constraint", constraint)
	n.add("table", table)
	n.add("column", column)
	n.add("type", dataType)
}

const (
	maxNames      = 16  // columns of one key
	maxIdentifier = 128 // bytes: a schema, a table and a column of usual length
)

// isIdentifier reports whether s is one or several ASCII identifiers joined by
// dots.
func isIdentifier(s string) bool {
	if s == "" || len(s) > maxIdentifier {
		return false
	}
	start := true // of one of the identifiers
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			start = false
		case !start && (c >= '0' && c <= '9' || c == '$'):
		case !start && c == '.':
			start = true
		default:
			return false
		}
	}
	return !start
}

const (
	lowercase = "abcdefghijklmnopqrstuvwxyz"
	uppercase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits    = "0123456789"
)

func isDigits(s string) bool { return consistsOf(s, digits) }

// consistsOf reports whether s is not empty and has no other characters.
func consistsOf(s, characters string) bool { return s != "" && strings.Trim(s, characters) == "" }

// between returns what stands in s between prefix and suffix, if s is just that.
func between(s, prefix, suffix string) (string, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}

// safeNames returns the names that the error of a database gives.
func safeNames(node *node) (text string) {
	var ok bool
	defer catch(&ok)
	var n names
	err, info, f, raw := node.err, node.info, node.failure, node.raw
	switch f.system {
	case systemSQLState:
		if s, ok := err.(postgresFielder); ok {
			n.addPostgres(s.Field('s'), s.Field('t'), s.Field('n'), s.Field('c'), s.Field('d'))
			break
		}
		n.addPostgres(fieldText(err, info.schema), fieldText(err, info.table), fieldText(err, info.constraint),
			fieldText(err, info.column), fieldText(err, info.dataType))
	case systemMySQL:
		n = mysqlNames(f, fieldText(err, info.message))
	case systemSQLite:
		n = sqliteNames(f, raw)
	case systemSQLServer:
		text := fieldText(err, info.message)
		if text == "" {
			text = strings.TrimPrefix(raw, "mssql: ")
		}
		n = sqlServerNames(f, text)
	}
	return n.text
}

// reader reads a text from its start.
type reader struct{ rest string }

// skip moves past prefix if the text goes on with it.
func (r *reader) skip(prefix string) bool {
	rest, ok := strings.CutPrefix(r.rest, prefix)
	if ok {
		r.rest = rest
	}
	return ok
}

// until moves past the next end and returns what stood before it.
func (r *reader) until(end string) (string, bool) {
	s, rest, ok := strings.Cut(r.rest, end)
	if !ok {
		return "", false
	}
	r.rest = rest
	return s, true
}
