// Package drivertext remembers what drivers have said in errors that do not show
// whose they are.
//
// Many an error of a driver is a plain text, of errors.New or fmt.Errorf: what it
// says of a DSN that it cannot read, for one, with a part of the password in it.
// Package otdb knows that it is the driver's. By the time when a task returns it,
// wrapped or formatted, it looks like the application's own. So otdb remembers the
// text, and package errs looks for it.
package drivertext

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of what is remembered: errors are returned soon after they were made.
const (
	maxTexts = 64
	maxText  = 4 << 10 // bytes of one
	// minPart is the length from which a text is looked for within others: what
	// is shorter may be anybody's words.
	minPart = 16
)

// Text is what a driver has said.
type Text struct {
	Raw  string
	Safe string // what may be told instead
	Cut  bool   // Raw is only the beginning
}

// The texts are never changed in place. The newest is the last.
var (
	mu    sync.Mutex
	texts atomic.Pointer[[]Text]
)

func all() []Text {
	if p := texts.Load(); p != nil {
		return *p
	}
	return nil
}

// Remember remembers that a driver has said raw, for which safe may be told. The
// oldest text is forgotten where there are too many. It is safe for concurrent use.
func Remember(raw, safe string) {
	if raw == "" || Said(raw) {
		return
	}
	t := Text{Raw: raw, Safe: safe}
	if len(raw) > maxText {
		t.Raw, t.Cut = raw[:maxText], true
	}
	t.Raw = strings.Clone(t.Raw) // which may be a part of something larger
	mu.Lock()
	defer mu.Unlock()
	if Said(raw) {
		return
	}
	old := all()
	if len(old) == maxTexts {
		old = old[1:]
	}
	list := append(make([]Text, 0, len(old)+1), old...)
	list = append(list, t)
	texts.Store(&list)
}

// Said reports whether a driver has said just this.
func Said(raw string) bool {
	for _, t := range all() {
		if t.Raw == raw || t.Cut && strings.HasPrefix(raw, t.Raw) {
			return true
		}
	}
	return false
}

// Within returns the texts that raw holds.
func Within(raw string) []Text {
	var found []Text
	for _, t := range all() {
		if len(t.Raw) >= minPart && strings.Contains(raw, t.Raw) {
			found = append(found, t)
		}
	}
	return found
}
