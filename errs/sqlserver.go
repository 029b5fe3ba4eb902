package errs

// Error numbers of SQL Server: the message_id of sys.messages. Those that a
// program raises itself begin at 50000.

const (
	sqlServerNull          = 515
	sqlServerConflict      = 547
	sqlServerDuplicateRow  = 2601
	sqlServerDuplicate     = 2627
	sqlServerTruncatedInto = 2628
)

var sqlServerCodes = numberTable(map[int]condition{
	53:    {KindConnection, false, "server cannot be reached"},
	102:   {KindSyntax, false, "syntax error"},
	105:   {KindSyntax, false, "unclosed quote"},
	109:   {KindSyntax, false, "columns and values differ in number"},
	110:   {KindSyntax, false, "columns and values differ in number"},
	120:   {KindSyntax, false, "columns and values differ in number"},
	137:   {KindSyntax, false, "variable not declared"},
	156:   {KindSyntax, false, "syntax error"},
	170:   {KindSyntax, false, "syntax error"},
	195:   {KindUndefined, false, "no such function"},
	201:   {KindSyntax, false, "parameter missing"},
	207:   {KindUndefined, false, "no such column"},
	208:   {KindUndefined, false, "no such table"},
	209:   {KindSyntax, false, "ambiguous column"},
	213:   {KindSyntax, false, "columns and values differ in number"},
	220:   {KindData, false, "number out of range"},
	229:   {KindPermission, false, "privilege missing"},
	230:   {KindPermission, false, "privilege on the column missing"},
	232:   {KindData, false, "number out of range"},
	233:   {KindConnection, false, "connection ended during the login"},
	241:   {KindData, false, "invalid format of a date or time"},
	242:   {KindData, false, "date or time out of range"},
	244:   {KindData, false, "number out of range"},
	245:   {KindData, false, "invalid text for the type"},
	248:   {KindData, false, "number out of range"},
	262:   {KindPermission, false, "privilege missing in the database"},
	266:   {KindOther, false, "transactions do not balance"},
	297:   {KindPermission, false, "privilege missing"},
	300:   {KindPermission, false, "privilege missing on the server"},
	512:   {KindData, false, "more than one row where one was expected"},
	515:   {KindConstraint, false, "null value in a column that is not nullable"},
	544:   {KindSyntax, false, "identity column may not be written"},
	547:   {KindConstraint, false, "constraint violated"},
	596:   {KindConnection, false, "session was killed"},
	601:   {KindOther, false, "data moved during the scan"},
	701:   {KindResource, false, "out of memory"},
	802:   {KindResource, false, "out of memory"},
	823:   {KindResource, false, "disk error"},
	824:   {KindResource, false, "data corrupted"},
	911:   {KindUndefined, false, "no such database"},
	916:   {KindPermission, false, "user may not enter the database"},
	921:   {KindConnection, false, "database is being recovered"},
	922:   {KindConnection, false, "database is being recovered"},
	1088:  {KindUndefined, false, "no such object"},
	1101:  {KindResource, false, "disk full"},
	1105:  {KindResource, false, "disk full"},
	1204:  {KindResource, false, "too many locks"},
	1205:  {KindDeadlock, true, "deadlock"},
	1222:  {KindLockTimeout, false, "lock not available in time"},
	1505:  {KindConstraint, false, "duplicate key found for a unique index"},
	1911:  {KindUndefined, false, "no such column of an index"},
	1934:  {KindSyntax, false, "options of the session do not allow this"},
	2571:  {KindPermission, false, "privilege missing"},
	2601:  {KindConstraint, false, "duplicate key"},
	2627:  {KindConstraint, false, "duplicate key"},
	2628:  {KindData, false, "text too long"},
	2702:  {KindUndefined, false, "no such database"},
	2705:  {KindSyntax, false, "duplicate column"},
	2714:  {KindSyntax, false, "object exists"},
	2715:  {KindUndefined, false, "no such data type"},
	2812:  {KindUndefined, false, "no such procedure"},
	3701:  {KindUndefined, false, "no such object to drop"},
	3902:  {KindOther, false, "no transaction is active"},
	3903:  {KindOther, false, "no transaction is active"},
	3906:  {KindPermission, false, "database is read-only"},
	3930:  {KindOther, false, "transaction has failed already"},
	3960:  {KindSerialization, true, "snapshot update conflict"},
	3961:  {KindSerialization, true, "object was altered during the transaction"},
	3980:  {KindOther, false, "batch was aborted"},
	4060:  {KindPermission, false, "database cannot be opened by the user"},
	4104:  {KindUndefined, false, "no such column"},
	4121:  {KindUndefined, false, "no such function"},
	4221:  {KindConnection, false, "secondary replica not ready"},
	4701:  {KindUndefined, false, "no such table"},
	4815:  {KindData, false, "invalid length of a column in a bulk copy"},
	4902:  {KindUndefined, false, "no such table"},
	5701:  {KindOther, false, "database changed"},
	6005:  {KindConnection, false, "server is shutting down"},
	7613:  {KindData, false, "invalid full-text query"},
	8114:  {KindData, false, "invalid text for the type"},
	8115:  {KindData, false, "number out of range"},
	8134:  {KindData, false, "division by zero"},
	8144:  {KindSyntax, false, "too many arguments"},
	8145:  {KindSyntax, false, "no such parameter"},
	8152:  {KindData, false, "text too long"},
	8169:  {KindData, false, "invalid text for a unique identifier"},
	8178:  {KindSyntax, false, "parameter missing"},
	8623:  {KindResource, false, "statement too complex"},
	8628:  {KindTimeout, false, "timeout of the optimizer"},
	8645:  {KindTimeout, false, "timeout waiting for memory"},
	8651:  {KindResource, false, "out of memory"},
	8672:  {KindConstraint, false, "merge touches a row twice"},
	9001:  {KindResource, false, "log not available"},
	9002:  {KindResource, false, "log full"},
	10053: {KindConnection, false, "connection aborted"},
	10054: {KindConnection, false, "connection reset"},
	10060: {KindConnection, false, "server cannot be reached"},
	10061: {KindConnection, false, "server cannot be reached"},
	10928: {KindResource, false, "limit of the database exceeded"},
	10929: {KindResource, false, "server is too busy"},
	11001: {KindConnection, false, "unknown host"},
	13535: {KindConstraint, false, "period of a temporal table violated"},
	13609: {KindData, false, "invalid JSON"},
	15151: {KindUndefined, false, "no such object"},
	17142: {KindConnection, false, "server is paused"},
	18401: {KindConnection, false, "server is starting"},
	18450: {KindPermission, false, "login failed"},
	18452: {KindPermission, false, "login failed"},
	18456: {KindPermission, false, "login failed"},
	18461: {KindPermission, false, "server is in single-user mode"},
	18470: {KindPermission, false, "account is disabled"},
	18486: {KindPermission, false, "account is locked"},
	18487: {KindPermission, false, "password has expired"},
	18488: {KindPermission, false, "password must be changed"},
	40143: {KindConnection, false, "service failed to process the request"},
	40197: {KindConnection, false, "service failed to process the request"},
	40501: {KindResource, false, "service is busy"},
	40544: {KindResource, false, "size limit of the database reached"},
	40549: {KindTimeout, false, "transaction took too long"},
	40550: {KindResource, false, "too many locks"},
	40551: {KindResource, false, "too much temporary space"},
	40552: {KindResource, false, "too much log space"},
	40553: {KindResource, false, "too much memory"},
	40613: {KindConnection, false, "database is not available"},
	40615: {KindPermission, false, "address is not allowed"},
	41301: {KindSerialization, true, "commit dependency failed"},
	41302: {KindSerialization, true, "update conflict"},
	41305: {KindSerialization, true, "repeatable read validation failed"},
	41325: {KindSerialization, true, "serializable validation failed"},
	41805: {KindResource, false, "out of memory for memory-optimized tables"},
	41823: {KindResource, false, "size limit of memory-optimized tables reached"},
	41839: {KindSerialization, true, "too many commit dependencies"},
	42108: {KindConnection, false, "database is paused"},
	42109: {KindConnection, false, "database is resuming"},
	49918: {KindResource, false, "service is busy"},
	49919: {KindResource, false, "service is busy"},
	49920: {KindResource, false, "service is busy"},
	50000: {KindOther, false, "raised by a program"},
})

