// Package drivertext remembers what drivers have said.
//
// Many an error of a driver is a plain text, of errors.New or fmt.Errorf: what it
// says of a DSN that it cannot read, for one, with a part of the password in it. And
// an error of any type is a plain text once an application has formatted it. By the
// time when a task returns such a text it looks like the application's own. So
// package errs remembers the texts of the errors that package otdb has seen, and
// looks for them.
package drivertext

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of what is remembered: errors are returned soon after they were made.
const (
	maxTexts = 128
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

	forms []string
}

// Forms returns the ways in which a text may stand in another one: as it is, as %q
// prints it, and as JSON has it.
func Forms(raw string) []string {
	forms := []string{raw}
	escaped, alike := escapes(raw)
	if !escaped {
		return forms
	}
	add := func(quoted string) {
		if text := quoted[1 : len(quoted)-1]; !slices.Contains(forms, text) {
			forms = append(forms, text)
		}
	}
	add(strconv.Quote(raw))
	if alike {
		return forms
	}
	if encoded, err := json.Marshal(raw); err == nil {
		add(string(encoded))
	}
	return forms
}

// escapes reports whether %q or JSON escapes anything in s, and if so, whether both
// escape it alike.
func escapes(s string) (escaped, alike bool) {
	alike = true
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			escaped = true
		case c < ' ', c >= 0x7f, c == '<', c == '>', c == '&':
			escaped, alike = true, false
		}
	}
	return escaped, alike
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
	t.forms = Forms(t.Raw)
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

// Within returns the texts that raw holds in one of their forms.
func Within(raw string) []Text {
	var found []Text
	for _, t := range all() {
		if len(t.Raw) < minPart {
			continue
		}
		for _, form := range t.forms {
			if strings.Contains(raw, form) {
				found = append(found, t)
				break
			}
		}
	}
	return found
}
