package errs

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/taskspan/taskspan/internal/drivertext"
)

// template returns the text of an application's error without values. Each span
// is replaced by its safe text; in the rest the words stay,
// and whatever may be a value becomes "?". Values in a row become one, so that texts do
// not differ by how many there are. It takes time in proportion to the text.
func template(raw string, spans []drivertext.Span) string {
	t := templater{in: raw, spans: spans}
	for _, s := range spans {
		if s.Whole {
			t.whole = append(t.whole, s.Text.Safe)
		}
	}
	for t.at < len(t.in) && len(t.out) < maxSafe {
		t.step()
	}
	return strings.TrimSpace(string(t.out))
}

type templater struct {
	in     string
	at     int
	spans  []drivertext.Span // those that start at t.at or later
	whole  []string          // the safe texts of those that are whole
	told   []string          // the safe texts that stand in t.out
	out    []byte
	prev   string // the last word, in lower case
	glued  bool   // a value, bracket or quote ends at t.at
	single bool   // there is no '>' any more
}

// step moves past what comes next.
func (t *templater) step() {
	if t.atSpan() {
		t.span()
		return
	}
	r, size := utf8.DecodeRuneInString(t.in[t.at:])
	switch {
	case unicode.IsSpace(r) || unicode.IsControl(r):
		t.at += size
		t.glued = false
		if n := len(t.out); n > 0 && t.out[n-1] != ' ' {
			t.out = append(t.out, ' ')
		}
	case t.wording():
	case r == '\\':
		if size := t.escapedQuote(); size > 0 {
			t.quoted(size)
			return
		}
		t.at += len(t.in[t.at:]) - len(strings.TrimLeft(t.in[t.at:], `\`)) // all at once: there may be many
		t.hole("")
	case r == '"', r == '`', r == '\'':
		t.quoted(size)
	case r == '=':
		t.value()
	case closersOf(r) != "" && !(r == '<' && !t.isTag()):
		t.group(closersOf(r), size)
	case doubtful[r] != "" && t.opens(r, size):
		t.group(doubtful[r], size)
	default:
		t.word()
	}
}

// closersOf returns what may end a bracket or a quote of print, and "" if r is none.
func closersOf(r rune) string {
	switch r {
	case '(':
		return ")"
	case '[':
		return "]"
	case '{':
		return "}"
	case '<':
		return ">"
	}
	if r < utf8.RuneSelf {
		return ""
	}
	switch r {
	case '‘', '‛':
		return "’"
	case '“', '‟':
		return "”"
	case '‚':
		return "‘’"
	case '„':
		return "“”"
	case '«':
		return "»"
	case '〝':
		return "〞〟"
	}
	switch {
	case unicode.In(r, unicode.Ps, unicode.Pi) && unicode.In(r+1, unicode.Pe, unicode.Pf), r == '❝', r == '❛':
		return string(r + 1)
	case r == '［', r == '｛':
		return string(r + 2)
	}
	return ""
}

// doubtful has what ends a quote that begins, in some languages, with what ends one in
// others, or with an accent.
var doubtful = map[rune]string{'”': "”", '’': "’", '»': "«»", '›': "‹›", '＂': "＂", '＇': "＇", '´': "´"}

// opens reports whether a quote begins with the character here, which is doubtful: no
// word stands in front of it, one stands behind it, and it is ended.
func (t *templater) opens(r rune, size int) bool {
	before, _ := utf8.DecodeLastRuneInString(t.in[:t.at])
	after, _ := utf8.DecodeRuneInString(t.in[t.at+size:])
	if t.at > 0 && !unicode.IsSpace(before) && !strings.ContainsRune(":,;", before) || unicode.IsSpace(after) {
		return false
	}
	return t.find(t.at+size, func(i int) bool { return startsWith(t.in[i:], doubtful[r]) }) >= 0
}

// startsWith reports whether s starts with one of the characters.
func startsWith(s, chars string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && strings.ContainsRune(chars, r)
}

// atSpan reports whether a span starts here.
func (t *templater) atSpan() bool { return len(t.spans) > 0 && t.spans[0].Start <= t.at }

// span writes the safe text of the span that starts here. For a part of a text that
// has another place, it writes that a value stood here.
func (t *templater) span() {
	s := t.spans[0]
	t.spans = t.spans[1:]
	t.at = max(t.at, s.End)
	t.prev, t.glued = "", true
	if s.Text.Safe == "?" || !s.Whole && (slices.Contains(t.told, s.Text.Safe) || slices.Contains(t.whole, s.Text.Safe)) {
		t.hole("")
		return
	}
	t.told = append(t.told, s.Text.Safe)
	t.out = append(t.out, s.Text.Safe...)
}

// hole writes that a value stood here, and the punctuation behind it.
func (t *templater) hole(behind string) {
	if end := strings.TrimRight(string(t.out[max(0, len(t.out)-8):]), " ,;"); strings.HasSuffix(end, "?") {
		for len(t.out) > 0 && t.out[len(t.out)-1] != '?' {
			t.out = t.out[:len(t.out)-1]
		}
	} else {
		// Behind a name and '=' it is the value's, whatever stood between.
		if name := bytes.TrimRight(t.out, " "); bytes.IndexByte(name[len(bytes.TrimRight(name, "=>~")):], '=') >= 0 {
			t.out = name
		}
		t.out = append(t.out, '?')
	}
	t.out = append(t.out, behind...)
	t.prev, t.glued = "", true
}

// skip moves to end. The safe texts of the spans on the way are written, or else a
// hole if there is anything else.
func (t *templater) skip(end int) {
	empty := strings.TrimSpace(t.in[t.at:end]) == ""
	wrote := false
	for len(t.spans) > 0 && t.spans[0].Start < end {
		if wrote {
			t.out = append(t.out, "; "...)
		}
		t.at = t.spans[0].Start
		t.span()
		wrote = true
	}
	if t.at = max(t.at, end); !wrote && !empty {
		t.hole("")
	}
	t.glued = true
}

// find returns where the next char stands at or behind from, outside of spans, or -1.
func (t *templater) find(from int, is func(at int) bool) int {
	spans := t.spans
	for i := from; i < len(t.in); {
		for len(spans) > 0 && spans[0].End <= i {
			spans = spans[1:]
		}
		if len(spans) > 0 && spans[0].Start <= i {
			i = spans[0].End
			continue
		}
		if is(i) {
			return i
		}
		i++
	}
	return -1
}

// escapedQuote returns the length of a quote with backslashes in front of it, or 0.
func (t *templater) escapedQuote() int {
	n := 0
	for t.at+n < len(t.in) && t.in[t.at+n] == '\\' {
		n++
	}
	if rest := t.in[t.at+n:]; rest != "" && (rest[0] == '"' || rest[0] == '\'' || rest[0] == '`') {
		return n + 1
	}
	return 0
}

// quoted moves past a string in quotes, which ends with the same quote, with as many
// backslashes, that no letter follows. One that does not end takes the rest.
func (t *templater) quoted(size int) {
	quote := t.in[t.at : t.at+size]
	from := t.at + size
	end := t.find(from, func(i int) bool {
		if !strings.HasPrefix(t.in[i:], quote) || quote[0] != '\\' && quote != "`" && backslashes(t.in[from:i])%2 == 1 {
			return false
		}
		if i+size < len(t.in) && quote == "'" && t.in[i+size] == '\'' && i > from {
			return false // doubled, or the first of such
		}
		return !startsWord(t.in[i+size:])
	})
	told, start := len(t.told), len(t.out)
	t.at = from
	if end < 0 {
		t.skip(len(t.in))
		return
	}
	t.skip(end)
	if len(t.told) > told {
		t.out = append(t.out[:start], quote+string(t.out[start:])+quote...)
	}
	t.at, t.glued = end+size, true
}

func backslashes(s string) int { return len(s) - len(strings.TrimRight(s, `\`)) }

func startsWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// isTag reports whether the '<' here begins something that a '>' ends.
func (t *templater) isTag() bool {
	if t.at+1 >= len(t.in) || t.in[t.at+1] == ' ' || t.in[t.at+1] == '=' || t.in[t.at+1] == '-' || t.single {
		return false
	}
	t.single = t.find(t.at, func(i int) bool { return t.in[i] == '>' }) < 0
	return !t.single
}

// group moves past a bracket and all that is within it. One that is not closed takes
// the rest.
func (t *templater) group(closers string, size int) {
	opener := t.in[t.at : t.at+size]
	depth := 1
	end := t.find(t.at+size, func(i int) bool {
		if startsWith(t.in[i:], closers) {
			depth--
		} else if strings.HasPrefix(t.in[i:], opener) {
			depth++
		}
		return depth == 0
	})
	t.at += size
	t.out = append(t.out, opener...)
	if end < 0 {
		t.skip(len(t.in))
		return
	}
	t.skip(end)
	_, size = utf8.DecodeRuneInString(t.in[end:])
	t.out = append(t.out, t.in[end:end+size]...)
	t.at, t.glued = end+size, true
}

// value moves past '=' and what follows it: a quoted string, brackets, or all up to
// the next comma, semicolon, colon, line, wording, or name of another value that stands
// outside of quotes and brackets.
func (t *templater) value() {
	for t.at < len(t.in) && (t.in[t.at] == '=' || t.in[t.at] == '>' || t.in[t.at] == '~') {
		t.out = append(t.out, t.in[t.at])
		t.at++
	}
	// The value may be on the next line, which becomes this one.
	from := t.at + len(t.in[t.at:]) - len(strings.TrimLeftFunc(t.in[t.at:], func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }))
	if from < len(t.in) && !t.atSpan() {
		if w, _ := t.wordingAt(from); w != nil {
			t.hole(" ")
			t.at = from
			return
		}
		if number := firstWord(t.in[from:]); t.isKept(strings.TrimRight(number, ",.;:!?")) {
			t.at = from
			t.word()
			return
		}
		r, size := utf8.DecodeRuneInString(t.in[from:])
		t.at = from
		switch {
		case t.atSpan():
		case r == '?': // a value that has gone
			t.at++
			t.hole("")
			return
		case r == '"' || r == '\'' || r == '`':
			before := len(t.out)
			if t.quoted(size); len(t.out) == before { // the empty string is a value
				t.hole("")
			}
			return
		case closersOf(r) != "" && r != '<':
			t.group(closersOf(r), size)
			return
		}
	}
	word := max(t.at, from)
	if len(t.spans) > 0 && t.spans[0].Start < word {
		word = t.at
	}
	depth, quote := 0, byte(0)
	end := t.find(word, func(i int) bool {
		switch c := t.in[i]; {
		case quote != 0:
			if c == quote && t.in[i-1] != '\\' {
				quote = 0
			}
		case c == '"' || c == '`' || c == '\'' && !isApostrophe(t.in[word:i], t.in[i+1:]):
			quote = c
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth = max(0, depth-1)
		case depth > 0:
		case c == ',' || c == ';' || c == '\n':
			return true
		case c == ':':
			return i+1 == len(t.in) || t.in[i+1] == ' '
		case c == ' ':
			word = i + 1
		case c == '=':
			return word > from // and the name in front of it, which is given back
		}
		w, _ := t.wordingAt(i)
		return w != nil
	})
	switch {
	case end < 0:
		end = len(t.in)
	case t.in[end] == '=':
		end = word
	}
	t.skip(end)
	if end > 0 && end < len(t.in) && t.in[end-1] == ' ' {
		t.out = append(t.out, ' ')
		t.glued = false
	}
}

func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t\n"); i >= 0 {
		return s[:i]
	}
	return s
}

