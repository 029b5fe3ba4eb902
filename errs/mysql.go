package errs

import "strings"

// Error numbers of MySQL and MariaDB, of the server (1000 to 1999, 3000 and up)
// and of the client (2000 to 2999).

const (
	mysqlNotNull         = 1048
	mysqlDuplicate       = 1062
	mysqlDuplicateTriple = 1586 // the same, with the name of the key
	mysqlNoDefault       = 1364
	mysqlOutOfRange      = 1264
	mysqlTruncated       = 1265
	mysqlWrongValue      = 1292
	mysqlWrongForField   = 1366
	mysqlTooLong         = 1406
	mysqlParentRow       = 1451
	mysqlChildRow        = 1452
	mysqlCheck           = 3819
	mariadbCheck         = 4025
)

var mysqlCodes = numberTable(map[int]condition{
	1005: {KindSyntax, false, "table cannot be created"},
	1007: {KindSyntax, false, "database exists"},
	1008: {KindUndefined, false, "no such database"},
	1020: {KindSerialization, true, "row has changed since it was read"},
	1021: {KindResource, false, "disk full"},
	1022: {KindConstraint, false, "duplicate key"},
	1024: {KindResource, false, "disk error on read"},
	1026: {KindResource, false, "disk error on write"},
	1030: {KindResource, false, "error of the storage engine"},
	1036: {KindPermission, false, "table is read-only"},
	1037: {KindResource, false, "out of memory"},
	1038: {KindResource, false, "out of memory for sorting"},
	1040: {KindResource, false, "too many connections"},
	1041: {KindResource, false, "out of memory"},
	1042: {KindConnection, false, "host name cannot be resolved"},
	1043: {KindConnection, false, "bad handshake"},
	1044: {KindPermission, false, "access to the database denied"},
	1045: {KindPermission, false, "access denied"},
	1046: {KindSyntax, false, "no database selected"},
	1047: {KindConnection, false, "server does not accept statements"},
	1048: {KindConstraint, false, "null value in a column that is not nullable"},
	1049: {KindUndefined, false, "no such database"},
	1050: {KindSyntax, false, "table exists"},
	1051: {KindUndefined, false, "no such table"},
	1052: {KindSyntax, false, "ambiguous column"},
	1053: {KindConnection, false, "server is shutting down"},
	1054: {KindUndefined, false, "no such column"},
	1055: {KindSyntax, false, "error in grouping"},
	1056: {KindSyntax, false, "error in grouping"},
	1058: {KindSyntax, false, "columns and values differ in number"},
	1060: {KindSyntax, false, "duplicate column"},
	1061: {KindSyntax, false, "duplicate name of a key"},
	1062: {KindConstraint, false, "duplicate key"},
	1064: {KindSyntax, false, "syntax error"},
	1065: {KindSyntax, false, "empty statement"},
	1066: {KindSyntax, false, "duplicate alias"},
	1071: {KindResource, false, "key too long"},
	1072: {KindUndefined, false, "no such column of a key"},
	1080: {KindConnection, false, "forced close of a thread"},
	1091: {KindUndefined, false, "no such column or key to drop"},
	1094: {KindSyntax, false, "no such connection to end"},
	1095: {KindPermission, false, "thread of another owner"},
	1099: {KindOther, false, "table is locked for reading"},
	1100: {KindOther, false, "table was not locked"},
	1104: {KindResource, false, "too many rows to examine"},
	1109: {KindUndefined, false, "no such table"},
	1111: {KindSyntax, false, "invalid use of an aggregate"},
	1114: {KindResource, false, "table is full"},
	1115: {KindSyntax, false, "no such character set"},
	1117: {KindResource, false, "too many columns"},
	1118: {KindResource, false, "row too large"},
	1129: {KindPermission, false, "host is blocked"},
	1130: {KindPermission, false, "host may not connect"},
	1135: {KindResource, false, "no thread available"},
	1136: {KindSyntax, false, "columns and values differ in number"},
	1138: {KindConstraint, false, "invalid use of null"},
	1139: {KindData, false, "invalid regular expression"},
	1142: {KindPermission, false, "privilege on the table missing"},
	1143: {KindPermission, false, "privilege on the column missing"},
	1146: {KindUndefined, false, "no such table"},
	1149: {KindSyntax, false, "syntax error"},
	1152: {KindConnection, false, "connection aborted"},
	1153: {KindResource, false, "packet too large"},
	1154: {KindConnection, false, "read from the connection failed"},
	1158: {KindConnection, false, "read from the connection failed"},
	1159: {KindTimeout, false, "timeout reading from the connection"},
	1160: {KindConnection, false, "write to the connection failed"},
	1161: {KindTimeout, false, "timeout writing to the connection"},
	1166: {KindSyntax, false, "invalid name of a column"},
	1169: {KindConstraint, false, "unique constraint violated"},
	1172: {KindData, false, "more than one row where one was expected"},
	1176: {KindUndefined, false, "no such key"},
	1180: {KindOther, false, "error during commit"},
	1181: {KindOther, false, "error during rollback"},
	1184: {KindConnection, false, "connection aborted"},
	1189: {KindConnection, false, "connection to the source failed"},
	1193: {KindSyntax, false, "no such variable"},
	1194: {KindResource, false, "table is damaged"},
	1203: {KindResource, false, "too many connections of the user"},
	1205: {KindLockTimeout, false, "lock not available in time"},
	1206: {KindResource, false, "too many locks"},
	1211: {KindPermission, false, "user may not create users"},
	1213: {KindDeadlock, true, "deadlock"},
	1214: {KindSyntax, false, "no full-text index"},
	1215: {KindSyntax, false, "foreign key cannot be added"},
	1216: {KindConstraint, false, "foreign key violated"},
	1217: {KindConstraint, false, "row is still referenced"},
	1222: {KindSyntax, false, "parts of a union differ in columns"},
	1226: {KindResource, false, "limit of the user exceeded"},
	1227: {KindPermission, false, "privilege missing"},
	1231: {KindData, false, "invalid value of a variable"},
	1235: {KindSyntax, false, "feature not supported"},
	1241: {KindSyntax, false, "wrong number of columns"},
	1242: {KindData, false, "more than one row where one was expected"},
	1247: {KindSyntax, false, "reference not supported"},
	1251: {KindPermission, false, "authentication protocol not supported"},
	1263: {KindConstraint, false, "null value in a column that is not nullable"},
	1264: {KindData, false, "number out of range"},
	1265: {KindData, false, "value truncated"},
	1290: {KindPermission, false, "option of the server forbids this"},
	1292: {KindData, false, "invalid value for the type"},
	1298: {KindData, false, "invalid time zone"},
	1305: {KindUndefined, false, "no such function or procedure"},
	1317: {KindCanceled, false, "statement canceled"},
	1318: {KindSyntax, false, "wrong number of arguments"},
	1329: {KindNotFound, false, "no data"},
	1364: {KindConstraint, false, "column without a default"},
	1365: {KindData, false, "division by zero"},
	1366: {KindData, false, "invalid value for the column"},
	1367: {KindData, false, "invalid value"},
	1369: {KindConstraint, false, "check option of the view violated"},
	1370: {KindPermission, false, "privilege on the routine missing"},
	1356: {KindUndefined, false, "view refers to what does not exist"},
	1360: {KindUndefined, false, "no such trigger"},
	1539: {KindUndefined, false, "no such event"},
	1630: {KindUndefined, false, "no such function"},
	1390: {KindResource, false, "too many placeholders"},
	1396: {KindOther, false, "operation on a user failed"},
	1406: {KindData, false, "text too long"},
	1410: {KindPermission, false, "user may not create users with GRANT"},
	1411: {KindData, false, "invalid value of a function"},
	1426: {KindSyntax, false, "precision too large"},
	1429: {KindConnection, false, "foreign data source cannot be reached"},
	1436: {KindResource, false, "stack overrun"},
	1441: {KindData, false, "date or time out of range"},
	1451: {KindConstraint, false, "row is still referenced"},
	1452: {KindConstraint, false, "foreign key violated"},
	1461: {KindResource, false, "too many prepared statements"},
	1524: {KindPermission, false, "authentication plugin not loaded"},
	1525: {KindData, false, "invalid value"},
	1526: {KindConstraint, false, "no partition for the value"},
	1557: {KindConstraint, false, "foreign key would make a duplicate"},
	1568: {KindOther, false, "transaction is active"},
	1586: {KindConstraint, false, "duplicate key"},
	1613: {KindTimeout, false, "transaction took too long"},
	1614: {KindDeadlock, true, "deadlock"},
	1637: {KindResource, false, "too many transactions"},
	1644: {KindOther, false, "raised by a routine"},
	1690: {KindData, false, "number out of range"},
	1698: {KindPermission, false, "access denied"},
	1748: {KindConstraint, false, "row does not belong to the partition"},
	1761: {KindConstraint, false, "foreign key would make a duplicate"},
	1762: {KindConstraint, false, "foreign key would make a duplicate"},
	1792: {KindPermission, false, "transaction is read-only"},
	1820: {KindPermission, false, "password must be changed"},
	1836: {KindPermission, false, "server is read-only"},
	1862: {KindPermission, false, "password has expired"},
	1873: {KindPermission, false, "user cannot be changed"},
	1879: {KindConnection, false, "connection is not in a state for this"},
	1927: {KindConnection, false, "connection was killed"},
	1969: {KindTimeout, false, "statement took too long"},
	2000: {KindOther, false, "unknown error of the client"},
	2002: {KindConnection, false, "server cannot be reached"},
	2003: {KindConnection, false, "server cannot be reached"},
	2005: {KindConnection, false, "unknown host"},
	2006: {KindConnection, false, "server has gone away"},
	2012: {KindConnection, false, "error in the handshake"},
	2013: {KindConnection, false, "connection lost during the statement"},
	2014: {KindOther, false, "commands out of sync"},
	2020: {KindResource, false, "packet too large"},
	2026: {KindConnection, false, "TLS failed"},
	2027: {KindConnection, false, "malformed packet"},
	2055: {KindConnection, false, "connection lost"},
	2059: {KindPermission, false, "authentication plugin not loaded"},
	2061: {KindPermission, false, "authentication plugin failed"},
	3024: {KindTimeout, false, "statement took too long"},
	3032: {KindConnection, false, "server is offline"},
	3058: {KindDeadlock, true, "deadlock of user locks"},
	3098: {KindConstraint, false, "table does not meet what the replication needs"},
	3100: {KindOther, false, "error in a hook before commit"},
	3101: {KindSerialization, true, "transaction rolled back by the replication"},
	3118: {KindPermission, false, "account is locked"},
	3140: {KindData, false, "invalid JSON"},
	3141: {KindData, false, "invalid JSON"},
	3144: {KindData, false, "invalid character set of JSON"},
	3159: {KindPermission, false, "secure transport required"},
	3168: {KindConnection, false, "server is not available"},
	3169: {KindConnection, false, "session was killed"},
	3572: {KindLockTimeout, false, "lock not available"},
	3819: {KindConstraint, false, "check violated"},
	3854: {KindData, false, "invalid UUID"},
	3948: {KindPermission, false, "loading local data is disabled"},
	3955: {KindPermission, false, "account is locked after failed logins"},
	3988: {KindData, false, "character cannot be converted"},
	4025: {KindConstraint, false, "check violated"},
	4031: {KindConnection, false, "session was idle for too long"},
	4151: {KindPermission, false, "access denied"},
})

