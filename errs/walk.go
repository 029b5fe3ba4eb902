package errs

import (
	"slices"
	"strings"

	"github.com/taskspan/taskspan/internal/drivertext"
)

// Bounds of what is looked at in one tree of errors.
const (
	maxNodes = 128
	maxDepth = 32
)

// walker walks over a tree of errors, once. It finds the class, and if texts is set
// the safe text and what must not be repeated.
type walker struct {
	budget int
	texts  bool
	driver bool               // no error is the application's
	memory *drivertext.Memory // of the task; nil for that of the process alone

	foreign int  // how many errors of libraries are around the current one
	within  bool // an application's error is around it, whose text is being made
	parts   []part
	said    []*drivertext.Text // what a driver or a library said, inner errors first
}

// part is an error that an application's error is wrapped around.
type part struct {
	raw, safe string
}

// safeText is the safe text of one error.
type safeText struct {
	safe string
	tail string // of safe, the part about the errors that this one wraps
}

// role is how the text of an error is made.
type role uint8

const (
	roleOwn      role = iota // the application's words, without values
	roleJoin                 // what it joins
	roleCarrier              // what it wraps, without the text around it
	rolePanic                // the type of the value
	roleDatabase             // what a code means
	roleConstant             // as it is
	roleMatched              // that of the well-known value that it equals by its Is method
	roleOpaque               // kind and type
	roleStandard             // that of a type of the standard library
	roleLibrary              // kind, type, and what it wraps
)

// node is the error that is being looked at.
type node struct {
	err     error
	info    *typeInfo
	raw     string // its text, if texts are made and it has one
	failure failure
	failed  bool // a database gave a code
	role    role
}

func (w *walker) visit(err error, depth int) (finding, safeText) {
	w.budget--
	n := node{err: err, info: infoOf(err)}
	spoke := true
	if w.texts || n.info.worded {
		n.raw, spoke = try(err.Error)
	}
	if n.info.shape != shapeNone {
		n.failure, n.failed = failureOf(err, n.info)
	}
	f := n.note()
	if !w.texts {
		if f.rank < rankOwn {
			f.enclose(w.children(&n, depth, nil))
		}
		return f, safeText{}
	}
	return w.visitText(&n, f, spoke, depth)
}

// visitText is visit where texts are made.
func (w *walker) visitText(n *node, f finding, spoke bool, depth int) (finding, safeText) {
	outer := *w
	if !w.driver && n.info.origin != originPanic && w.memory.Said(n.err, n.raw) {
		w.driver = true
	}
	n.role = w.roleOf(n, spoke)
	w.within = n.role == roleOwn
	switch n.role {
	case roleOwn, rolePanic, roleCarrier, roleJoin:
	default:
		w.foreign++
	}
	var texts []safeText
	best := w.children(n, depth, &texts)
	if f.rank < rankOwn {
		f.enclose(best)
	}
	text := w.textOf(n, &f, texts, &outer)
	w.driver, w.foreign, w.within = outer.driver, outer.foreign, outer.within
	if outer.within && n.role != roleOwn {
		w.parts = append(w.parts, part{n.raw, text.safe})
	}
	return f, text
}

// children visits what n wraps, and returns the best finding among them. The last
// text is an ellipsis if there is more than the bounds allow.
func (w *walker) children(n *node, depth int, texts *[]safeText) (best finding) {
	many, one := unwrap(n.err, n.info)
	if one != nil {
		many = []error{one}
	}
	for _, child := range many {
		if child == nil {
			continue
		}
		if w.budget <= 0 || depth >= maxDepth {
			if texts != nil {
				*texts = append(*texts, safeText{safe: "…"})
			}
			break
		}
		f, text := w.visit(child, depth+1)
		best.join(&f)
		if texts != nil {
			*texts = append(*texts, text)
		}
	}
	return best
}

// roleOf decides how the text of n is made.
func (w *walker) roleOf(n *node, spoke bool) role {
	info := n.info
	switch {
	case info.origin == originPanic:
		return rolePanic
	case n.failed:
		return roleDatabase
	case !spoke, info.origin == originStd && isNil(n.err, info):
		return roleOpaque
	case knownValue(n.err).Type != "":
		return roleConstant
	case info.matches && info.isLibrary() && matchedValue(n.err, info) != nil:
		return roleMatched
	case info.shape != shapeNone, info.origin == originDriver:
		return roleLibrary
	case info.origin == originStd:
		return roleStandard
	case info.list || info.name == "*errors.joinError":
		return roleJoin
	case info.origin == originText && (w.driver || w.foreign > 0):
		if w.foreign == 0 && namedByText(n.raw, info).Type != "" {
			return roleConstant
		}
		return roleCarrier
	case w.driver:
		return roleLibrary
	}
	return roleOwn
}

