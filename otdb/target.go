package otdb

import (
	"database/sql/driver"
	"reflect"
	"strings"
	"unicode"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// target is what is known of the database that a DSN or a connector leads to.
// It is recorded on spans and metrics, so it holds nothing that could be part
// of a password, of a user's name or of an unrelated parameter: a DSN that can
// be read in two ways yields its system and nothing else.
//
// Address and namespace are those the connection is made with. What a session
// changes later (USE, SET search_path) is not followed.
type target struct {
	// system is the value of db.system.name, other_sql if it is unknown.
	system string
	// namespace is the value of db.namespace, empty if it is unknown:
	//
	//   - PostgreSQL and its relatives: the database. The schema is left out,
	//     because a search path is hardly ever part of a DSN, and the user's
	//     name, which libpq takes for a missing database, is never put in.
	//   - MySQL, MariaDB, ClickHouse: the database.
	//   - SQL Server: database, or instance|database for a named instance. An
	//     instance alone would read as a database, and is left out.
	//   - Trino: catalog|schema, or the catalog alone.
	//   - SQLite: the base name of the file. Directories are left out, as they
	//     tell users' names; a database in memory has no name.
	//   - Oracle: nothing. The conventions ask for DB_UNIQUE_NAME, which a DSN
	//     does not tell: it names a service.
	namespace string
	// address is the value of server.address: a host name, an IP address
	// without brackets, or the path of a Unix socket (for PostgreSQL the
	// directory that the socket is in, as the DSN has it). It is empty if it is
	// unknown, and if there are several hosts.
	address string
	// port is the value of server.port, 0 if it is unknown or the default one
	// of the system. The port of a PostgreSQL socket tells two servers in one
	// directory apart.
	port int
}

// The values of db.system.name that DSNs are read for.
var (
	targetOther       = semconv.DBSystemNameOtherSQL.Value.AsString()
	targetPostgreSQL  = semconv.DBSystemNamePostgreSQL.Value.AsString()
	targetCockroachDB = semconv.DBSystemNameCockroachDB.Value.AsString()
	targetRedshift    = semconv.DBSystemNameAWSRedshift.Value.AsString()
	targetMySQL       = semconv.DBSystemNameMySQL.Value.AsString()
	targetMariaDB     = semconv.DBSystemNameMariaDB.Value.AsString()
	targetSQLite      = semconv.DBSystemNameSQLite.Value.AsString()
	targetSQLServer   = semconv.DBSystemNameMicrosoftSQLServer.Value.AsString()
	targetOracle      = semconv.DBSystemNameOracleDB.Value.AsString()
	targetClickHouse  = semconv.DBSystemNameClickHouse.Value.AsString()
	targetTrino       = semconv.DBSystemNameTrino.Value.AsString()
	targetSpanner     = semconv.DBSystemNameGCPSpanner.Value.AsString()
	targetFirebird    = semconv.DBSystemNameFirebirdSQL.Value.AsString()
	targetHANA        = semconv.DBSystemNameSAPHANA.Value.AsString()
	targetDB2         = semconv.DBSystemNameIBMDB2.Value.AsString()
	targetTeradata    = semconv.DBSystemNameTeradata.Value.AsString()
	targetHive        = semconv.DBSystemNameHive.Value.AsString()
)

// targetDefaultPorts has the port of a system that server.port leaves out.
var targetDefaultPorts = map[string]int{
	targetPostgreSQL:  5432,
	targetCockroachDB: 26257,
	targetRedshift:    5439,
	targetMySQL:       3306,
	targetMariaDB:     3306,
	targetSQLServer:   1433,
	targetOracle:      1521,
	targetClickHouse:  9000,
	targetTrino:       8080,
}

// targetPackages has the systems of drivers by the import path that their
// packages are in or below. A MySQL driver talks to MariaDB as well and cannot
// tell which until it has connected: it counts as MySQL.
var targetPackages = []struct{ path, system string }{
	{"github.com/jackc/pgx", targetPostgreSQL},
	{"github.com/lib/pq", targetPostgreSQL},
	{"github.com/go-sql-driver/mysql", targetMySQL},
	{"github.com/ziutek/mymysql", targetMySQL},
	{"github.com/mattn/go-sqlite3", targetSQLite},
	{"modernc.org/sqlite", targetSQLite},
	{"github.com/ncruces/go-sqlite3", targetSQLite},
	{"github.com/glebarez/go-sqlite", targetSQLite},
	{"github.com/mutecomm/go-sqlcipher", targetSQLite},
	{"github.com/microsoft/go-mssqldb", targetSQLServer},
	{"github.com/denisenkom/go-mssqldb", targetSQLServer},
	{"github.com/sijms/go-ora", targetOracle},
	{"github.com/godror/godror", targetOracle},
	{"github.com/mattn/go-oci8", targetOracle},
	{"github.com/ClickHouse/clickhouse-go", targetClickHouse},
	{"github.com/mailru/go-clickhouse", targetClickHouse},
	{"github.com/trinodb/trino-go-client", targetTrino},
	{"github.com/googleapis/go-sql-spanner", targetSpanner},
	{"github.com/nakagami/firebirdsql", targetFirebird},
	{"github.com/SAP/go-hdb", targetHANA},
	{"github.com/ibmdb/go_ibm_db", targetDB2},
	{"github.com/teradata/gosql-driver", targetTeradata},
	// These have no value of their own in the conventions. Listing them keeps
	// their DSNs from being read as another system's.
	{"github.com/snowflakedb/gosnowflake", targetOther},
	{"github.com/databricks/databricks-sql-go", targetOther},
	{"github.com/marcboeker/go-duckdb", targetOther},
	{"github.com/duckdb/duckdb-go", targetOther},
}

// targetNames has the systems of the names that drivers are registered under,
// and of the words such names are made of.
var targetNames = map[string]string{
	"pgx":               targetPostgreSQL,
	"pg":                targetPostgreSQL,
	"pq":                targetPostgreSQL,
	"postgres":          targetPostgreSQL,
	"postgresql":        targetPostgreSQL,
	"cloudsqlpostgres":  targetPostgreSQL,
	"cockroach":         targetCockroachDB,
	"cockroachdb":       targetCockroachDB,
	"crdb":              targetCockroachDB,
	"redshift":          targetRedshift,
	"mysql":             targetMySQL,
	"mymysql":           targetMySQL,
	"cloudsqlmysql":     targetMySQL,
	"mariadb":           targetMariaDB,
	"sqlite":            targetSQLite,
	"sqlite3":           targetSQLite,
	"sqlcipher":         targetSQLite,
	"sqlserver":         targetSQLServer,
	"mssql":             targetSQLServer,
	"azuresql":          targetSQLServer,
	"oracle":            targetOracle,
	"godror":            targetOracle,
	"goracle":           targetOracle,
	"oci8":              targetOracle,
	"clickhouse":        targetClickHouse,
	"chhttp":            targetClickHouse,
	"trino":             targetTrino,
	"spanner":           targetSpanner,
	"firebird":          targetFirebird,
	"firebirdsql":       targetFirebird,
	"hdb":               targetHANA,
	"go_ibm_db":         targetDB2,
	"teradata":          targetTeradata,
	"hive":              targetHive,
	"snowflake":         targetOther,
	"databricks":        targetOther,
	"duckdb":            targetOther,
	"cloudsqlsqlserver": targetSQLServer,
}

// targetFromDSN tells where dsn leads to. drv may be nil: the import path of
// its type is the best sign of the system, the name it is registered under the
// second, and the scheme of a URL the third. It never panics.
func targetFromDSN(driverName string, drv driver.Driver, dsn string) target {
	system := targetSystem(driverName, drv)
	if system == "" {
		system = targetSystemOfScheme(dsn)
	}
	if fields, ok := parseDSN(system, dsn); ok {
		return fields.target(system)
	}
	return target{system: system}
}

// targetSystem returns the system of a driver, or the empty string.
func targetSystem(driverName string, drv driver.Driver) string {
	return targetRefine(targetSystemOfType(drv), targetSystemOfName(driverName))
}

// targetRefine returns what the systems told by an import path and by a name
// come to. The name counts where one driver serves several systems that have
// one protocol, and where the path tells nothing.
func targetRefine(path, name string) string {
	switch {
	case path == "":
		return name
	case path == targetPostgreSQL && (name == targetCockroachDB || name == targetRedshift),
		path == targetMySQL && name == targetMariaDB:
		return name
	default:
		return path
	}
}

// targetSystemOfType returns the system of the driver whose package the type
// of v is from, or the empty string.
func targetSystemOfType(v any) string {
	t := reflect.TypeOf(v)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return ""
	}
	return targetSystemOfPackage(t.PkgPath())
}

