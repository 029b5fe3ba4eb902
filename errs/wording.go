package errs

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/taskspan/taskspan/internal/drivertext"
)

// wording is how database/sql or the standard library announces a value that may be
// of plain words, without quotes or brackets around it.
type wording struct {
	start string
	// tails are the texts of which the last one ends the value. Without any it ends
	// with the text.
	tails []string
	// must reports that the wording is none without one of its tails: its words may be
	// an application's.
	must bool
	// data reports that a value does not fit what it is scanned into.
	data bool
	// say returns what is written for the text from start on, none of which is kept.
	say func(s string) string
}

// lookupTails end the net package's texts about a name or an address.
var lookupTails = []string{
	": no such host", ": server misbehaving", ": i/o timeout", ": operation was canceled", ": no answer from DNS server",
	": Temporary failure in name resolution", ": connection refused", ": unrecognized address", ": unknown port", ": invalid port",
	": missing port in address", ": too many colons in address", ": unexpected '[' in address", ": unexpected ']' in address",
	": missing ']' in address", ": invalid MAC address", ": non-IPv4 address", ": no suitable address", ": context deadline exceeded",
	": context canceled", ": mismatched local address type",
}

// systemTails end the os package's texts about a file.
var systemTails = []string{
	": no such file or directory", ": permission denied", ": operation not permitted", ": file exists", ": file does not exist",
	": file already exists", ": is a directory", ": not a directory", ": directory not empty", ": file already closed", ": use of closed file",
	": bad file descriptor", ": file name too long", ": invalid argument", ": read-only file system", ": no space left on device",
	": too many open files", ": text file busy", ": device or resource busy", ": input/output error", ": too many levels of symbolic links",
	": invalid cross-device link", ": broken pipe", ": connection refused", ": address already in use", ": exec format error",
	": The system cannot find the file specified.", ": The system cannot find the path specified.", ": Access is denied.", ": invalid name",
	": cannot allocate memory", ": EOF", ": unexpected EOF", ": i/o timeout", ": no such device or address", ": resource temporarily unavailable",
}

var wordings = append([]wording{
	{start: "sql: Scan error on column index ", data: true, say: sayScan},
	{start: "sql: converting argument ", say: sayArgument},
	{start: "converting driver.Value type ", data: true, say: sayConverting},
	{start: "converting NULL to ", data: true, say: sayConverting},
	{start: "unsupported Scan, storing driver.Value type ", data: true, say: sayConverting},
	{start: "sql/driver: couldn't convert ", data: true, tails: []string{" into type "}},
	{start: "sql/driver: value ", data: true, tails: []string{" can't be converted to ", " overflows "}},
	{start: "sql/driver: unsupported value ", tails: []string{" converting to "}},
	{start: "sql: unknown driver ", tails: []string{" (forgotten import?)"}},

	{start: "panic: ", say: func(string) string { return "panic" }}, // ours, of a PanicError

	{start: "lookup ", tails: lookupTails, must: true},
	{start: "address ", tails: lookupTails, must: true},
	{start: "unknown network "},
	{start: "dial ", tails: []string{": unknown network "}, must: true},
	{start: "listen ", tails: []string{": unknown network "}, must: true},
	{start: "unknown port "},
	{start: "invalid IP address: "},
	{start: "invalid CIDR address: "},
	{start: "invalid MAC address: "},
	{start: "unknown user "},
	{start: "unknown userid "},
	{start: "unknown group "},
	{start: "unknown groupid "},
	{start: "certificate is valid for "},
	{start: "but wanted to match "},
	{start: "certificate is not valid for any names"},
	{start: "is not authorized to sign for this name: "},
	{start: "is not authorized for an extended key usage: "},
	{start: "unknown time zone "},
	{start: "unknown unit ", tails: []string{" in duration "}, must: true},
	{start: "flag provided but not defined: "},
	{start: "flag needs an argument: "},
	{start: "no such flag -"},
	{start: "bad flag syntax: "},
	{start: "template: ", tails: []string{": function ", ": unexpected ", ": undefined ", ": unterminated ", ": missing ", ": unclosed ", ": bad ", ": invalid ", ": illegal ", ": no template ", ": pattern matches no files", ": comment ends "}},
	{start: "invalid XML name: "},
	{start: "in space ", tails: []string{" closed by <"}, must: true},
	{start: "invalid character entity &"},
	{start: "json: cannot unmarshal number ", tails: []string{" into Go "}, must: true},
	{start: "Rel: can't make "},
	{start: "malformed header line: "},
	{start: "malformed MIME header line: "},
	{start: "malformed MIME header initial line: "},
	{start: "short response: "},
	{start: "invalid response code: "},
	{start: "error parsing regexp: "},
	{start: "missing word in phrase: "},
}, fileWordings()...)

// fileWordings are the operations with which the os package begins.
func fileWordings() (list []wording) {
	for op := range strings.FieldsSeq("open read write stat lstat mkdir remove rename chmod chown lchown chdir readlink truncate close seek sync " +
		"unlinkat openat mkdirat readdirent fdopendir getdents copy_file_range symlink link fork/exec exec opendir chtimes pipe sub readdir readfile glob") {
		list = append(list, wording{start: op + " ", tails: systemTails, must: true})
	}
	for op := range strings.FieldsSeq("dial listen read write accept close set") {
		for network := range strings.FieldsSeq("unix unixgram unixpacket pipe") {
			list = append(list, wording{start: op + " " + network + " ", tails: systemTails})
		}
	}
	return list
}

