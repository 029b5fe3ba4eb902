package errs

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A driver's error that was formatted with %v has lost its type, and many errors
// of drivers and of database/sql are plain texts from the start. What quotes a
// value is then recognised by its wording alone. From the first such place on
// nothing of a text is kept, since nobody can say where a value ends.

// wording is a text that announces a value.
type wording struct {
	start string
	// say returns what is told instead, given the text from start on, and false
	// if this is not what it looked like. If say is nil, start is told, without
	// what is not part of a word at its end.
	say func(s string) (string, bool)
	// before says that the value stands before start.
	before bool
}

var wordings = []wording{
	// database/sql
	{start: "sql: Scan error on column index ", say: sayScan},
	{start: "sql: converting argument ", say: sayArgument},
	{start: "converting driver.Value type ", say: sayConverting},
	{start: "sql/driver: couldn't convert ", say: say("sql/driver: value cannot be converted")},
	{start: "sql/driver: value ", say: say("sql/driver: value cannot be converted")},
	{start: "sql/driver: unsupported value ", say: say("sql/driver: value cannot be converted")},
	{start: "sql: unknown driver "},

	// the standard library
	{start: "strconv.", say: sayStrconv},
	{start: "parsing time "},
	{start: "invalid character '"},
	{start: "cannot unmarshal "},
	{start: "json: invalid number literal"},
	{start: "json: invalid use of ,string struct tag"},
	{start: "parse ", say: sayIfQuoted("parse")},
	{start: "://", say: sayURL},
	{start: "password=", say: say("password=?")},
	{start: "Password=", say: say("Password=?")},
	{start: "PASSWORD=", say: say("PASSWORD=?")},
	{start: "pwd=", say: say("pwd=?")},
	{start: "Pwd=", say: say("Pwd=?")},
	{start: "PWD=", say: say("PWD=?")},
	{start: "unknown time zone "},
	{start: "json: unknown field "},
	ifQuoted("invalid port "),
	ifQuoted("invalid value "),
	ifQuoted("invalid boolean value "),
	ifQuoted("level string "),
	ifQuoted("invalid method "),
	ifQuoted("invalid duration "),
	ifQuoted("missing unit in duration "),
	ifQuoted("unknown unit "),
	{start: "error parsing regexp: "},
	{start: "Get ", say: sayIfQuoted("Get")}, // and an address, as net/http says it
	{start: "Head ", say: sayIfQuoted("Head")},
	{start: "Post ", say: sayIfQuoted("Post")},
	{start: "Put ", say: sayIfQuoted("Put")},
	{start: "Patch ", say: sayIfQuoted("Patch")},
	{start: "Delete ", say: sayIfQuoted("Delete")},

	// ours, of a PanicError
	{start: "panic: ", say: sayPanic},

	// pgx
	{start: "failed to encode args[", say: sayIndexed},
	{start: "can't scan into dest[", say: sayIndexed},
	{start: "unable to encode ", say: say("unable to encode a value")},
	{start: "cannot parse `"},
	{start: "failed to connect to `"},
	{start: "cannot parse UUID "},
	{start: "invalid PostgreSQL date/time value "},
	{start: "cannot losslessly convert "},
	{start: " is greater than maximum value for ", say: say("value out of range"), before: true},
	{start: " is less than minimum value for ", say: say("value out of range"), before: true},
	{start: " is not a number", say: say("not a number"), before: true},
	{start: "cannot decode ", say: sayDecode},
	{start: "PgError{"},

	// PostgreSQL, where the SQLSTATE is missing, and its details
	{start: "pq: ", say: say("pq: error")},
	{start: "pq.Error{"},
	{start: "ERROR:   ", say: say("ERROR")},
	{start: "FATAL:   ", say: say("FATAL")},
	{start: "value ", say: sayOutOfRange},
	{start: "invalid input syntax for ", say: say("invalid input syntax")},
	{start: "invalid input value for ", say: say("invalid input value")},
	{start: "malformed array literal"},
	{start: "malformed record literal"},
	{start: "Key (", say: sayKey},
	{start: "Failing row contains "},
	{start: "failing row contains "},

	// MySQL and MariaDB
	{start: "Error ", say: sayMySQL},
	{start: "ERROR ", say: sayMySQL},
	{start: "MySQLError{"},
	{start: "Duplicate entry '"},
	{start: "Unknown column '"},
	{start: "Truncated incorrect "},
	{start: "Incorrect ", say: sayIncorrect},
	{start: "You have an error in your SQL syntax", say: say("syntax error")},
	{start: "local file '"},
	{start: "reader '"},
	{start: "invalid bool value: "},
	{start: "invalid dbname "},
	{start: "invalid value / unknown "},
	{start: "bad value for field: `"},
	{start: "invalid time bytes: "},

	// SQLite
	{start: "unrecognized token: "},
	{start: "Invalid _", say: say("invalid parameter of the DSN")}, // mattn
	{start: "near ", say: sayIfQuoted("syntax error")},
	{start: "no such column: "},
	{start: "no such access mode: "},
	{start: "no such cache mode: "},
	{start: "no such vfs: "},
	{start: "malformed MATCH expression"},
	{start: "bad JSON path: "},

	// SQL Server
	{start: "mssql: ", say: say("mssql: error")},
	{start: "mssql.Error{"},
	{start: "The conversion of the ", say: say("conversion failed")},
	{start: "Arithmetic overflow error", say: say("arithmetic overflow")},
	{start: "The duplicate key value is "},
	{start: "Conversion failed when converting the ", say: say("conversion failed")},
	{start: "Truncated value: "},
}

