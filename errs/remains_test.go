package errs_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn"
	"github.com/taskspan/taskspan/internal/drivertext"
)

// remains makes the text that leaves of each row of the table of what remains by
// design, by a part of what the row says, from its example.
var remains = map[string]func(example string) string{
	"your own text":            func(example string) string { return errs.Message(errors.New(example)) },
	"not opened through":       func(example string) string { return errs.Message(errors.New(example)) },
	"that you call yourself":   func(example string) string { return errs.Message(errors.New(example)) },
	"not readable as the text": func(example string) string { return errs.Message(errors.New(example)) },
	"a panic that you recover": func(example string) string {
		before, words, _ := strings.Cut(example, ": ")
		return errs.Message(recovered(before, errors.New(words)))
	},
	"out of the middle": said("the password is wrong, so that there is no login for Ross until tomorrow at noon"),
	"a single word": func(example string) string {
		errs.LookDriver(errors.New("Ross"), nil)
		return errs.Message(errors.New(example))
	},
	"puts where a name stands": func(example string) string {
		return errs.Message(&pgconn.PgError{Code: "23505", Message: example, ConstraintName: "Ross"})
	},
	"beyond the first 4 KiB": said(strings.Repeat("a long account of what a server did, ", 200) + "and the owner is Ross"),
	"before 1,024 other texts": func(example string) string {
		var m drivertext.Memory
		errs.LookDriver(errors.New("the card of Ross is stolen"), &m)
		for i := range 1024 {
			errs.LookDriver(fmt.Errorf("another text of this driver, %d", i), &m)
		}
		_, text := errs.Look(errors.New(example), &m)
		return text
	},
}

// recovered formats a panic with v as programs do that do not know of PanicError.
func recovered(before string, v any) (err error) {
	defer func() {
		err = fmt.Errorf("%s: %v", before, recover())
	}()
	panic(v)
}

// said returns what leaves of an example after a driver has said text to the task.
func said(text string) func(string) string {
	return func(example string) string {
		var m drivertext.Memory
		errs.LookDriver(errors.New(text), &m)
		_, safe := errs.Look(errors.New(example), &m)
		return safe
	}
}

// The page lists what remains, and nothing of it is more or less than that.
func TestWhatRemains(t *testing.T) {
	page, err := os.ReadFile("../docs/sensitive-data.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## What remains\n")
	section, _, _ = strings.Cut(section, "\n## ")
	shown := map[string]bool{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 || !strings.Contains(cells[1], "`") {
			continue
		}
		example, want := strings.Trim(cells[1], "` "), strings.Trim(cells[2], "` ")
		found := false
		for part, text := range remains {
			if !strings.Contains(cells[0], part) {
				continue
			}
			found, shown[part] = true, true
			if got := text(example); got != want {
				t.Errorf("%s: %q leaves as %q, and not as %q", part, example, got, want)
			}
		}
		if !found {
			t.Errorf("nothing shows the row %q", cells[0])
		}
	}
	if len(shown) != len(remains) {
		t.Errorf("%d of %d rows are on the page", len(shown), len(remains))
	}
}

// FuzzSaid plants a value of plain letters in what a driver says, and looks for it in
// what leaves of altered copies.
func FuzzSaid(f *testing.F) {
	for i, v := range values {
		for shape := byte(i % 5); shape < 25; shape += 5 {
			f.Add(shape, uint16(i), v, values[(i+7)%len(values)], "save the order")
		}
	}
	f.Add(byte(77), uint16(1), "1", "Key"+strings.Repeat("*", 4200)+" (a)=(", "save the order")
	f.Add(byte(22), uint16(1), "a b", strings.Repeat("*", 4090)+" c", "save the order")
	const maxRead = 8 << 10 // what is read of an application's text
	forms := map[string]func(string) string{
		"as it is": func(s string) string { return s }, "upper case": strings.ToUpper, "lower case": strings.ToLower,
		"%q":           func(s string) string { return fmt.Sprintf("%q", s) },
		"%q twice":     func(s string) string { return fmt.Sprintf("%q", fmt.Sprintf("%q", s)) },
		"%x":           func(s string) string { return fmt.Sprintf("%x", s) },
		"% X":          func(s string) string { return fmt.Sprintf("% X", s) },
		"joined lines": func(s string) string { return strings.Join(strings.Fields(s), " ") },
		"trimmed":      func(s string) string { return strings.Trim(s, " \"'`.:()\n") },
	}
	f.Fuzz(func(t *testing.T, shape byte, code uint16, before, after, own string) {
		const value = "timbuktu"
		own = without(own, "m")
		text := before + " " + value + " " + after
		var err error
		switch shape % 25 {
		case 22:
			err = errors.New(text)
		case 23:
			err = row{text}
		case 24:
			err = &appError{text, errors.New(text)}
		default:
			err = leaf(shape%25, code, text)
		}
		var m drivertext.Memory
		if err == nil {
			if class, got := errs.LookDriver(nil, &m); got != "" || class != (errs.Class{}) {
				t.Errorf("no error is %q, %v", got, class)
			}
			return
		}
		if _, got := errs.LookDriver(err, &m); strings.Contains(strings.ToLower(got), value) {
			t.Fatalf("%T: the driver's text is %q", err, got)
		}
		for name, form := range forms {
			copied := form(err.Error())
			for _, flat := range []error{errors.New(copied), fmt.Errorf("%s: %s", own, copied), fmt.Errorf("%s %s: %w", own, copied, err)} {
				_, got := errs.Look(flat, &m)
				if len(flat.Error()) > maxRead {
					checkText(t, got)
					continue // up to four words of a text that is cut remain, by design
				}
				if strings.Contains(strings.ToLower(got), value) {
					t.Errorf("%s: the value got out of %q as %q", name, flat, got)
				}
				checkText(t, got)
			}
		}
	})
}
