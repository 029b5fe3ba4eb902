package opendb

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"regexp"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/taskspan/taskspan/cmd/otdbvet/internal/edit"
	"github.com/taskspan/taskspan/cmd/otdbvet/internal/source"
)

// libraries are the functions of libraries that open databases themselves.
var libraries = map[string]*opener{
	"github.com/jmoiron/sqlx.Open":           sqlx("Open", false),
	"github.com/jmoiron/sqlx.MustOpen":       sqlx("MustOpen", false),
	"github.com/jmoiron/sqlx.Connect":        sqlx("Connect", false),
	"github.com/jmoiron/sqlx.MustConnect":    sqlx("MustConnect", false),
	"github.com/jmoiron/sqlx.ConnectContext": sqlx("ConnectContext", true),

	"gorm.io/driver/mysql.Open":       gorm("mysql", `"mysql"`),
	"gorm.io/driver/sqlserver.Open":   gorm("sqlserver", `"sqlserver"`),
	"gorm.io/driver/sqlite.Open":      gorm("sqlite", ""),
	"github.com/glebarez/sqlite.Open": gorm("sqlite", ""),
	"gorm.io/driver/postgres.Open":    gorm("postgres", `"pgx"`),
	"gorm.io/driver/mysql.New":        gormConfig("mysql"),
	"gorm.io/driver/sqlserver.New":    gormConfig("sqlserver"),
	"gorm.io/driver/sqlite.New":       gormConfig("sqlite"),
	"gorm.io/driver/postgres.New":     gormConfig("postgres"),

	"github.com/pressly/goose.OpenDBWithDriver": {origin: goose, report: (*finder).goose},

	"github.com/golang-migrate/migrate.New": {origin: migrateURL(1), report: migrate(
		"migrate.New", "migrate.NewWithDatabaseInstance, with the database driver's WithInstance")},
	"github.com/golang-migrate/migrate.NewWithSourceInstance": {origin: migrateURL(2), report: migrate(
		"migrate.NewWithSourceInstance", "migrate.NewWithInstance, with the database driver's WithInstance")},
	"github.com/golang-migrate/migrate/database.Open": {origin: migrateURL(0), report: migrate(
		"database.Open", "the database driver's WithInstance")},

	"entgo.io/ent/dialect/sql.Open": {origin: driverName(0), report: (*finder).ent},

	"github.com/jackc/pgx/stdlib.OpenDB":         {report: (*finder).pgx},
	"github.com/jackc/pgx/stdlib.OpenDBFromPool": {report: (*finder).pgxPool},
}

// A helper is a function that is added to the package, in the file of its first
// use. It does what a function of a library does, with a database of otdb.
type helper struct {
	name string
	file *ast.File
	text func(*edit.Fix) string
}

// helper reports a call that is to become one of a helper of that key.
func (f *finder) helper(file *ast.File, call *ast.CallExpr, key, message, preferred string, text func(fix *edit.Fix, file *ast.File, name string) string) {
	fix := f.fixes.Report(analysis.Diagnostic{Pos: call.Fun.Pos(), End: call.Fun.End(), Message: message})
	if fix == nil {
		return
	}
	h := f.helpers[key]
	if h == nil {
		h = &helper{name: f.fixes.Name(preferred), file: file}
		h.text = func(fix *edit.Fix) string { return text(fix, h.file, h.name) }
		f.helpers[key] = h
	}
	if obj := source.Lookup(f.Pkg, h.name, call.Pos()); obj != nil {
		fix.Fail()
		return
	}
	fix.Message = "Call " + h.name + ", which opens the database through otdb"
	fix.Replace(call.Fun, h.name)
	fix.Insert(h.file.FileEnd, h.text(fix))
}