// dropQuoted looks in the first limit bytes of text for a wording that announces
// a value. It returns them up to there with what is told instead of the rest, and
// true; or all of them and false. Nobody is told more than maxSafe bytes, and so
// no more are looked through, but for what a value may have between its start and
// the mark of an SQLSTATE.
func dropQuoted(text string, limit int) (kept string, ended bool) {
	state, code, found := findSQLState(text, limit)
	if limit > maxSafe {
		limit, ended = maxSafe, true
	}
	text = text[:min(len(text), limit+maxUnsafe)]
	at, told := limit, ""
	for i := range wordings {
		if start, said, ok := wordings[i].find(text, at); ok {
			at, told, ended = start, said, true
		}
	}
	if found && state <= at {
		at, told, ended = state, code, true
	}
	return text[:at] + told, ended
}

// find looks for w before limit.
func (w *wording) find(text string, limit int) (at int, told string, ok bool) {
	head := text[:min(len(text), limit+len(w.start)-1)] // where it may start before limit
	for from := 0; from < limit; {
		i := strings.Index(head[from:], w.start)
		if i < 0 {
			break
		}
		i += from
		from = i + 1
		if isLetter(text[i]) && endsInWord(text[:i]) {
			continue
		}
		told, ok = strings.TrimRight(w.start, " :({`'\""), true
		if w.say != nil {
			told, ok = w.say(text[i:])
		}
		if !ok {
			continue
		}
		if w.before {
			for i > 0 && text[i-1] != ' ' {
				i--
			}
		}
		return i, told, true
	}
	return 0, "", false
}

