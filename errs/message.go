package errs

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/taskspan/taskspan/internal/drivertext"
)

// maxMessage is the greatest length of a safe text in bytes.
const maxMessage = 1024

// Bounds of what is kept and looked through on the way there.
const (
	maxSafe   = 4 * maxMessage // of one error's safe text
	maxUnsafe = 64 << 10       // of a text in which something is to be replaced, and to look ahead in one
)

// Message returns the safe text of err, which may be exported: it holds no value
// that a driver or the standard library quotes. It is one line of valid UTF-8 of
// at most 1024 bytes, and empty only if err is nil: the type stands in for an error
// that says nothing.
//
//   - A database's error becomes its kind, its code, what the code means, and the
//     names of the constraint, table and column where they are known for sure:
//     `constraint (23505): duplicate key, constraint "users_email_key"`.
//   - A context's error, io.EOF and other well-known values keep their texts.
//   - An error of the standard library or of a driver's other types becomes its
//     kind and type, and the safe text of what it wraps; plain texts within it are
//     its own and are not told. Of a few types more is: `dial tcp: connection refused`, `open: permission denied`,
//     `strconv.Atoi: invalid syntax`. Names of files and addresses are not.
//   - A [PanicError] becomes `panic (string)`: the type of the value, and its safe
//     text if it is an error.
//   - Any other error is the application's, and so is its text. Where it holds the
//     text of an error that it wraps, that error's safe text takes the place. If
//     it wraps an error whose text must not be told, and that text cannot be found
//     within its own, then its own is dropped in favour of its type.
//
// Names are told only if they are plain ASCII identifiers.
func Message(err error) string {
	if err == nil {
		return ""
	}
	r := renderer{budget: maxNodes}
	return r.message(err)
}

// DriverMessage is [Message] for an error that is known to come from a driver. It
// tells the same of the errors of databases, of known drivers, of contexts and of
// the standard library, and of the well-known values. But there is no application
// whose text could be kept: of any other error the text is dropped, whatever it
// says, in favour of its kind, its type and the safe text of what it wraps:
//
//	other (*errors.errorString)
//	canceled (*mydriver.Error): context canceled
//
// What only carries a text around another error (fmt.Errorf, errors.Join) is left
// out.
func DriverMessage(err error) string {
	if err == nil {
		return ""
	}
	r := renderer{budget: maxNodes, driver: true}
	return r.message(err)
}

// Remember notes that err was returned by a driver. From then on [Message] tells
// nothing more of its text than [DriverMessage] does, nor of those fields of it that
// quote values, wherever the same words come back: many errors of drivers are plain
// texts, and others become plain texts once they are formatted with %v or %q, are
// encoded as JSON, or have a field of theirs copied into another error. What is
// shorter than 16 bytes is recognised as the whole of an error only.
//
// Package otdb remembers every error that it sees, so that there is no need to call
// Remember for those. The newest 128 texts are known. It is safe for concurrent use.
func Remember(err error) {
	if err == nil {
		return
	}
	r := renderer{budget: maxNodes, driver: true}
	r.render(err, 0)
	for _, u := range r.unsafe {
		drivertext.Remember(u.raw, oneLine(u.safe))
	}
}

// message returns the text of the tree of err.
func (r *renderer) message(err error) string {
	if text := oneLine(r.render(err, 0).safe); text != "" {
		return text
	}
	return infoOf(err).name
}

// renderer makes the safe texts of one tree.
type renderer struct {
	budget  int
	driver  bool          // no error is the application's
	unsafe  []replacement // in the order in which they were found
	foreign int           // how many errors of libraries are around the current one
}

// replacement is a text that must not be told, and what to say instead.
type replacement struct {
	raw, safe string
	quotes    bool // raw is not the application's
}

// rendered is the safe text of one error.
type rendered struct {
	raw  string // what the error itself says
	safe string
	tail string // of safe, what is told of the errors that this one wraps
}

