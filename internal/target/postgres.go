package target

import (
	"net/netip"
	"strings"
	"unicode"
)

// postgresSpace is what separates the settings of a list. Lists are written
// over several lines at times.
const postgresSpace = " \t\n\r\v\f"

// isPostgresList reports whether dsn is a list of settings that libpq reads, in
// which white space is the only kind of control character.
func isPostgresList(system, dsn string) bool {
	switch system {
	case postgreSQL, cockroachDB, redshift:
	default:
		return false
	}
	_, _, isURL := cutScheme(dsn)
	return !isURL && !strings.ContainsFunc(dsn, func(r rune) bool {
		return unicode.IsControl(r) && !strings.ContainsRune(postgresSpace, r)
	})
}

// parsePostgres reads both forms of libpq: a URL, and a list of key=value.
// A value that the driver takes from the environment, a service file or the user's name
// where the DSN has none is not looked at.
func parsePostgres(dsn string) (parts, bool) {
	if _, _, ok := cutScheme(dsn); ok {
		return parsePostgresURL(dsn)
	}
	settings, ok := parsePostgresSettings(dsn)
	if !ok || settings["dbname"] != "" && settings["database"] != "" {
		return parts{}, false
	}
	return partsOfPostgres(settings["host"], settings["hostaddr"], settings["port"], settings["dbname"]+settings["database"])
}

// parsePostgresURL reads postgres://user:password@host:port/dbname. Host, port
// and dbname may be parameters instead; if they are both, drivers do not agree
// on which one counts.
func parsePostgresURL(dsn string) (f parts, ok bool) {
	u, ok := parseURL(dsn)
	if !ok {
		return f, false
	}
	switch u.scheme {
	case "postgres", "postgresql", "cockroach", "cockroachdb", "redshift":
	default:
		return f, false
	}
	database, ok := u.params.get("dbname", "database")
	if !ok || database != "" && u.path != "" {
		return f, false
	}
	if len(u.hosts) > 0 {
		if u.params.has("host", "hostaddr", "port") {
			return f, false
		}
		f.hosts = u.hosts
		f.addNamespace(database)
		f.addNamespace(u.path)
		return f, true
	}
	host, okHost := u.params.get("host")
	addr, okAddr := u.params.get("hostaddr")
	port, okPort := u.params.get("port")
	if !okHost || !okAddr || !okPort {
		return f, false
	}
	return partsOfPostgres(host, addr, port, database+u.path)
}

// partsOfPostgres puts settings of libpq together. host, hostaddr and port may
// be lists, one entry a server. libpq connects to hostaddr, which pgx does not
// look at: with it alone the server is unknown, and with both it fails.
func partsOfPostgres(host, hostaddr, port, database string) (f parts, ok bool) {
	f.addNamespace(database)
	names := splitList(host)
	addrs := splitList(hostaddr)
	for _, addr := range addrs {
		if _, err := netip.ParseAddr(addr); err != nil {
			return f, false
		}
	}
	if len(names) > 0 && len(addrs) > 0 {
		return f, false
	}
	names = append(names, make([]string, len(addrs))...)
	ports := splitList(port)
	if len(ports) > 1 && len(ports) != len(names) {
		return f, false
	}
	if len(names) == 0 {
		// The server is unknown, but a port that is none is a mistake.
		names = []string{""}
	}
	for i, name := range names {
		h := endpoint{name: name}
		switch len(ports) {
		case 0:
		case 1:
			h.port = ports[0]
		default:
			h.port = ports[i]
		}
		f.hosts = append(f.hosts, h)
	}
	return f, true
}

// splitList splits a list with commas. An empty one has no entries.
func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// parsePostgresSettings reads a list of key=value. Values may be quoted with
// ' and have characters escaped with a backslash, and there may be white space
// around =. It fails where a value with an unescaped space or quote would have
// the list go on in the middle of it: at a key that is no identifier, at one
// that is there twice, at text after a closing quote, at an empty value that
// libpq would have the next setting taken for, and at a value that holds what
// looks like a setting: a backslash at the end of the one before has hidden it.
func parsePostgresSettings(dsn string) (map[string]string, bool) {
	settings := map[string]string{}
	for s := strings.TrimLeft(dsn, postgresSpace); s != ""; s = strings.TrimLeft(s, postgresSpace) {
		key, rest, ok := strings.Cut(s, "=")
		key = strings.TrimRight(key, postgresSpace)
		if _, twice := settings[key]; !ok || twice || !isPostgresKey(key) {
			return nil, false
		}
		value := strings.TrimLeft(rest, postgresSpace)
		spaced := len(value) != len(rest)
		quoted := strings.HasPrefix(value, "'")
		var b strings.Builder
		i, closed := 0, !quoted
		if quoted {
			i = 1
		}
	scan:
		for ; i < len(value); i++ {
			switch c := value[i]; {
			case c == '\\':
				if i++; i == len(value) {
					return nil, false
				}
				b.WriteByte(value[i])
			case quoted && c == '\'':
				closed = true
				i++
				break scan
			case !quoted && strings.IndexByte(postgresSpace, c) >= 0:
				break scan
			default:
				b.WriteByte(c)
			}
		}
		if s = value[i:]; !closed || s != "" && strings.IndexByte(postgresSpace, s[0]) < 0 {
			return nil, false
		}
		if !quoted && spaced && strings.Contains(b.String(), "=") || holdsPostgresSetting(b.String()) {
			return nil, false
		}
		settings[key] = b.String()
	}
	return settings, true
}

// holdsPostgresSetting reports whether a value has one of the settings of a
// connection in it, behind white space.
func holdsPostgresSetting(value string) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune(postgresSpace, r) }) {
		switch key, _, ok := strings.Cut(part, "="); key {
		case "host", "hostaddr", "port", "dbname", "database", "user", "password":
			if ok && len(part) < len(value) {
				return true
			}
		}
	}
	return false
}

// isPostgresKey reports whether s may be the name of a setting: one of libpq's,
// or a run-time parameter, which may have a dot.
func isPostgresKey(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '_' && c != '.' {
			return false
		}
	}
	return s != "" && !isDigits(s[:1])
}
