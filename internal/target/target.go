// Package target reads a DSN or a connector: which database system it belongs
// to, and which server and database it leads to.
package target

import (
	"cmp"
	"database/sql/driver"
	"strings"
)

// Target is what is known of the database that a DSN or a connector leads to.
// It is recorded on spans and metrics, so it holds nothing that could be part
// of a password, of a user's name or of an unrelated parameter: a DSN that can
// be read in two ways yields its system and nothing else.
//
// Address and namespace are those the connection is made with. Later changes of
// a session (USE, SET search_path) are not followed.
type Target struct {
	// System is the value of db.system.name, other_sql if it is unknown.
	System string
	// Namespace is the value of db.namespace, empty if it is unknown:
	//
	//   - PostgreSQL and its relatives: the database. The schema is left out,
	//     because a search path is hardly ever part of a DSN, and the user's
	//     name, which libpq takes for a missing database, is never put in.
	//   - MySQL, MariaDB, ClickHouse: the database.
	//   - SQL Server: database, or instance|database for a named instance. An
	//     instance alone would read as a database, and is left out.
	//   - Trino: catalog|schema, or the catalog alone.
	//   - SQLite: the base name of the file. Directories are left out, as they
	//     reveal users' names; a database in memory has no name.
	//   - Oracle: nothing. The conventions ask for DB_UNIQUE_NAME, which is not
	//     part of a DSN: that names a service.
	Namespace string
	// Address is the value of server.address: a host name, an IP address
	// without brackets, or the path of a Unix socket (for PostgreSQL the
	// directory that the socket is in, as the DSN has it). It is empty if it is
	// unknown, and if there are several hosts.
	Address string
	// Port is the value of server.port, 0 if it is unknown or the default one
	// of the system. The port of a PostgreSQL socket distinguishes two servers
	// in one directory.
	Port int
}

// FromDSN returns the target of a DSN. drv may be nil: the import path of its
// type is the best sign of the system, the name it is registered under the
// second, and the scheme of a URL the third. FromDSN never panics.
func FromDSN(driverName string, drv driver.Driver, dsn string) Target {
	system := refine(systemOfType(drv), systemOfName(driverName))
	if system == "" {
		system = systemOfScheme(dsn)
	}
	if p, ok := parse(system, dsn); ok {
		return p.target(system)
	}
	return Target{System: system}
}

// FromDriver returns the target of a driver, of which only the system is known.
func FromDriver(drv driver.Driver) Target {
	return Target{System: cmp.Or(systemOfType(drv), otherSQL)}
}

// Or completes t with inferred. An address and its port belong together, so
// both are taken or neither. A default port becomes 0.
func (t Target) Or(inferred Target) Target {
	t.System = cmp.Or(t.System, inferred.System, otherSQL)
	t.Namespace = cmp.Or(t.Namespace, inferred.Namespace)
	if t.Address == "" {
		t.Address, t.Port = inferred.Address, inferred.Port
	}
	if t.Port == t.DefaultPort() {
		t.Port = 0
	}
	return t
}

// DefaultPort returns the port that the conventions leave out of server.port, 0
// if the system has none.
func (t Target) DefaultPort() int { return defaultPorts[t.System] }

// parts is what a parser found, decoded but not checked.
type parts struct {
	hosts     []endpoint
	namespace []string // from the most general component to the most specific
}

// addNamespace adds a component of the namespace, unless it is empty.
func (p *parts) addNamespace(name string) {
	if name != "" {
		p.namespace = append(p.namespace, name)
	}
}

// target checks the parts and turns them into a target. If one of them is not
// what it should be, the target has its system only.
func (p parts) target(system string) Target {
	t := Target{System: system}
	for _, h := range p.hosts {
		port, ok := parsePort(h.port)
		if !ok || h.name != "" && !isHost(h.name) && !isSocket(h.name) {
			return Target{System: system}
		}
		if len(p.hosts) == 1 && h.name != "" {
			t.Address = h.name
			if port != t.DefaultPort() {
				t.Port = port
			}
		}
	}
	for _, name := range p.namespace {
		if !isName(name) {
			return Target{System: system}
		}
	}
	t.Namespace = strings.Join(p.namespace, "|")
	return t
}