func (r *renderer) render(err error, depth int) rendered {
	r.budget--
	info := infoOf(err)
	first := len(r.unsafe)
	text := rendered{}
	raw, spoke := textOf(err)
	if spoke {
		text.raw = raw
	}
	if !r.driver && info.origin != originPanic && drivertext.Said(raw) {
		r.driver = true // here and below
		defer func() { r.driver = false }()
	}
	f, failed := failure{}, false
	if info.shape != shapeNone {
		f, failed = failureOf(err, info)
	}
	switch {
	case info.origin == originPanic:
		text.safe = r.panicText(err, info, depth)
	case failed:
		text.safe = databaseText(err, info, f, raw)
	case !spoke, info.origin == originStd && isNil(err, info):
		text.safe = opaque(err, info)
	case knownValue(err).Type != "":
		text.safe = raw
	case info.matches && info.isLibrary() && matchedValue(err, info) != nil:
		text.safe = matchedValue(err, info).Error()
	case info.shape != shapeNone, info.origin == originDriver:
		text.safe, text.tail = r.wrapper(err, info, depth)
	case info.origin == originStd:
		text.safe, text.tail = r.library(err, info, raw, depth)
	case info.list || info.name == "*errors.joinError":
		texts, more := r.children(err, info, depth)
		if text.safe = r.joined(texts, more); text.safe == "" {
			text.safe = info.name
		}
	case !r.driver:
		text.safe = r.own(err, info, raw, depth, first)
	case info.origin == originText:
		text.safe = r.carrier(err, info, raw, depth)
	default:
		text.safe, text.tail = r.wrapper(err, info, depth)
	}
	text.safe = cut(text.safe, maxSafe)
	if text.raw != text.safe {
		r.unsafe = append(r.unsafe, replacement{text.raw, text.safe, failed || info.isLibrary()})
	}
	if info.shape != shapeNone || info.origin == originDriver {
		r.forbidFields(err, info)
	}
	return text
}

// children renders what err wraps. More says that there was more than the bounds
// allow.
func (r *renderer) children(err error, info *typeInfo, depth int) (texts []rendered, more bool) {
	many, one := unwrap(err, info)
	if one != nil {
		many = []error{one}
	}
	for _, child := range many {
		if child == nil {
			continue
		}
		if r.budget <= 0 || depth >= maxDepth {
			return texts, true
		}
		texts = append(texts, r.render(child, depth+1))
	}
	return texts, false
}

// joined puts the safe texts of several errors into one. Within an error of a
// library it leaves out the names of further ones and what is told already: a
// driver that tries several addresses wraps a chain of errors for each.
func (r *renderer) joined(texts []rendered, more bool) string {
	safe := make([]string, 0, len(texts)+1)
	for _, t := range texts {
		s := t.safe
		if r.foreign > 0 {
			if t.tail != "" {
				s = t.tail
			}
			if slices.Contains(safe, s) {
				continue
			}
		}
		if s != "" {
			safe = append(safe, s)
		}
	}
	if more {
		safe = append(safe, "…")
	}
	return strings.Join(safe, "; ")
}

// databaseText is what is told of a code.
func databaseText(err error, info *typeInfo, f failure, raw string) string {
	return f.text() + safeNames(err, info, f, raw)
}

func safeNames(err error, info *typeInfo, f failure, raw string) (text string) {
	var ok bool
	defer catch(&ok)
	return namesOf(err, info, f, raw)
}

// opaque is what is told of an error of which nothing else can be.
func opaque(err error, info *typeInfo) string {
	return Classify(err).Kind.String() + " (" + info.name + ")"
}

