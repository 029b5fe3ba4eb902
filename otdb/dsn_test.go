package otdb

import (
	"cmp"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	dsnPG    = "postgresql"
	dsnMy    = "mysql"
	dsnLite  = "sqlite"
	dsnMS    = "microsoft.sql_server"
	dsnOra   = "oracle.db"
	dsnClick = "clickhouse"
	dsnOther = "other_sql"
)

// dsnTests has DSNs and what is known by them. Where a test expects the system
// only, the DSN is one that is not certain.
var dsnTests = []struct {
	driver, dsn string
	want        target
}{
	// PostgreSQL, URLs.
	{"pgx", "postgres://app:pw@db.example.com:5432/orders", target{dsnPG, "orders", "db.example.com", 0}},
	{"pgx", "postgres://app:pw@db.example.com:5433/orders?sslmode=disable", target{dsnPG, "orders", "db.example.com", 5433}},
	{"postgres", "postgresql://db.example.com/orders", target{dsnPG, "orders", "db.example.com", 0}},
	{"postgres", "postgresql://app@db/orders", target{dsnPG, "orders", "db", 0}},
	{"postgres", "POSTGRES://app@db/orders", target{dsnPG, "orders", "db", 0}},
	{"pgx", "postgres://app:p%40ss%2Fw%23rd%3F@db/orders", target{dsnPG, "orders", "db", 0}},
	{"pgx", "postgres://app:p:w:x@db/orders", target{dsnPG, "orders", "db", 0}},
	{"pgx", "postgres://app:pw@[::1]:5432/orders", target{dsnPG, "orders", "::1", 0}},
	{"pgx", "postgres://app:pw@[2001:db8::7]:6432/orders", target{dsnPG, "orders", "2001:db8::7", 6432}},
	{"pgx", "postgres://app:pw@[fe80::1%25eth0]/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@127.0.0.1/orders", target{dsnPG, "orders", "127.0.0.1", 0}},
	{"pgx", "postgres://app:pw@127.0.0.999/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@my_container-1:5432/orders", target{dsnPG, "orders", "my_container-1", 0}},
	{"pgx", "postgres://app:pw@h1:5432,h2:5433/orders", target{dsnPG, "orders", "", 0}},
	{"pgx", "postgres://app:pw@h1:5432,h@2:5433/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@h1,h$2/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@%2Fvar%2Frun%2Fpostgresql/orders", target{dsnPG, "orders", "/var/run/postgresql", 0}},
	{"pgx", "postgres://app:pw@%2Fvar%2Frun%2Fpostgresql:5433/orders", target{dsnPG, "orders", "/var/run/postgresql", 5433}},
	{"pgx", "postgres:///orders?host=/var/run/postgresql", target{dsnPG, "orders", "/var/run/postgresql", 0}},
	{"pgx", "postgres:///orders?host=/cloudsql/proj:region:inst&user=app", target{dsnPG, "orders", "/cloudsql/proj:region:inst", 0}},
	{"pgx", "postgres:///?host=db&port=5433&dbname=orders", target{dsnPG, "orders", "db", 5433}},
	{"pgx", "postgres:///?password=x&host=db", target{system: dsnPG}},
	{"pgx", "postgres:///?host=db&password=x", target{dsnPG, "", "db", 0}},
	{"pgx", "postgres://db/orders?host=else", target{system: dsnPG}},
	{"pgx", "postgres://db/orders?dbname=else", target{system: dsnPG}},
	{"pgx", "postgres://db/orders?user=bob@corp", target{system: dsnPG}},
	{"pgx", "postgres://db/orders?sslmode=a&sslmode=b", target{system: dsnPG}},
	{"pgx", "postgres://db/orders?sslmode", target{system: dsnPG}},
	{"pgx", "postgres:///orders?host=db&port =5433", target{system: dsnPG}},
	{"pgx", "postgres://db/orders?x=%zz", target{system: dsnPG}},
	{"pgx", "postgres://db/orders#fragment", target{system: dsnPG}},
	{"pgx", "postgres://db", target{dsnPG, "", "db", 0}},
	{"pgx", "postgres://db/", target{dsnPG, "", "db", 0}},
	{"pgx", "postgres://app:pw@/orders", target{dsnPG, "orders", "", 0}},
	{"pgx", "postgres://app:pw@:5433/orders", target{dsnPG, "orders", "", 0}},
	{"pgx", "postgres://app:pw@db:/orders", target{dsnPG, "orders", "db", 0}},
	{"pgx", "postgres://", target{system: dsnPG}},
	{"pgx", "postgres://db:0/orders", target{system: dsnPG}},
	{"pgx", "postgres://db:65536/orders", target{system: dsnPG}},
	{"pgx", "postgres://db:+5432/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:half/of@db/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:half@of@db/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:half@of/it@db/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:half?of@db/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:half#of@db/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:half of@db/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:half%zz@db/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:ü@db/orders", target{system: dsnPG}},
	{"pgx", `postgres://app:half\of@db/orders`, target{system: dsnPG}},
	{"pgx", "postgres://app:secret/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@db/my%20orders", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@db/a/b", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@db/größe", target{dsnPG, "größe", "db", 0}},
	{"pgx", "postgres://app:pw@db/gr%C3%B6%C3%9Fe", target{dsnPG, "größe", "db", 0}},
	{"pgx", "postgres://app:pw@db/gr%C3", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@db/\xff", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@db/orders\n", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@-db/orders", target{system: dsnPG}},
	{"pgx", "postgres://app:pw@db..x/orders", target{system: dsnPG}},
	{"pgx", "postgres://db/" + strings.Repeat("d", 129), target{system: dsnPG}},
	{"pgx", "postgres://db/orders?x=" + strings.Repeat("d", dsnMaxLen), target{system: dsnPG}},
	{"pgx", "mysql://app:pw@db/orders", target{system: dsnPG}},
	{"pgx", "registeredConnConfig0", target{system: dsnPG}},
	{"pgx", "", target{system: dsnPG}},
	{"cockroach", "postgres://app:pw@db:26257/orders", target{"cockroachdb", "orders", "db", 0}},
	{"redshift", "postgres://app:pw@db:5439/orders", target{"aws.redshift", "orders", "db", 0}},

	// PostgreSQL, lists.
	{"pgx", "host=db port=5433 user=app password=pw dbname=orders sslmode=disable", target{dsnPG, "orders", "db", 5433}},
	{"postgres", "host=db dbname=orders", target{dsnPG, "orders", "db", 0}},
	{"postgres", "user=app password=pw", target{system: dsnPG}},
	{"postgres", "user=app password=pw host=db", target{dsnPG, "", "db", 0}},
	{"postgres", "  host = db  dbname = orders  ", target{dsnPG, "orders", "db", 0}},
	{"postgres", "host=db\n\tport=5433\n\tdbname=orders\n", target{dsnPG, "orders", "db", 5433}},
	{"postgres", "host=db\x00dbname=orders", target{system: dsnPG}},
	{"postgres", "host='db' dbname='orders' password='p w=\\'x\\\\'", target{dsnPG, "orders", "db", 0}},
	{"postgres", `host=db password=p\ w dbname=orders`, target{dsnPG, "orders", "db", 0}},
	{"postgres", `host=db dbname=orders password=p\`, target{system: dsnPG}},
	{"postgres", "host=db password=p w dbname=orders", target{system: dsnPG}},
	{"postgres", "user=a\\ password=b\nhost=c options=d\\ host=db dbname=orders", target{system: dsnPG}},
	{"postgres", "host=db options=-c\\ search_path=a dbname=orders", target{dsnPG, "orders", "db", 0}},
	{"postgres", "host=db password='p'w' dbname=orders", target{system: dsnPG}},
	{"postgres", "host=db password='pw dbname=orders", target{system: dsnPG}},
	{"postgres", "password= host=db dbname=orders", target{system: dsnPG}},
	{"postgres", "host=db password=it's dbname=orders", target{dsnPG, "orders", "db", 0}},
	{"postgres", "host=db password=ab== dbname=orders", target{dsnPG, "orders", "db", 0}},
	{"postgres", "host=db host=else dbname=orders", target{system: dsnPG}},
	{"postgres", "host=db dbname=orders database=else", target{system: dsnPG}},
	{"postgres", "host=db database=orders", target{dsnPG, "orders", "db", 0}},
	{"postgres", "host=db dbname='my orders'", target{system: dsnPG}},
	{"postgres", "host=db dbname=postgres://u:pw@h/x", target{system: dsnPG}},
	{"postgres", "host=/var/run/postgresql dbname=orders", target{dsnPG, "orders", "/var/run/postgresql", 0}},
	{"postgres", "host=/home/bob/pg dbname=orders", target{system: dsnPG}},
	{"postgres", "host=a,b port=5432,5433 dbname=orders", target{dsnPG, "orders", "", 0}},
	{"postgres", "host=a port=5432,5433 dbname=orders", target{system: dsnPG}},
	{"postgres", "host=a,b port=5433 dbname=orders", target{dsnPG, "orders", "", 0}},
	{"postgres", "hostaddr=10.0.0.1 dbname=orders", target{dsnPG, "orders", "", 0}},
	{"postgres", "hostaddr=::1 port=5433 dbname=orders", target{dsnPG, "orders", "", 0}},
	{"postgres", "host=db hostaddr=10.0.0.1 dbname=orders", target{system: dsnPG}},
	{"postgres", "hostaddr=db dbname=orders", target{system: dsnPG}},
	{"postgres", "host=db 1key=x", target{system: dsnPG}},
	{"postgres", "dbname=orders port=x", target{system: dsnPG}},
	{"postgres", "service=prod dbname=orders", target{dsnPG, "orders", "", 0}},

	// MySQL.
	{"mysql", "app:pw@tcp(db.example.com:3306)/orders?parseTime=true", target{dsnMy, "orders", "db.example.com", 0}},
	{"mysql", "app:pw@tcp(db.example.com:3307)/orders", target{dsnMy, "orders", "db.example.com", 3307}},
	{"mysql", "app:pw@tcp(db)/orders", target{dsnMy, "orders", "db", 0}},
	{"mysql", "app:p@ss@tcp(db)/orders", target{dsnMy, "orders", "db", 0}},
	{"mysql", "app:p/ss:w@tcp(db)/orders", target{dsnMy, "orders", "db", 0}},
	{"mysql", "app:p/ss:w?@tcp(db)/orders", target{system: dsnMy}},
	{"mysql", "app:p@ss/w:ord@tcp(db)/orders", target{system: dsnMy}},
	{"mysql", "app:p(s)s@tcp(db)/orders", target{dsnMy, "orders", "db", 0}},
	{"mysql", "app:p?s#s;@tcp(db)/orders", target{dsnMy, "orders", "db", 0}},
	{"mysql", "app:x@tcp(no)/y@tcp(db)/orders", target{system: dsnMy}},
	{"mysql", "app:x@tcp(no)/y@tcp(db)", target{system: dsnMy}},
	{"mysql", "app:pw@tcp([::1]:3307)/orders", target{dsnMy, "orders", "::1", 3307}},
	{"mysql", "app:pw@tcp(::1)/orders", target{system: dsnMy}},
	{"mysql", "app:pw@tcp6([2001:db8::7])/orders", target{dsnMy, "orders", "2001:db8::7", 0}},
	{"mysql", "app:pw@tcp(:3307)/orders", target{dsnMy, "orders", "", 0}},
	{"mysql", "app:pw@unix(/var/run/mysqld/mysqld.sock)/orders", target{dsnMy, "orders", "/var/run/mysqld/mysqld.sock", 0}},
	{"mysql", "app:pw@unix(sock)/orders", target{system: dsnMy}},
	{"mysql", "app:pw@unix/orders", target{dsnMy, "orders", "", 0}},
	{"mysql", "app:pw@tcp/orders", target{dsnMy, "orders", "", 0}},
	{"mysql", "app:pw@word/orders", target{system: dsnMy}},
	{"mysql", "app:pw@cloudsql(proj:region:inst)/orders", target{dsnMy, "orders", "", 0}},
	{"mysql", "app:pw@/orders", target{dsnMy, "orders", "", 0}},
	{"mysql", "/orders", target{dsnMy, "orders", "", 0}},
	{"mysql", "/", target{system: dsnMy}},
	{"mysql", "", target{system: dsnMy}},
	{"mysql", "orders", target{system: dsnMy}},
	{"mysql", "app:pw/orders", target{system: dsnMy}},
	{"mysql", "app:pw@tcp(db/orders", target{system: dsnMy}},
	{"mysql", "app:pw@tcp(db)x/orders", target{system: dsnMy}},
	{"mysql", "app:pw@tcp(db)/orders?loc=Europe/Berlin", target{system: dsnMy}},
	{"mysql", "app:pw@tcp(db)/orders?loc=Europe%2FBerlin", target{dsnMy, "orders", "db", 0}},
	{"mysql", "app:pw@tcp(db)/orders?a=b@c", target{system: dsnMy}},
	{"mysql", "app:pw@tcp(db)/orders?a=@tcp(no)/no", target{system: dsnMy}},
	{"mysql", "app:pw@/orders?a=@tcp(no)/no", target{system: dsnMy}},
	{"mysql", "/orders?a=@tcp(no)/no", target{system: dsnMy}},
	{"mysql", "app:pw@tcp(db)/my%2Dorders", target{dsnMy, "my-orders", "db", 0}},
	{"mysql", "app:pw@tcp(db)/%zz", target{system: dsnMy}},
	{"mysql", "mysql://app:pw@db:3307/orders", target{dsnMy, "orders", "db", 3307}},
	{"mysql", "mysql://app:pw@tcp(db:3307)/orders", target{system: dsnMy}},
	{"mariadb", "app:pw@tcp(db:3306)/orders", target{"mariadb", "orders", "db", 0}},

	// SQL Server.
	{"sqlserver", "sqlserver://sa:pw@db:1433?database=orders", target{dsnMS, "orders", "db", 0}},
	{"sqlserver", "sqlserver://sa:pw@db:1444/sqlexpress?database=orders&encrypt=disable", target{dsnMS, "sqlexpress|orders", "db", 1444}},
	{"sqlserver", "sqlserver://sa:pw@db/sqlexpress", target{dsnMS, "", "db", 0}},
	{"sqlserver", "sqlserver://db?Database=orders&app name=my app", target{dsnMS, "orders", "db", 0}},
	{"sqlserver", "sqlserver://db?user id=sa&password=x&database=orders", target{system: dsnMS}},
	{"sqlserver", "sqlserver://db?database=orders&user id=sa&password=x", target{dsnMS, "orders", "db", 0}},
	{"sqlserver", "sqlserver://db?database=orders&Database=else", target{system: dsnMS}},
	{"sqlserver", "sqlserver://db?database=orders&server=else", target{system: dsnMS}},
	{"sqlserver", "sqlserver://a,b?database=orders", target{system: dsnMS}},
	{"sqlserver", "sqlserver://sa:x@no/y@db?database=orders", target{system: dsnMS}},
	{"mssql", "server=db;user id=sa;password=pw;database=orders", target{dsnMS, "orders", "db", 0}},
	{"mssql", `Server=db\sqlexpress,1444;Initial Catalog=orders;UID=sa;PWD=pw;`, target{dsnMS, "sqlexpress|orders", "db", 1444}},
	{"mssql", "Data Source=tcp:db.example.net,1433;Database=orders;User ID=app@db;Password={p}@;", target{system: dsnMS}},
	{"mssql", "Data Source=tcp:db.example.net,1433;Database=orders;User ID=app@db;Password=p@w=;", target{dsnMS, "orders", "db.example.net", 0}},
	{"mssql", "server=.;database=orders", target{dsnMS, "orders", "localhost", 0}},
	{"mssql", "server=(local);database=orders", target{dsnMS, "orders", "localhost", 0}},
	{"mssql", "server=db;port=1444;database=orders", target{dsnMS, "orders", "db", 1444}},
	{"mssql", "server=db,1444;port=1445;database=orders", target{system: dsnMS}},
	{"mssql", `server=np:\\db\pipe\x;database=orders`, target{system: dsnMS}},
	{"mssql", `server=db;database=orders;password="p;w""x"`, target{dsnMS, "orders", "db", 0}},
	{"mssql", `server=db;password="p"w";database=orders`, target{system: dsnMS}},
	{"mssql", `server=db;password=p"w;database=orders`, target{system: dsnMS}},
	{"mssql", "server=db;password=p;w;database=orders", target{system: dsnMS}},
	{"mssql", "server=db;password='p;database=orders", target{system: dsnMS}},
	{"mssql", "server=db;password=p;server=else;database=orders", target{system: dsnMS}},
	{"mssql", "odbc:server=db;port=1444;user id=sa;password={p;w}}x};database=orders", target{dsnMS, "orders", "db", 1444}},
	{"mssql", "odbc:server={db};database={orders}", target{dsnMS, "orders", "db", 0}},
	{"mssql", "odbc:server=db;database=orders;data source=else", target{dsnMS, "orders", "db", 0}},
	{"mssql", "odbc:server=tcp:db;database=orders", target{system: dsnMS}},
	{"mssql", "odbc:server=db,1444;database=orders", target{system: dsnMS}},
	{"mssql", "server=admin:db;database=orders", target{dsnMS, "orders", "db", 1434}},
	{"mssql", "server=admin:db;port=1444;database=orders", target{dsnMS, "orders", "db", 1434}},
	{"mssql", "server=a;failoverpartner=b;database=orders", target{dsnMS, "orders", "", 0}},
	{"mssql", "server=db,;database=orders", target{system: dsnMS}},
	{"mssql", `server=" db";database=orders`, target{system: dsnMS}},
	{"mssql", "odbc:server=db;password={p}w};database=orders", target{system: dsnMS}},
	{"mssql", "odbc:server=db;password={pw;database=orders", target{system: dsnMS}},
	{"azuresql", "server=db;database=orders;fedauth=ActiveDirectoryDefault", target{dsnMS, "orders", "db", 0}},

	// SQLite.
	{"sqlite3", "app.db", target{system: dsnLite, namespace: "app.db"}},
	{"sqlite3", "/home/bob/data/app.db", target{system: dsnLite, namespace: "app.db"}},
	{"sqlite3", `C:\Users\bob\app.db`, target{system: dsnLite, namespace: "app.db"}},
	{"sqlite", "file:data/app.db?cache=shared&_pragma=key('x/y')", target{system: dsnLite, namespace: "app.db"}},
	{"sqlite", "file:///var/lib/app.db?mode=ro", target{system: dsnLite, namespace: "app.db"}},
	{"sqlite", "file://localhost/var/lib/app.db", target{system: dsnLite, namespace: "app.db"}},
	{"sqlite", "file://host/var/lib/app.db", target{system: dsnLite}},
	{"sqlite", "file:data%2Fapp.db", target{system: dsnLite, namespace: "app.db"}},
	{"sqlite", "file:app%zz.db", target{system: dsnLite}},
	{"sqlite3", "app.db?_auth_user=bob&_auth_pass=a/b", target{system: dsnLite, namespace: "app.db"}},
	{"sqlite3", "app.db&_auth_pass=ab", target{system: dsnLite}},
	{"sqlite3", ":memory:", target{system: dsnLite}},
	{"sqlite3", ":memory:?_fk=1", target{system: dsnLite}},
	{"sqlite3", "file::memory:?cache=shared", target{system: dsnLite}},
	{"sqlite3", "file:test.db?cache=shared&mode=memory", target{system: dsnLite}},
	{"sqlite", "file:/test?vfs=memdb", target{system: dsnLite}},
	{"sqlite3", "", target{system: dsnLite}},
	{"sqlite3", "file:", target{system: dsnLite}},
	{"sqlite3", "data/", target{system: dsnLite}},
	{"sqlite3", "..", target{system: dsnLite}},
	{"sqlite3", "my app.db", target{system: dsnLite}},
	{"sqlite3", "libsql://db.example.com?authToken=x", target{system: dsnLite}},

	// The others.
	{"oracle", "oracle://app:pw@db:1521/orcl.example.com", target{dsnOra, "", "db", 0}},
	{"oracle", "oracle://app:pw@db:1522/orcl?SID=x", target{dsnOra, "", "db", 1522}},
	{"oracle", "oracle://app:pw@db:1522/orcl?SERVER=else:1521", target{system: dsnOra}},
	{"godror", "app/p@w@db:1521/orcl", target{system: dsnOra}},
	{"clickhouse", "clickhouse://app:pw@db:9000/orders", target{dsnClick, "orders", "db", 0}},
	{"clickhouse", "clickhouse://app:pw@a:9000,b:9000/orders", target{dsnClick, "orders", "", 0}},
	{"clickhouse", "tcp://db:9440?database=orders&username=app&password=pw", target{dsnClick, "orders", "db", 9440}},
	{"clickhouse", "tcp://db:9000?username=app&password=pw&database=orders", target{system: dsnClick}},
	{"clickhouse", "tcp://db:9000?database=orders&alt_hosts=x", target{system: dsnClick}},
	{"chhttp", "http://app:pw@db:8123/orders", target{dsnClick, "orders", "db", 8123}},
	{"trino", "http://app@db:8080?catalog=hive&schema=web", target{"trino", "hive|web", "db", 0}},
	{"trino", "https://app:pw@db:8443?schema=web", target{"trino", "", "db", 8443}},
	{"snowflake", "app:pw@account/orders/public?warehouse=w", target{system: dsnOther}},
	{"spanner", "projects/p/instances/i/databases/d", target{system: "gcp.spanner"}},

	// Systems by words of the name and by scheme.
	{"sqlite3_with_hooks", "app.db", target{system: dsnLite, namespace: "app.db"}},
	{"pgx/v5", "host=db", target{dsnPG, "", "db", 0}},
	{"postgres-otdb-2", "host=db", target{dsnPG, "", "db", 0}},
	{"mysql-to-sqlite", "app.db", target{system: dsnOther}},
	{"custom", "postgres://app:pw@db/orders", target{dsnPG, "orders", "db", 0}},
	{"custom", "cockroachdb://app:pw@db/orders", target{"cockroachdb", "orders", "db", 0}},
	{"custom", "sqlserver://app:pw@db?database=orders", target{dsnMS, "orders", "db", 0}},
	{"custom", "redshift://app:pw@db/orders", target{"aws.redshift", "orders", "db", 0}},
	{"custom", "mysql://app:pw@db/orders", target{dsnMy, "orders", "db", 0}},
	{"custom", "mariadb://app:pw@db/orders", target{"mariadb", "orders", "db", 0}},
	{"custom", "oracle://app:pw@db:1521/orcl", target{dsnOra, "", "db", 0}},
	{"custom", "clickhouse://app:pw@db/orders", target{dsnClick, "orders", "db", 0}},
	{"custom", "bigquery://project/dataset", target{system: dsnOther}},
	{"custom", "host=db dbname=orders", target{system: dsnOther}},
	{"", "", target{system: dsnOther}},
}

func TestTargetFromDSN(t *testing.T) {
	for _, tt := range dsnTests {
		if got := targetFromDSN(tt.driver, nil, tt.dsn); got != tt.want {
			t.Errorf("targetFromDSN(%q, %q)\n got %+v\nwant %+v", tt.driver, tt.dsn, got, tt.want)
		}
	}
}

// dsnForm is a way to write a DSN, with a place for a user, a password and the
// value of a parameter.
type dsnForm struct {
	driver string
	// The arguments of the format are user, password and parameter.
	format string
	want   target // with harmless arguments
}

// dsnForms has at least one form of every parser. Each names its server and
// its database, so that a password that spells these settings names them twice.
var dsnForms = []dsnForm{
	{"pgx", "postgres://%[1]s:%[2]s@db:5433/orders?application_name=%[3]s", target{dsnPG, "orders", "db", 5433}},
	{"pgx", "postgres://%[1]s:%[2]s@h1:5433,h2:5434/orders?application_name=%[3]s", target{dsnPG, "orders", "", 0}},
	{"pgx", "postgresql://%[1]s:%[2]s@%%2Fvar%%2Frun/orders?options=%[3]s", target{dsnPG, "orders", "/var/run", 0}},
	{"pgx", "postgres://%[1]s:%[2]s@[::1]/orders?options=%[3]s", target{dsnPG, "orders", "::1", 0}},
	{"pgx", "postgres://db:5433/orders?user=%[1]s&password=%[2]s&options=%[3]s", target{dsnPG, "orders", "db", 5433}},
	{"pgx", "postgres:///?host=db&port=5433&dbname=orders&user=%[1]s&password=%[2]s&options=%[3]s", target{dsnPG, "orders", "db", 5433}},
	{"pgx", "postgres://%[1]s:%[2]s@/orders?host=db&options=%[3]s", target{dsnPG, "orders", "db", 0}},
	{"postgres", "host=db port=5433 dbname=orders user=%[1]s password=%[2]s options=%[3]s", target{dsnPG, "orders", "db", 5433}},
	{"postgres", "user=%[1]s password=%[2]s options=%[3]s host=db port=5433 dbname=orders", target{dsnPG, "orders", "db", 5433}},
	{"postgres", "user='%[1]s' password='%[2]s' options='%[3]s' host='db' port='5433' dbname='orders'", target{dsnPG, "orders", "db", 5433}},
	{"postgres", "user = %[1]s password = %[2]s options = %[3]s hostaddr = 10.0.0.1 port = 5433 dbname = orders", target{dsnPG, "orders", "", 0}},
	{"mysql", "%[1]s:%[2]s@tcp(db:3307)/orders?charset=%[3]s", target{dsnMy, "orders", "db", 3307}},
	{"mysql", "%[1]s:%[2]s@unix(/run/mysqld.sock)/orders?charset=%[3]s", target{dsnMy, "orders", "/run/mysqld.sock", 0}},
	{"mysql", "%[1]s:%[2]s@/orders?charset=%[3]s", target{dsnMy, "orders", "", 0}},
	{"mysql", "%[1]s:%[2]s@tcp/?charset=%[3]s", target{system: dsnMy}},
	{"mysql", "%[1]s:%[2]s@tcp([::1]:3307)/?charset=%[3]s", target{dsnMy, "", "::1", 3307}},
	{"mysql", "mysql://%[1]s:%[2]s@db:3307/orders?charset=%[3]s", target{dsnMy, "orders", "db", 3307}},
	{"sqlserver", "sqlserver://%[1]s:%[2]s@db:1444/inst?database=orders&app+name=%[3]s", target{dsnMS, "inst|orders", "db", 1444}},
	{"sqlserver", "sqlserver://db:1444/inst?database=orders&user+id=%[1]s&password=%[2]s&app+name=%[3]s", target{dsnMS, "inst|orders", "db", 1444}},
	{"mssql", `server=db\inst,1444;database=orders;user id=%[1]s;password=%[2]s;app name=%[3]s`, target{dsnMS, "inst|orders", "db", 1444}},
	{"mssql", "user id=%[1]s;password=%[2]s;app name=%[3]s;server=db;port=1444;database=orders", target{dsnMS, "orders", "db", 1444}},
	{"mssql", `user id="%[1]s";password="%[2]s";app name="%[3]s";server="db";port="1444";database="orders"`, target{dsnMS, "orders", "db", 1444}},
	{"mssql", "odbc:server=db;port=1444;user id=%[1]s;password=%[2]s;app name=%[3]s;database=orders", target{dsnMS, "orders", "db", 1444}},
	{"mssql", "odbc:server={db};port={1444};user id={%[1]s};password={%[2]s};app name={%[3]s};database={orders}", target{dsnMS, "orders", "db", 1444}},
	{"oracle", "oracle://%[1]s:%[2]s@db:1522/service?TRACE=%[3]s", target{dsnOra, "", "db", 1522}},
	{"godror", "%[1]s/%[2]s@db:1522/service?x=%[3]s", target{system: dsnOra}},
	{"godror", `user="%[1]s" password="%[2]s" connectString="db:1522/service" x="%[3]s"`, target{system: dsnOra}},
	{"clickhouse", "clickhouse://%[1]s:%[2]s@db:9440/orders?client=%[3]s", target{dsnClick, "orders", "db", 9440}},
	{"clickhouse", "tcp://db:9440?database=orders&username=%[1]s&password=%[2]s&client=%[3]s", target{dsnClick, "orders", "db", 9440}},
	{"trino", "http://%[1]s:%[2]s@db:8081?catalog=hive&schema=web&source=%[3]s", target{"trino", "hive|web", "db", 8081}},
	{"sqlite3", "file:app.db?_auth_user=%[1]s&_auth_pass=%[2]s&_x=%[3]s", target{system: dsnLite, namespace: "app.db"}},
	{"sqlite3", "/home/bob/app.db?_auth_user=%[1]s&_auth_pass=%[2]s&_x=%[3]s", target{system: dsnLite, namespace: "app.db"}},
	{"snowflake", "%[1]s:%[2]s@account/orders/public?role=%[3]s", target{system: dsnOther}},
	{"custom", "bigquery://%[1]s:%[2]s@project/dataset?x=%[3]s", target{system: dsnOther}},
	{"custom", "postgres://%[1]s:%[2]s@db:5433/orders?application_name=%[3]s", target{dsnPG, "orders", "db", 5433}},
}

// dsn fills in the form.
func (f dsnForm) dsn(user, password, param string) string {
	return fmt.Sprintf(f.format, user, password, param)
}

// dsnCanary is a secret of letters that are in no test's host or database. No
// four bytes of it may be in a target.
const dsnCanary = "kQz7vXw3jYp9"

// dsnNasty has texts around the canary that break borders in a DSN.
var dsnNasty = []string{
	"%s", "%s@", "@%s", "a@%s", "a@%s:1234", "a@%s/x", "a@%s/x?", "a@%s?x=y", "a@%s#", "a@%s,", "a@h/%s", "a@h/%s?x=", "@/%s", "@/%s?",
	"a/%s", "%s/", "/%s", "//%s", "a/b@%s", "a/%s@b", "://%s", "x://%s@h/d", "postgres://%s@%s/%s", "a/%s/b",
	"a?%s", "?%s", "a?host=%s", "?dbname=%s&", "a#%s", "#%s", "#@%s", "a:%s", ":%s", "%s:5432", "a:%s@b", ":1234/%s", ":1234@%s:1234/%s",
	"&%s", "a&host=%s", "a&dbname=%s", "a&database=%s", "&hostaddr=%s", "a&server=%s", "a&catalog=%s&schema=%s", "&host=%s&password=x", "&mode=memory&%s",
	"a b %s", " %s", "%s ", "a host=%s", "a dbname=%s", "a host=%s x", "a database=%s", "a hostaddr=%s", "a\thost=%s", "a\nhost=%s", "= host=%s",
	"a' host=%s", "' host='%s' x='", "' dbname='%s", "' dbname=%s '", "'%s", "a'%s'", "''%s", `\' host=%s`, `\%s`, `%s\`, `\\' host='%s`,
	";%s", "a;%s", "a;server=%s", "a;server=%s;", "a;database=%s", ";Initial Catalog=%s;", ";data source=%s,1;x=", `";server="%s`, `";server="%s";x="`, `"%s`, `a"%s"`, `"";database=%s`,
	"{%s", "a}%s", "{%s}", "};server={%s", "};database={%s};x={", "}};server=%s", "};%s", "'};database={%s",
	"a@tcp(%s)", "a@tcp(%s)/", "a@tcp(%s:3306)/%s", "a@tcp(%s:3306)/%s?", "@unix(/%s)/", "@unix(/%s)/%s?x=", ")/%s", "@tcp/%s", "@/%s?x", "(%s)", ")(%s)", "a@x(%s)/%s", "@tcp(%s", ")/%s?", "@tcp(db)/%s", "@tcp(db)/%s?x=y",
	"[%s]", "a@[::1]:1/%s", "a@[%s]", "[::%s]", "@[::1]/%s", "%%zz%s", "%%%s", "%%40%s", "%%2f%s", "%%00%s", "%%26host=%s", "%%20host=%s", "a%%3b%s", "\x00%s", "\xff%s", "ü%s", "\u2028%s", "a,%s", ",%s,", "a,%s@b", "a|%s", "|%s", "-%s-", ".%s.", "$(%s)", "`%s`", "<%s>", "a=%s", "%s==", "=%s", "!*%s^~", "+%s+",
}

// dsnNastyText puts the canary into a template, at each place that it has.
func dsnNastyText(template string) string {
	s := strings.ReplaceAll(template, "%%", "\x01")
	return strings.ReplaceAll(strings.ReplaceAll(s, "%s", dsnCanary), "\x01", "%")
}

// dsnLeak returns the bytes of the canary that a target holds.
func dsnLeak(got target) string {
	for i := range len(dsnCanary) - 3 {
		part := strings.ToLower(dsnCanary[i : i+4])
		for _, field := range []string{got.system, got.namespace, got.address, fmt.Sprint(got.port)} {
			if strings.Contains(strings.ToLower(field), part) {
				return part
			}
		}
	}
	return ""
}

func TestTargetFromDSNLeaksNothing(t *testing.T) {
	scenarios, certain := 0, 0
	for _, form := range dsnForms {
		if got := targetFromDSN(form.driver, nil, form.dsn("app", "pw", "x")); got != form.want {
			t.Errorf("%s\n got %+v\nwant %+v", form.dsn("app", "pw", "x"), got, form.want)
		}
		for _, template := range dsnNasty {
			s := dsnNastyText(template)
			for _, dsn := range []string{form.dsn(s, "pw", "x"), form.dsn("app", s, "x"), form.dsn("app", "pw", s), form.dsn(s, s, s)} {
				got := targetFromDSN(form.driver, nil, dsn)
				if part := dsnLeak(got); part != "" {
					t.Errorf("%q of the canary leaks: %s\n%q\n%+v", part, form.driver, dsn, got)
				}
				// Every field is what the form says, or unknown.
				if got.system != form.want.system ||
					got.namespace != "" && got.namespace != form.want.namespace ||
					got.address != "" && got.address != form.want.address ||
					got.port != 0 && got.port != form.want.port {
					t.Errorf("%s\n%q\n got %+v\nwant %+v", form.driver, dsn, got, form.want)
				}
				if scenarios++; got == form.want {
					certain++
				}
			}
		}
	}
	t.Logf("%d scenarios, certain in %d", scenarios, certain)
}

// TestTargetFromDSNCut cuts every DSN off at every byte: what is left of it
// may be a user or a password where a server was.
func TestTargetFromDSNCut(t *testing.T) {
	for _, form := range dsnForms {
		dsn := form.dsn("app", dsnCanary, "x")
		for i := range dsn {
			if got := targetFromDSN(form.driver, nil, dsn[:i]); dsnLeak(got) != "" {
				t.Errorf("%q\n%+v", dsn[:i], got)
			}
		}
	}
}

func TestTargetPort(t *testing.T) {
	for s, want := range map[string]int{"": 0, "1": 1, "65535": 65535, "05432": 5432, "0": -1, "65536": -1, "-1": -1, "+1": -1, "1e3": -1, "0x10": -1, "1_0": -1, " 1": -1, "١": -1} {
		got, ok := parseDSNPort(s)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("parseDSNPort(%q) = %d, %t, want %d", s, got, ok, want)
		}
	}
}

// checkDSNTarget fails unless every field has the form that all targets have.
func checkDSNTarget(t *testing.T, got target) {
	t.Helper()
	systems := []string{targetOther}
	for _, system := range targetNames {
		systems = append(systems, system)
	}
	if !slices.Contains(systems, got.system) {
		t.Errorf("system %q", got.system)
	}
	if got.port < 0 || got.port > 65535 || got.port != 0 && (got.address == "" || got.port == targetDefaultPorts[got.system]) {
		t.Errorf("port %d at address %q", got.port, got.address)
	}
	if len(got.address) > 253 || strings.Trim(got.address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/") != "" {
		t.Errorf("address %q", got.address)
	}
	if strings.Contains(got.address, ":") && !isDSNIPv6(got.address) && !isDSNSocket(got.address) {
		t.Errorf("address %q", got.address)
	}
	if len(got.namespace) > 2*128+1 || !utf8.ValidString(got.namespace) || strings.Count(got.namespace, "|") > 1 ||
		strings.ContainsAny(got.namespace, "@:/\\?=#&;,%'\"`()[]{}<> \t\r\n\x00") {
		t.Errorf("namespace %q", got.namespace)
	}
}

// dsnFakeConnector is a connector of no known package.
type dsnFakeConnector struct {
	driver.Connector

	drv    driver.Driver
	panics any
}

func (c dsnFakeConnector) Driver() driver.Driver {
	if c.panics != nil {
		panic(c.panics)
	}
	return c.drv
}

func TestTargetFromConnectorUnknown(t *testing.T) {
	for name, c := range map[string]driver.Connector{
		"nil":           nil,
		"nil pointer":   (*dsnFakeConnector)(nil),
		"nil driver":    dsnFakeConnector{},
		"driver panics": dsnFakeConnector{panics: errors.New("no driver")},
		"unknown":       &dsnFakeConnector{drv: dsnFakeDriver{}},
	} {
		if got, want := targetFromConnector(c), (target{system: dsnOther}); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// dsnFakeDriver is a driver of no known package.
type dsnFakeDriver struct{ driver.Driver }

func TestTargetSystemOfUnknownDriver(t *testing.T) {
	want := target{dsnPG, "orders", "db", 0}
	for _, drv := range []driver.Driver{nil, dsnFakeDriver{}, &dsnFakeDriver{}, (*dsnFakeDriver)(nil)} {
		if got := targetFromDSN("postgres", drv, "host=db dbname=orders"); got != want {
			t.Errorf("%T: got %+v, want %+v", drv, got, want)
		}
	}
}

// The fields of the connectors of pgx and go-sql-driver/mysql that are read.
type (
	dsnFakePgxFallback struct {
		Host string
		Port uint16
	}
	dsnFakePgconnConfig struct {
		Host      string
		Port      uint16
		Database  string
		Fallbacks []*dsnFakePgxFallback
	}
	dsnFakePgxConfig struct {
		dsnFakePgconnConfig

		connString string
	}
	dsnFakePoolConfig   struct{ ConnConfig *dsnFakePgxConfig }
	dsnFakePool         struct{ config *dsnFakePoolConfig }
	dsnFakePgxConnector struct {
		dsnFakePgxConfig

		pool *dsnFakePool
	}
	dsnFakeMySQLConfig    struct{ Net, Addr, DBName string }
	dsnFakeMySQLConnector struct{ cfg *dsnFakeMySQLConfig }
)

func TestTargetFieldsOfPgx(t *testing.T) {
	config := func(dsn, host string, port uint16, database string, fallbacks ...*dsnFakePgxFallback) dsnFakePgxConfig {
		return dsnFakePgxConfig{dsnFakePgconnConfig{host, port, database, fallbacks}, dsn}
	}
	pooled := config("host=db", "db", 5433, "orders")
	tests := map[string]struct {
		connector any
		want      target
	}{
		"config":       {dsnFakePgxConnector{dsnFakePgxConfig: config("host=db", "db", 5433, "orders")}, target{dsnPG, "orders", "db", 5433}},
		"default port": {&dsnFakePgxConnector{dsnFakePgxConfig: config("", "db", 5432, "orders")}, target{dsnPG, "orders", "db", 0}},
		"socket":       {dsnFakePgxConnector{dsnFakePgxConfig: config("", "/run/pg", 5432, "")}, target{dsnPG, "", "/run/pg", 0}},
		"same host":    {dsnFakePgxConnector{dsnFakePgxConfig: config("", "db", 5433, "orders", &dsnFakePgxFallback{"db", 5433})}, target{dsnPG, "orders", "db", 5433}},
		"two hosts":    {dsnFakePgxConnector{dsnFakePgxConfig: config("", "db", 5433, "orders", &dsnFakePgxFallback{"db2", 5433})}, target{dsnPG, "orders", "", 0}},
		"nil fallback": {dsnFakePgxConnector{dsnFakePgxConfig: config("", "db", 5433, "orders", nil)}, target{system: dsnPG}},
		"pool":         {dsnFakePgxConnector{pool: &dsnFakePool{&dsnFakePoolConfig{&pooled}}}, target{dsnPG, "orders", "db", 5433}},
		"half":         {dsnFakePgxConnector{dsnFakePgxConfig: config("postgres://u:x@half?y=z@db/orders", "half", 5432, "")}, target{system: dsnPG}},
		"odd host":     {dsnFakePgxConnector{dsnFakePgxConfig: config("", "d b", 5432, "orders")}, target{system: dsnPG}},
		"odd database": {dsnFakePgxConnector{dsnFakePgxConfig: config("", "db", 5432, "x@y")}, target{system: dsnPG}},
		"other shape":  {dsnFakeMySQLConnector{&dsnFakeMySQLConfig{}}, target{system: dsnPG}},
		"other kinds":  {struct{ Host, Port, Database, connString, Fallbacks int }{}, target{system: dsnPG}},
		"no struct":    {1, target{system: dsnPG}},
		"nil":          {nil, target{system: dsnPG}},
	}
	for name, tt := range tests {
		fields, ok := targetFieldsOfPgx(reflect.ValueOf(tt.connector))
		got := target{system: dsnPG}
		if ok {
			got = fields.target(dsnPG)
		}
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestTargetFieldsOfMySQL(t *testing.T) {
	tests := []struct {
		network, address, database string
		want                       target
	}{
		{"tcp", "db:3306", "orders", target{dsnMy, "orders", "db", 0}},
		{"tcp", "[::1]:3307", "orders", target{dsnMy, "orders", "::1", 3307}},
		{"unix", "/tmp/mysql.sock", "orders", target{dsnMy, "orders", "/tmp/mysql.sock", 0}},
		{"cloudsql", "p:r:i", "orders", target{dsnMy, "orders", "", 0}},
		{"tcp", "db:3306", "y@tcp(db)", target{system: dsnMy}},
		{"half@of", "db:3306", "orders", target{system: dsnMy}},
		{"tcp", "d b:3306", "orders", target{system: dsnMy}},
	}
	for _, tt := range tests {
		fields, ok := targetFieldsOfMySQL(reflect.ValueOf(&dsnFakeMySQLConnector{&dsnFakeMySQLConfig{tt.network, tt.address, tt.database}}))
		got := target{system: dsnMy}
		if ok {
			got = fields.target(dsnMy)
		}
		if got != tt.want {
			t.Errorf("%s(%s)/%s: got %+v, want %+v", tt.network, tt.address, tt.database, got, tt.want)
		}
	}
	for _, c := range []any{nil, 1, dsnFakeMySQLConnector{}, dsnFakePgxConnector{}, struct{ cfg any }{}} {
		if fields, ok := targetFieldsOfMySQL(reflect.ValueOf(c)); ok {
			t.Errorf("%T: got %+v", c, fields)
		}
	}
}

func TestTargetSystemOfPackage(t *testing.T) {
	for path, want := range map[string]string{
		"github.com/jackc/pgx/v5/stdlib":                dsnPG,
		"github.com/jackc/pgx/v4/stdlib":                dsnPG,
		"github.com/lib/pq":                             dsnPG,
		"github.com/lib/pqx":                            "",
		"github.com/go-sql-driver/mysql":                dsnMy,
		"github.com/mattn/go-sqlite3":                   dsnLite,
		"modernc.org/sqlite":                            dsnLite,
		"github.com/ncruces/go-sqlite3/driver":          dsnLite,
		"github.com/glebarez/go-sqlite":                 dsnLite,
		"github.com/microsoft/go-mssqldb":               dsnMS,
		"github.com/microsoft/go-mssqldb/azuread":       dsnMS,
		"github.com/denisenkom/go-mssqldb":              dsnMS,
		"github.com/sijms/go-ora/v2":                    dsnOra,
		"github.com/godror/godror":                      dsnOra,
		"github.com/ClickHouse/clickhouse-go/v2":        dsnClick,
		"github.com/snowflakedb/gosnowflake":            dsnOther,
		"github.com/trinodb/trino-go-client/trino":      "trino",
		"example.com/vendor/github.com/lib/pq/internal": "",
		"main": "",
		"":     "",
	} {
		if got := targetSystemOfPackage(path); got != want {
			t.Errorf("targetSystemOfPackage(%q) = %q, want %q", path, got, want)
		}
	}
	for _, tt := range []struct{ path, name, want string }{
		{dsnPG, "cockroachdb", "cockroachdb"},
		{dsnPG, "aws.redshift", "aws.redshift"},
		{dsnPG, dsnLite, dsnPG},
		{dsnMy, "mariadb", "mariadb"},
		{dsnLite, dsnPG, dsnLite},
		{dsnLite, "", dsnLite},
		{"", dsnPG, dsnPG},
	} {
		if got := targetRefine(tt.path, tt.name); got != tt.want {
			t.Errorf("targetRefine(%q, %q) = %q, want %q", tt.path, tt.name, got, tt.want)
		}
	}
}

// TestTargetTables keeps the tables of names and packages in order.
func TestTargetTables(t *testing.T) {
	for name := range targetNames {
		if name != strings.ToLower(name) || targetSystemOfName(name) != targetNames[name] {
			t.Errorf("name %q is not found", name)
		}
	}
	for _, p := range targetPackages {
		if cmp.Or(p.path, "/") != strings.Trim(p.path, "/") || p.system == "" {
			t.Errorf("package %q", p.path)
		}
	}
}
