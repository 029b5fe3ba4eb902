package otdb

import (
	"database/sql/driver"
	"reflect"
	"strconv"
)

// targetFromConnector tells where a connector leads to. Its system comes from
// its own type or that of its driver. Address and namespace are known for the
// connectors of github.com/jackc/pgx and github.com/go-sql-driver/mysql, whose
// configurations say beyond doubt what is the host and what the database; of
// any other connector only the system is. It never panics, whatever c is.
//
// Connectors of lib/pq and go-mssqldb are left out on purpose: they keep what
// net/url made of a DSN, which for an unescaped password can be a part of it
// in the place of the host, and no longer have the DSN to tell.
func targetFromConnector(c driver.Connector) (t target) {
	t.system = targetOther
	// A connector is foreign code, and reflection over its fields relies on
	// what they were in the releases known today.
	defer func() {
		if recover() != nil {
			t = target{system: t.system}
		}
	}()
	own := targetSystemOfType(c)
	switch {
	case own != "":
		t.system = own
	case c != nil:
		if system := targetSystemOfType(c.Driver()); system != "" {
			t.system = system
		}
	}
	var fields dsnFields
	var ok bool
	switch own {
	case targetPostgreSQL:
		fields, ok = targetFieldsOfPgx(reflect.ValueOf(c))
	case targetMySQL:
		fields, ok = targetFieldsOfMySQL(reflect.ValueOf(c))
	}
	if !ok {
		return t
	}
	return fields.target(t.system)
}

// targetFieldsOfPgx reads the connector of pgx's stdlib package, which embeds
// the configuration or has a pool with it.
func targetFieldsOfPgx(v reflect.Value) (dsnFields, bool) {
	v = targetField(v)
	if pool := targetField(v, "pool", "config", "ConnConfig"); pool.IsValid() {
		v = pool
	}
	host, port, database := targetField(v, "Host"), targetField(v, "Port"), targetField(v, "Database")
	dsn, fallbacks := targetField(v, "connString"), targetField(v, "Fallbacks")
	if !targetIsString(host, database, dsn) || !port.IsValid() || !port.CanUint() ||
		!fallbacks.IsValid() || fallbacks.Kind() != reflect.Slice {
		return dsnFields{}, false
	}
	// pgx takes what is before the first @ for the password. If the DSN is one
	// that is not trusted here, what pgx read in it is not either.
	if s := dsn.String(); s != "" {
		if _, ok := parseDSN(targetPostgreSQL, s); !ok {
			return dsnFields{}, false
		}
	}
	first := dsnHost{host.String(), strconv.FormatUint(port.Uint(), 10)}
	fields := dsnFields{hosts: []dsnHost{first}}
	fields.addNamespace(database.String())
	// A second entry for the same host is the same server without TLS.
	for i := range fallbacks.Len() {
		host, port := targetField(fallbacks.Index(i), "Host"), targetField(fallbacks.Index(i), "Port")
		if !targetIsString(host) || !port.IsValid() || !port.CanUint() {
			return dsnFields{}, false
		}
		if h := (dsnHost{host.String(), strconv.FormatUint(port.Uint(), 10)}); h != first {
			fields.hosts = append(fields.hosts, h)
		}
	}
	return fields, true
}

// targetFieldsOfMySQL reads the connector of go-sql-driver/mysql, which has a
// pointer to the configuration.
func targetFieldsOfMySQL(v reflect.Value) (dsnFields, bool) {
	network, address, database := targetField(v, "cfg", "Net"), targetField(v, "cfg", "Addr"), targetField(v, "cfg", "DBName")
	if !targetIsString(network, address, database) {
		return dsnFields{}, false
	}
	var fields dsnFields
	fields.addNamespace(database.String())
	return fields, fields.addMySQLAddress(network.String(), address.String())
}

// targetField follows a path of fields, through pointers and interfaces. It
// returns the zero Value if there is no such path or a pointer on it is nil.
func targetField(v reflect.Value, path ...string) reflect.Value {
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

// targetIsString says whether all values are strings. Value.String makes up a
// text for every other kind.
func targetIsString(values ...reflect.Value) bool {
	for _, v := range values {
		if v.Kind() != reflect.String {
			return false
		}
	}
	return true
}
