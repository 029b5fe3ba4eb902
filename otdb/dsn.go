package otdb

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How DSNs are read
//
// A DSN mixes what may be recorded with what must not be, and the borders
// between them are what an unescaped password breaks. So these parsers are no
// copies of the drivers': they accept less. Each one gives up as a whole where
// a character stands that the form would have had escaped, where a setting is
// there twice, or where another driver could put a border elsewhere; and what
// comes out is recorded only if every part of it looks like what it should be,
// since one odd part is the sign that a password was cut in two.
//
// One thing no parser can tell, the drivers' own included: a password that
// spells a complete further setting (password=x dbname=y), in a list that does
// not have that setting otherwise.

const (
	// dsnMaxLen is the length of the longest DSN that is read.
	dsnMaxLen = 8 << 10
	// dsnMaxName is the length of the longest component of a namespace. The
	// longest identifier of the systems at hand, SQL Server's, has as many
	// characters.
	dsnMaxName = 128
	// dsnMaxHost is the length of the longest host name in DNS.
	dsnMaxHost = 253
	// dsnMaxPath is the length of the longest path of a Unix socket.
	dsnMaxPath = 108
)

// dsnHost is a server as a DSN names it, decoded but not checked. Both parts
// may be empty: the driver then has a default.
type dsnHost struct{ name, port string }

// dsnFields is what a parser found, decoded but not checked.
type dsnFields struct {
	hosts     []dsnHost
	namespace []string // from the most general component to the most specific
}

// parseDSN finds hosts and namespace in a DSN of the system. It returns false
// if it is not sure, or does not know the system's form.
func parseDSN(system, dsn string) (dsnFields, bool) {
	if len(dsn) > dsnMaxLen || !utf8.ValidString(dsn) {
		return dsnFields{}, false
	}
	if strings.ContainsFunc(dsn, unicode.IsControl) && !isDSNPostgresList(system, dsn) {
		return dsnFields{}, false
	}
	switch system {
	case targetPostgreSQL, targetCockroachDB, targetRedshift:
		return parsePostgresDSN(dsn)
	case targetMySQL, targetMariaDB:
		return parseMySQLDSN(dsn)
	case targetSQLite:
		return parseSQLiteDSN(dsn)
	case targetSQLServer:
		return parseSQLServerDSN(dsn)
	case targetOracle:
		return parseOracleDSN(dsn)
	case targetClickHouse:
		return parseClickHouseDSN(dsn)
	case targetTrino:
		return parseTrinoDSN(dsn)
	default:
		return dsnFields{}, false
	}
}

// addNamespace adds a component of the namespace, unless it is empty.
func (f *dsnFields) addNamespace(name string) {
	if name != "" {
		f.namespace = append(f.namespace, name)
	}
}

// target checks the fields and turns them into a target. If one of them is not
// what it should be, the target has its system only.
func (f dsnFields) target(system string) target {
	t := target{system: system}
	for _, h := range f.hosts {
		port, ok := parseDSNPort(h.port)
		if !ok || h.name != "" && !isDSNHost(h.name) && !isDSNSocket(h.name) {
			return target{system: system}
		}
		if len(f.hosts) == 1 && h.name != "" {
			t.address = h.name
			if port != targetDefaultPorts[system] {
				t.port = port
			}
		}
	}
	for _, name := range f.namespace {
		if !isDSNName(name) {
			return target{system: system}
		}
	}
	t.namespace = strings.Join(f.namespace, "|")
	return t
}

// parseDSNPort reads a port. An empty one is 0.
func parseDSNPort(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	if !isDSNDigits(s) {
		return 0, false
	}
	port, err := strconv.ParseUint(s, 10, 16)
	return int(port), err == nil && port > 0
}

// splitDSNHost splits host, host:port, [IPv6] and [IPv6]:port. An IPv6 address
// without brackets is not accepted, since its end looks like a port.
func splitDSNHost(s string) (dsnHost, bool) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		name, port, ok := strings.Cut(rest, "]")
		if !ok || !isDSNIPv6(name) {
			return dsnHost{}, false
		}
		if port != "" && port[0] != ':' {
			return dsnHost{}, false
		}
		return dsnHost{name, strings.TrimPrefix(port, ":")}, true
	}
	name, port, _ := strings.Cut(s, ":")
	return dsnHost{name, port}, !strings.ContainsAny(port, ":[]") && !strings.ContainsAny(name, "[]")
}

// isDSNIPv6 says whether s is an IPv6 address. One with a zone is not taken
// for one, as the zone may be any text.
func isDSNIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// isDSNHost says whether s is a host name or an IP address. Underscores are
// none of DNS's characters, but are common in the names of containers.
func isDSNHost(s string) bool {
	if isDSNIPv6(s) {
		return true
	}
	if len(s) > dsnMaxHost {
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
			if c := label[i]; !isDSNAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// isDSNSocket says whether s is the absolute path of a Unix socket or of its
// directory. Colons are in those of Cloud SQL. Below home directories a path
// tells a user's name and is not accepted.
func isDSNSocket(s string) bool {
	if len(s) < 2 || len(s) > dsnMaxPath || s[0] != '/' ||
		strings.HasPrefix(s, "/home/") || strings.HasPrefix(s, "/Users/") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isDSNAlnum(c) && strings.IndexByte("/._-:", c) < 0 {
			return false
		}
	}
	return true
}

// isDSNName says whether s may be a component of a namespace: letters and
// digits of any script, and what is common between them.
func isDSNName(s string) bool {
	if s == "" || len(s) > dsnMaxName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.$", r) {
			return false
		}
	}
	return true
}

// isDSNAlnum says whether c is an ASCII letter or digit.
func isDSNAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// isDSNDigits says whether s consists of ASCII digits only.
func isDSNDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
