package errs

import "strings"

// configurations are how drivers report which part of a DSN or of a configuration is no
// good, where that is not a parameter by its name. The rest, perhaps the value, is
// left out.
var configurations = [...]struct{ says, part string }{
	// pgx, behind the DSN.
	{"failed to parse as URL", "DSN as URL"},
	{"failed to parse as keyword/value", "DSN as keywords and values"},
	{"failed to read service", "service"},
	{"failed to configure TLS", "TLS"},
	{"could not match ", "number of ports"},
	{"connection string key ", "key of the DSN"},

	// lib/pq.
	{"parse \"", "DSN as URL"},
	{"invalid connection protocol: ", "scheme"},
	{"missing \"=\" after ", "DSN as keywords and values"},
	{"missing character after backslash", "DSN as keywords and values"},
	{"unterminated quoted string literal in connection string", "DSN as keywords and values"},
	{"pq: line ", "service file"},
	{"pq: service file ", "service file"},
	{"pq: definition of service ", "service"},
	{"pq: unknown setting ", "setting in the service file"},
	{"pq: environment variable ", "environment variable"},
	{"pq: could not match ", "number of hosts, addresses and ports"},
	{"pq: couldn't parse pem from sslrootcert", "sslrootcert"},
	{"pq: could not detect default username", "user"},

	// go-sql-driver.
	{"invalid DSN: did you forget to escape a param value?", "value that is not escaped"},
	{"invalid DSN: network address not terminated", "network address"},
	{"invalid DSN: missing the slash separating the database name", "slash before the database"},
	{"invalid DSN: interpolateParams can not be used with unsafe collations", "interpolateParams with the collation"},
	{"default addr for network ", "network"},
	{"invalid value / unknown config name: ", "tls"},
	{"invalid value / unknown server pub key name: ", "serverPubKey"},
	{"invalid value for server pub key name: ", "serverPubKey"},
	{"invalid value for TLS config name: ", "tls"},
	{"invalid dbname ", "database"},
	{"invalid bool value: ", "value of true or false"},
	{"unknown time zone ", "time zone"},

	// go-mssqldb.
	{"invalid trust server certificate ", "TrustServerCertificate"},
	{"invalid tcp port ", "port"},
	{"invalid packet size ", "packet size"},
	{"invalid connection timeout ", "connection timeout"},
	{"invalid failover port ", "failover port"},
	{"invalid dial timeout ", "dial timeout"},
	{"invalid guid conversion ", "guid conversion"},
	{"invalid log parameter ", "log"},
	{"invalid epa enabled value ", "epa enabled"},
	{"No protocol handler is available for protocol: ", "protocol"},
	{"unable to parse connection string: ", "DSN as URL"},
}

// openings are what drivers put in front of the name of a parameter that is no good.
var openings = [...]string{
	`pq: wrong value for "`, "pq: wrong value for $", "pq: unsupported ", "pq: unknown custom ", "pq: weak ", "pq: ",
	"invalid ", "Invalid ", "unknown ", "cannot parse ", "conflicting ", "conflicting DSN parameters: ", "sqlite: ",
}

// parameters are the names of parameters that drivers put there.
var parameters = func() map[string]bool {
	names := make(map[string]bool)
	for _, list := range []string{
		// pgx, lib/pq and its variables.
		"binary_parameters channel_binding client_encoding connect_timeout datestyle default_query_exec_mode " +
			"description_cache_capacity disable_prepared_binary_result hostaddr load_balance_hosts max_protocol_version " +
			"min_protocol_version port require_auth ssl_max_protocol_version ssl_min_protocol_version sslcertmode " +
			"sslinline sslmode sslnegotiation sslsni statement_cache_capacity target_session_attrs",
		"PGCONNECT_TIMEOUT PGHOSTADDR PGLOADBALANCEHOSTS PGMAXPROTOCOLVERSION PGMINPROTOCOLVERSION PGPORT PGSSLMODE " +
			"PGSSLNEGOTIATION PGSSLSNI PGTARGETSESSIONATTRS",
		// go-sql-driver and go-mssqldb.
		"connectionAttributes max_allowed_packet timeTruncate collation columnencryption disableRetry encrypt keepAlive " +
			"multiSubnetFailover timezone",
		// SQLite: mattn and modernc.
		"_auto_vacuum _busy_timeout _cache_size _case_sensitive_like _defensive _defer_foreign_keys _dqs _error_rc _fk " +
			"_foreign_keys _ignore_check_constraints _inttotime _journal _journal_mode _loc _locking_mode _mutex _pragma " +
			"_query_only _recursive_triggers _secure_delete _stmt_cache_size _sync _synchronous _texttotime _time_format " +
			"_time_integer_format _timeout _timezone _txlock _vacuum _writable_schema vfs",
	} {
		for _, name := range strings.Fields(list) {
			names[name] = true
		}
	}
	return names
}()

// parseConfigError is pgx's type for a DSN that it cannot read.
const parseConfigError = "*pgconn.ParseConfigError"

// urlError is the type for a URL that net/url cannot read, such as a DSN.
const urlError = "*url.Error"

// configuration returns which part of a DSN or of a configuration a driver's error is
// about, and "" if it is about none. Only a few words of ours come out, whatever the
// text.
func configuration(raw string, info *typeInfo) string {
	switch {
	case info.name == parseConfigError: // "cannot parse `DSN`: why (error)"
		if i := strings.LastIndex(raw, "`: "); i >= 0 {
			raw = raw[i+len("`: "):]
		}
	case info.origin != originText && info.name != urlError:
		return ""
	}
	const says = "invalid configuration: "
	for _, c := range configurations {
		if strings.HasPrefix(raw, c.says) {
			return says + c.part
		}
	}
	for _, opening := range openings {
		if rest, ok := strings.CutPrefix(raw, opening); ok {
			if name := parameterName(rest); parameters[name] {
				return says + name
			}
		}
	}
	return ""
}

// parameterName returns the name that s begins with, of letters and underscores.
func parameterName(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, lowercase+uppercase+"_"))]
}
