package sqltext_test

import (
	"strings"

	"github.com/taskspan/taskspan/internal/sqltext"
)

// reading is one way in which a server may read a text: a dialect together with
// the settings that change where literals and comments begin and end. It is
// written apart from the scanner, and knows of no doubt.
type reading struct {
	name       string
	backslash  bool // in strings
	escaped    bool // E'…'
	dollar     bool // $tag$…$tag$
	bracket    int  // 1: […], 2: […] with ]] inside
	backtick   bool
	nested     bool // comments nest
	hash       bool // # begins a comment
	dashSpace  bool // -- needs white space
	version    int  // 1: /*! is code
	q          bool // q'[…]'
	cr         bool // a carriage return ends a line comment
	variable   bool // $name(…)
	doubled    bool // "…" is a string, and a literal
	doubledEsc bool // with backslashes
	word       string
}

var (
	postgresOn  = reading{name: "standard_conforming_strings", escaped: true, dollar: true, nested: true, cr: true, word: "$"}
	postgresOff = reading{name: "backslashes", backslash: true, escaped: true, dollar: true, nested: true, cr: true, word: "$"}
	mysqlPlain  = reading{name: "MySQL", backslash: true, backtick: true, hash: true, dashSpace: true, doubled: true, doubledEsc: true, word: "$"}
	mysqlCode   = reading{name: "MySQL, version comments", backslash: true, backtick: true, hash: true, dashSpace: true, version: 1, doubled: true, doubledEsc: true, word: "$"}
	mysqlNoEsc  = reading{name: "NO_BACKSLASH_ESCAPES", backtick: true, hash: true, dashSpace: true, doubled: true, word: "$"}
	mysqlANSI   = reading{name: "ANSI_QUOTES", backslash: true, backtick: true, hash: true, dashSpace: true, word: "$"}
	sqliteOnly  = reading{name: "SQLite", bracket: 1, backtick: true, variable: true, word: "$"}
	serverOnly  = reading{name: "SQL Server", bracket: 2, nested: true, word: "$#@"}
	oracleOnly  = reading{name: "Oracle", q: true, word: "$#"}
)

var readings = map[sqltext.Dialect][]reading{
	sqltext.PostgreSQL: {postgresOn, postgresOff},
	sqltext.MySQL:      {mysqlPlain, mysqlCode, mysqlNoEsc, mysqlANSI},
	sqltext.SQLite:     {sqliteOnly},
	sqltext.SQLServer:  {serverOnly},
	sqltext.Oracle:     {oracleOnly},
	sqltext.Default: {
		postgresOn, postgresOff, name(mysqlPlain), name(mysqlCode), name(mysqlNoEsc), mysqlANSI, serverOnly, oracleOnly,
	},
}

// name returns a reading in which double quotes end where they did, and quote a
// name: Default keeps them where only a name can stand.
func name(r reading) reading {
	r.doubled = false
	return r
}

// hidden is a part of a text that must not survive: the content of a literal or
// of a comment.
type hidden struct {
	from, to int
	number   bool
}

