//go:build race

package otpgx_test

const raceEnabled = true
