//go:build !race

package sqltext_test

// stride is how many bytes apart TestParseProperties cuts texts.
const stride = 4
