package errs

import (
	"strconv"
	"strings"
)

// Result codes of SQLite: the low byte is the primary code, and the bytes above
// it make the extended one (https://www.sqlite.org/rescode.html).

const (
	sqliteError            = 1
	sqliteConstraintUnique = 2067
	sqliteConstraintPK     = 1555
	sqliteConstraintRowID  = 2579
	sqliteConstraintNull   = 1299
	sqliteConstraintCheck  = 275
)

// sqliteFailure returns what a result code means, primary or extended.
func sqliteFailure(code int) (failure, bool) {
	if _, ok := sqliteCodes[code]; !ok {
		if c, known := sqliteCodes[code&0xff]; known && code > 0xff {
			return failure{condition: c.condition, system: systemSQLite, code: strconv.Itoa(code), number: code}, true
		}
	}
	return numbered(systemSQLite, sqliteCodes, code)
}

var sqliteCodes = numberTable(map[int]condition{
	1:    {KindSyntax, false, "error in the statement, or something in it does not exist"},
	257:  {KindUndefined, false, "no such collation"},
	513:  {KindOther, false, "statement must be prepared again"},
	769:  {KindOther, false, "snapshot not available"},
	2:    {KindOther, false, "internal error of SQLite"},
	3:    {KindPermission, false, "access denied"},
	4:    {KindOther, false, "aborted by a callback"},
	516:  {KindOther, false, "statement aborted by a rollback"},
	5:    {KindLockTimeout, false, "database is locked"},
	261:  {KindLockTimeout, false, "database is locked by a recovery"},
	517:  {KindSerialization, true, "snapshot is out of date"},
	773:  {KindLockTimeout, false, "database is locked"},
	6:    {KindLockTimeout, false, "table is locked"},
	262:  {KindLockTimeout, false, "table is locked in the shared cache"},
	518:  {KindLockTimeout, false, "virtual table is locked"},
	7:    {KindResource, false, "out of memory"},
	8:    {KindPermission, false, "database is read-only"},
	264:  {KindPermission, false, "database is read-only, recovery needed"},
	520:  {KindPermission, false, "database is read-only, no lock available"},
	776:  {KindPermission, false, "database is read-only, rollback needed"},
	1032: {KindPermission, false, "database file was moved"},
	1288: {KindPermission, false, "database is read-only, cannot initialise"},
	1544: {KindPermission, false, "database is in a read-only directory"},
	9:    {KindCanceled, false, "statement interrupted"},
	10:   {KindResource, false, "disk error"},
	266:  {KindResource, false, "disk error on read"},
	522:  {KindResource, false, "disk error, short read"},
	778:  {KindResource, false, "disk error on write"},
	1034: {KindResource, false, "disk error on sync"},
	2826: {KindResource, false, "disk error, blocked"},
	3082: {KindResource, false, "out of memory"},
	3338: {KindResource, false, "disk error on access"},
	3850: {KindResource, false, "disk error on lock"},
	11:   {KindResource, false, "database is malformed"},
	267:  {KindResource, false, "virtual table is malformed"},
	523:  {KindResource, false, "sequence table is malformed"},
	779:  {KindResource, false, "index is malformed"},
	12:   {KindOther, false, "not found"},
	13:   {KindResource, false, "database or disk is full"},
	14:   {KindConnection, false, "database file cannot be opened"},
	270:  {KindConnection, false, "database file cannot be opened, no directory for temporary files"},
	526:  {KindConnection, false, "database file is a directory"},
	782:  {KindConnection, false, "database file cannot be opened, path unknown"},
	1550: {KindConnection, false, "database file is a symbolic link"},
	15:   {KindLockTimeout, false, "locking protocol failed"},
	16:   {KindOther, false, "empty"},
	17:   {KindOther, false, "schema has changed"},
	18:   {KindData, false, "text or blob too big"},
	19:   {KindConstraint, false, "constraint violated"},
	275:  {KindConstraint, false, "check violated"},
	531:  {KindConstraint, false, "commit refused by a hook"},
	787:  {KindConstraint, false, "foreign key violated"},
	1043: {KindConstraint, false, "constraint of a function violated"},
	1299: {KindConstraint, false, "null value in a column that is not nullable"},
	1555: {KindConstraint, false, "duplicate primary key"},
	1811: {KindConstraint, false, "raised by a trigger"},
	2067: {KindConstraint, false, "duplicate key"},
	2323: {KindConstraint, false, "constraint of a virtual table violated"},
	2579: {KindConstraint, false, "duplicate rowid"},
	2835: {KindConstraint, false, "row is pinned by a trigger"},
	3091: {KindConstraint, false, "value does not fit the type of its column"},
	20:   {KindData, false, "type mismatch"},
	21:   {KindOther, false, "library misused"},
	22:   {KindResource, false, "large files not supported"},
	23:   {KindPermission, false, "authorization denied"},
	279:  {KindPermission, false, "user not authorized"},
	24:   {KindOther, false, "format"},
	25:   {KindSyntax, false, "no such parameter"},
	26:   {KindResource, false, "file is not a database"},
	27:   {KindOther, false, "notice"},
	28:   {KindOther, false, "warning"},
	100:  {KindOther, false, "row"},
	101:  {KindOther, false, "done"},
})

