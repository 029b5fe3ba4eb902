package target

import "strings"

// parseMySQL reads [user[:password]@][net[(address)]]/[database][?params],
// the form of go-sql-driver/mysql, and mysql:// and mariadb:// URLs.
//
// Passwords are not escaped in that form and may hold everything. The driver
// goes by the last slash, and by the last @ before it. That is wrong where the
// parameters have a slash or an @, so such a DSN is not read; and a password
// with a slash is accepted only if nothing else in it could be the end of an
// address or the start of one.
func parseMySQL(dsn string) (f parts, ok bool) {
	if scheme, _, ok := cutScheme(dsn); ok && (scheme == "mysql" || scheme == "mariadb") {
		u, ok := parseURL(dsn)
		f.hosts = u.hosts
		f.addNamespace(u.path)
		return f, ok
	}
	if dsn == "" {
		return f, true
	}
	slash := strings.LastIndexByte(dsn, '/')
	if slash < 0 || strings.Contains(dsn[slash:], "@") {
		return f, false
	}
	server := dsn[:slash]
	if at := strings.LastIndexByte(server, '@'); at >= 0 {
		user := server[:at]
		if strings.Contains(user, "/") && (user[0] == '/' || strings.ContainsAny(user, "@?()")) {
			return f, false
		}
		server = server[at+1:]
	}
	database, _, _ := strings.Cut(dsn[slash+1:], "?")
	if database, ok = decode(database); !ok {
		return f, false
	}
	f.addNamespace(database)
	network, address, found := strings.Cut(server, "(")
	if found {
		if address, found = strings.CutSuffix(address, ")"); !found {
			return f, false
		}
	} else if network != "" && network != "tcp" && network != "unix" {
		// A network without an address has to be one that the driver has a
		// default address for. Any other word is a part of something else.
		return f, false
	}
	return f, f.addMySQLAddress(network, address)
}

// addMySQLAddress adds a server by what go-sql-driver/mysql calls network and
// address. Networks that an application has registered have addresses of their
// own kind, of which only the outside is looked at.
func (f *parts) addMySQLAddress(network, address string) bool {
	switch network {
	case "", "tcp", "tcp4", "tcp6":
		h, ok := splitHost(address)
		f.hosts = append(f.hosts, h)
		return ok && !isSocket(h.name)
	case "unix":
		f.hosts = append(f.hosts, endpoint{name: address})
		return address == "" || isSocket(address)
	default:
		for i := range len(network) {
			if c := network[i]; !isAlnum(c) && strings.IndexByte("+-_", c) < 0 {
				return false
			}
		}
		return !strings.ContainsAny(address, "@()?")
	}
}
