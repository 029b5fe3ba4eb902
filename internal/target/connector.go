package target

import (
	"database/sql/driver"
	"reflect"
	"strconv"
)

// FromConnector returns the target of a connector. Its system comes from
// its own type or that of its driver. Address and namespace are known for the
// connectors of github.com/jackc/pgx and github.com/go-sql-driver/mysql, whose
// configurations show beyond doubt what is the host and what the database; of
// any other connector only the system is. It never panics, whatever c is.
//
// Connectors of lib/pq and go-mssqldb are left out on purpose: they keep what
// net/url made of a DSN, which for an unescaped password can be a part of it
// in the place of the host, and no longer have the DSN.
func FromConnector(c driver.Connector) (t Target) {
	t.System = otherSQL
	// A connector is foreign code, and reflection over its fields relies on
	// what they were in the releases known today.
	defer func() {
		if recover() != nil {
			t = Target{System: t.System}
		}
	}()
	own := systemOfType(c)
	switch {
	case own != "":
		t.System = own
	case c != nil:
		if system := systemOfType(c.Driver()); system != "" {
			t.System = system
		}
	}
	var fields parts
	var ok bool
	switch own {
	case postgreSQL:
		fields, ok = partsOfPgx(reflect.ValueOf(c))
	case mySQL:
		fields, ok = partsOfMySQL(reflect.ValueOf(c))
	}
	if !ok {
		return t
	}
	return fields.target(t.System)
}

// partsOfPgx reads the connector of pgx's stdlib package, which embeds
// the configuration or has a pool with it.
func partsOfPgx(v reflect.Value) (parts, bool) {
	v = field(v)
	if pool := field(v, "pool", "config", "ConnConfig"); pool.IsValid() {
		v = pool
	}
	host, port, database := field(v, "Host"), field(v, "Port"), field(v, "Database")
	dsn, fallbacks := field(v, "connString"), field(v, "Fallbacks")
	if !areStrings(host, database, dsn) || !port.IsValid() || !port.CanUint() ||
		!fallbacks.IsValid() || fallbacks.Kind() != reflect.Slice {
		return parts{}, false
	}
	// pgx takes what is before the first @ for the password. If the DSN is one
	// that is not trusted here, what pgx read in it is not either.
	if s := dsn.String(); s != "" {
		if _, ok := parse(postgreSQL, s); !ok {
			return parts{}, false
		}
	}
	first := endpoint{host.String(), strconv.FormatUint(port.Uint(), 10)}
	fields := parts{hosts: []endpoint{first}}
	fields.addNamespace(database.String())
	// A second entry for the same host is the same server without TLS.
	for i := range fallbacks.Len() {
		host, port := field(fallbacks.Index(i), "Host"), field(fallbacks.Index(i), "Port")
		if !areStrings(host) || !port.IsValid() || !port.CanUint() {
			return parts{}, false
		}
		if h := (endpoint{host.String(), strconv.FormatUint(port.Uint(), 10)}); h != first {
			fields.hosts = append(fields.hosts, h)
		}
	}
	return fields, true
}

// partsOfMySQL reads the connector of go-sql-driver/mysql, which has a
// pointer to the configuration.
func partsOfMySQL(v reflect.Value) (parts, bool) {
	network, address, database := field(v, "cfg", "Net"), field(v, "cfg", "Addr"), field(v, "cfg", "DBName")
	if !areStrings(network, address, database) {
		return parts{}, false
	}
	var fields parts
	fields.addNamespace(database.String())
	return fields, fields.addMySQLAddress(network.String(), address.String())
}

// field follows a path of fields, through pointers and interfaces. It
// returns the zero Value if there is no such path or a pointer on it is nil.
func field(v reflect.Value, path ...string) reflect.Value {
	for {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if len(path) == 0 || !v.IsValid() {
			return v
		}
		if v.Kind() != reflect.Struct {
			return reflect.Value{}
		}
		v, path = v.FieldByName(path[0]), path[1:]
	}
}

// areStrings reports whether all values are strings. Value.String makes up a
// text for every other kind.
func areStrings(values ...reflect.Value) bool {
	for _, v := range values {
		if v.Kind() != reflect.String {
			return false
		}
	}
	return true
}