// sqliteCondition returns what a text means whose code is the one that SQLite has
// for whatever is wrong with a statement. Other is for a text that is not known.
func sqliteCondition(text string, other condition) condition {
	text = strings.TrimPrefix(strings.TrimPrefix(text, "sqlite3: "), "SQL logic error: ")
	for _, what := range [...]string{"table", "column", "view", "index", "trigger", "function", "module", "database"} {
		if strings.HasPrefix(text, "no such "+what) {
			return condition{KindUndefined, false, "no such " + what}
		}
	}
	switch {
	case strings.HasPrefix(text, "unknown database "):
		return condition{KindUndefined, false, "no such database"}
	case strings.HasPrefix(text, "table ") && strings.Contains(text, " has no column named "):
		return condition{KindUndefined, false, "no such column"}
	case strings.HasPrefix(text, "near \""), strings.HasPrefix(text, "unrecognized token: "), strings.HasPrefix(text, "incomplete input"):
		return condition{KindSyntax, false, "syntax error"}
	case strings.HasPrefix(text, "cannot ") && strings.Contains(text, " transaction"):
		return condition{KindOther, false, "not possible in this state of the transaction"}
	case strings.HasPrefix(text, "malformed JSON"):
		return condition{KindData, false, "invalid JSON"}
	case strings.HasPrefix(text, "integer overflow"):
		return condition{KindData, false, "number out of range"}
	}
	return other
}

// sqliteNames returns the names that a violated constraint's text holds. SQLite
// has no fields for them; the texts are taken only whole, and only for the code
// that they go with, since a trigger may raise any text under a code of its own.
// mattn's text is SQLite's; modernc and ncruces put something before it, and
// modernc the code behind it.
func sqliteNames(f failure, text string) (n names) {
	text = strings.TrimPrefix(text, "sqlite3: ")
	text = strings.TrimPrefix(text, "constraint failed: ")
	text = strings.TrimSuffix(text, " ("+f.code+")")
	switch f.number {
	case sqliteConstraintUnique, sqliteConstraintPK, sqliteConstraintRowID:
		list, ok := strings.CutPrefix(text, "UNIQUE constraint failed: ")
		if !ok {
			return n
		}
		if index, ok := between(list, "index '", "'"); ok {
			n.add("index", index)
			return n
		}
		n.addList("column", strings.Split(list, ", "))
	case sqliteConstraintNull:
		if column, ok := strings.CutPrefix(text, "NOT NULL constraint failed: "); ok {
			n.add("column", column)
		}
	case sqliteConstraintCheck:
		// Without a name it is the expression, which is no identifier unless the
		// constraint is a lone column.
		if name, ok := strings.CutPrefix(text, "CHECK constraint failed: "); ok {
			n.add("constraint", name)
		}
	}
	return n
}