// punctuation is what may stand around a word, and symbols what may stand alone.
const (
	punctuation = ",.;:!?…—–-•→)]}>”’»›」』）】》、。，：；！？·"
	symbols     = punctuation + "<*+&|/~#%^"
)

// word moves past what stands up to the next space, quote, bracket or '='. It stays
// if it is a word.
func (t *templater) word() {
	start := t.at
	end := t.at
	limit := len(t.in)
	if len(t.spans) > 0 {
		limit = t.spans[0].Start
	}
	for end < limit {
		r, size := utf8.DecodeRuneInString(t.in[end:limit])
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == '=' || r == '"' || r == '`' || r == '\\' && end > start || end > start && closersOf(r) != "" && (r != '<' || !t.single) {
			break
		}
		if r == '\'' && !isApostrophe(t.in[start:end], t.in[end+1:]) {
			break
		}
		end += size
		if r > unicode.MaxASCII && strings.ContainsRune(punctuation, r) {
			break
		}
	}
	if end == start { // of a broken character, or a quote that is none
		_, size := utf8.DecodeRuneInString(t.in[start:])
		end += size
	}
	token := t.in[start:end]
	t.at = end
	behind := token[len(strings.TrimRight(token, punctuation)):]
	if strings.Trim(token, symbols) == "" {
		t.symbols(token)
		return
	}
	core := strings.Trim(token, punctuation)
	switch lower := strings.ToLower(core); {
	case t.glued && strings.HasPrefix(token, core):
	case t.isKept(core), isPlain(core), technical[lower], isGoName(core):
		t.out = append(t.out, token...)
		t.prev, t.glued = lower, false
		if strings.Trim(behind, ":") != "" {
			t.prev = ""
		}
		return
	}
	behind = strings.TrimLeft(behind, punctuation[len(",.;:!?"):])
	if len(behind) >= maxSymbols { // with the hole it would be none that symbols keeps
		behind = ""
	}
	t.hole(behind)
	t.glued = behind == ""
}