// sqlServerNames returns the names that an English text of SQL Server holds.
// All of them stand before any value, so that each is read from the start of the
// text and a value cannot get in between; translated texts give no names.
func sqlServerNames(f failure, text string) (n names) {
	r := reader{text}
	switch f.number {
	case sqlServerDuplicate:
		if r.skip("Violation of UNIQUE KEY constraint '") || r.skip("Violation of PRIMARY KEY constraint '") {
			if name, ok := r.until("'. Cannot insert duplicate key in object '"); ok {
				n.add("constraint", name)
				table, _ := r.until("'.")
				n.add("table", table)
			}
		}
	case sqlServerDuplicateRow:
		if r.skip("Cannot insert duplicate key row in object '") {
			if table, ok := r.until("' with unique index '"); ok {
				name, _ := r.until("'.")
				n.add("index", name)
				n.add("table", table)
			}
		}
	case sqlServerConflict:
		for _, statement := range [...]string{"INSERT", "UPDATE", "DELETE", "MERGE", "ALTER TABLE"} {
			if !r.skip("The " + statement + " statement conflicted with the ") {
				continue
			}
			for _, kind := range [...]string{"FOREIGN KEY", "REFERENCE", "CHECK", "FOREIGN KEY SAME TABLE", "SAME TABLE REFERENCE"} {
				if r.skip(kind + ` constraint "`) {
					name, _ := r.until(`".`)
					n.add("constraint", name)
				}
			}
		}
	case sqlServerNull:
		if r.skip("Cannot insert the value NULL into column '") {
			if column, ok := r.until("', table '"); ok {
				table, _ := r.until("';")
				n.add("column", column)
				n.add("table", table)
			}
		}
	case sqlServerTruncatedInto:
		if r.skip("String or binary data would be truncated in table '") {
			if table, ok := r.until("', column '"); ok {
				column, _ := r.until("'.")
				n.add("table", table)
				n.add("column", column)
			}
		}
	}
	return n
}