// wordingsBy has the wordings by their first byte, the longer of two before the
// shorter.
var wordingsBy = func() (by [256][]wording) {
	for _, w := range wordings {
		list := &by[w.start[0]]
		*list = append(*list, w)
		slices.SortStableFunc(*list, func(a, b wording) int { return len(b.start) - len(a.start) })
	}
	return by
}()

// isConversion reports whether text is database/sql's about a value that does
// not fit what it is scanned into.
func isConversion(text string) bool {
	return text != "" && slices.ContainsFunc(wordingsBy[text[0]], func(w wording) bool { return w.data && strings.HasPrefix(text, w.start) })
}

// atWord reports whether no letter stands in front of i. The letter of an escape such
// as \n is none.
func (t *templater) atWord(i int) bool {
	r, size := utf8.DecodeLastRuneInString(t.in[:i])
	if !unicode.IsLetter(r) {
		return true
	}
	return i > size && t.in[i-size-1] == '\\'
}

// wording moves past a wording and the value behind it, if one starts here.
func (t *templater) wording() bool {
	w, end := t.wordingAt(t.at)
	if w == nil {
		return false
	}
	if w.say != nil {
		t.out = append(t.out, w.say(t.in[t.at:])...)
		if t.at = len(t.in); len(t.spans) > 0 {
			t.out = append(t.out, ": "...)
			t.skip(t.at)
		}
		return true
	}
	t.out = append(t.out, w.start...)
	t.at += len(w.start)
	t.skip(end)
	t.glued = false
	return true
}

// wordingAt returns the wording that starts at i, and where its value ends.
func (t *templater) wordingAt(i int) (*wording, int) {
	rest := t.in[i:]
	if len(wordingsBy[rest[0]]) == 0 || !t.atWord(i) {
		return nil, 0
	}
	for j := range wordingsBy[rest[0]] {
		w := &wordingsBy[rest[0]][j]
		if !strings.HasPrefix(rest, w.start) || slices.ContainsFunc(t.spans, func(s drivertext.Span) bool { return s.Start < i+len(w.start) && s.End > i }) {
			continue
		}
		end := -1
		for _, tail := range w.tails {
			end = max(end, strings.LastIndex(rest[len(w.start):], tail))
		}
		switch {
		case end >= 0:
			return w, i + len(w.start) + end
		case !w.must:
			return w, len(t.in)
		}
	}
	return nil, 0
}

// sayScan keeps the index of the column and what did not fit. It leaves out the
// name: MySQL and MariaDB name the column of a literal by the literal.
func sayScan(s string) string {
	r := reader{s}
	r.skip("sql: Scan error on column index ")
	safe := "sql: Scan error on column"
	index := r.digits()
	if index == "" {
		return safe
	}
	safe += " index " + index
	if !r.skip(", name ") {
		return safe
	}
	if _, ok := r.quoted(); !ok || !r.skip(": ") {
		return safe
	}
	if why := sayConverting(r.rest); why != "" {
		safe += ": " + why
	}
	return safe
}

// sayConverting keeps what database/sql could not convert to what.
func sayConverting(s string) string {
	r := reader{s}
	switch {
	case r.skip("converting NULL to "):
		if kind, _ := r.until(" is unsupported"); isTypeName(kind) {
			return "converting NULL to " + kind + " is unsupported"
		}
		return "converting NULL"
	case r.skip("unsupported Scan, storing driver.Value type "):
		from, _ := r.until(" into type ")
		if (isTypeName(from) || from == "<nil>") && isTypeName(r.rest) {
			return "unsupported Scan, storing driver.Value type " + from + " into type " + r.rest
		}
		return "unsupported Scan"
	case r.skip("converting driver.Value type "):
		safe := "converting driver.Value"
		from, _ := r.until(" (")
		if !isTypeName(from) {
			return safe
		}
		safe += " type " + from
		if _, ok := r.quoted(); ok && r.skip(") to a ") {
			if kind, _, _ := strings.Cut(r.rest, ": "); isTypeName(kind) {
				safe += " to a " + kind
			}
		}
		return safe
	case r.skip("sql/driver: couldn't convert "):
		if i := strings.LastIndex(r.rest, " into type "); i >= 0 && isTypeName(r.rest[i+len(" into type "):]) {
			return "sql/driver: couldn't convert a value" + r.rest[i:]
		}
	}
	return ""
}

// sayArgument keeps which argument could not be converted.
func sayArgument(s string) string {
	r := reader{s}
	r.skip("sql: converting argument ")
	safe := "sql: converting argument"
	if r.skip("$") {
		if n := r.digits(); n != "" {
			safe += " $" + n
		}
	} else if r.skip("with name ") {
		if name, ok := r.quoted(); ok && isIdentifier(name) {
			safe += ` with name "` + name + `"`
		}
	}
	return safe
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
	return len(s) <= maxType && consistsOf(s, lowercase+uppercase+digits+"*[]._")
}
