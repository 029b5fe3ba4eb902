package taskz

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// seconds is a duration that JSON has in seconds.
type seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', -1, 64), nil
}

// String returns the duration for a reader, to three digits or so.
func (s seconds) String() string {
	d := time.Duration(s)
	switch {
	case d < 0:
		return "0 s"
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return trim(float64(d)/float64(time.Microsecond)) + " µs"
	case d < time.Second:
		return trim(float64(d)/float64(time.Millisecond)) + " ms"
	case d < time.Minute:
		return trim(d.Seconds()) + " s"
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// trim returns a number with three digits or so.
func trim(f float64) string {
	switch {
	case f < 9.995:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

// number returns a number with its digits in groups.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural returns a number of things.
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}

// percent returns a part of a whole.
func percent(part, whole float64) string {
	if whole <= 0 || part <= 0 {
		return "0 %"
	}
	p := 100 * part / whole
	if p < 1 {
		return "< 1 %"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + " %"
}

// oneLine joins the lines of a text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
