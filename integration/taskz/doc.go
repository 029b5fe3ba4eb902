// Package taskz looks at the page of tasks as people do: in Chromium, with a mouse
// and a keyboard, on a screen and on a phone, by day and by night.
//
// It needs the program chromium. Without it the test is skipped and, with CI set,
// fails. Screenshots of each view go to the test's artifacts: `go test -artifacts`.
package taskz