// maxSymbols is the length in bytes of the longest token of different symbols that stays.
const maxSymbols = 4

// symbols writes a token of nothing but punctuation.
func (t *templater) symbols(token string) {
	run := string(t.out[len(bytes.TrimRight(t.out, symbols)):]) + token // as it will be read the next time
	if t.glued && strings.Trim(token, punctuation) != "" || len(run) > maxSymbols && strings.Trim(run, ".…-—–*") != "" {
		t.hole("")
		return
	}
	t.out = append(t.out, token...)
	t.glued = false
}

// isApostrophe reports whether the ' between before and after belongs to a word, as
// in "can't", "users' names" and "l'erreur", and is no quote, as in "N'text'".
func isApostrophe(before, after string) bool {
	r, _ := utf8.DecodeLastRuneInString(before)
	switch {
	case before == "" || !unicode.IsLetter(r):
		return false
	case !startsWord(after):
		return true
	}
	word := strings.TrimLeft(before, punctuation)
	if len(word) == 1 {
		return strings.IndexByte("dljmtcs", word[0]) >= 0
	}
	return word != "" && word[0] != '_' && !strings.Contains(word, "&")
}

// isPlain reports whether s is a word of letters.
func isPlain(s string) bool {
	if utf8.RuneCountInString(s) >= 40 {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' && r != '’' && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// isKept reports whether s is a number of up to three digits behind a word that says
// that it is a code.
func (t *templater) isKept(s string) bool {
	if len(s) > 3 || !isDigits(s) {
		return false
	}
	switch t.prev {
	case "status", "code", "errno", "http", "http/1.0", "http/1.1", "http/2", "http/3":
		return true
	}
	return false
}

// technical are words that hold digits or other characters, and no value.
var technical = map[string]bool{
	"x509": true, "http2": true, "http/1.0": true, "http/1.1": true, "http/2": true, "http/3": true, "h2": true, "h2c": true,
	"sha1": true, "sha256": true, "sha384": true, "sha512": true, "md5": true, "base32": true, "base64": true, "crc32": true, "asn1": true,
	"s3": true, "ec2": true, "k8s": true, "oauth2": true, "utf8": true, "utf-8": true, "utf16": true, "utf-16": true, "ipv4": true, "ipv6": true,
	"int8": true, "int16": true, "int32": true, "int64": true, "uint8": true, "uint16": true, "uint32": true, "uint64": true, "float32": true, "float64": true,
	"i/o": true, "tcp/ip": true, "and/or": true, "read/write": true, "n/a": true, "tcp4": true, "tcp6": true, "udp4": true, "udp6": true, "gb18030": true,
	"net/http": true, "net/url": true, "net/mail": true, "net/textproto": true, "net/netip": true, "database/sql": true, "sql/driver": true,
	"encoding/json": true, "encoding/xml": true, "encoding/hex": true, "encoding/base64": true, "encoding/csv": true, "encoding/gob": true, "math/big": true,
	"html/template": true, "text/template": true, "crypto/tls": true, "crypto/x509": true, "fork/exec": true, "postgresql": true, "sqlite3": true,
}

// isGoName reports whether s is the name of something in a well-known package of the
// standard library, as errors of Go begin with it: strconv.Atoi.
func isGoName(s string) bool {
	pkg, name, ok := strings.Cut(s, ".")
	switch pkg {
	case "strconv", "json", "sql", "driver", "context", "io", "os", "net", "netip", "http", "url", "xml", "time", "errors", "tls", "x509", "reflect", "runtime", "template":
		return ok && len(name) < 40 && consistsOf(name, lowercase+uppercase) && name[0] <= 'Z'
	}
	return false
}