// targetSystemOfPackage returns the system of the driver that the package with
// that import path belongs to, or the empty string.
func targetSystemOfPackage(path string) string {
	for _, p := range targetPackages {
		if rest, ok := strings.CutPrefix(path, p.path); ok && (rest == "" || rest[0] == '/') {
			return p.system
		}
	}
	return ""
}

// targetSystemOfName returns the system of a driver's name, or the empty
// string. Of a name with several words, as wrapping drivers make them
// ("sqlite3_hooks", "mysql-otdb"), the words decide if they agree.
func targetSystemOfName(name string) string {
	name = strings.ToLower(name)
	if system, ok := targetNames[name]; ok {
		return system
	}
	found := ""
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		system := targetNames[word]
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

// targetSystemOfScheme returns the system of the URL that dsn is, or other_sql.
func targetSystemOfScheme(dsn string) string {
	scheme, _, _ := cutDSNScheme(dsn)
	switch scheme {
	case "postgres", "postgresql":
		return targetPostgreSQL
	case "cockroach", "cockroachdb":
		return targetCockroachDB
	case "redshift":
		return targetRedshift
	case "mysql":
		return targetMySQL
	case "mariadb":
		return targetMariaDB
	case "sqlserver":
		return targetSQLServer
	case "oracle":
		return targetOracle
	case "clickhouse":
		return targetClickHouse
	default:
		return targetOther
	}
}
