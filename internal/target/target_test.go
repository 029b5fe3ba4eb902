package target

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

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// dsnTests has DSNs and what is known by them. Where a test expects the system
// only, the DSN is one that is not certain.
var dsnTests = []struct {
	driver, dsn string
	want        Target
}{
	// PostgreSQL, URLs.
	{"pgx", "postgres://app:pw@db.example.com:5432/orders", Target{postgreSQL, "orders", "db.example.com", 0}},
	{"pgx", "postgres://app:pw@db.example.com:5433/orders?sslmode=disable", Target{postgreSQL, "orders", "db.example.com", 5433}},
	{"postgres", "postgresql://db.example.com/orders", Target{postgreSQL, "orders", "db.example.com", 0}},
	{"postgres", "postgresql://app@db/orders", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", "POSTGRES://app@db/orders", Target{postgreSQL, "orders", "db", 0}},
	{"pgx", "postgres://app:p%40ss%2Fw%23rd%3F@db/orders", Target{postgreSQL, "orders", "db", 0}},
	{"pgx", "postgres://app:p:w:x@db/orders", Target{postgreSQL, "orders", "db", 0}},
	{"pgx", "postgres://app:pw@[::1]:5432/orders", Target{postgreSQL, "orders", "::1", 0}},
	{"pgx", "postgres://app:pw@[2001:db8::7]:6432/orders", Target{postgreSQL, "orders", "2001:db8::7", 6432}},
	{"pgx", "postgres://app:pw@[fe80::1%25eth0]/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@127.0.0.1/orders", Target{postgreSQL, "orders", "127.0.0.1", 0}},
	{"pgx", "postgres://app:pw@127.0.0.999/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@my_container-1:5432/orders", Target{postgreSQL, "orders", "my_container-1", 0}},
	{"pgx", "postgres://app:pw@h1:5432,h2:5433/orders", Target{postgreSQL, "orders", "", 0}},
	{"pgx", "postgres://app:pw@h1:5432,h@2:5433/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@h1,h$2/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@%2Fvar%2Frun%2Fpostgresql/orders", Target{postgreSQL, "orders", "/var/run/postgresql", 0}},
	{"pgx", "postgres://app:pw@%2Fvar%2Frun%2Fpostgresql:5433/orders", Target{postgreSQL, "orders", "/var/run/postgresql", 5433}},
	{"pgx", "postgres:///orders?host=/var/run/postgresql", Target{postgreSQL, "orders", "/var/run/postgresql", 0}},
	{"pgx", "postgres:///orders?host=/cloudsql/proj:region:inst&user=app", Target{postgreSQL, "orders", "/cloudsql/proj:region:inst", 0}},
	{"pgx", "postgres:///?host=db&port=5433&dbname=orders", Target{postgreSQL, "orders", "db", 5433}},
	{"pgx", "postgres:///?password=x&host=db", Target{System: postgreSQL}},
	{"pgx", "postgres:///?host=db&password=x", Target{postgreSQL, "", "db", 0}},
	{"pgx", "postgres://db/orders?host=else", Target{System: postgreSQL}},
	{"pgx", "postgres://db/orders?dbname=else", Target{System: postgreSQL}},
	{"pgx", "postgres://db/orders?user=bob@corp", Target{System: postgreSQL}},
	{"pgx", "postgres://db/orders?sslmode=a&sslmode=b", Target{System: postgreSQL}},
	{"pgx", "postgres://db/orders?sslmode", Target{System: postgreSQL}},
	{"pgx", "postgres:///orders?host=db&port =5433", Target{System: postgreSQL}},
	{"pgx", "postgres://db/orders?x=%zz", Target{System: postgreSQL}},
	{"pgx", "postgres://db/orders#fragment", Target{System: postgreSQL}},
	{"pgx", "postgres://db", Target{postgreSQL, "", "db", 0}},
	{"pgx", "postgres://db/", Target{postgreSQL, "", "db", 0}},
	{"pgx", "postgres://app:pw@/orders", Target{postgreSQL, "orders", "", 0}},
	{"pgx", "postgres://app:pw@:5433/orders", Target{postgreSQL, "orders", "", 0}},
	{"pgx", "postgres://app:pw@db:/orders", Target{postgreSQL, "orders", "db", 0}},
	{"pgx", "postgres://", Target{System: postgreSQL}},
	{"pgx", "postgres://db:0/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://db:65536/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://db:+5432/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:half/of@db/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:half@of@db/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:half@of/it@db/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:half?of@db/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:half#of@db/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:half of@db/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:half%zz@db/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:ü@db/orders", Target{System: postgreSQL}},
	{"pgx", `postgres://app:half\of@db/orders`, Target{System: postgreSQL}},
	{"pgx", "postgres://app:secret/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@db/my%20orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@db/a/b", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@db/größe", Target{postgreSQL, "größe", "db", 0}},
	{"pgx", "postgres://app:pw@db/gr%C3%B6%C3%9Fe", Target{postgreSQL, "größe", "db", 0}},
	{"pgx", "postgres://app:pw@db/gr%C3", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@db/\xff", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@db/orders\n", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@-db/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://app:pw@db..x/orders", Target{System: postgreSQL}},
	{"pgx", "postgres://db/" + strings.Repeat("d", 129), Target{System: postgreSQL}},
	{"pgx", "postgres://db/orders?x=" + strings.Repeat("d", maxDSN), Target{System: postgreSQL}},
	{"pgx", "mysql://app:pw@db/orders", Target{System: postgreSQL}},
	{"pgx", "registeredConnConfig0", Target{System: postgreSQL}},
	{"pgx", "", Target{System: postgreSQL}},
	{"cockroach", "postgres://app:pw@db:26257/orders", Target{cockroachDB, "orders", "db", 0}},
	{"redshift", "postgres://app:pw@db:5439/orders", Target{"aws.redshift", "orders", "db", 0}},

	// PostgreSQL, lists.
	{"pgx", "host=db port=5433 user=app password=pw dbname=orders sslmode=disable", Target{postgreSQL, "orders", "db", 5433}},
	{"postgres", "host=db dbname=orders", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", "user=app password=pw", Target{System: postgreSQL}},
	{"postgres", "user=app password=pw host=db", Target{postgreSQL, "", "db", 0}},
	{"postgres", "  host = db  dbname = orders  ", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", "host=db\n\tport=5433\n\tdbname=orders\n", Target{postgreSQL, "orders", "db", 5433}},
	{"postgres", "host=db\x00dbname=orders", Target{System: postgreSQL}},
	{"postgres", "host='db' dbname='orders' password='p w=\\'x\\\\'", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", `host=db password=p\ w dbname=orders`, Target{postgreSQL, "orders", "db", 0}},
	{"postgres", `host=db dbname=orders password=p\`, Target{System: postgreSQL}},
	{"postgres", "host=db password=p w dbname=orders", Target{System: postgreSQL}},
	{"postgres", "user=a\\ password=b\nhost=c options=d\\ host=db dbname=orders", Target{System: postgreSQL}},
	{"postgres", "host=db options=-c\\ search_path=a dbname=orders", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", "host=db password='p'w' dbname=orders", Target{System: postgreSQL}},
	{"postgres", "host=db password='pw dbname=orders", Target{System: postgreSQL}},
	{"postgres", "password= host=db dbname=orders", Target{System: postgreSQL}},
	{"postgres", "host=db password=it's dbname=orders", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", "host=db password=ab== dbname=orders", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", "host=db host=else dbname=orders", Target{System: postgreSQL}},
	{"postgres", "host=db dbname=orders database=else", Target{System: postgreSQL}},
	{"postgres", "host=db database=orders", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", "host=db dbname='my orders'", Target{System: postgreSQL}},
	{"postgres", "host=db dbname=postgres://u:pw@h/x", Target{System: postgreSQL}},
	{"postgres", "host=/var/run/postgresql dbname=orders", Target{postgreSQL, "orders", "/var/run/postgresql", 0}},
	{"postgres", "host=/home/bob/pg dbname=orders", Target{System: postgreSQL}},
	{"postgres", "host=a,b port=5432,5433 dbname=orders", Target{postgreSQL, "orders", "", 0}},
	{"postgres", "host=a port=5432,5433 dbname=orders", Target{System: postgreSQL}},
	{"postgres", "host=a,b port=5433 dbname=orders", Target{postgreSQL, "orders", "", 0}},
	{"postgres", "hostaddr=10.0.0.1 dbname=orders", Target{postgreSQL, "orders", "", 0}},
	{"postgres", "hostaddr=::1 port=5433 dbname=orders", Target{postgreSQL, "orders", "", 0}},
	{"postgres", "host=db hostaddr=10.0.0.1 dbname=orders", Target{System: postgreSQL}},
	{"postgres", "hostaddr=db dbname=orders", Target{System: postgreSQL}},
	{"postgres", "host=db 1key=x", Target{System: postgreSQL}},
	{"postgres", "dbname=orders port=x", Target{System: postgreSQL}},
	{"postgres", "service=prod dbname=orders", Target{postgreSQL, "orders", "", 0}},

	// MySQL.
	{"mysql", "app:pw@tcp(db.example.com:3306)/orders?parseTime=true", Target{mySQL, "orders", "db.example.com", 0}},
	{"mysql", "app:pw@tcp(db.example.com:3307)/orders", Target{mySQL, "orders", "db.example.com", 3307}},
	{"mysql", "app:pw@tcp(db)/orders", Target{mySQL, "orders", "db", 0}},
	{"mysql", "app:p@ss@tcp(db)/orders", Target{mySQL, "orders", "db", 0}},
	{"mysql", "app:p/ss:w@tcp(db)/orders", Target{mySQL, "orders", "db", 0}},
	{"mysql", "app:p/ss:w?@tcp(db)/orders", Target{System: mySQL}},
	{"mysql", "app:p@ss/w:ord@tcp(db)/orders", Target{System: mySQL}},
	{"mysql", "app:p(s)s@tcp(db)/orders", Target{mySQL, "orders", "db", 0}},
	{"mysql", "app:p?s#s;@tcp(db)/orders", Target{mySQL, "orders", "db", 0}},
	{"mysql", "app:x@tcp(no)/y@tcp(db)/orders", Target{System: mySQL}},
	{"mysql", "app:x@tcp(no)/y@tcp(db)", Target{System: mySQL}},
	{"mysql", "app:pw@tcp([::1]:3307)/orders", Target{mySQL, "orders", "::1", 3307}},
	{"mysql", "app:pw@tcp(::1)/orders", Target{System: mySQL}},
	{"mysql", "app:pw@tcp6([2001:db8::7])/orders", Target{mySQL, "orders", "2001:db8::7", 0}},
	{"mysql", "app:pw@tcp(:3307)/orders", Target{mySQL, "orders", "", 0}},
	{"mysql", "app:pw@unix(/var/run/mysqld/mysqld.sock)/orders", Target{mySQL, "orders", "/var/run/mysqld/mysqld.sock", 0}},
	{"mysql", "app:pw@unix(sock)/orders", Target{System: mySQL}},
	{"mysql", "app:pw@unix/orders", Target{mySQL, "orders", "", 0}},
	{"mysql", "app:pw@tcp/orders", Target{mySQL, "orders", "", 0}},
	{"mysql", "app:pw@word/orders", Target{System: mySQL}},
	{"mysql", "app:pw@cloudsql(proj:region:inst)/orders", Target{mySQL, "orders", "", 0}},
	{"mysql", "app:pw@/orders", Target{mySQL, "orders", "", 0}},
	{"mysql", "/orders", Target{mySQL, "orders", "", 0}},
	{"mysql", "/", Target{System: mySQL}},
	{"mysql", "", Target{System: mySQL}},
	{"mysql", "orders", Target{System: mySQL}},
	{"mysql", "app:pw/orders", Target{System: mySQL}},
	{"mysql", "app:pw@tcp(db/orders", Target{System: mySQL}},
	{"mysql", "app:pw@tcp(db)x/orders", Target{System: mySQL}},
	{"mysql", "app:pw@tcp(db)/orders?loc=Europe/Berlin", Target{System: mySQL}},
	{"mysql", "app:pw@tcp(db)/orders?loc=Europe%2FBerlin", Target{mySQL, "orders", "db", 0}},
	{"mysql", "app:pw@tcp(db)/orders?a=b@c", Target{System: mySQL}},
	{"mysql", "app:pw@tcp(db)/orders?a=@tcp(no)/no", Target{System: mySQL}},
	{"mysql", "app:pw@/orders?a=@tcp(no)/no", Target{System: mySQL}},
	{"mysql", "/orders?a=@tcp(no)/no", Target{System: mySQL}},
	{"mysql", "app:pw@tcp(db)/my%2Dorders", Target{mySQL, "my-orders", "db", 0}},
	{"mysql", "app:pw@tcp(db)/%zz", Target{System: mySQL}},
	{"mysql", "mysql://app:pw@db:3307/orders", Target{mySQL, "orders", "db", 3307}},
	{"mysql", "mysql://app:pw@tcp(db:3307)/orders", Target{System: mySQL}},
	{"mariadb", "app:pw@tcp(db:3306)/orders", Target{"mariadb", "orders", "db", 0}},

	// SQL Server.
	{"sqlserver", "sqlserver://sa:pw@db:1433?database=orders", Target{sqlServer, "orders", "db", 0}},
	{"sqlserver", "sqlserver://sa:pw@db:1444/sqlexpress?database=orders&encrypt=disable", Target{sqlServer, "sqlexpress|orders", "db", 1444}},
	{"sqlserver", "sqlserver://sa:pw@db/sqlexpress", Target{sqlServer, "", "db", 0}},
	{"sqlserver", "sqlserver://db?Database=orders&app name=my app", Target{sqlServer, "orders", "db", 0}},
	{"sqlserver", "sqlserver://db?user id=sa&password=x&database=orders", Target{System: sqlServer}},
	{"sqlserver", "sqlserver://db?database=orders&user id=sa&password=x", Target{sqlServer, "orders", "db", 0}},
	{"sqlserver", "sqlserver://db?database=orders&Database=else", Target{System: sqlServer}},
	{"sqlserver", "sqlserver://db?database=orders&server=else", Target{System: sqlServer}},
	{"sqlserver", "sqlserver://a,b?database=orders", Target{System: sqlServer}},
	{"sqlserver", "sqlserver://sa:x@no/y@db?database=orders", Target{System: sqlServer}},
	{"mssql", "server=db;user id=sa;password=pw;database=orders", Target{sqlServer, "orders", "db", 0}},
	{"mssql", `Server=db\sqlexpress,1444;Initial Catalog=orders;UID=sa;PWD=pw;`, Target{sqlServer, "sqlexpress|orders", "db", 1444}},
	{"mssql", "Data Source=tcp:db.example.net,1433;Database=orders;User ID=app@db;Password={p}@;", Target{System: sqlServer}},
	{"mssql", "Data Source=tcp:db.example.net,1433;Database=orders;User ID=app@db;Password=p@w=;", Target{sqlServer, "orders", "db.example.net", 0}},
	{"mssql", "server=.;database=orders", Target{sqlServer, "orders", "localhost", 0}},
	{"mssql", "server=(local);database=orders", Target{sqlServer, "orders", "localhost", 0}},
	{"mssql", "server=db;port=1444;database=orders", Target{sqlServer, "orders", "db", 1444}},
	{"mssql", "server=db,1444;port=1445;database=orders", Target{System: sqlServer}},
	{"mssql", `server=np:\\db\pipe\x;database=orders`, Target{System: sqlServer}},
	{"mssql", `server=db;database=orders;password="p;w""x"`, Target{sqlServer, "orders", "db", 0}},
	{"mssql", `server=db;password="p"w";database=orders`, Target{System: sqlServer}},
	{"mssql", `server=db;password=p"w;database=orders`, Target{System: sqlServer}},
	{"mssql", "server=db;password=p;w;database=orders", Target{System: sqlServer}},
	{"mssql", "server=db;password='p;database=orders", Target{System: sqlServer}},
	{"mssql", "server=db;password=p;server=else;database=orders", Target{System: sqlServer}},
	{"mssql", "odbc:server=db;port=1444;user id=sa;password={p;w}}x};database=orders", Target{sqlServer, "orders", "db", 1444}},
	{"mssql", "odbc:server={db};database={orders}", Target{sqlServer, "orders", "db", 0}},
	{"mssql", "odbc:server=db;database=orders;data source=else", Target{sqlServer, "orders", "db", 0}},
	{"mssql", "odbc:server=tcp:db;database=orders", Target{System: sqlServer}},
	{"mssql", "odbc:server=db,1444;database=orders", Target{System: sqlServer}},
	{"mssql", "server=admin:db;database=orders", Target{sqlServer, "orders", "db", 1434}},
	{"mssql", "server=admin:db;port=1444;database=orders", Target{sqlServer, "orders", "db", 1434}},
	{"mssql", "server=a;failoverpartner=b;database=orders", Target{sqlServer, "orders", "", 0}},
	{"mssql", "server=db,;database=orders", Target{System: sqlServer}},
	{"mssql", `server=" db";database=orders`, Target{System: sqlServer}},
	{"mssql", "odbc:server=db;password={p}w};database=orders", Target{System: sqlServer}},
	{"mssql", "odbc:server=db;password={pw;database=orders", Target{System: sqlServer}},
	{"azuresql", "server=db;database=orders;fedauth=ActiveDirectoryDefault", Target{sqlServer, "orders", "db", 0}},

	// SQLite.
	{"sqlite3", "app.db", Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite3", "/home/bob/data/app.db", Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite3", `C:\Users\bob\app.db`, Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite", "file:data/app.db?cache=shared&_pragma=key('x/y')", Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite", "file:///var/lib/app.db?mode=ro", Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite", "file://localhost/var/lib/app.db", Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite", "file://host/var/lib/app.db", Target{System: sqlite}},
	{"sqlite", "file:data%2Fapp.db", Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite", "file:app%zz.db", Target{System: sqlite}},
	{"sqlite3", "app.db?_auth_user=bob&_auth_pass=a/b", Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite3", "app.db&_auth_pass=ab", Target{System: sqlite}},
	{"sqlite3", ":memory:", Target{System: sqlite}},
	{"sqlite3", ":memory:?_fk=1", Target{System: sqlite}},
	{"sqlite3", "file::memory:?cache=shared", Target{System: sqlite}},
	{"sqlite3", "file:test.db?cache=shared&mode=memory", Target{System: sqlite}},
	{"sqlite", "file:/test?vfs=memdb", Target{System: sqlite}},
	{"sqlite3", "", Target{System: sqlite}},
	{"sqlite3", "file:", Target{System: sqlite}},
	{"sqlite3", "data/", Target{System: sqlite}},
	{"sqlite3", "..", Target{System: sqlite}},
	{"sqlite3", "my app.db", Target{System: sqlite}},
	{"sqlite3", "libsql://db.example.com?authToken=x", Target{System: sqlite}},

	// The others.
	{"oracle", "oracle://app:pw@db:1521/orcl.example.com", Target{oracle, "", "db", 0}},
	{"oracle", "oracle://app:pw@db:1522/orcl?SID=x", Target{oracle, "", "db", 1522}},
	{"oracle", "oracle://app:pw@db:1522/orcl?SERVER=else:1521", Target{System: oracle}},
	{"godror", "app/p@w@db:1521/orcl", Target{System: oracle}},
	{"clickhouse", "clickhouse://app:pw@db:9000/orders", Target{clickHouse, "orders", "db", 0}},
	{"clickhouse", "clickhouse://app:pw@a:9000,b:9000/orders", Target{clickHouse, "orders", "", 0}},
	{"clickhouse", "tcp://db:9440?database=orders&username=app&password=pw", Target{clickHouse, "orders", "db", 9440}},
	{"clickhouse", "tcp://db:9000?username=app&password=pw&database=orders", Target{System: clickHouse}},
	{"clickhouse", "tcp://db:9000?database=orders&alt_hosts=x", Target{System: clickHouse}},
	{"chhttp", "http://app:pw@db:8123/orders", Target{clickHouse, "orders", "db", 8123}},
	{"trino", "http://app@db:8080?catalog=hive&schema=web", Target{"trino", "hive|web", "db", 0}},
	{"trino", "https://app:pw@db:8443?schema=web", Target{"trino", "", "db", 8443}},
	{"snowflake", "app:pw@account/orders/public?warehouse=w", Target{System: otherSQL}},
	{"spanner", "projects/p/instances/i/databases/d", Target{System: "gcp.spanner"}},

	// Systems by words of the name and by scheme.
	{"sqlite3_with_hooks", "app.db", Target{System: sqlite, Namespace: "app.db"}},
	{"pgx/v5", "host=db", Target{postgreSQL, "", "db", 0}},
	{"postgres-otdb-2", "host=db", Target{postgreSQL, "", "db", 0}},
	{"mysql-to-sqlite", "app.db", Target{System: otherSQL}},
	{"custom", "postgres://app:pw@db/orders", Target{postgreSQL, "orders", "db", 0}},
	{"custom", "cockroachdb://app:pw@db/orders", Target{cockroachDB, "orders", "db", 0}},
	{"custom", "sqlserver://app:pw@db?database=orders", Target{sqlServer, "orders", "db", 0}},
	{"custom", "redshift://app:pw@db/orders", Target{"aws.redshift", "orders", "db", 0}},
	{"custom", "mysql://app:pw@db/orders", Target{mySQL, "orders", "db", 0}},
	{"custom", "mariadb://app:pw@db/orders", Target{"mariadb", "orders", "db", 0}},
	{"custom", "oracle://app:pw@db:1521/orcl", Target{oracle, "", "db", 0}},
	{"custom", "clickhouse://app:pw@db/orders", Target{clickHouse, "orders", "db", 0}},
	{"custom", "bigquery://project/dataset", Target{System: otherSQL}},
	{"custom", "host=db dbname=orders", Target{System: otherSQL}},
	{"", "", Target{System: otherSQL}},
}

func TestFromDSN(t *testing.T) {
	for _, tt := range dsnTests {
		if got := FromDSN(tt.driver, nil, tt.dsn); got != tt.want {
			t.Errorf("FromDSN(%q, %q)\n got %+v\nwant %+v", tt.driver, tt.dsn, got, tt.want)
		}
	}
}

// form is a way to write a DSN, with a place for a user, a password and the
// value of a parameter.
type form struct {
	driver string
	// The arguments of the format are user, password and parameter.
	format string
	want   Target // with harmless arguments
}

// forms has at least one form of every parser. Each names its server and
// its database, so that a password that spells these settings names them twice.
var forms = []form{
	{"pgx", "postgres://%[1]s:%[2]s@db:5433/orders?application_name=%[3]s", Target{postgreSQL, "orders", "db", 5433}},
	{"pgx", "postgres://%[1]s:%[2]s@h1:5433,h2:5434/orders?application_name=%[3]s", Target{postgreSQL, "orders", "", 0}},
	{"pgx", "postgresql://%[1]s:%[2]s@%%2Fvar%%2Frun/orders?options=%[3]s", Target{postgreSQL, "orders", "/var/run", 0}},
	{"pgx", "postgres://%[1]s:%[2]s@[::1]/orders?options=%[3]s", Target{postgreSQL, "orders", "::1", 0}},
	{"pgx", "postgres://db:5433/orders?user=%[1]s&password=%[2]s&options=%[3]s", Target{postgreSQL, "orders", "db", 5433}},
	{"pgx", "postgres:///?host=db&port=5433&dbname=orders&user=%[1]s&password=%[2]s&options=%[3]s", Target{postgreSQL, "orders", "db", 5433}},
	{"pgx", "postgres://%[1]s:%[2]s@/orders?host=db&options=%[3]s", Target{postgreSQL, "orders", "db", 0}},
	{"postgres", "host=db port=5433 dbname=orders user=%[1]s password=%[2]s options=%[3]s", Target{postgreSQL, "orders", "db", 5433}},
	{"postgres", "user=%[1]s password=%[2]s options=%[3]s host=db port=5433 dbname=orders", Target{postgreSQL, "orders", "db", 5433}},
	{"postgres", "user='%[1]s' password='%[2]s' options='%[3]s' host='db' port='5433' dbname='orders'", Target{postgreSQL, "orders", "db", 5433}},
	{"postgres", "user = %[1]s password = %[2]s options = %[3]s hostaddr = 10.0.0.1 port = 5433 dbname = orders", Target{postgreSQL, "orders", "", 0}},
	{"mysql", "%[1]s:%[2]s@tcp(db:3307)/orders?charset=%[3]s", Target{mySQL, "orders", "db", 3307}},
	{"mysql", "%[1]s:%[2]s@unix(/run/mysqld.sock)/orders?charset=%[3]s", Target{mySQL, "orders", "/run/mysqld.sock", 0}},
	{"mysql", "%[1]s:%[2]s@/orders?charset=%[3]s", Target{mySQL, "orders", "", 0}},
	{"mysql", "%[1]s:%[2]s@tcp/?charset=%[3]s", Target{System: mySQL}},
	{"mysql", "%[1]s:%[2]s@tcp([::1]:3307)/?charset=%[3]s", Target{mySQL, "", "::1", 3307}},
	{"mysql", "mysql://%[1]s:%[2]s@db:3307/orders?charset=%[3]s", Target{mySQL, "orders", "db", 3307}},
	{"sqlserver", "sqlserver://%[1]s:%[2]s@db:1444/inst?database=orders&app+name=%[3]s", Target{sqlServer, "inst|orders", "db", 1444}},
	{"sqlserver", "sqlserver://db:1444/inst?database=orders&user+id=%[1]s&password=%[2]s&app+name=%[3]s", Target{sqlServer, "inst|orders", "db", 1444}},
	{"mssql", `server=db\inst,1444;database=orders;user id=%[1]s;password=%[2]s;app name=%[3]s`, Target{sqlServer, "inst|orders", "db", 1444}},
	{"mssql", "user id=%[1]s;password=%[2]s;app name=%[3]s;server=db;port=1444;database=orders", Target{sqlServer, "orders", "db", 1444}},
	{"mssql", `user id="%[1]s";password="%[2]s";app name="%[3]s";server="db";port="1444";database="orders"`, Target{sqlServer, "orders", "db", 1444}},
	{"mssql", "odbc:server=db;port=1444;user id=%[1]s;password=%[2]s;app name=%[3]s;database=orders", Target{sqlServer, "orders", "db", 1444}},
	{"mssql", "odbc:server={db};port={1444};user id={%[1]s};password={%[2]s};app name={%[3]s};database={orders}", Target{sqlServer, "orders", "db", 1444}},
	{"oracle", "oracle://%[1]s:%[2]s@db:1522/service?TRACE=%[3]s", Target{oracle, "", "db", 1522}},
	{"godror", "%[1]s/%[2]s@db:1522/service?x=%[3]s", Target{System: oracle}},
	{"godror", `user="%[1]s" password="%[2]s" connectString="db:1522/service" x="%[3]s"`, Target{System: oracle}},
	{"clickhouse", "clickhouse://%[1]s:%[2]s@db:9440/orders?client=%[3]s", Target{clickHouse, "orders", "db", 9440}},
	{"clickhouse", "tcp://db:9440?database=orders&username=%[1]s&password=%[2]s&client=%[3]s", Target{clickHouse, "orders", "db", 9440}},
	{"trino", "http://%[1]s:%[2]s@db:8081?catalog=hive&schema=web&source=%[3]s", Target{"trino", "hive|web", "db", 8081}},
	{"sqlite3", "file:app.db?_auth_user=%[1]s&_auth_pass=%[2]s&_x=%[3]s", Target{System: sqlite, Namespace: "app.db"}},
	{"sqlite3", "/home/bob/app.db?_auth_user=%[1]s&_auth_pass=%[2]s&_x=%[3]s", Target{System: sqlite, Namespace: "app.db"}},
	{"snowflake", "%[1]s:%[2]s@account/orders/public?role=%[3]s", Target{System: otherSQL}},
	{"custom", "bigquery://%[1]s:%[2]s@project/dataset?x=%[3]s", Target{System: otherSQL}},
	{"custom", "postgres://%[1]s:%[2]s@db:5433/orders?application_name=%[3]s", Target{postgreSQL, "orders", "db", 5433}},
}

// dsn fills in the form.
func (f form) dsn(user, password, param string) string {
	return fmt.Sprintf(f.format, user, password, param)
}

// canary is a secret of letters that are in no test's host or database. No
// four bytes of it may be in a target.
const canary = "kQz7vXw3jYp9"

// nasty has texts around the canary that break borders in a DSN.
var nasty = []string{
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

// nastyText puts the canary into a template, at each place that it has.
func nastyText(template string) string {
	s := strings.ReplaceAll(template, "%%", "\x01")
	return strings.ReplaceAll(strings.ReplaceAll(s, "%s", canary), "\x01", "%")
}

// leak returns the bytes of the canary that a target holds.
func leak(got Target) string {
	for i := range len(canary) - 3 {
		part := strings.ToLower(canary[i : i+4])
		for _, field := range []string{got.System, got.Namespace, got.Address, fmt.Sprint(got.Port)} {
			if strings.Contains(strings.ToLower(field), part) {
				return part
			}
		}
	}
	return ""
}

func TestFromDSNLeaksNothing(t *testing.T) {
	scenarios, certain := 0, 0
	for _, form := range forms {
		if got := FromDSN(form.driver, nil, form.dsn("app", "pw", "x")); got != form.want {
			t.Errorf("%s\n got %+v\nwant %+v", form.dsn("app", "pw", "x"), got, form.want)
		}
		for _, template := range nasty {
			s := nastyText(template)
			for _, dsn := range []string{form.dsn(s, "pw", "x"), form.dsn("app", s, "x"), form.dsn("app", "pw", s), form.dsn(s, s, s)} {
				got := FromDSN(form.driver, nil, dsn)
				if part := leak(got); part != "" {
					t.Errorf("%q of the canary leaks: %s\n%q\n%+v", part, form.driver, dsn, got)
				}
				// Every field is what the form says, or unknown.
				if got.System != form.want.System ||
					got.Namespace != "" && got.Namespace != form.want.Namespace ||
					got.Address != "" && got.Address != form.want.Address ||
					got.Port != 0 && got.Port != form.want.Port {
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

// TestFromDSNCut cuts every DSN off at every byte: what is left of it
// may be a user or a password where a server was.
func TestFromDSNCut(t *testing.T) {
	for _, form := range forms {
		dsn := form.dsn("app", canary, "x")
		for i := range dsn {
			if got := FromDSN(form.driver, nil, dsn[:i]); leak(got) != "" {
				t.Errorf("%q\n%+v", dsn[:i], got)
			}
		}
	}
}

func TestPort(t *testing.T) {
	for s, want := range map[string]int{"": 0, "1": 1, "65535": 65535, "05432": 5432, "0": -1, "65536": -1, "-1": -1, "+1": -1, "1e3": -1, "0x10": -1, "1_0": -1, " 1": -1, "١": -1} {
		got, ok := parsePort(s)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("parsePort(%q) = %d, %t, want %d", s, got, ok, want)
		}
	}
}

// checkTarget fails unless every field has the form that all targets have.
func checkTarget(t *testing.T, got Target) {
	t.Helper()
	systems := []string{otherSQL}
	for _, system := range driverNames {
		systems = append(systems, system)
	}
	if !slices.Contains(systems, got.System) {
		t.Errorf("system %q", got.System)
	}
	if got.Port < 0 || got.Port > 65535 || got.Port != 0 && (got.Address == "" || got.Port == defaultPorts[got.System]) {
		t.Errorf("port %d at address %q", got.Port, got.Address)
	}
	if len(got.Address) > 253 || strings.Trim(got.Address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/") != "" {
		t.Errorf("address %q", got.Address)
	}
	if strings.Contains(got.Address, ":") && !isIPv6(got.Address) && !isSocket(got.Address) {
		t.Errorf("address %q", got.Address)
	}
	if len(got.Namespace) > 2*128+1 || !utf8.ValidString(got.Namespace) || strings.Count(got.Namespace, "|") > 1 ||
		strings.ContainsAny(got.Namespace, "@:/\\?=#&;,%'\"`()[]{}<> \t\r\n\x00") {
		t.Errorf("namespace %q", got.Namespace)
	}
}

// fakeConnector is a connector of no known package.
type fakeConnector struct {
	driver.Connector

	drv    driver.Driver
	panics any
}

func (c fakeConnector) Driver() driver.Driver {
	if c.panics != nil {
		panic(c.panics)
	}
	return c.drv
}

func TestFromConnectorUnknown(t *testing.T) {
	for name, c := range map[string]driver.Connector{
		"nil":           nil,
		"nil pointer":   (*fakeConnector)(nil),
		"nil driver":    fakeConnector{},
		"driver panics": fakeConnector{panics: errors.New("no driver")},
		"unknown":       &fakeConnector{drv: fakeDriver{}},
	} {
		if got, want := FromConnector(c), (Target{System: otherSQL}); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// fakeDriver is a driver of no known package.
type fakeDriver struct{ driver.Driver }

func TestSystemOfUnknownDriver(t *testing.T) {
	want := Target{postgreSQL, "orders", "db", 0}
	for _, drv := range []driver.Driver{nil, fakeDriver{}, &fakeDriver{}, (*fakeDriver)(nil)} {
		if got := FromDSN("postgres", drv, "host=db dbname=orders"); got != want {
			t.Errorf("%T: got %+v, want %+v", drv, got, want)
		}
	}
}

// The fields of the connectors of pgx and go-sql-driver/mysql that are read.
type (
	fakePgxFallback struct {
		Host string
		Port uint16
	}
	fakePgconnConfig struct {
		Host      string
		Port      uint16
		Database  string
		Fallbacks []*fakePgxFallback
	}
	fakePgxConfig struct {
		fakePgconnConfig

		connString string
	}
	fakePoolConfig   struct{ ConnConfig *fakePgxConfig }
	fakePool         struct{ config *fakePoolConfig }
	fakePgxConnector struct {
		fakePgxConfig

		pool *fakePool
	}
	fakeMySQLConfig    struct{ Net, Addr, DBName string }
	fakeMySQLConnector struct{ cfg *fakeMySQLConfig }
)

func TestPartsOfPgx(t *testing.T) {
	config := func(dsn, host string, port uint16, database string, fallbacks ...*fakePgxFallback) fakePgxConfig {
		return fakePgxConfig{fakePgconnConfig{host, port, database, fallbacks}, dsn}
	}
	pooled := config("host=db", "db", 5433, "orders")
	tests := map[string]struct {
		connector any
		want      Target
	}{
		"config":       {fakePgxConnector{fakePgxConfig: config("host=db", "db", 5433, "orders")}, Target{postgreSQL, "orders", "db", 5433}},
		"default port": {&fakePgxConnector{fakePgxConfig: config("", "db", 5432, "orders")}, Target{postgreSQL, "orders", "db", 0}},
		"socket":       {fakePgxConnector{fakePgxConfig: config("", "/run/pg", 5432, "")}, Target{postgreSQL, "", "/run/pg", 0}},
		"same host":    {fakePgxConnector{fakePgxConfig: config("", "db", 5433, "orders", &fakePgxFallback{"db", 5433})}, Target{postgreSQL, "orders", "db", 5433}},
		"two hosts":    {fakePgxConnector{fakePgxConfig: config("", "db", 5433, "orders", &fakePgxFallback{"db2", 5433})}, Target{postgreSQL, "orders", "", 0}},
		"nil fallback": {fakePgxConnector{fakePgxConfig: config("", "db", 5433, "orders", nil)}, Target{System: postgreSQL}},
		"pool":         {fakePgxConnector{pool: &fakePool{&fakePoolConfig{&pooled}}}, Target{postgreSQL, "orders", "db", 5433}},
		"half":         {fakePgxConnector{fakePgxConfig: config("postgres://u:x@half?y=z@db/orders", "half", 5432, "")}, Target{System: postgreSQL}},
		"odd host":     {fakePgxConnector{fakePgxConfig: config("", "d b", 5432, "orders")}, Target{System: postgreSQL}},
		"odd database": {fakePgxConnector{fakePgxConfig: config("", "db", 5432, "x@y")}, Target{System: postgreSQL}},
		"other shape":  {fakeMySQLConnector{&fakeMySQLConfig{}}, Target{System: postgreSQL}},
		"other kinds":  {struct{ Host, Port, Database, connString, Fallbacks int }{}, Target{System: postgreSQL}},
		"no struct":    {1, Target{System: postgreSQL}},
		"nil":          {nil, Target{System: postgreSQL}},
	}
	for name, tt := range tests {
		fields, ok := partsOfPgx(reflect.ValueOf(tt.connector))
		got := Target{System: postgreSQL}
		if ok {
			got = fields.target(postgreSQL)
		}
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestPartsOfMySQL(t *testing.T) {
	tests := []struct {
		network, address, database string
		want                       Target
	}{
		{"tcp", "db:3306", "orders", Target{mySQL, "orders", "db", 0}},
		{"tcp", "[::1]:3307", "orders", Target{mySQL, "orders", "::1", 3307}},
		{"unix", "/tmp/mysql.sock", "orders", Target{mySQL, "orders", "/tmp/mysql.sock", 0}},
		{"cloudsql", "p:r:i", "orders", Target{mySQL, "orders", "", 0}},
		{"tcp", "db:3306", "y@tcp(db)", Target{System: mySQL}},
		{"half@of", "db:3306", "orders", Target{System: mySQL}},
		{"tcp", "d b:3306", "orders", Target{System: mySQL}},
	}
	for _, tt := range tests {
		fields, ok := partsOfMySQL(reflect.ValueOf(&fakeMySQLConnector{&fakeMySQLConfig{tt.network, tt.address, tt.database}}))
		got := Target{System: mySQL}
		if ok {
			got = fields.target(mySQL)
		}
		if got != tt.want {
			t.Errorf("%s(%s)/%s: got %+v, want %+v", tt.network, tt.address, tt.database, got, tt.want)
		}
	}
	for _, c := range []any{nil, 1, fakeMySQLConnector{}, fakePgxConnector{}, struct{ cfg any }{}} {
		if fields, ok := partsOfMySQL(reflect.ValueOf(c)); ok {
			t.Errorf("%T: got %+v", c, fields)
		}
	}
}

func TestSystemOfPackage(t *testing.T) {
	for path, want := range map[string]string{
		"github.com/jackc/pgx/v5/stdlib":                postgreSQL,
		"github.com/jackc/pgx/v4/stdlib":                postgreSQL,
		"github.com/lib/pq":                             postgreSQL,
		"github.com/lib/pqx":                            "",
		"github.com/go-sql-driver/mysql":                mySQL,
		"github.com/mattn/go-sqlite3":                   sqlite,
		"modernc.org/sqlite":                            sqlite,
		"github.com/ncruces/go-sqlite3/driver":          sqlite,
		"github.com/glebarez/go-sqlite":                 sqlite,
		"github.com/microsoft/go-mssqldb":               sqlServer,
		"github.com/microsoft/go-mssqldb/azuread":       sqlServer,
		"github.com/denisenkom/go-mssqldb":              sqlServer,
		"github.com/sijms/go-ora/v2":                    oracle,
		"github.com/godror/godror":                      oracle,
		"github.com/ClickHouse/clickhouse-go/v2":        clickHouse,
		"github.com/snowflakedb/gosnowflake":            otherSQL,
		"github.com/trinodb/trino-go-client/trino":      "trino",
		"example.com/vendor/github.com/lib/pq/internal": "",
		"main": "",
		"":     "",
	} {
		if got := systemOfPackage(path); got != want {
			t.Errorf("systemOfPackage(%q) = %q, want %q", path, got, want)
		}
	}
	for _, tt := range []struct{ path, name, want string }{
		{postgreSQL, "cockroachdb", "cockroachdb"},
		{postgreSQL, "aws.redshift", "aws.redshift"},
		{postgreSQL, sqlite, postgreSQL},
		{mySQL, "mariadb", "mariadb"},
		{sqlite, postgreSQL, sqlite},
		{sqlite, "", sqlite},
		{"", postgreSQL, postgreSQL},
	} {
		if got := refine(tt.path, tt.name); got != tt.want {
			t.Errorf("refine(%q, %q) = %q, want %q", tt.path, tt.name, got, tt.want)
		}
	}
}

// TestTables keeps the tables of names and packages in order.
func TestTables(t *testing.T) {
	for name := range driverNames {
		if name != strings.ToLower(name) || systemOfName(name) != driverNames[name] {
			t.Errorf("name %q is not found", name)
		}
	}
	for _, p := range packages {
		if cmp.Or(p.path, "/") != strings.Trim(p.path, "/") || p.system == "" {
			t.Errorf("package %q", p.path)
		}
	}
}

// TestConventions compares the systems with those of the conventions.
func TestConventions(t *testing.T) {
	for got, want := range map[string]attribute.KeyValue{
		otherSQL:    semconv.DBSystemNameOtherSQL,
		postgreSQL:  semconv.DBSystemNamePostgreSQL,
		cockroachDB: semconv.DBSystemNameCockroachDB,
		redshift:    semconv.DBSystemNameAWSRedshift,
		mySQL:       semconv.DBSystemNameMySQL,
		mariaDB:     semconv.DBSystemNameMariaDB,
		sqlite:      semconv.DBSystemNameSQLite,
		sqlServer:   semconv.DBSystemNameMicrosoftSQLServer,
		oracle:      semconv.DBSystemNameOracleDB,
		clickHouse:  semconv.DBSystemNameClickHouse,
		trino:       semconv.DBSystemNameTrino,
		spanner:     semconv.DBSystemNameGCPSpanner,
		firebird:    semconv.DBSystemNameFirebirdSQL,
		hana:        semconv.DBSystemNameSAPHANA,
		db2:         semconv.DBSystemNameIBMDB2,
		teradata:    semconv.DBSystemNameTeradata,
		hive:        semconv.DBSystemNameHive,
	} {
		if want.Value.AsString() != got {
			t.Errorf("%q is not %q", got, want.Value.AsString())
		}
	}
}

func TestOr(t *testing.T) {
	inferred := Target{postgreSQL, "orders", "db", 5433}
	for _, tt := range []struct{ t, inferred, want Target }{
		{Target{}, inferred, inferred},
		{Target{}, Target{}, Target{System: otherSQL}},
		{Target{Namespace: "users"}, inferred, Target{postgreSQL, "users", "db", 5433}},
		{Target{Address: "proxy"}, inferred, Target{postgreSQL, "orders", "proxy", 0}},
		{Target{Address: "proxy", Port: 5432}, inferred, Target{postgreSQL, "orders", "proxy", 0}},
		{Target{Address: "proxy", Port: 6432}, inferred, Target{postgreSQL, "orders", "proxy", 6432}},
		// A default port is that of the system that is recorded.
		{Target{System: mySQL}, Target{otherSQL, "", "db", 3306}, Target{mySQL, "", "db", 0}},
		{Target{System: mySQL, Address: "db", Port: 5432}, inferred, Target{mySQL, "orders", "db", 5432}},
	} {
		if got := tt.t.Or(tt.inferred); got != tt.want {
			t.Errorf("%+v.Or(%+v)\n got %+v\nwant %+v", tt.t, tt.inferred, got, tt.want)
		}
	}
}

func TestFromDriver(t *testing.T) {
	for _, drv := range []driver.Driver{nil, fakeDriver{}, (*fakeDriver)(nil)} {
		if got, want := FromDriver(drv), (Target{System: otherSQL}); got != want {
			t.Errorf("%T: got %+v, want %+v", drv, got, want)
		}
	}
}
