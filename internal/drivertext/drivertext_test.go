package drivertext_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/taskspan/taskspan/internal/drivertext"
)

func within(raw string) (safe []string) {
	for _, t := range drivertext.Within(raw) {
		safe = append(safe, t.Safe)
	}
	return safe
}

func TestRemember(t *testing.T) {
	const text = "unknown network 'secret'"
	if drivertext.Said(text) || within("open: "+text) != nil {
		t.Fatal("known before it was said")
	}
	drivertext.Remember("", "nothing")
	drivertext.Remember(text, "safe")
	drivertext.Remember(text, "another")
	drivertext.Remember("short", "short")
	if !drivertext.Said(text) || !drivertext.Said("short") || drivertext.Said("") || drivertext.Said("open: "+text) {
		t.Error("Said is wrong")
	}
	if got := fmt.Sprint(within("open: " + text + ": short")); got != "[safe]" {
		t.Errorf("within: %s", got)
	}
}

func TestRememberLong(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	drivertext.Remember("long "+long, "safe")
	found := drivertext.Within("open: long " + long)
	if len(found) != 1 || !found[0].Cut || len(found[0].Raw) != 4096 || !drivertext.Said("long "+long) {
		t.Errorf("found %d texts", len(found))
	}
}

// A text is found in whatever way it was put into another one.
func TestForms(t *testing.T) {
	text := "missing \"=\" after <the \\ word> \x01 secret"
	drivertext.Remember(text, "safe")
	encoded, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{text, fmt.Sprintf("%q", text), string(encoded)} {
		if got := fmt.Sprint(within(raw)); got != "[safe]" {
			t.Errorf("within %s: %s", raw, got)
		}
	}
	for c := range rune(0x100) {
		raw := "a" + string(c)
		encoded, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		got := drivertext.Forms(raw)
		if slices.Sort(got); len(slices.Compact(got)) != len(got) {
			t.Errorf("%q has a form twice: %q", raw, got)
		}
		for _, text := range []string{raw, strconv.Quote(raw), string(encoded)} {
			if !slices.Contains(got, text) && !slices.Contains(got, text[1:len(text)-1]) {
				t.Errorf("%q has the forms %q and not %s", raw, got, text)
			}
		}
	}
}

// What is remembered is bounded, whoever says how much, and the newest is known.
func TestForget(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				text := fmt.Sprintf("driver %d said the text %d", i, j)
				drivertext.Remember(text, "safe")
				drivertext.Within(text)
			}
		})
	}
	wg.Wait()
	drivertext.Remember("the last of all texts", "last")
	var all strings.Builder
	for i := range 8 {
		for j := range 100 {
			fmt.Fprintf(&all, "driver %d said the text %d\n", i, j)
		}
	}
	all.WriteString("the last of all texts")
	if got := within(all.String()); len(got) != 128 || got[len(got)-1] != "last" {
		t.Errorf("%d texts are known", len(got))
	}
	if drivertext.Said("driver 0 said the text 0") {
		t.Error("the oldest text is still known")
	}
}
