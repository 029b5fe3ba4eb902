package target

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxName is the length of the longest component of a namespace. The
	// longest identifier of the systems at hand, SQL Server's, has as many
	// characters.
	maxName = 128
	// maxHost is the length of the longest host name in DNS.
	maxHost = 253
	// maxPath is the length of the longest path of a Unix socket.
	maxPath = 108
)

// endpoint is a server as a DSN names it, decoded but not checked. Both parts
// may be empty: the driver then has a default.
type endpoint struct{ name, port string }

// parsePort reads a port. An empty one is 0.
func parsePort(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	if !isDigits(s) {
		return 0, false
	}
	port, err := strconv.ParseUint(s, 10, 16)
	return int(port), err == nil && port > 0
}

// splitHost splits host, host:port, [IPv6] and [IPv6]:port. An IPv6 address
// without brackets is not accepted, since its end looks like a port.
func splitHost(s string) (endpoint, bool) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		name, port, ok := strings.Cut(rest, "]")
		if !ok || !isIPv6(name) {
			return endpoint{}, false
		}
		if port != "" && port[0] != ':' {
			return endpoint{}, false
		}
		return endpoint{name, strings.TrimPrefix(port, ":")}, true
	}
	name, port, _ := strings.Cut(s, ":")
	return endpoint{name, port}, !strings.ContainsAny(port, ":[]") && !strings.ContainsAny(name, "[]")
}

// isIPv6 reports whether s is an IPv6 address. One with a zone is not taken
// for one, as the zone may be any text.
func isIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// isHost reports whether s is a host name or an IP address. Underscores are
// none of DNS's characters, but are common in the names of containers.
func isHost(s string) bool {
	if isIPv6(s) {
		return true
	}
	if len(s) > maxHost {
		return false
	}
	if strings.Trim(s, "0123456789.") == "" {
		_, err := netip.ParseAddr(s)
		return err == nil
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// isSocket reports whether s is the absolute path of a Unix socket or of its
// directory. Colons are in those of Cloud SQL. Below home directories a path
// reveals a user's name and is not accepted.
func isSocket(s string) bool {
	if len(s) < 2 || len(s) > maxPath || s[0] != '/' ||
		strings.HasPrefix(s, "/home/") || strings.HasPrefix(s, "/Users/") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && strings.IndexByte("/._-:", c) < 0 {
			return false
		}
	}
	return true
}

// isName reports whether s may be a component of a namespace: letters and
// digits of any script, and what is common between them.
func isName(s string) bool {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.$", r) {
			return false
		}
	}
	return true
}

// isAlnum reports whether c is an ASCII letter or digit.
func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// isDigits reports whether s consists of ASCII digits only.
func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
