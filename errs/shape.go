package errs

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// typeInfo is what is known of an error by its type alone. It is worked out
// once for each type and shared.
type typeInfo struct {
	name     string // as %T prints it, cut to what a label may hold
	strength strength
	origin   origin
	shape    shape

	unwraps, unwrapsMany bool // has one of the two forms of Unwrap
	list                 bool // is a slice of errors
	matches              bool // has Is
	times                bool // has Timeout
	retrier              bool // has SafeToRetry
	classified           bool // is Classified
	pointer              bool
	worded               bool // its text may show what kind of error it is

	// Paths of fields, as reflect's FieldByIndex takes them; nil if there is none.
	code, extended, message, state              []int
	schema, table, column, dataType, constraint []int
}

// strength is how much a type means to a reader.
type strength uint8

const (
	strengthText strength = iota // carries a text, or wraps: errors.New, fmt.Errorf, errors.Join
	strengthOwn                  // an internal type of a library, or a number of the system
	strengthFull                 // any other type
)

// origin is the owner of a type, and so of its text.
type origin uint8

const (
	originApp    origin = iota // the application's, or of a library that is not known
	originText                 // of errors and fmt: the text is whoever's wrote it
	originStd                  // of the standard library
	originDriver               // of a known driver
	originPanic                // a PanicError
)

// shape is how the code of a database's error is read.
type shape uint8

const (
	shapeNone          shape = iota
	shapeSQLState            // method SQLState() string: pgx, lib/pq
	shapePostgres            // fields Severity, Code, Message: lib/pq of old
	shapeMySQL               // MySQLError{Number, Message}: go-sql-driver
	shapeMyError             // MyError{Code, Message, State}: go-mysql
	shapeSQLite              // Error{Code, ExtendedCode}: mattn
	shapeSQLiteErrNo         // a number that is an error: mattn, ncruces
	shapeSQLiteCode          // sqlite.Error with method Code() int: modernc
	shapeSQLiteMethods       // Error with methods Code() and ExtendedCode(): ncruces
	shapeSQLServer           // method SQLErrorNumber() int32: go-mssqldb
	shapePostgresField       // methods Field(byte) string, IntegrityViolation() bool: bun's pgdriver
)

var infos sync.Map // reflect.Type → *typeInfo

// isLibrary reports whether the text of such an error is a library's own, which
// may quote values.
func (info *typeInfo) isLibrary() bool {
	return info.origin == originStd || info.origin == originDriver
}

// infoOf returns what is known of the type of err, which is not nil.
func infoOf(err error) *typeInfo {
	t := reflect.TypeOf(err)
	if info, ok := infos.Load(t); ok {
		return info.(*typeInfo)
	}
	info, _ := infos.LoadOrStore(t, newTypeInfo(t))
	return info.(*typeInfo)
}

// implements reports whether t has the methods of the interface T.
func implements[T any](t reflect.Type) bool { return t.Implements(reflect.TypeFor[T]()) }

func newTypeInfo(t reflect.Type) *typeInfo {
	info := &typeInfo{
		name:        typeName(t),
		unwraps:     implements[interface{ Unwrap() error }](t),
		unwrapsMany: implements[interface{ Unwrap() []error }](t),
		list:        t.Kind() == reflect.Slice && implements[error](t.Elem()),
		matches:     implements[interface{ Is(error) bool }](t),
		times:       implements[interface{ Timeout() bool }](t),
		retrier:     implements[interface{ SafeToRetry() bool }](t),
		classified:  implements[Classified](t),
		pointer:     t.Kind() == reflect.Pointer,
	}
	base := t
	if info.pointer {
		base = t.Elem()
	}
	info.origin = originOf(t, base)
	info.strength = strengthOf(info, base)
	info.shape = shapeOf(t, base)
	info.worded = wordedTypes[info.name]
	if info.origin == originPanic {
		info.name, info.strength = "panic", strengthText
	}
	if info.shape != shapeNone && base.Kind() == reflect.Struct {
		info.findFields(base)
	}
	return info
}

// typeName is the name of a type with its package, as %T prints it. The name of
// an unnamed type is its whole definition, and that of a generic one may be long:
// neither makes a label.
func typeName(t reflect.Type) string {
	base := t
	for base.Kind() == reflect.Pointer && base.Name() == "" {
		base = base.Elem()
	}
	if base.Name() == "" {
		return "_OTHER"
	}
	name := t.String()
	if len(name) > maxType {
		name, _, _ = strings.Cut(name, "[")
	}
	return cut(name, maxType)
}

