package errs_test

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/taskspan/taskspan/errs"
)

type till struct {
	stacks [2][]byte
	total  int
}

//go:noinline
func (x *till) charge(card int) {
	func() {
		defer func() {
			_ = recover()
			x.stacks = [2][]byte{debug.Stack(), errs.Stack()}
		}()
		panic("declined")
	}()
	x.total += card // so that it is kept on the stack
}

//go:noinline
func chargeAny[T any](x *till, _ T, card int) { x.charge(card) }

func TestStack(t *testing.T) {
	const card = 0x3b9d3828 // of 32 bits
	x := new(till)
	chargeAny(x, "a", card)
	if !strings.Contains(string(x.stacks[0]), "3b9d3828") {
		t.Fatalf("debug.Stack does not print the argument, so that this test shows nothing:\n%s", x.stacks[0])
	}
	for _, got := range []string{string(x.stacks[1]), (&errs.PanicError{Stack: x.stacks[0]}).SafeStack()} {
		for _, want := range []string{"goroutine ", " [running]:\n", "errs_test.(*till).charge(...)\n", "errs_test.chargeAny[...](...)\n", "errs/stack_test.go:29\n", "panic(...)\n", "\ncreated by testing.(*T).Run in goroutine "} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in\n%s", want, got)
			}
		}
		for _, no := range []string{"3b9d3828", "0x"} {
			if strings.Contains(got, no) {
				t.Errorf("%q is in\n%s", no, got)
			}
		}
		if again := (&errs.PanicError{Stack: []byte(got)}).SafeStack(); again != got {
			t.Errorf("not the same twice:\n%s", again)
		}
	}
}

func TestSafeStack(t *testing.T) {
	if got := (*errs.PanicError)(nil).SafeStack(); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	for line, want := range map[string]string{
		"":                                            "",
		canary:                                        "",
		"panic: " + canary:                            "",
		"panic({0x5c3f20, 0xc00001})":                 "panic(...)\n",
		"main.pay({0xc00001, 0x5}, 0x2a)":             "main.pay(...)\n",
		"main.pay(...)":                               "main.pay(...)\n",
		"main.(*T).pay(0x2a, \"" + canary:             "",
		"main.pay(" + canary + ")":                    "main.pay(...)\n",
		"a " + canary + " of main.pay(0x1)":           "",
		"\t/src/main.go:12 +0x1d":                     "\t/src/main.go:12\n",
		"\t/src/main.go:12":                           "\t/src/main.go:12\n",
		"\t" + canary:                                 "",
		"\t/src/main.go:" + canary:                    "",
		"goroutine 7 [running]:":                      "goroutine 7 [running]:\n",
		"goroutine 7 [select (no cases)]:":            "goroutine 7 [select (no cases)]:\n",
		"goroutine 7 gp=0x2a m=1 [running]":           "",
		"created by main.main":                        "created by main.main\n",
		"created by main.main in goroutine " + canary: "",
		"main.\xff(0x1)":                              "main.\uFFFD(...)\n",
	} {
		if got := (&errs.PanicError{Stack: []byte(line + "\n")}).SafeStack(); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}
