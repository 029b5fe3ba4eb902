package target

import (
	"reflect"
	"strings"
	"unicode"
)

// The values of db.system.name that DSNs are read for, as the semantic
// conventions have them.
const (
	otherSQL    = "other_sql"
	postgreSQL  = "postgresql"
	cockroachDB = "cockroachdb"
	redshift    = "aws.redshift"
	mySQL       = "mysql"
	mariaDB     = "mariadb"
	sqlite      = "sqlite"
	sqlServer   = "microsoft.sql_server"
	oracle      = "oracle.db"
	clickHouse  = "clickhouse"
	trino       = "trino"
	spanner     = "gcp.spanner"
	firebird    = "firebirdsql"
	hana        = "sap.hana"
	db2         = "ibm.db2"
	teradata    = "teradata"
	hive        = "hive"
)

// defaultPorts has the port of a system that server.port leaves out.
var defaultPorts = map[string]int{
	postgreSQL:  5432,
	cockroachDB: 26257,
	redshift:    5439,
	mySQL:       3306,
	mariaDB:     3306,
	sqlServer:   1433,
	oracle:      1521,
	clickHouse:  9000,
	trino:       8080,
}

// packages has the systems of drivers by the import path that their
// packages are in or below. A MySQL driver talks to MariaDB as well and cannot
// distinguish them until it has connected: it counts as MySQL.
var packages = []struct{ path, system string }{
	{"github.com/jackc/pgx", postgreSQL},
	{"github.com/lib/pq", postgreSQL},
	{"github.com/go-sql-driver/mysql", mySQL},
	{"github.com/ziutek/mymysql", mySQL},
	{"github.com/mattn/go-sqlite3", sqlite},
	{"modernc.org/sqlite", sqlite},
	{"github.com/ncruces/go-sqlite3", sqlite},
	{"github.com/glebarez/go-sqlite", sqlite},
	{"github.com/mutecomm/go-sqlcipher", sqlite},
	{"github.com/microsoft/go-mssqldb", sqlServer},
	{"github.com/denisenkom/go-mssqldb", sqlServer},
	{"github.com/sijms/go-ora", oracle},
	{"github.com/godror/godror", oracle},
	{"github.com/mattn/go-oci8", oracle},
	{"github.com/ClickHouse/clickhouse-go", clickHouse},
	{"github.com/mailru/go-clickhouse", clickHouse},
	{"github.com/trinodb/trino-go-client", trino},
	{"github.com/googleapis/go-sql-spanner", spanner},
	{"github.com/nakagami/firebirdsql", firebird},
	{"github.com/SAP/go-hdb", hana},
	{"github.com/ibmdb/go_ibm_db", db2},
	{"github.com/teradata/gosql-driver", teradata},
	// These have no value of their own in the conventions. Listing them keeps
	// their DSNs from being read as another system's.
	{"github.com/snowflakedb/gosnowflake", otherSQL},
	{"github.com/databricks/databricks-sql-go", otherSQL},
	{"github.com/marcboeker/go-duckdb", otherSQL},
	{"github.com/duckdb/duckdb-go", otherSQL},
}

// driverNames has the systems of the names that drivers are registered under,
// and of the words such names are made of.
var driverNames = map[string]string{
	"pgx":               postgreSQL,
	"pg":                postgreSQL,
	"pq":                postgreSQL,
	"postgres":          postgreSQL,
	"postgresql":        postgreSQL,
	"cloudsqlpostgres":  postgreSQL,
	"cockroach":         cockroachDB,
	"cockroachdb":       cockroachDB,
	"crdb":              cockroachDB,
	"redshift":          redshift,
	"mysql":             mySQL,
	"mymysql":           mySQL,
	"cloudsqlmysql":     mySQL,
	"mariadb":           mariaDB,
	"sqlite":            sqlite,
	"sqlite3":           sqlite,
	"sqlcipher":         sqlite,
	"sqlserver":         sqlServer,
	"mssql":             sqlServer,
	"azuresql":          sqlServer,
	"oracle":            oracle,
	"godror":            oracle,
	"goracle":           oracle,
	"oci8":              oracle,
	"clickhouse":        clickHouse,
	"chhttp":            clickHouse,
	"trino":             trino,
	"spanner":           spanner,
	"firebird":          firebird,
	"firebirdsql":       firebird,
	"hdb":               hana,
	"go_ibm_db":         db2,
	"teradata":          teradata,
	"hive":              hive,
	"snowflake":         otherSQL,
	"databricks":        otherSQL,
	"duckdb":            otherSQL,
	"cloudsqlsqlserver": sqlServer,
}

// refine merges the systems that an import path and a name stand for
// The name counts where one driver serves several systems that have
// one protocol, and where the path is unknown.
func refine(path, name string) string {
	switch {
	case path == "":
		return name
	case path == postgreSQL && (name == cockroachDB || name == redshift),
		path == mySQL && name == mariaDB:
		return name
	default:
		return path
	}
}

// systemOfType returns the system of the driver whose package the type
// of v is from, or the empty string.
func systemOfType(v any) string {
	t := reflect.TypeOf(v)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return ""
	}
	return systemOfPackage(t.PkgPath())
}

// systemOfPackage returns the system of the driver that the package with
// that import path belongs to, or the empty string.
func systemOfPackage(path string) string {
	for _, p := range packages {
		if rest, ok := strings.CutPrefix(path, p.path); ok && (rest == "" || rest[0] == '/') {
			return p.system
		}
	}
	return ""
}

// systemOfName returns the system of a driver's name, or the empty
// string. Wrapping drivers make names of several words ("sqlite3_hooks",
// "mysql-otdb"): the words decide if they agree.
func systemOfName(name string) string {
	name = strings.ToLower(name)
	if system, ok := driverNames[name]; ok {
		return system
	}
	found := ""
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		system := driverNames[word]
		if system == "" {
			continue
		}
		if found != "" && found != system {
			return ""
		}
		found = system
	}
	return found
}

// systemOfScheme returns the system of the URL that dsn is, or other_sql.
func systemOfScheme(dsn string) string {
	scheme, _, _ := cutScheme(dsn)
	switch scheme {
	case "postgres", "postgresql":
		return postgreSQL
	case "cockroach", "cockroachdb":
		return cockroachDB
	case "redshift":
		return redshift
	case "mysql":
		return mySQL
	case "mariadb":
		return mariaDB
	case "sqlserver":
		return sqlServer
	case "oracle":
		return oracle
	case "clickhouse":
		return clickHouse
	default:
		return otherSQL
	}
}
