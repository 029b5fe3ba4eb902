package opendb

import (
	"go/types"
	"regexp"
	"strings"

	"github.com/taskspan/taskspan/cmd/otdbvet/internal/source"
)

// drivers are the names under which drivers register themselves. Any other name
// was chosen by a program, which may have given it to a traced driver.
var drivers = strings.Fields(`
	adodb avatica azuresql bigquery chai chdb clickhouse cloudsql-mysql cloudsql-postgres cloudsql-sqlserver
	cloudsqlpostgres cosmos couchbase cql databricks dameng dm dolt duckdb exasol firebirdsql flightsql godror
	go_ibm_db h2 hdb hive impala ignite libsql maxcompute mssql mymysql mysql n1ql netezza nzgo oci8 odbc ora
	oracle pgx pgx/v4 pgx/v5 postgres presto ql ramsql rqlite snowflake spanner sqlite sqlite3 sqlserver taosSql
	tds tidb trino turso vertica vitess voltdb ydb ydb/v3`)

// driverPackages are drivers; their connectors are not traced.
var driverPackages = strings.Fields(`
	github.com/jackc/pgx/stdlib github.com/lib/pq github.com/go-sql-driver/mysql github.com/microsoft/go-mssqldb
	github.com/microsoft/go-mssqldb/azuread github.com/denisenkom/go-mssqldb github.com/mattn/go-sqlite3
	modernc.org/sqlite github.com/glebarez/go-sqlite github.com/ncruces/go-sqlite3/driver github.com/ClickHouse/clickhouse-go
	github.com/godror/godror github.com/sijms/go-ora github.com/snowflakedb/gosnowflake github.com/marcboeker/go-duckdb
	github.com/duckdb/duckdb-go github.com/googleapis/go-sql-spanner github.com/tursodatabase/libsql-client-go/libsql
	github.com/tursodatabase/go-libsql github.com/trinodb/trino-go-client/trino github.com/databricks/databricks-sql-go
	github.com/SAP/go-hdb/driver github.com/ydb-platform/ydb-go-sdk github.com/vertica/vertica-sql-go`)

// tracers are packages that wrap drivers to trace them.
var tracers = regexp.MustCompile(`^(github\.com/taskspan/taskspan/otdb|github\.com/XSAM/otelsql|go\.nhat\.io/otelsql|` +
	`github\.com/uptrace/opentelemetry-go-extra/otelsql|github\.com/signalfx/splunk-otel-go/.*|github\.com/nhatthm/otelsql|` +
	`github\.com/DataDog/dd-trace-go/contrib/database/sql|gopkg\.in/DataDog/dd-trace-go\.[^/]*/contrib/database/sql|` +
	`go\.elastic\.co/apm/module/apmsql|contrib\.go\.opencensus\.io/integrations/ocsql|github\.com/luna-duclos/instrumentedsql)$`)

// isWrapper reports whether the function of that name makes a traced driver,
// connector, or name of one.
func isWrapper(name string) bool {
	i := strings.LastIndexByte(name, '.')
	return i > 0 && tracers.MatchString(name[:i])
}

// isFlag reports whether fn declares a flag of the command line.
func isFlag(fn *types.Func) bool {
	if fn.Pkg() == nil {
		return false
	}
	switch source.Path(fn.Pkg().Path()) {
	case "flag", "github.com/spf13/pflag":
		return strings.HasPrefix(fn.Name(), "String")
	}
	return false
}
