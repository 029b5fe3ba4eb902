package target

import (
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
// No parser recognises, the drivers' own included, a password that
// spells a complete further setting (password=x dbname=y), in a list that does
// not have that setting otherwise.

// maxDSN is the length of the longest DSN that is read.
const maxDSN = 8 << 10

// parse finds hosts and namespace in a DSN of the system. It returns false
// if it is not sure, or does not know the system's form.
func parse(system, dsn string) (parts, bool) {
	if len(dsn) > maxDSN || !utf8.ValidString(dsn) {
		return parts{}, false
	}
	if strings.ContainsFunc(dsn, unicode.IsControl) && !isPostgresList(system, dsn) {
		return parts{}, false
	}
	switch system {
	case postgreSQL, cockroachDB, redshift:
		return parsePostgres(dsn)
	case mySQL, mariaDB:
		return parseMySQL(dsn)
	case sqlite:
		return parseSQLite(dsn)
	case sqlServer:
		return parseSQLServer(dsn)
	case oracle:
		return parseOracle(dsn)
	case clickHouse:
		return parseClickHouse(dsn)
	case trino:
		return parseTrino(dsn)
	default:
		return parts{}, false
	}
}

// parseSQLite reads a path or a file: URI. Only the base name of the file
// is taken, and only from what is before the parameters, among which drivers
// have users, passwords and keys. A database in memory or in a temporary file
// has no name: that of a shared one in memory means nothing outside of the
// process.
func parseSQLite(dsn string) (f parts, ok bool) {
	path, query, _ := strings.Cut(dsn, "?")
	if strings.ContainsAny(path, "#@;&=") {
		return f, false
	}
	if uri, found := strings.CutPrefix(path, "file:"); found {
		if path, ok = decode(uri); !ok {
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

// parseOracle reads oracle://user:password@host:port/service, go-ora's form.
// The others (user/password@host:port/service, connectString="…", with which
// godror is used) leave open where a password ends.
func parseOracle(dsn string) (f parts, ok bool) {
	u, ok := parseURL(dsn)
	if !ok || u.scheme != "oracle" || u.path != "" && !isName(u.path) || u.params.has("server", "connstr") {
		return f, false
	}
	f.hosts = u.hosts
	return f, true
}

// parseClickHouse reads clickhouse://user:password@host:port/database, also
// over tcp, http and https, and with the database as a parameter.
func parseClickHouse(dsn string) (f parts, ok bool) {
	u, ok := parseURL(dsn)
	if !ok || u.params.has("alt_hosts") {
		return f, false
	}
	switch u.scheme {
	case "clickhouse", "tcp", "http", "https", "chhttp", "chhttps":
	default:
		return f, false
	}
	database, ok := u.params.get("database")
	if !ok || database != "" && u.path != "" {
		return f, false
	}
	f.hosts = u.hosts
	f.addNamespace(database)
	f.addNamespace(u.path)
	return f, true
}

// parseTrino reads http://user@host:port?catalog=c&schema=s.
func parseTrino(dsn string) (f parts, ok bool) {
	u, ok := parseURL(dsn)
	if !ok || u.scheme != "http" && u.scheme != "https" || u.path != "" {
		return f, false
	}
	catalog, ok := u.params.get("catalog")
	if !ok {
		return f, false
	}
	schema, ok := u.params.get("schema")
	if !ok {
		return f, false
	}
	f.hosts = u.hosts
	if catalog != "" {
		f.addNamespace(catalog)
		f.addNamespace(schema)
	}
	return f, true
}
