package errs

import (
	"cmp"
	"reflect"
	"strconv"
)

// sqlStater is how pgconn and lib/pq report a failure, and whatever follows
// their example.
type sqlStater interface {
	error
	SQLState() string
}

// postgresFielder is how bun's pgdriver reports it: by the letters of the protocol.
type postgresFielder interface {
	error
	Field(letter byte) string
	IntegrityViolation() bool
}

// sqlServerNumberer is how go-mssqldb reports it.
type sqlServerNumberer interface {
	error
	SQLErrorNumber() int32
}

// condition is what one code means.
type condition struct {
	kind   Kind
	retry  bool
	phrase string // what it means, in words of ours
}

// system is the database whose code it is.
type system uint8

const (
	systemSQLState system = iota
	systemMySQL
	systemSQLite
	systemSQLServer
)

// failure is what a database reported.
type failure struct {
	condition
	system system
	code   string
	number int // of all but SQLSTATE
}

// text is the part of f that is always safe.
func (f failure) text() string {
	if f.code == "" {
		return f.kind.String() + ": " + f.phrase
	}
	return f.kind.String() + " (" + f.code + "): " + f.phrase
}

// failureOf reads the code out of err, whose shape is not shapeNone. It returns
// false if err holds none. A few codes have several meanings, and the text shows
// the right one.
func failureOf(err error, info *typeInfo) (f failure, ok bool) {
	defer catch(&ok)
	f, ok = codeOf(err, info)
	switch {
	case f.system == systemSQLState && f.code == "57014" && isTimeout(err.Error()):
		f.condition = condition{KindTimeout, false, "statement took too long"}
	case f.system == systemSQLite && f.number == sqliteError:
		f.condition = sqliteCondition(err.Error(), f.condition)
	}
	return f, ok
}

func codeOf(err error, info *typeInfo) (f failure, ok bool) {
	switch info.shape {
	case shapeSQLState:
		return sqlStateFailure(err.(sqlStater).SQLState())
	case shapePostgresField:
		return sqlStateFailure(err.(postgresFielder).Field('C'))
	case shapePostgres:
		return sqlStateFailure(fieldText(err, info.code))
	case shapeMySQL, shapeMyError:
		return mysqlFailure(err, info)
	case shapeSQLite:
		return sqliteFailure(cmp.Or(fieldNumber(err, info.extended), fieldNumber(err, info.code)))
	case shapeSQLiteErrNo:
		return sqliteFailure(integer(reflect.ValueOf(err)))
	case shapeSQLiteCode:
		return sqliteFailure(returned(reflect.ValueOf(err).MethodByName("Code")))
	case shapeSQLiteMethods:
		code := returned(reflect.ValueOf(err).MethodByName("ExtendedCode"))
		if code == 0 {
			code = returned(reflect.ValueOf(err).MethodByName("Code"))
		}
		return sqliteFailure(code)
	case shapeSQLServer:
		return numbered(systemSQLServer, sqlServerCodes, int(err.(sqlServerNumberer).SQLErrorNumber()))
	}
	return failure{}, false
}

// returned calls a method that was found to return an integer. Methods are named by
// constants, so that the linker need not keep those of any other name.
func returned(method reflect.Value) int { return integer(method.Call(nil)[0]) }

// numbers maps the numbers of one vendor to what they mean.
type numbers map[int]coded

type coded struct {
	condition
	code string // the number as a string, made once
}

// numberTable makes the strings of a table once, so that none is made per error.
func numberTable(m map[int]condition) numbers {
	n := make(numbers, len(m))
	for number, c := range m {
		n[number] = coded{condition: c, code: strconv.Itoa(number)}
	}
	return n
}

// numbered looks a vendor's number up. Zero is no error number anywhere.
func numbered(s system, table numbers, number int) (failure, bool) {
	if number <= 0 {
		return failure{}, false
	}
	if c, ok := table[number]; ok {
		return failure{condition: c.condition, system: s, code: c.code, number: number}, true
	}
	return failure{
		condition: condition{kind: KindOther, phrase: "database error"},
		system:    s,
		code:      strconv.Itoa(number),
		number:    number,
	}, true
}