// wordedTypes are those of plain texts, of which database/sql makes its own errors.
var wordedTypes = map[string]bool{errorString: true, "*fmt.wrapError": true, "*fmt.wrapErrors": true}

func originOf(t, base reflect.Type) origin {
	path := base.PkgPath()
	if _, vendored, ok := strings.Cut(path, "/vendor/"); ok {
		path = vendored
	}
	first, _, _ := strings.Cut(path, "/")
	switch {
	case t == reflect.TypeFor[*PanicError]():
		return originPanic
	case path == "errors" || path == "fmt" || path == "github.com/pkg/errors":
		return originText
	case standardRoots[first]:
		return originStd
	}
	if isDriverPath(path) {
		return originDriver
	}
	return originApp
}

// isDriverPath reports whether path is that of a driver's package, or below one.
func isDriverPath(path string) bool {
	for _, prefix := range driverPaths {
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// standardRoots holds the first elements of the import paths of the standard
// library whose errors quote what they were given, or may come to.
var standardRoots = map[string]bool{
	"archive": true, "bufio": true, "bytes": true, "compress": true, "context": true,
	"crypto": true, "database": true, "debug": true, "encoding": true, "expvar": true,
	"flag": true, "go": true, "hash": true, "html": true, "image": true, "internal": true,
	"io": true, "iter": true, "log": true, "math": true, "mime": true, "net": true,
	"os": true, "path": true, "plugin": true, "reflect": true, "regexp": true,
	"runtime": true, "sort": true, "strconv": true, "strings": true, "sync": true,
	"syscall": true, "text": true, "time": true, "unicode": true, "vendor": true,
}

// driverPaths holds the import paths of drivers, and of what is part of them.
var driverPaths = []string{
	"github.com/jackc/pgx", "github.com/jackc/pgconn", "github.com/jackc/pgproto3",
	"github.com/jackc/pgtype", "github.com/jackc/puddle", "github.com/lib/pq",
	"github.com/go-sql-driver/mysql", "github.com/go-mysql-org/go-mysql",
	"github.com/mattn/go-sqlite3", "modernc.org/sqlite", "github.com/glebarez/go-sqlite",
	"github.com/ncruces/go-sqlite3", "zombiezen.com/go/sqlite",
	"github.com/microsoft/go-mssqldb", "github.com/denisenkom/go-mssqldb",
	"github.com/sijms/go-ora", "github.com/godror/godror", "github.com/ClickHouse",
	"github.com/snowflakedb/gosnowflake", "github.com/databricks/databricks-sql-go",
	"github.com/marcboeker/go-duckdb", "github.com/duckdb/duckdb-go",
	"github.com/tursodatabase", "github.com/trinodb/trino-go-client",
	"github.com/SAP/go-hdb", "github.com/nakagami/firebirdsql", "github.com/ibmdb/go_ibm_db",
	"github.com/teradata/gosql-driver", "github.com/googleapis/go-sql-spanner",
	"github.com/uptrace/bun/driver/pgdriver", "github.com/golang-migrate/migrate",
	"github.com/ziutek/mymysql", "github.com/mattn/go-oci8",
	"github.com/mailru/go-clickhouse", "github.com/mutecomm/go-sqlcipher",
}

func strengthOf(info *typeInfo, base reflect.Type) strength {
	name := base.Name()
	exported := name != "" && name[0] >= 'A' && name[0] <= 'Z'
	switch {
	case info.origin == originText || info.list:
		return strengthText
	case info.origin == originStd && (!exported || info.name == "syscall.Errno" || info.name == "*os.SyscallError"):
		return strengthOwn
	case info.origin == originDriver && !exported:
		return strengthOwn
	}
	return strengthFull
}

func shapeOf(t, base reflect.Type) shape {
	name := base.Name()
	switch {
	case implements[sqlStater](t):
		return shapeSQLState
	case implements[sqlServerNumberer](t):
		return shapeSQLServer
	case implements[postgresFielder](t):
		return shapePostgresField
	case sqliteNumbers[name] && isInteger(base.Kind()) && strings.Contains(base.PkgPath(), "sqlite"):
		return shapeSQLiteErrNo
	case name == "Error" && isNumber(t.MethodByName("Code")) && isNumber(t.MethodByName("ExtendedCode")):
		return shapeSQLiteMethods
	case strings.HasSuffix(base.String(), "sqlite.Error") && isNumber(t.MethodByName("Code")):
		return shapeSQLiteCode
	}
	if base.Kind() != reflect.Struct {
		return shapeNone
	}
	has := func(kind func(reflect.Kind) bool, fields ...string) bool {
		return !slices.ContainsFunc(fields, func(field string) bool { return pathOf(base, kind, field) == nil })
	}
	switch {
	case name == "MySQLError" && has(isInteger, "Number") && has(isString, "Message"):
		return shapeMySQL
	case name == "MyError" && has(isInteger, "Code") && has(isString, "Message", "State"):
		return shapeMyError
	case name == "Error" && has(isInteger, "Code", "ExtendedCode"):
		return shapeSQLite
	case has(isString, "Severity", "Code", "Message") &&
		(base.String() == "pq.Error" || isDriverPath(base.PkgPath())): // an application may have such fields too
		return shapePostgres
	}
	return shapeNone
}

// sqliteNumbers has the names of the types of SQLite's drivers that are a number
// and an error.
var sqliteNumbers = map[string]bool{
	"ErrNo": true, "ErrNoExtended": true, // mattn
	"ErrorCode": true, "ExtendedErrorCode": true, // ncruces
}

// isNumber reports whether there is such a method, and it takes nothing and returns an
// integer.
func isNumber(m reflect.Method, ok bool) bool {
	return ok && m.Type.NumIn() == 1 && m.Type.NumOut() == 1 && isInteger(m.Type.Out(0).Kind())
}

func isInteger(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uint64 }

func isString(k reflect.Kind) bool { return k == reflect.String }

// pathOf returns the path of the first of these fields that is exported and of such a
// kind, and nil if there is none.
func pathOf(base reflect.Type, kind func(reflect.Kind) bool, names ...string) []int {
	for _, name := range names {
		if f, ok := base.FieldByName(name); ok && f.IsExported() && kind(f.Type.Kind()) {
			return f.Index
		}
	}
	return nil
}

// findFields notes where the fields are that hold a code or name a part of the schema.
func (info *typeInfo) findFields(base reflect.Type) {
	switch info.shape {
	case shapeMySQL:
		info.code = pathOf(base, isInteger, "Number")
	case shapePostgres:
		info.code = pathOf(base, isString, "Code")
	default:
		info.code = pathOf(base, isInteger, "Code")
	}
	info.extended = pathOf(base, isInteger, "ExtendedCode")
	info.schema = pathOf(base, isString, "SchemaName", "Schema")
	info.table = pathOf(base, isString, "TableName", "Table")
	info.column = pathOf(base, isString, "ColumnName", "Column")
	info.dataType = pathOf(base, isString, "DataTypeName")
	info.constraint = pathOf(base, isString, "ConstraintName", "Constraint")
	info.message = pathOf(base, isString, "Message")
	info.state = pathOf(base, func(k reflect.Kind) bool { return k == reflect.String || k == reflect.Array }, "SQLState", "State")
}

// field returns the field of err at path, and false if it cannot be reached.
func field(err error, path []int) (reflect.Value, bool) {
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return reflect.Value{}, false
		}
		v = v.Elem()
	}
	if path == nil {
		return reflect.Value{}, false
	}
	if len(path) == 1 {
		return v.Field(path[0]), true
	}
	f, failed := v.FieldByIndexErr(path)
	return f, failed == nil
}

// fieldText returns the string at path, or "".
func fieldText(err error, path []int) string {
	if f, ok := field(err, path); ok {
		return f.String()
	}
	return ""
}

// fieldState returns the SQLSTATE at path, which is a string or an array of bytes.
func fieldState(err error, path []int) string {
	f, ok := field(err, path)
	switch {
	case !ok:
		return ""
	case f.Kind() == reflect.String:
		return f.String()
	}
	state := make([]byte, 0, 5)
	for i := range min(f.Len(), cap(state)) {
		if e := f.Index(i); e.CanUint() {
			state = append(state, byte(e.Uint()))
		}
	}
	return string(state)
}

// fieldNumber returns the integer at path, or 0.
func fieldNumber(err error, path []int) int {
	if f, ok := field(err, path); ok {
		return integer(f)
	}
	return 0
}

func integer(v reflect.Value) int {
	if v.CanInt() {
		return int(v.Int())
	}
	if v.CanUint() {
		return int(v.Uint())
	}
	return 0
}