// mysqlFailure looks a number up. If it is not in the table, the
// SQLSTATE, which the server gives too, has the kind.
func mysqlFailure(err error, info *typeInfo) (failure, bool) {
	number := fieldNumber(err, info.code)
	f, ok := numbered(systemMySQL, mysqlCodes, number)
	if _, known := mysqlCodes[number]; known || !ok {
		return f, ok
	}
	if s, known := sqlStateFailure(fieldState(err, info.state)); known && s.kind != KindOther {
		f.condition = s.condition
		f.retry = false // not known for the number
	}
	return f, true
}

// maxMySQLText is the length from which a text is no longer read: the server cuts
// texts at 512 bytes, and a cut one may end within a value that looks like the
// end of a text.
const maxMySQLText = 448

// mysqlNames returns the names that a text of MySQL or MariaDB holds. There are
// no fields for them, and values stand beside them without any escape. So a text
// is taken only whole and only in the form that goes with its number, and where a
// value stands before the name, what separates them must occur just once.
func mysqlNames(f failure, text string) (n names) {
	if len(text) > maxMySQLText {
		return n
	}
	switch f.number {
	case mysqlDuplicate, mysqlDuplicateTriple:
		if rest, ok := strings.CutPrefix(text, "Duplicate entry '"); ok {
			if key, ok := afterValue(rest, "' for key "); ok {
				n.add("key", unquoted(key, '\''))
			}
		}
	case mysqlNotNull:
		n.addBetween("column", text, "Column '", "' cannot be null")
	case mysqlNoDefault:
		n.addBetween("column", text, "Field '", "' doesn't have a default value")
	case mysqlOutOfRange:
		n.addRowColumn(text, "Out of range value for column ")
	case mysqlTruncated:
		n.addRowColumn(text, "Data truncated for column ")
	case mysqlTooLong:
		n.addRowColumn(text, "Data too long for column ")
	case mysqlWrongValue, mysqlWrongForField:
		if rest, ok := strings.CutPrefix(text, "Incorrect "); ok {
			if column, ok := afterValue(rest, "' for column "); ok {
				n.addRowColumn(column, "")
			}
		}
	case mysqlParentRow, mysqlChildRow:
		// … fails (`db`.`table`, CONSTRAINT `name` FOREIGN KEY (`column`) REFERENCES …)
		r := reader{text}
		if !r.skip("Cannot add or update a child row: ") && !r.skip("Cannot delete or update a parent row: ") {
			return n
		}
		if !r.skip("a foreign key constraint fails (") {
			return n
		}
		if table, ok := r.until(", CONSTRAINT "); ok {
			constraint, _ := r.until(" FOREIGN KEY (")
			n.add("constraint", dotted(constraint))
			n.add("table", dotted(table))
		}
	case mysqlCheck:
		n.addBetween("constraint", text, "Check constraint '", "' is violated.")
	case mariadbCheck:
		if rest, ok := strings.CutPrefix(text, "CONSTRAINT "); ok {
			if constraint, table, ok := strings.Cut(rest, " failed for "); ok {
				n.add("constraint", dotted(constraint))
				n.add("table", dotted(table))
			}
		}
	}
	return n
}

