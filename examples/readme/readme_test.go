package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// asProgram makes the test binary behave as the program that it tests.
const asProgram = "README_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// blocks returns what the README has in fences of one kind.
func blocks(t *testing.T, kind string) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile("(?s)\n```"+kind+"\n(.*?\n)```\n").FindAllSubmatch(readme, -1) {
		found = append(found, string(match[1]))
	}
	return found
}

// TestProgram: the README shows this program and no other, to the letter.
func TestProgram(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if got := blocks(t, "go"); len(got) != 1 || got[0] != string(program) {
		t.Errorf("the README has %d programs, and the first should be\n%s", len(got), program)
	}
}

// TestOutput: the program prints what the README says, but for times.
func TestOutput(t *testing.T) {
	texts := blocks(t, "text")
	if len(texts) == 0 {
		t.Fatal("the README shows no output")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") })
	cmd.Env = append(cmd.Env, asProgram+"=1", "OTEL_TRACES_EXPORTER=tree", "COLUMNS=100")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if got, want := mask(stdout.String()+stderr.String()), mask(texts[0]); got != want {
		t.Errorf("it prints\n%s\nand the README shows\n%s", got, want)
	}
}

// mask replaces what differs from run to run: bars, times, and blanks.
func mask(text string) string {
	text = regexp.MustCompile(`▕.*▏`).ReplaceAllString(text, "|bar|")
	text = regexp.MustCompile(`\d+(\.\d+)? (µs|ms|s|ns)\b`).ReplaceAllString(text, "TIME")
	text = regexp.MustCompile(`\d+/\d+/\d+ \d+:\d+:\d+`).ReplaceAllString(text, "DATE")
	text = regexp.MustCompile(` +`).ReplaceAllString(text, " ")
	return strings.TrimSpace(text)
}