// wrapper is what is told of an error whose own text is not: its kind, its type,
// and what it wraps. Of several such around each other only the outermost is named.
func (r *renderer) wrapper(err error, info *typeInfo, depth int) (safe, tail string) {
	r.foreign++
	texts, more := r.children(err, info, depth)
	tail = r.joined(texts, more)
	r.foreign--
	switch {
	case tail == "":
		return opaque(err, info), ""
	case info.strength == strengthOwn: // a type that means nothing outside of its library
		return tail, tail
	}
	return opaque(err, info) + ": " + tail, tail
}

// panicText is what is told of a recovered panic: never the value.
func (r *renderer) panicText(err error, info *typeInfo, depth int) string {
	p, ok := err.(*PanicError)
	if !ok || p == nil || p.Value == nil {
		return "panic"
	}
	texts, more := r.children(err, info, depth)
	safe := "panic (" + valueType(p.Value) + ")"
	if inner := r.joined(texts, more); inner != "" {
		safe += ": " + inner
	}
	return safe
}

// own is the text of an application's error, in which what may not be told is
// replaced. The replacements from first on belong to the errors that it wraps.
func (r *renderer) own(err error, info *typeInfo, raw string, depth, first int) string {
	texts, more := r.children(err, info, depth)
	inner := r.joined(texts, more)
	if r.foreign > 0 && info.origin == originText {
		return inner // the text is the library's, which put its own error around it
	}
	if said, cut := r.said(raw); !more && !cut && locatable(raw, texts) {
		unsafe := slices.Concat(r.unsafe[first:], said)
		if safe, own, ended, ok := replace(raw, unsafe); ok && (safe != "" || raw == "") && !repeats(own, unsafe) {
			if ended {
				safe = r.withCause(safe, first)
			}
			return safe
		}
	}
	switch {
	case info.origin == originText && inner != "":
		return inner
	case inner == "":
		return info.name
	}
	return info.name + ": " + inner
}

// withCause adds to a text whose end was dropped what is told of the error of a
// library that stood there. The replacements from first on are of the errors that
// it wraps, the outermost last.
func (r *renderer) withCause(safe string, first int) string {
	for _, u := range slices.Backward(r.unsafe[first:]) {
		if !u.quotes || u.safe == "?" {
			continue
		}
		if what, _, _ := strings.Cut(u.safe, ", "); len(safe) < maxSafe && !strings.Contains(safe, what) {
			safe += ": " + u.safe
		}
		break
	}
	return safe
}

// said returns what drivers have said that raw holds in that part of it of which
// anything may be told, and whether the end of any of it is not known.
func (r *renderer) said(raw string) (list []replacement, cut bool) {
	for _, t := range drivertext.Within(raw[:min(len(raw), maxUnsafe)]) {
		list = append(list, replacement{t.Raw, t.Safe, true})
		cut = cut || t.Cut
	}
	return list, cut
}

// carrier is what is told of an error of errors or fmt that a driver made: what
// it wraps, but nothing of its text unless that is one of the few known ones.
func (r *renderer) carrier(err error, info *typeInfo, raw string, depth int) string {
	texts, more := r.children(err, info, depth)
	inner := r.joined(texts, more)
	switch {
	case inner != "" || r.foreign > 0:
		return inner
	case info.name == errorString && namedByText(err).Type != "":
		return raw
	}
	return opaque(err, info)
}

// locatable reports whether the text of each error of which not everything may be
// told is to be found in raw.
func locatable(raw string, texts []rendered) bool {
	for _, t := range texts {
		if t.safe != t.raw && (t.raw == "" || !strings.Contains(raw, t.raw)) {
			return false
		}
	}
	return true
}

// forbidFields forbids the texts that a driver's error holds beside its own one:
// an application may have put the detail into its text.
func (r *renderer) forbidFields(err error, info *typeInfo) {
	for _, path := range info.quoting {
		if s := fieldText(err, path); s != "" {
			r.unsafe = append(r.unsafe, replacement{s, "?", true})
		}
	}
}

// maxPlaces is how often one text is looked for in another. Where it stands more
// often, the whole is dropped: no sane text is like that, and looking on would
// take quadratic time.
const maxPlaces = 64