// addBetween adds what stands between prefix and suffix in text.
func (n *names) addBetween(label, text, prefix, suffix string) {
	if name, ok := between(text, prefix, suffix); ok {
		n.add(label, name)
	}
}

// addRowColumn adds the column out of "<prefix>'column' at row 1", where MariaDB
// writes `db`.`table`.`column`.
func (n *names) addRowColumn(text, prefix string) {
	text, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return
	}
	column, row, ok := strings.Cut(text, " at row ")
	if !ok || !isDigits(row) {
		return
	}
	if strings.HasPrefix(column, "`") {
		n.add("column", dotted(column))
	} else {
		n.add("column", unquoted(column, '\''))
	}
}

// afterValue returns what follows sep, if sep occurs only once: a second one
// would be part of a value, or the first would.
func afterValue(s, sep string) (string, bool) {
	_, rest, ok := strings.Cut(s, sep)
	if !ok || strings.Contains(rest, sep) {
		return "", false
	}
	return rest, true
}

// unquoted returns s without the quotes around it, or "" if it has none.
func unquoted(s string, quote byte) string {
	if len(s) < 2 || s[0] != quote || s[len(s)-1] != quote {
		return ""
	}
	return s[1 : len(s)-1]
}

// dotted returns `a`.`b` as a.b, or "" if s is not of this form.
func dotted(s string) string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		if parts[i] = unquoted(p, '`'); parts[i] == "" {
			return ""
		}
	}
	return strings.Join(parts, ".")
}
