package errs

import "strings"

// SQLSTATE: two characters of class and three of condition. Codes and classes are
// those of appendix A of the PostgreSQL documentation, with those of the SQL
// standard that other servers send.

// sqlStateFailure returns what a SQLSTATE means, and false if code is none.
func sqlStateFailure(code string) (failure, bool) {
	if !isSQLState(code) {
		return failure{}, false
	}
	c, ok := sqlStates[code]
	if !ok {
		c, ok = sqlStateClasses[code[:2]]
	}
	if !ok {
		c = condition{KindOther, false, "database error"}
	}
	return failure{condition: c, system: systemSQLState, code: code}, true
}

// isTimeout reports whether the text of a canceled statement shows that it took too
// long, in a language that PostgreSQL 15 speaks: English, Italian and Swedish, German,
// Spanish, French, Russian and Ukrainian, Japanese, Chinese, Korean.
func isTimeout(text string) bool {
	text = strings.ToLower(text)
	for _, word := range [...]string{"timeout", "zeitüberschreitung", "tiempo de espera", "délai", "тайм-аут", "タイムアウト", "超时", "시간 초과"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// isSQLState reports whether s is five digits and upper-case letters. The
// alphabet matters: the code is a metric label and stands in the safe text.
func isSQLState(s string) bool {
	return len(s) == 5 && consistsOf(s, digits+uppercase) && s[:2] != "00" // success
}

// sqlStateClasses has the meaning of a code that is not in sqlStates.
var sqlStateClasses = map[string]condition{
	"01": {KindOther, false, "warning"},
	"02": {KindNotFound, false, "no data"},
	"03": {KindOther, false, "statement not yet complete"},
	"07": {KindSyntax, false, "error in dynamic SQL"},
	"08": {KindConnection, false, "connection failure"},
	"09": {KindOther, false, "triggered action failed"},
	"0A": {KindSyntax, false, "feature not supported"},
	"0B": {KindOther, false, "transaction not begun"},
	"0F": {KindOther, false, "invalid locator"},
	"0K": {KindOther, false, "resignal without a handler"},
	"0L": {KindPermission, false, "invalid grantor"},
	"0P": {KindPermission, false, "invalid role"},
	"0Z": {KindOther, false, "error in diagnostics"},
	"10": {KindData, false, "error in a query of XML"},
	"20": {KindData, false, "no case matches"},
	"21": {KindData, false, "wrong number of rows or columns"},
	"22": {KindData, false, "invalid data"},
	"23": {KindConstraint, false, "constraint violated"},
	"24": {KindOther, false, "invalid cursor state"},
	"25": {KindOther, false, "invalid transaction state"},
	"26": {KindOther, false, "unknown prepared statement"},
	"27": {KindConstraint, false, "triggered data change"},
	"28": {KindPermission, false, "authorization failed"},
	"2B": {KindPermission, false, "privileges depend on this"},
	"2D": {KindOther, false, "transaction not ended"},
	"2F": {KindOther, false, "error in a routine"},
	"34": {KindSyntax, false, "invalid cursor name"},
	"38": {KindOther, false, "error in an external routine"},
	"39": {KindOther, false, "error calling an external routine"},
	"3B": {KindOther, false, "savepoint error"},
	"3D": {KindUndefined, false, "no such database"},
	"3F": {KindUndefined, false, "no such schema"},
	"40": {KindSerialization, false, "transaction rolled back"},
	"42": {KindSyntax, false, "syntax error or access rule violated"},
	"44": {KindConstraint, false, "check option of a view violated"},
	"45": {KindOther, false, "raised by a routine"},
	"53": {KindResource, false, "insufficient resources"},
	"54": {KindResource, false, "a limit of the server is exceeded"},
	"55": {KindOther, false, "object not in the required state"},
	"57": {KindOther, false, "operator intervention"},
	"58": {KindResource, false, "system error on the server"},
	"72": {KindOther, false, "snapshot failure"},
	"F0": {KindOther, false, "error in the configuration of the server"},
	"HV": {KindOther, false, "error in a foreign data wrapper"},
	"HY": {KindOther, false, "general error"},
	"P0": {KindOther, false, "error in a routine"},
	"XX": {KindOther, false, "internal error of the server"},
}

// sqlStates holds the codes that matter one by one: those that are of another
// kind than their class, and those that deserve a phrase.
var sqlStates = map[string]condition{
	"02001": {KindNotFound, false, "no more result sets"},

	"08001": {KindConnection, false, "connection could not be established"},
	"08003": {KindConnection, false, "connection does not exist"},
	"08004": {KindConnection, false, "connection rejected by the server"},
	"08006": {KindConnection, false, "connection lost"},
	"08007": {KindConnection, false, "connection lost, outcome of the transaction unknown"},
	"08P01": {KindConnection, false, "protocol violated"},

	"0LP01": {KindPermission, false, "invalid grant"},

	"21000": {KindData, false, "more than one row where one was expected"},

	"22001": {KindData, false, "text too long"},
	"22002": {KindData, false, "null value without an indicator"},
	"22003": {KindData, false, "number out of range"},
	"22004": {KindData, false, "null value not allowed"},
	"22005": {KindData, false, "error in assignment"},
	"22007": {KindData, false, "invalid format of a date or time"},
	"22008": {KindData, false, "date or time out of range"},
	"22009": {KindData, false, "invalid time zone"},
	"2200G": {KindData, false, "type mismatch"},
	"22010": {KindData, false, "invalid indicator"},
	"22011": {KindData, false, "error in a substring"},
	"22012": {KindData, false, "division by zero"},
	"22015": {KindData, false, "interval out of range"},
	"22018": {KindData, false, "invalid character for a cast"},
	"22019": {KindData, false, "invalid escape character"},
	"2201B": {KindData, false, "invalid regular expression"},
	"2201E": {KindData, false, "invalid argument of a logarithm"},
	"2201F": {KindData, false, "invalid argument of a power"},
	"2201W": {KindData, false, "invalid limit"},
	"2201X": {KindData, false, "invalid offset"},
	"22021": {KindData, false, "character not in the repertoire"},
	"22022": {KindData, false, "indicator overflow"},
	"22023": {KindData, false, "invalid value of a parameter"},
	"22024": {KindData, false, "unterminated string"},
	"22025": {KindData, false, "invalid escape sequence"},
	"22026": {KindData, false, "length mismatch"},
	"22027": {KindData, false, "error in a trim"},
	"2202E": {KindData, false, "error in an array subscript"},
	"2202G": {KindData, false, "invalid repeat of a sample"},
	"2202H": {KindData, false, "invalid sample"},
	"22030": {KindData, false, "duplicate key in JSON"},
	"22031": {KindData, false, "invalid argument of a JSON date or time"},
	"22032": {KindData, false, "invalid JSON"},
	"22033": {KindData, false, "invalid subscript in JSON"},
	"22034": {KindData, false, "more than one item in JSON"},
	"22035": {KindData, false, "no item in JSON"},
	"22036": {KindData, false, "item of JSON is not numeric"},
	"22P01": {KindData, false, "floating-point exception"},
	"22P02": {KindData, false, "invalid text for the type"},
	"22P03": {KindData, false, "invalid binary form for the type"},
	"22P04": {KindData, false, "bad format of COPY"},
	"22P05": {KindData, false, "character cannot be translated"},
	"22P06": {KindData, false, "nonstandard use of an escape"},

	"23001": {KindConstraint, false, "row is still referenced"},
	"23502": {KindConstraint, false, "null value in a column that is not nullable"},
	"23503": {KindConstraint, false, "foreign key violated"},
	"23505": {KindConstraint, false, "duplicate key"},
	"23514": {KindConstraint, false, "check violated"},
	"23P01": {KindConstraint, false, "exclusion constraint violated"},

	"25001": {KindOther, false, "transaction is active"},
	"25006": {KindPermission, false, "transaction is read-only"},
	"25P01": {KindOther, false, "no transaction is active"},
	"25P02": {KindOther, false, "transaction has failed already"},
	"25P03": {KindTimeout, false, "transaction was idle for too long"},
	"25P04": {KindTimeout, false, "transaction took too long"},

	"28P01": {KindPermission, false, "wrong password"},

	"40001": {KindSerialization, true, "serialization failure"},
	"40002": {KindConstraint, false, "constraint violated at the end of the transaction"},
	"40003": {KindConnection, false, "outcome of the statement unknown"},
	"40P01": {KindDeadlock, true, "deadlock"},

	"42501": {KindPermission, false, "privilege missing"},
	"42601": {KindSyntax, false, "syntax error"},
	"42602": {KindSyntax, false, "invalid name"},
	"42611": {KindSyntax, false, "invalid definition of a column"},
	"42622": {KindSyntax, false, "name too long"},
	"42701": {KindSyntax, false, "duplicate column"},
	"42702": {KindSyntax, false, "ambiguous column"},
	"42703": {KindUndefined, false, "no such column"},
	"42704": {KindUndefined, false, "no such object"},
	"42710": {KindSyntax, false, "duplicate object"},
	"42712": {KindSyntax, false, "duplicate alias"},
	"42723": {KindSyntax, false, "duplicate function"},
	"42725": {KindSyntax, false, "ambiguous function"},
	"42803": {KindSyntax, false, "error in grouping"},
	"42804": {KindSyntax, false, "type mismatch"},
	"42809": {KindSyntax, false, "wrong type of object"},
	"42830": {KindSyntax, false, "invalid foreign key"},
	"42846": {KindSyntax, false, "no such cast"},
	"42883": {KindUndefined, false, "no such function"},
	"428C9": {KindSyntax, false, "generated column may not be written"},
	"42939": {KindSyntax, false, "reserved name"},
	"42P01": {KindUndefined, false, "no such table"},
	"42P02": {KindSyntax, false, "no such parameter"},
	"42P03": {KindSyntax, false, "duplicate cursor"},
	"42P04": {KindSyntax, false, "database exists"},
	"42P05": {KindSyntax, false, "prepared statement exists"},
	"42P06": {KindSyntax, false, "schema exists"},
	"42P07": {KindSyntax, false, "table exists"},
	"42P08": {KindSyntax, false, "ambiguous parameter"},
	"42P09": {KindSyntax, false, "ambiguous alias"},
	"42P10": {KindSyntax, false, "invalid reference to a column"},
	"42P17": {KindSyntax, false, "invalid definition of an object"},
	"42P18": {KindSyntax, false, "type cannot be determined"},
	"42P19": {KindSyntax, false, "invalid recursion"},
	"42P20": {KindSyntax, false, "error in a window"},
	"42P21": {KindSyntax, false, "collation mismatch"},
	"42P22": {KindSyntax, false, "collation cannot be determined"},
	"42S01": {KindSyntax, false, "table exists"},
	"42S02": {KindUndefined, false, "no such table"},
	"42S22": {KindUndefined, false, "no such column"},

	"53100": {KindResource, false, "disk full"},
	"53200": {KindResource, false, "out of memory"},
	"53300": {KindResource, false, "too many connections"},
	"53400": {KindResource, false, "configured limit exceeded"},

	"54001": {KindResource, false, "statement too complex"},
	"54011": {KindResource, false, "too many columns"},
	"54023": {KindResource, false, "too many arguments"},

	"55006": {KindOther, false, "object in use"},
	"55P02": {KindPermission, false, "parameter may not be changed now"},
	"55P03": {KindLockTimeout, false, "lock not available"},
	"55P04": {KindOther, false, "new value of an enum used too early"},

	"57014": {KindCanceled, false, "statement canceled"},
	"57P01": {KindConnection, false, "server or administrator ended the connection"},
	"57P02": {KindConnection, false, "server crashed"},
	"57P03": {KindConnection, true, "server does not accept connections yet"}, // only ever the answer to a connect
	"57P04": {KindConnection, false, "database was dropped"},
	"57P05": {KindConnection, false, "session was idle for too long"},

	"58030": {KindResource, false, "input or output error on the server"},
	"58P01": {KindResource, false, "file missing on the server"},
	"58P02": {KindResource, false, "file exists on the server"},

	"70100": {KindCanceled, false, "statement canceled"},
	"72000": {KindOther, false, "snapshot too old"},

	"HV00N": {KindConnection, false, "connection of a foreign data wrapper failed"},
	"HY008": {KindCanceled, false, "statement canceled"},
	"HYT00": {KindTimeout, false, "timeout"},
	"HYT01": {KindTimeout, false, "connection timeout"},

	"P0001": {KindOther, false, "raised by a routine"},
	"P0002": {KindNotFound, false, "a routine found no row"},
	"P0003": {KindData, false, "a routine found too many rows"},
	"P0004": {KindConstraint, false, "assertion failed"},

	"XX001": {KindResource, false, "data corrupted"},
	"XX002": {KindResource, false, "index corrupted"},
}