// hidden returns what a server with the reading takes for literals and comments.
func (r reading) hidden(text string) (all []hidden) {
	has := func(i int, s string) bool { return strings.HasPrefix(text[min(i, len(text)):], s) }
	isWord := func(i int) bool {
		c := text[i]
		return c >= 0x80 || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || strings.IndexByte(r.word, c) >= 0
	}
	upTo := func(i int, end string) int {
		if n := strings.Index(text[min(i, len(text)):], end); n >= 0 {
			return i + n
		}
		return len(text)
	}
	// quoted returns where the content that begins at i ends.
	quoted := func(i int, q byte, double, esc bool) int {
		for ; i < len(text); i++ {
			switch {
			case esc && text[i] == '\\':
				i++
			case text[i] == q && double && i+1 < len(text) && text[i+1] == q:
				i++
			case text[i] == q:
				return i
			}
		}
		return len(text)
	}
	hide := func(from, to int) { all = append(all, hidden{from: min(from, len(text)), to: min(to, len(text))}) }
	inVersion := false
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case has(i, "--") && (!r.dashSpace || i+2 == len(text) || text[i+2] <= ' ' || text[i+2] == 0x7f), r.hash && c == '#':
			end := upTo(i, "\n")
			if r.cr {
				end = min(end, upTo(i, "\r"))
			}
			hide(i, end)
			i = end
		case r.version == 1 && has(i, "/*!"):
			inVersion = true
			i += 3
		case inVersion && has(i, "*/"):
			inVersion = false
			i += 2
		case has(i, "/*"):
			depth, j := 1, i+2
			for j < len(text) && depth > 0 {
				switch {
				case has(j, "*/"):
					depth--
					j += 2
				case r.nested && has(j, "/*"):
					depth++
					j += 2
				default:
					j++
				}
			}
			hide(i, j)
			i = j
		case c == '\'':
			end := quoted(i+1, '\'', true, r.backslash)
			hide(i+1, end)
			i = end + 1
		case c == '"':
			end := quoted(i+1, '"', true, r.doubledEsc)
			if r.doubled {
				hide(i+1, end)
			}
			i = end + 1
		case c == '`' && r.backtick:
			i = quoted(i+1, '`', true, false) + 1
		case c == '[' && r.bracket > 0:
			i = quoted(i+1, ']', r.bracket == 2, false) + 1
		case c == '$' && r.dollar:
			j := i + 1
			for j < len(text) && text[j] != '$' && isWord(j) && (j > i+1 || text[j] < '0' || text[j] > '9') {
				j++
			}
			if j == len(text) || text[j] != '$' {
				i++
				continue
			}
			tag := text[i : j+1]
			end := upTo(j+1, tag)
			hide(j+1, end)
			i = end + len(tag)
		case r.variable && strings.IndexByte("$@:#", c) >= 0:
			j := i + 1
			for j < len(text) && (isWord(j) || has(j, "::")) {
				if !isWord(j) {
					j++
				}
				j++
			}
			if j > i+1 && has(j, "(") {
				k := j
				for k < len(text) && text[k] != ')' && text[k] > ' ' {
					k++
				}
				if has(k, ")") {
					j = k + 1
				}
			}
			i = j
		case c >= '0' && c <= '9':
			j := i
			for j < len(text) && text[j] >= '0' && text[j] <= '9' {
				j++
			}
			all = append(all, hidden{i, j, true})
			i = j
		case isWord(i):
			j := i
			for j < len(text) && isWord(j) {
				j++
			}
			word := strings.ToLower(text[i:j])
			switch {
			case r.escaped && word == "e" && has(j, "'"):
				end := quoted(j+1, '\'', true, true)
				hide(j+1, end)
				j = end + 1
			case r.q && (word == "q" || word == "nq") && has(j, "'") && j+1 < len(text):
				open := text[j+1 : j+2]
				if text[j+1] >= 0x80 {
					open = string([]rune(text[j+1:])[:1])
				}
				last := open
				if n := strings.Index("[{<(", open); n >= 0 {
					last = "]}>)"[n : n+1]
				}
				end := upTo(j+1+len(open), last+"'")
				hide(j+1+len(open), end)
				j = end + len(last) + 1
			}
			i = j
		default:
			i++
		}
	}
	return all
}

// canaryRune and canaryNumber stand for what must not survive.
const (
	canaryRune   = 'Ж'
	canaryNumber = "8675309867"
)

// plant returns the text with the letters of all that is hidden replaced by a
// canary, and its numbers by another, so that the reading stays what it was.
func (r reading) plant(text string) string {
	var b strings.Builder
	last := 0
	for _, h := range r.hidden(text) {
		if h.from < last {
			continue
		}
		b.WriteString(text[last:h.from])
		last = h.to
		if h.number {
			if h.from > 0 && strings.IndexByte("$?:@#", text[h.from-1]) >= 0 || h.to-h.from > 3 {
				b.WriteString(text[h.from:h.to])
			} else {
				b.WriteString(canaryNumber)
			}
			continue
		}
		for _, c := range text[h.from:h.to] {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				c = canaryRune
			}
			b.WriteRune(c)
		}
	}
	b.WriteString(text[last:])
	return b.String()
}

// visible returns the text with all that is hidden blanked.
func (r reading) visible(text string) string {
	b := []byte(text)
	for _, h := range r.hidden(text) {
		if !h.number {
			for i := h.from; i < h.to; i++ {
				b[i] = ' '
			}
		}
	}
	return string(b)
}