// textOf returns the text of n, and adds to w.said what must not be repeated.
func (w *walker) textOf(n *node, f *finding, texts []safeText, outer *walker) (text safeText) {
	switch n.role {
	case rolePanic:
		text.safe = panicText(n, w.joined(texts))
	case roleDatabase:
		text.safe = n.failure.text() + safeNames(n)
	case roleConstant:
		text.safe = n.raw
	case roleMatched:
		text.safe = matchedValue(n.err, n.info).Error()
	case roleOpaque:
		text.safe = f.opaque(n.info)
	case roleStandard:
		text = standardText(n, f, w.wrapper(n, f, texts))
	case roleLibrary:
		text = w.wrapper(n, f, texts)
	case roleJoin:
		if text.safe = w.joined(texts); text.safe == "" && !outer.within {
			text.safe = n.info.name
		}
		return text
	case roleCarrier:
		if text.safe = w.joined(texts); text.safe == "" && w.foreign == 0 {
			text.safe = f.opaque(n.info)
		}
	case roleOwn:
		if outer.within {
			return safeText{}
		}
		text.safe = w.ownText(n, w.parts[len(outer.parts):], w.said[len(outer.said):])
		w.parts = w.parts[:len(outer.parts)]
		return text
	}
	if n.role == roleLibrary || w.driver && (n.role == roleCarrier || n.info.name == urlError) {
		if part := configuration(n.raw, n.info); part != "" {
			text = safeText{safe: f.opaque(n.info) + ": " + part}
		}
	}
	text.safe = cut(text.safe, maxSafe)
	if n.raw != text.safe && n.raw != "" {
		w.said = append(w.said, drivertext.New(n.raw, text.safe))
	}
	if w.driver || n.info.shape != shapeNone || n.info.origin == originDriver {
		w.said = appendFields(w.said, n)
	}
	return text
}

// joined puts the texts of several errors into one. Within an error of a library it
// leaves out the names of further ones and what it has already: a driver that tries
// several addresses wraps a chain of errors for each.
func (w *walker) joined(texts []safeText) string {
	safe := make([]string, 0, len(texts))
	for _, t := range texts {
		s := t.safe
		if w.foreign > 0 {
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
	return strings.Join(safe, "; ")
}

// wrapper is the text of an error of a library: its kind, its type, and what it
// wraps. The kind is there once, and of several such errors around each other only
// the outermost is named.
func (w *walker) wrapper(n *node, f *finding, texts []safeText) safeText {
	tail := w.joined(texts)
	kind := f.result().Kind.String()
	switch {
	case tail == "":
		return safeText{safe: f.opaque(n.info)}
	case n.info.strength == strengthOwn: // a type that means nothing outside of its library
	case strings.HasPrefix(tail, kind+" ("):
	default:
		return safeText{f.opaque(n.info) + ": " + tail, tail}
	}
	return safeText{tail, tail}
}

// ownText is the text of an application's error: what a driver or a library said in
// it is replaced by its safe text, and the values go from what remains. The safe
// text of an error that it wraps, and that cannot be found in it, is added.
func (w *walker) ownText(n *node, parts []part, said []*drivertext.Text) string {
	own := make([]*drivertext.Text, 0, len(said)+len(parts))
	for _, t := range slices.Backward(said) { // outer errors first
		own = append(own, t)
	}
	for _, p := range parts {
		own = append(own, drivertext.New(p.raw, p.safe))
	}
	raw := drivertext.Plain(strings.ToValidUTF8(n.raw[:min(len(n.raw), maxRaw)], "\uFFFD"))
	spans := drivertext.Find(raw, own, w.memory)
	if len(n.raw) > maxRaw {
		raw = raw[:endOf(raw, spans)]
	}
	safe := template(raw, spans)
	if strings.Trim(safe, "?…: ") == "" {
		if safe = n.info.name; n.info.origin == originText && len(parts) > 0 {
			safe = ""
		}
	}
	for _, p := range parts {
		placed := slices.ContainsFunc(spans, func(s drivertext.Span) bool { return s.Text.Safe == p.safe })
		if !placed && p.raw != p.safe && p.safe != "" && !strings.Contains(safe, p.safe) && len(safe) < maxSafe {
			safe = strings.TrimPrefix(safe+": "+p.safe, ": ")
		}
	}
	return safe
}

const maxTail = 512

// endOf returns how much of a text that was cut is used: its last words may be the
// beginning of something that would be replaced if it were whole.
func endOf(raw string, spans []drivertext.Span) (end int) {
	if len(spans) > 0 {
		end = spans[len(spans)-1].End
	}
	at := len(raw)
	for range 5 {
		at = max(0, strings.LastIndexByte(raw[:at], ' '))
	}
	return max(end, at, len(raw)-maxTail)
}
