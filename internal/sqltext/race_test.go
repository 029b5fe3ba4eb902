//go:build race

package sqltext_test

// stride is how many bytes apart TestParseProperties cuts texts. One goroutine
// has no races, and the detector makes each cut take twenty times as long.
const stride = 48
