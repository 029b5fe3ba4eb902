//go:build !race

package otdb_test

const raceEnabled = false
