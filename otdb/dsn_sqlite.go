package otdb

import "strings"

// parseSQLiteDSN reads a path or a file: URI. Only the base name of the file
// is taken, and only from what is before the parameters, among which drivers
// have users, passwords and keys. A database in memory or in a temporary file
// has no name: that of a shared one in memory says nothing outside of the
// process.
func parseSQLiteDSN(dsn string) (f dsnFields, ok bool) {
	path, query, _ := strings.Cut(dsn, "?")
	if strings.ContainsAny(path, "#@;&=") {
		return f, false
	}
	if uri, found := strings.CutPrefix(path, "file:"); found {
		if path, ok = decodeDSN(uri); !ok {
			return f, false
		}
		for param := range strings.SplitSeq(query, "&") {
			if param == "mode=memory" || strings.HasPrefix(param, "vfs=mem") {
				return f, true
			}
		}
		if rest, found := strings.CutPrefix(path, "//"); found {
			// The authority of a file: URI is empty or localhost.
			if path, found = strings.CutPrefix(rest, "localhost"); found && !strings.HasPrefix(path, "/") {
				return f, false
			} else if !found && !strings.HasPrefix(rest, "/") {
				return f, false
			}
		}
	} else if strings.Contains(path, "://") {
		return f, false
	}
	if path == ":memory:" {
		return f, true
	}
	base := path[strings.LastIndexAny(path, `/\`)+1:]
	if strings.Trim(base, ".") == "" {
		return f, base == ""
	}
	f.addNamespace(base)
	return f, true
}