// endsInWord reports whether s ends in a letter, so that what follows is the end
// of a longer word. The letter may not belong to an escape such as \n or \u00e9:
// the text may have been quoted.
func endsInWord(s string) bool {
	if s == "" || !isLetter(s[len(s)-1]) {
		return false
	}
	return !strings.Contains(s[max(0, len(s)-len(`\U00000000`)):], `\`)
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// say tells the same whatever follows.
func say(told string) func(string) (string, bool) {
	return func(string) (string, bool) { return told, true }
}

// sayIfQuoted tells the same if what follows the first word is in quotes, which
// may have been escaped when the text itself was quoted.
func sayIfQuoted(told string) func(string) (string, bool) {
	return func(s string) (string, bool) {
		_, rest, _ := strings.Cut(s, " ")
		return told, isQuoted(rest)
	}
}

// ifQuoted is a wording that is one only in front of a quote: the same words may
// begin what an application says itself.
func ifQuoted(start string) wording {
	return wording{start: start, say: func(s string) (string, bool) {
		return strings.TrimRight(start, " "), isQuoted(s[len(start):])
	}}
}

// isQuoted reports whether s begins with a quote, which may have been escaped when
// the text itself was quoted.
func isQuoted(s string) bool { return strings.HasPrefix(strings.TrimLeft(s, `\`), `"`) }

// sayDecode is for what pgtype says: cannot decode x into Time.
func sayDecode(s string) (string, bool) {
	return "cannot decode", strings.Contains(s, " into ")
}

// sayScan tells the index of the column and what did not fit. It leaves out the
// name: MySQL and MariaDB name the column of a literal by the literal.
func sayScan(s string) (string, bool) {
	r := reader{s}
	r.skip("sql: Scan error on column index ")
	told := "sql: Scan error on column"
	index := r.digits()
	if index == "" {
		return told, true
	}
	told += " index " + index
	if !r.skip(", name ") {
		return told, true
	}
	if _, ok := r.quoted(); !ok {
		return told, true
	}
	if r.skip(": ") {
		if why, ok := sayConverting(r.rest); ok {
			told += ": " + why
		}
	}
	return told, true
}

// sayConverting tells what database/sql could not convert to what.
func sayConverting(s string) (string, bool) {
	r := reader{s}
	switch {
	case r.skip("converting NULL to "):
		kind, _ := r.until(" is unsupported")
		if isTypeName(kind) {
			return "converting NULL to " + kind + " is unsupported", true
		}
	case r.skip("unsupported Scan, storing driver.Value type "):
		from, _ := r.until(" into type ")
		if isTypeName(from) && isTypeName(r.rest) {
			return "unsupported Scan, storing driver.Value type " + from + " into type " + r.rest, true
		}
	case r.skip("converting driver.Value type "):
		from, _ := r.until(" (")
		if !isTypeName(from) {
			return "converting driver.Value", true
		}
		told := "converting driver.Value type " + from
		if _, ok := r.quoted(); ok && r.skip(") to a ") {
			if kind, ok := r.until(": "); ok && isTypeName(kind) {
				told += " to a " + kind
			}
		}
		return told, true
	}
	return "", false
}

// sayArgument tells which argument could not be converted.
func sayArgument(s string) (string, bool) {
	r := reader{s}
	r.skip("sql: converting argument ")
	told := "sql: converting argument"
	if r.skip("$") {
		if n := r.digits(); n != "" {
			told += " $" + n
		}
	} else if r.skip("with name ") {
		if name, ok := r.quoted(); ok && isIdentifier(name) {
			told += ` with name "` + name + `"`
		}
	}
	return told, true
}

// sayIndexed tells the index that stands in brackets.
func sayIndexed(s string) (string, bool) {
	r := reader{s}
	what, _ := r.until("[")
	if n := r.digits(); n != "" && r.skip("]") {
		what += "[" + n + "]"
	}
	return what, true
}

// sayStrconv tells the function that could not parse.
func sayStrconv(s string) (string, bool) {
	name, _, ok := strings.Cut(s[len("strconv."):], ": parsing ")
	if !ok || !isWord(name) {
		return "", false
	}
	return "strconv." + name, true
}

// sayURL tells nothing of an address that holds a user or a query.
func sayURL(s string) (string, bool) {
	return "://?", strings.IndexByte(s, '@') >= 0 || strings.IndexByte(s, '?') >= 0
}

// sayPanic tells of the value of a panic only whether it was an error of PostgreSQL.
func sayPanic(s string) (string, bool) {
	value := s[len("panic: "):]
	if at, told, ok := findSQLState(value, len(value)); ok && at == 0 {
		return "panic: " + told, true
	}
	return "panic", true
}

// sayOutOfRange is for what PostgreSQL says of a number: value "7" is out of range
// for type integer.
func sayOutOfRange(s string) (string, bool) {
	return "value out of range", isQuoted(s[len("value "):]) && strings.Contains(s, " is out of range for type ")
}

// sayKey is for the detail of a violated constraint: Key (column)=(value).
func sayKey(s string) (string, bool) {
	return "key", strings.Contains(s, ")=(")
}

// sayIncorrect is for what MySQL says of a value: Incorrect integer value: 'x'.
func sayIncorrect(s string) (string, bool) {
	kind, _, ok := strings.Cut(s[len("Incorrect "):], ": '")
	return "incorrect value", ok && len(kind) < 64
}

// sayMySQL is for "Error 1062 (23000): …" and for "Error 1062: …".
func sayMySQL(s string) (string, bool) {
	r := reader{s[len("Error "):]}
	digits := r.digits()
	if len(digits) < 4 || len(digits) > 5 {
		return "", false
	}
	if r.skip(" (") {
		state, ok := r.until(")")
		if !ok || !isSQLState(state) {
			return "", false
		}
	}
	number, err := strconv.Atoi(digits)
	if err != nil || !r.skip(": ") {
		return "", false
	}
	f, ok := numbered(systemMySQL, mysqlCodes, number)
	return f.text(), ok
}

// findSQLState is for what pgx says: "ERROR: … (SQLSTATE 23505)". Where no word
// of severity is to be found, the text is dropped from its start.
func findSQLState(text string, limit int) (at int, told string, found bool) {
	const mark, bun = "(SQLSTATE ", "(SQLSTATE=" // which is how bun's pgdriver says it
	i := strings.Index(text, mark)
	if j := strings.Index(text[:min(len(text), limit+len(bun))], bun); j >= 0 && (i < 0 || j < i) {
		i = j
	}
	if i < 0 || i >= limit {
		return 0, "", false
	}
	code, _, ok := strings.Cut(text[i+len(mark):], ")")
	f, known := sqlStateFailure(code)
	if !ok || !known {
		f = failure{condition: condition{kind: KindOther, phrase: "database error"}}
	}
	return severityIn(text[:i]), f.text(), true
}

// severityIn returns where the first word stands in s that may be a severity, and
// 0 if there is none. Servers translate the word, and a value may hold an English
// one; but in every language it has no small letters and a colon behind it.
func severityIn(s string) int {
	for from := 0; ; {
		colon := strings.Index(s[from:], ": ")
		if colon < 0 {
			return 0
		}
		colon += from
		from = colon + 1
		start, letters := colon, 0
		for start > 0 && colon-start < 64 {
			c, size := utf8.DecodeLastRuneInString(s[:start])
			if unicode.IsLetter(c) && !unicode.IsLower(c) {
				letters++
			} else if c != '(' && c != ')' {
				break
			}
			start -= size
		}
		if letters >= 2 {
			return start
		}
	}
}

// digits moves past the digits that come next.
func (r *reader) digits() string {
	end := 0
	for end < len(r.rest) && end < 9 && r.rest[end] >= '0' && r.rest[end] <= '9' {
		end++
	}
	s := r.rest[:end]
	r.rest = r.rest[end:]
	return s
}

// quoted moves past a string as %q prints it, and returns what it stands for.
func (r *reader) quoted() (string, bool) {
	q, err := strconv.QuotedPrefix(r.rest)
	if err != nil {
		return "", false
	}
	s, err := strconv.Unquote(q)
	r.rest = r.rest[len(q):]
	return s, err == nil
}

// isTypeName reports whether s can be the name of a Go type.
func isTypeName(s string) bool {
	s = strings.ReplaceAll(s, "interface {}", "any")
	if s == "" || len(s) > maxType {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (c < '0' || c > '9') && !strings.ContainsRune("*[]._", rune(c)) {
			return false
		}
	}
	return true
}
