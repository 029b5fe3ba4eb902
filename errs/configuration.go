package errs

import "strings"

// configurations are how drivers say which part of a DSN or of a configuration is no
// good. What follows, the value perhaps, is left out.
var configurations = [...]struct{ says, part string }{
	// pgx, behind the DSN.
	{"failed to parse as URL", "DSN as URL"},
	{"failed to parse as keyword/value", "DSN as keywords and values"},
	{"failed to read service", "service"},
	{"failed to configure TLS", "TLS"},
	{"could not match ", "number of ports"},
	{"connection string key ", "key of the DSN"},
	{"invalid port", "port"},
	{"invalid connect_timeout", "connect_timeout"},
	{"invalid sslcertmode", "sslcertmode"},
	{"invalid require_auth", "require_auth"},
	{"invalid min_protocol_version", "min_protocol_version"},
	{"invalid max_protocol_version", "max_protocol_version"},
	{"min_protocol_version cannot be greater than max_protocol_version", "min_protocol_version"},
	{"unknown target_session_attrs value", "target_session_attrs"},
	{"unknown channel_binding value", "channel_binding"},

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
	{"invalid connectionAttributes value: ", "connectionAttributes"},
	{"invalid timeTruncate value: ", "timeTruncate"},
	{"invalid dbname ", "database"},
	{"invalid bool value: ", "value of true or false"},

	// mattn, whose names begin so.
	{"Invalid _auto_vacuum: ", "_auto_vacuum"},
	{"Invalid _busy_timeout: ", "_busy_timeout"},
	{"Invalid _cache_size: ", "_cache_size"},
	{"Invalid _case_sensitive_like: ", "_case_sensitive_like"},
	{"Invalid _defer_foreign_keys: ", "_defer_foreign_keys"},
	{"Invalid _foreign_keys: ", "_foreign_keys"},
	{"Invalid _ignore_check_constraints: ", "_ignore_check_constraints"},
	{"Invalid _journal: ", "_journal"},
	{"Invalid _loc: ", "_loc"},
	{"Invalid _locking_mode: ", "_locking_mode"},
	{"Invalid _mutex: ", "_mutex"},
	{"Invalid _query_only: ", "_query_only"},
	{"Invalid _recursive_triggers: ", "_recursive_triggers"},
	{"Invalid _secure_delete: ", "_secure_delete"},
	{"Invalid _stmt_cache_size: ", "_stmt_cache_size"},
	{"Invalid _synchronous: ", "_synchronous"},
	{"Invalid _txlock: ", "_txlock"},
	{"Invalid _writable_schema: ", "_writable_schema"},
}

// parseConfigError is pgx's type for a DSN that it cannot read.
const parseConfigError = "*pgconn.ParseConfigError"

// configuration returns which part of a DSN or of a configuration a driver's error is
// about, and "" if it is about none. Only a few words of ours come out, whatever the
// text.
func configuration(raw string, info *typeInfo) string {
	switch {
	case info.name == parseConfigError: // "cannot parse `DSN`: why (error)"
		if i := strings.LastIndex(raw, "`: "); i >= 0 {
			raw = raw[i+len("`: "):]
		}
	case info.origin != originText:
		return ""
	}
	for _, c := range configurations {
		if strings.HasPrefix(raw, c.says) {
			return "invalid configuration: " + c.part
		}
	}
	return ""
}
