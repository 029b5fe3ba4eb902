package errs

import (
	"strings"
	"unicode"

	"github.com/taskspan/taskspan/internal/drivertext"
)

// Bounds in bytes.
const (
	maxMessage = 1024           // of a safe text
	maxSafe    = 4 * maxMessage // of one on the way there
	maxRaw     = 8 << 10        // of what is read of an application's text
)

// Message returns the safe text of err, which may be exported: it holds no value
// that a driver, the standard library or the application put into it. It is one line
// of valid UTF-8 of at most 1024 bytes, and empty only if err is nil: the type stands
// in for an error that says nothing. Texts of one kind are equal, whatever their
// values, so that they can be counted.
//
//   - A database's error becomes its kind, its code, what the code means, and the
//     names of the constraint, table and column where they are known for sure:
//     `constraint (23505): duplicate key, constraint "users_email_key"`.
//   - A context's error, io.EOF and other well-known values keep their texts.
//   - An error of the standard library or of a driver's other types becomes its kind
//     and type, and the safe text of what it wraps. A few types keep more:
//     `dial tcp: connection refused`, `open: permission denied`,
//     `strconv.Atoi: invalid syntax`. Names of files and addresses are values.
//   - A [PanicError] becomes `panic (string)`: the type of the value, and its safe
//     text if it is an error.
//   - Any other error is the application's. Its words stay, and its values become
//     "?": quoted strings, what follows "=", what stands within brackets, numbers,
//     addresses, paths, and words with digits in them. Where it holds what a driver
//     said, be it changed in case, white space or escapes, the driver's safe text
//     takes the place. The safe text of an error that it wraps and does not print
//     is added at the end.
//
// Names are kept only if they are plain ASCII identifiers. Plain words of prose pass,
// whoever put them there.
func Message(err error) string {
	_, text := Look(err, nil)
	return text
}

// DriverMessage is [Message] for an error that is known to come from a driver. It
// keeps the same of the errors of databases, of known drivers, of contexts and of
// the standard library, and of the well-known values. But no text is the
// application's: any other error becomes its kind, its type and the safe text of
// what it wraps:
//
//	other (*errors.errorString)
//	canceled (*mydriver.Error): context canceled
//
// Errors that only carry a text around another one (fmt.Errorf, errors.Join) are left
// out.
func DriverMessage(err error) string {
	w := walker{budget: maxNodes, texts: true, driver: true}
	_, text := w.look(err)
	return text
}

// Look returns the class and the safe text of err, as [Classify] and [Message] do,
// and looks at err once. It also knows what drivers said to the task whose memory is
// given. It is for the packages of this module: the type of the memory is internal.
func Look(err error, m *drivertext.Memory) (Class, string) {
	w := walker{budget: maxNodes, texts: true, memory: m}
	return w.look(err)
}

// LookDriver returns the class and the text of an error that a driver returned, as
// [Classify] and [DriverMessage] do, and remembers in m, and in the memory of the
// process, what it said: its texts, and those of its exported fields. It is for the
// packages of this module, like [Look].
func LookDriver(err error, m *drivertext.Memory) (Class, string) {
	w := walker{budget: maxNodes, texts: true, driver: true, memory: m}
	class, text := w.look(err)
	if len(w.said) > 0 {
		m.Remember(err, w.said...)
	}
	return class, text
}

// look walks over err and returns what is found.
func (w *walker) look(err error) (Class, string) {
	if err == nil {
		return Class{}, ""
	}
	f, text := w.visit(err, 0)
	if safe := oneLine(text.safe); safe != "" {
		return f.result(), safe
	}
	return f.result(), infoOf(err).name
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
	return strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c >= unicode.MaxASCII }) < 0
}