// sqlx reports functions of sqlx, which opens by the driver's name and derives
// the placeholders from it: NewDb is given both.
func sqlx(name string, ctx bool) *opener {
	return &opener{
		origin: driverName(btoi(ctx)),
		report: func(f *finder, file *ast.File, call *ast.CallExpr) {
			message := fmt.Sprintf("sqlx.%s opens a database that is not traced; use otdb.Open and sqlx.NewDb", name)
			pkg := source.Callee(f.TypesInfo, call).Pkg().Path()
			f.helper(file, call, "sqlx."+name, message, "sqlx"+name, func(fix *edit.Fix, file *ast.File, helper string) string {
				at := file.FileEnd - 1
				x, q := fix.Qualifier(file, pkg, "sqlx", at), fix.Qualifier(file, otdb, "otdb", at)
				params, ping := "driverName, dsn string", "Ping()"
				if ctx {
					params = "ctx " + fix.Qualifier(file, "context", "context", at) + "Context, " + params
					ping = "PingContext(ctx)"
				}
				fails, result, returns := "return nil, err", "(*%sDB, error)", "return %s, nil"
				if strings.HasPrefix(name, "Must") {
					fails, result, returns = "panic(err)", "*%sDB", "return %s"
				}
				body := fmt.Sprintf("\n\n// %s does what sqlx.%s does, through otdb.\nfunc %s(%s) %s {\n", helper, name, helper, params, fmt.Sprintf(result, x)) +
					fmt.Sprintf("\tdb, err := %sOpen(driverName, dsn)\n\tif err != nil {\n\t\t%s\n\t}\n", q, fails)
				switch {
				case ctx: // which returns the database beside the error
					return body + fmt.Sprintf("\tx := %sNewDb(db, driverName)\n\treturn x, x.PingContext(ctx)\n}\n", x)
				case strings.HasSuffix(name, "Connect"):
					body += fmt.Sprintf("\tif err := db.%s; err != nil {\n\t\t_ = db.Close()\n\t\t%s\n\t}\n", ping, fails)
				}
				return body + "\t" + fmt.Sprintf(returns, x+"NewDb(db, driverName)") + "\n}\n"
			})
		},
	}
}

var timeZone = regexp.MustCompile(`time_zone|TimeZone|timezone`)

// gorm reports a dialect of GORM, which is given a database instead. GORM looks
// for a time zone in the DSN of PostgreSQL, and reads timestamps in it, unless it
// is given a database; without a time zone it is the same.
func gorm(dialect, driver string) *opener {
	return &opener{
		report: func(f *finder, file *ast.File, call *ast.CallExpr) {
			message := fmt.Sprintf("%s.Open opens a database that is not traced; use %s.New with a Conn from otdb.Open", dialect, dialect)
			if dialect == "postgres" {
				tv := f.TypesInfo.Types[call.Args[0]]
				if tv.Value == nil || timeZone.MatchString(constant.StringVal(tv.Value)) {
					f.plain(call, "postgres.Open opens a database that is not traced; use postgres.New with a Conn from otdb.Open (GORM then reads timestamps in UTC, whatever TimeZone the DSN has)")
					return
				}
			}
			pkg := source.Callee(f.TypesInfo, call).Pkg()
			f.helper(file, call, pkg.Path(), message, dialect+"Open", func(fix *edit.Fix, file *ast.File, helper string) string {
				at := file.FileEnd - 1
				q, g, d := fix.Qualifier(file, otdb, "otdb", at), fix.Qualifier(file, "gorm.io/gorm", "gorm", at), fix.Qualifier(file, pkg.Path(), dialect, at)
				name := driver
				if name == "" {
					name = d + "DriverName"
				}
				made := fmt.Sprintf("%sNew(%sConfig{Conn: db, DSN: dsn})", d, d)
				if pkg.Scope().Lookup("New") == nil {
					made = fmt.Sprintf("&%sDialector{Conn: db, DSN: dsn}", d)
				}
				return fmt.Sprintf("\n\n// %s does what %s.Open does, through otdb.\nfunc %s(dsn string) %sDialector {\n", helper, dialect, helper, g) +
					fmt.Sprintf("\tdb, err := %sOpen(%s, dsn)\n\tif err != nil {\n\t\treturn %sOpen(dsn) //otdbvet:ignore GORM returns the error\n\t}\n\treturn %s\n}\n", q, name, d, made)
			})
		},
	}
}