// span is a part of a text and what takes its place.
type span struct {
	start, end int
	safe       string
}

// replace returns raw with every replacement made, and with what is recognised by
// its wording dropped; what it kept of raw; and whether it kept nothing of its end.
// It returns false if there is too much to replace.
func replace(raw string, unsafe []replacement) (safe, own string, ended, ok bool) {
	if len(raw) > maxUnsafe && len(unsafe) > 0 {
		return "", "", false, false
	}
	var spans []span
	for _, u := range slices.Backward(unsafe) { // outer errors first: for the same text theirs counts
		if len(u.raw) > len(raw) {
			continue
		}
		for _, form := range drivertext.Forms(u.raw) {
			var ok bool
			if spans, ok = find(spans, raw, form, u.safe); !ok {
				return "", "", false, false
			}
		}
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		if c := cmp.Compare(a.start, b.start); c != 0 {
			return c
		}
		return cmp.Compare(b.end, a.end)
	})
	var out, kept strings.Builder
	at := 0
	for i := 0; i < len(spans); {
		s := spans[i]
		for i++; i < len(spans) && spans[i].start < s.end; i++ {
			s.end = max(s.end, spans[i].end) // what overlaps goes with it
		}
		before, ended := dropQuoted(raw[at:], s.start-at)
		out.WriteString(before)
		kept.WriteString(before)
		if ended || out.Len() > maxSafe {
			return out.String(), kept.String(), true, true
		}
		out.WriteString(s.safe)
		kept.WriteByte(0)
		at = s.end
	}
	rest, ended := dropQuoted(raw[at:], len(raw)-at)
	out.WriteString(rest)
	kept.WriteString(rest)
	return out.String(), kept.String(), ended, true
}

// How much of a text that must not be told shows that another one repeats it: so
// much at a time is looked for, at every so many bytes. An application may well
// name an address or a table that the driver names too.
const (
	repeatedPart = 32
	repeatedStep = 8
)

// repeats reports whether own, what is left of an application's text, has a part of
// a text in it that must not be told: an application may have changed a copy, in
// case, white space or length, beside the error that it wraps.
func repeats(own string, unsafe []replacement) bool {
	if len(own) < repeatedPart {
		return false
	}
	plain := func(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }
	own = plain(own)
	for _, u := range unsafe {
		if !u.quotes || len(u.raw) < repeatedPart {
			continue
		}
		raw := plain(cut(u.raw, maxSafe))
		for i := 0; i+repeatedPart <= len(raw); i += repeatedStep {
			if strings.Contains(own, raw[i:i+repeatedPart]) {
				return true
			}
		}
	}
	return false
}

// find adds to spans each place where s holds part.
func find(spans []span, s, part, safe string) ([]span, bool) {
	if part == "" {
		return spans, true
	}
	for n, at := 0, 0; ; n++ {
		i := strings.Index(s[at:], part)
		if i < 0 {
			return spans, true
		}
		if n == maxPlaces {
			return nil, false
		}
		spans = append(spans, span{at + i, at + i + len(part), safe})
		at += i + 1
	}
}

// oneLine makes a text fit to be exported: valid UTF-8 without control
// characters, of bounded length.
func oneLine(s string) string {
	if !isLine(s) {
		var b strings.Builder
		gap := false
		for _, c := range strings.ToValidUTF8(s, "\uFFFD") {
			if unicode.IsControl(c) || c == '\u2028' || c == '\u2029' {
				gap = true
				continue
			}
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(c)
		}
		s = b.String()
	}
	if len(s) <= maxMessage {
		return s
	}
	return cut(s, maxMessage-len("…")) + "…"
}

// isLine reports whether s is of printable ASCII, and needs no work.
func isLine(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= utf8.RuneSelf || s[i] == 0x7f {
			return false
		}
	}
	return true
}
