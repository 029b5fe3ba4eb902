package target

import (
	"cmp"
	"strings"
)

// adoNames has the names of the settings that are read, by what else they
// are called in ADO's list. ODBC's list does not have these.
var adoNames = map[string]string{
	"data source":     "server",
	"address":         "server",
	"network address": "server",
	"addr":            "server",
	"initial catalog": "database",
}

// parseSQLServer reads the three forms of go-mssqldb: a URL, ADO's list, and
// ODBC's list after "odbc:".
func parseSQLServer(dsn string) (parts, bool) {
	if _, _, ok := cutScheme(dsn); ok {
		return parseSQLServerURL(dsn)
	}
	var settings map[string]string
	var ok bool
	if list, odbc := strings.CutPrefix(dsn, "odbc:"); odbc {
		settings, ok = parseSQLServerList(list, nil, cutODBCValue)
		ok = ok && !strings.ContainsAny(settings["server"], ":,") // all of it is a name to the driver
	} else {
		settings, ok = parseSQLServerList(dsn, adoNames, cutADOValue)
	}
	if !ok {
		return parts{}, false
	}
	f, ok := partsOfSQLServer(settings["server"], settings["port"], settings["database"])
	if settings["failoverpartner"] != "" && ok {
		f.hosts = []endpoint{{}} // one of two
	}
	return f, ok
}

// parseSQLServerURL reads sqlserver://user:password@host:port/instance?database=x.
func parseSQLServerURL(dsn string) (f parts, ok bool) {
	u, ok := parseURL(dsn)
	if !ok || u.scheme != "sqlserver" || u.params.has("server", "port") || len(u.hosts) > 1 {
		return f, false
	}
	database, ok := u.params.get("database")
	if !ok {
		return f, false
	}
	f.hosts = u.hosts
	return f, f.addSQLServerNamespace(u.path, database)
}

// partsOfSQLServer puts the settings of a list together. The server may be
// tcp:host\instance,port.
func partsOfSQLServer(server, port, database string) (f parts, ok bool) {
	server, admin := strings.CutPrefix(server, "admin:")
	if !admin {
		server = strings.TrimPrefix(server, "tcp:")
	}
	server, own, found := strings.Cut(server, ",")
	if found {
		if port != "" || own == "" {
			return f, false
		}
		port = own
	}
	if admin {
		port = "1434" // whatever else is there
	}
	host, instance, _ := strings.Cut(server, `\`)
	if host == "." || strings.EqualFold(host, "(local)") {
		host = "localhost"
	}
	f.hosts = []endpoint{{host, port}}
	return f, !isSocket(host) && f.addSQLServerNamespace(instance, database)
}

// addSQLServerNamespace adds instance and database, as long as a database is
// known. It returns false if the instance is no name.
func (f *parts) addSQLServerNamespace(instance, database string) bool {
	if database != "" {
		f.addNamespace(instance)
		f.addNamespace(database)
	}
	return instance == "" || isName(instance)
}

// parseSQLServerList reads a list of key=value with semicolons. names has what
// keys stand for, and cut takes the value off the start of what follows the
// equals sign. The list fails at a key that is no name and at one that is there
// twice, both of which a semicolon in a password leads to.
func parseSQLServerList(list string, names map[string]string, cut func(string) (value, rest string, ok bool)) (map[string]string, bool) {
	settings := map[string]string{}
	for {
		list = strings.TrimLeft(list, " ;")
		if list == "" {
			return settings, true
		}
		key, rest, ok := strings.Cut(list, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !ok || !isSQLServerKey(key) {
			return nil, false
		}
		value, rest, ok := cut(strings.TrimLeft(rest, " "))
		if !ok {
			return nil, false
		}
		key = cmp.Or(names[key], key)
		if _, twice := settings[key]; twice {
			return nil, false
		}
		settings[key], list = value, rest
	}
}

// isSQLServerKey reports whether s, in lower case, may be the name of a setting.
func isSQLServerKey(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != ' ' && c != '_' {
			return false
		}
	}
	return s != ""
}

// cutADOValue takes a value of ADO's list. One may be quoted with ", doubled
// inside. Quotes anywhere else, and the other quotes that ADO has and Go's
// driver does not, make it fail.
func cutADOValue(s string) (value, rest string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		return cutSQLServerQuoted(s[1:], '"')
	}
	value, rest, _ = strings.Cut(s, ";")
	value = strings.TrimRight(value, " ")
	return value, rest, !strings.Contains(value, `"`) && !strings.HasPrefix(value, "'") && !strings.HasPrefix(value, "{")
}

// cutODBCValue takes a value of ODBC's list. One may be in braces, the closing
// one doubled inside. Braces anywhere else make it fail.
func cutODBCValue(s string) (value, rest string, ok bool) {
	if strings.HasPrefix(s, "{") {
		return cutSQLServerQuoted(s[1:], '}')
	}
	value, rest, _ = strings.Cut(s, ";")
	value = strings.TrimRight(value, " ")
	return value, rest, !strings.ContainsAny(value, `{}"`) && !strings.HasPrefix(value, "'")
}

// cutSQLServerQuoted takes a value that ends with a quote, doubled inside, and
// after which the list goes on or ends.
func cutSQLServerQuoted(s string, quote byte) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != quote {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		rest = strings.TrimLeft(s[i+1:], " ")
		return b.String(), rest, rest == "" || rest[0] == ';'
	}
	return "", "", false
}