// gormConfig reports a configuration of a dialect that has neither a connection
// nor the name of a driver.
func gormConfig(dialect string) *opener {
	return &opener{
		report: func(f *finder, _ *ast.File, call *ast.CallExpr) {
			if len(call.Args) != 1 {
				return
			}
			lit, ok := ast.Unparen(call.Args[0]).(*ast.CompositeLit)
			if !ok || len(lit.Elts) == 0 {
				return
			}
			dsn, result := false, none
			for _, e := range lit.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					return
				}
				switch key := kv.Key.(*ast.Ident); key.Name {
				case "Conn":
					return
				case "DriverName":
					result = f.origins.of(kv.Value)
				case "DSN", "DSNConfig":
					dsn = true
				}
			}
			if dsn && (result == none || reported(result)) {
				f.plain(call, fmt.Sprintf("this %s.Config opens a database that is not traced; give it a Conn from otdb.Open", dialect))
			}
		},
	}
}

// plain reports a call that is not mended.
func (f *finder) plain(call *ast.CallExpr, message string) {
	f.fixes.Report(analysis.Diagnostic{Pos: call.Fun.Pos(), End: call.Fun.End(), Message: message})
}

// gooseDrivers are the dialects of goose whose driver has had their name in all
// of its releases.
var gooseDrivers = map[string]bool{"pgx": true, "mysql": true, "sqlserver": true, "clickhouse": true}

func goose(f *finder, call *ast.CallExpr) origin {
	if len(call.Args) != 2 {
		return unknown
	}
	return f.origins.of(call.Args[0])
}

// goose reports goose's opener, which refuses names that it does not know.
func (f *finder) goose(file *ast.File, call *ast.CallExpr) {
	message := "goose.OpenDBWithDriver opens a database that is not traced; use goose.SetDialect and otdb.Open"
	tv := f.TypesInfo.Types[call.Args[0]]
	if tv.Value == nil || !gooseDrivers[constant.StringVal(tv.Value)] {
		f.plain(call, message)
		return
	}
	pkg := source.Callee(f.TypesInfo, call).Pkg()
	f.helper(file, call, pkg.Path(), message, "gooseOpen", func(fix *edit.Fix, file *ast.File, helper string) string {
		at := file.FileEnd - 1
		q, g := fix.Qualifier(file, otdb, "otdb", at), fix.Qualifier(file, pkg.Path(), "goose", at)
		s := fix.Qualifier(file, "database/sql", "sql", at)
		return fmt.Sprintf("\n\n// %s does what goose.OpenDBWithDriver does, through otdb.\nfunc %s(driverName, dsn string) (*%sDB, error) {\n", helper, helper, s) +
			fmt.Sprintf("\tif err := %sSetDialect(driverName); err != nil {\n\t\treturn nil, err\n\t}\n\treturn %sOpen(driverName, dsn)\n}\n", g, q)
	})
}

// notSQL are the databases of golang-migrate that are not opened by database/sql.
var notSQL = regexp.MustCompile(`^(cassandra|cockroach-?mongo|mongodb(\+srv)?|neo4j|stub|testing)$`)

// migrateURL is the origin of what golang-migrate opens by a URL: the packages
// of its drivers that this one imports decide, and the URL if it is known.
func migrateURL(i int) func(*finder, *ast.CallExpr) origin {
	return func(f *finder, call *ast.CallExpr) origin {
		if i >= len(call.Args) {
			return unknown
		}
		if tv := f.TypesInfo.Types[call.Args[i]]; tv.Value != nil {
			scheme, _, ok := strings.Cut(constant.StringVal(tv.Value), "://")
			if !ok || notSQL.MatchString(scheme) {
				return traced // not by database/sql
			}
			return bare
		}
		result := none
		for _, p := range f.Pkg.Imports() {
			name, ok := strings.CutPrefix(source.Path(p.Path()), "github.com/golang-migrate/migrate/database/")
			switch {
			case !ok:
			case notSQL.MatchString(name):
				return unknown
			default:
				result = join(result, bare)
			}
		}
		if result == none {
			return unknown
		}
		return result
	}
}

func migrate(was, is string) func(*finder, *ast.File, *ast.CallExpr) {
	return func(f *finder, _ *ast.File, call *ast.CallExpr) {
		f.plain(call, was+" opens a database that is not traced; use otdb.Open and "+is)
	}
}

// ent reports ent's opener; OpenDB is given the dialect that it derives.
func (f *finder) ent(file *ast.File, call *ast.CallExpr) {
	pkg := source.Callee(f.TypesInfo, call).Pkg()
	f.helper(file, call, pkg.Path(), "ent's sql.Open opens a database that is not traced; use otdb.Open and ent's sql.OpenDB", "entOpen",
		func(fix *edit.Fix, file *ast.File, helper string) string {
			at := file.FileEnd - 1
			q, e := fix.Qualifier(file, otdb, "otdb", at), fix.Qualifier(file, pkg.Path(), "entsql", at)
			return fmt.Sprintf("\n\n// %s does what ent's sql.Open does, through otdb.\nfunc %s(driverName, dsn string) (*%sDriver, error) {\n", helper, helper, e) +
				fmt.Sprintf("\tdb, err := %sOpen(driverName, dsn)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\treturn %sOpenDB(driverName, db), nil\n}\n", q, e)
		})
}

// pgx reports stdlib.OpenDB, which is sql.OpenDB of what stdlib.GetConnector returns.
func (f *finder) pgx(file *ast.File, call *ast.CallExpr) {
	fix := f.fixes.Report(analysis.Diagnostic{
		Pos: call.Fun.Pos(), End: call.Fun.End(),
		Message: "stdlib.OpenDB opens a database that is not traced; use otdb.OpenDB(stdlib.GetConnector(config))",
	})
	if fix == nil {
		return
	}
	fn := source.Callee(f.TypesInfo, call)
	if fn.Pkg().Scope().Lookup("GetConnector") == nil {
		return
	}
	fix.Message = "Use otdb.OpenDB(stdlib.GetConnector(config))"
	connector := fix.Qualifier(file, fn.Pkg().Path(), "stdlib", call.Pos()) + "GetConnector"
	fix.Replace(call.Fun, fix.Qualifier(file, otdb, "otdb", call.Pos())+"OpenDB("+connector)
	fix.Insert(call.End(), ")")
}

func (f *finder) pgxPool(_ *ast.File, call *ast.CallExpr) {
	f.plain(call, "stdlib.OpenDBFromPool opens a database that is not traced; use otdb.OpenDB(stdlib.GetPoolConnector(pool)), and SetMaxIdleConns(0) on what it returns")
}

// isRaw reports whether fn is (*sql.Conn).Raw.
func isRaw(fn *types.Func) bool {
	return fn != nil && fn.Name() == "Raw" && source.Name(fn) == "database/sql.Conn.Raw"
}

// raw reports type assertions on the driver's connection: on a traced database
// they need otdb.Raw, which returns anything else as it is.
func (f *finder) raw(file *ast.File, call *ast.CallExpr) {
	if len(call.Args) != 1 {
		return
	}
	lit, ok := ast.Unparen(call.Args[0]).(*ast.FuncLit)
	if !ok || len(lit.Type.Params.List) != 1 || len(lit.Type.Params.List[0].Names) != 1 {
		return
	}
	conn := f.TypesInfo.Defs[lit.Type.Params.List[0].Names[0]]
	for _, v := range f.origins.values[conn] {
		if v.expr != nil {
			return // it is not the driver's any more; perhaps it is otdb.Raw's already
		}
	}
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		assert, ok := n.(*ast.TypeAssertExpr)
		if !ok {
			return true
		}
		id, ok := ast.Unparen(assert.X).(*ast.Ident)
		if !ok || f.TypesInfo.Uses[id] != conn || f.interfaceOfDriver(assert) {
			return true
		}
		fix := f.fixes.Report(analysis.Diagnostic{
			Pos: id.Pos(), End: id.End(),
			Message: fmt.Sprintf("on a traced database this is not the driver's own connection; use otdb.Raw(%s)", id.Name),
		})
		if fix != nil {
			fix.Message = "Use otdb.Raw(" + id.Name + ")"
			fix.Replace(assert.X, fix.Qualifier(file, otdb, "otdb", id.Pos())+"Raw("+id.Name+")")
		}
		return true
	})
}

// interfaceOfDriver reports whether the assertion is to an interface of
// database/sql/driver, which a traced connection has if the driver's has it.
func (f *finder) interfaceOfDriver(assert *ast.TypeAssertExpr) bool {
	if assert.Type == nil {
		return false
	}
	n, ok := types.Unalias(f.TypesInfo.TypeOf(assert.Type)).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == "database/sql/driver"
}
