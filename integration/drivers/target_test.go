package drivers

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	modernc "modernc.org/sqlite"

	"github.com/taskspan/taskspan/integration/internal/oteltest"
	"github.com/taskspan/taskspan/otdb"
)

// connector is that of a driver that has none of its own.
type connector struct {
	driver driver.Driver
	dsn    string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

// TestTargetsOfConnectors shows what is inferred from the type of a connector or
// its driver, and from what pgx and MySQL's driver keep in theirs. The servers
// refuse all connections.
func TestTargetsOfConnectors(t *testing.T) {
	b := newBackend(t)
	b.refuse = refusal("canary-user")
	dsn := b.dsn("")
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	my, err := mysql.NewConnector(&mysql.Config{User: "canary-user", Passwd: "canary-pass", Net: "tcp", Addr: "127.0.0.1:1", DBName: "shop", Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	libpq, err := pq.NewConnector(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		c    driver.Connector
		want attrs
	}{
		{"pgx", stdlib.GetConnector(*config), b.attrs()},
		{"pgx, pool", stdlib.GetPoolConnector(pool), b.attrs()},
		{"pgx, by its driver", connector{stdlib.GetDefaultDriver(), dsn}, attrs{"db.system.name": "postgresql"}},
		{"lib/pq", libpq, attrs{"db.system.name": "postgresql"}},
		{"go-sql-driver", my, attrs{"db.system.name": "mysql", "db.namespace": "shop", "server.address": "127.0.0.1", "server.port": 1}},
		{"mattn", connector{&sqlite3.SQLiteDriver{}, "file:/nowhere/canary.db?mode=ro"}, attrs{"db.system.name": "sqlite"}},
		{"modernc", connector{&modernc.Driver{}, "file:/nowhere/canary.db?mode=ro"}, attrs{"db.system.name": "sqlite"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			db := otdb.OpenDB(test.c, r.options()...)
			defer db.Close()
			if err := db.PingContext(t.Context()); err == nil && test.name != "modernc" {
				t.Error("connected")
			}
			spans := r.Spans()
			if len(spans) == 0 {
				t.Fatal("no span")
			}
			got := spans[0].Attributes()
			for _, key := range []string{"error.type", "db.response.status_code"} {
				for _, kv := range got {
					if string(kv.Key) == key {
						got = oteltest.Without(got, kv.Key)
					}
				}
			}
			oteltest.Diff(t, "attributes", oteltest.Lines(got), oteltest.Lines(test.want.With(attrs{"db.operation.name": "CONNECT"}).Slice()))
			r.WantNothingOf("canary")
		})
	}
}

// quiet keeps MySQL's driver from logging what it returns as well.
type quiet struct{}

func (quiet) Print(...any) {}

// TestTargetOfAWrappedDriver shows that a wrapped driver is known by its type,
// whatever it is registered as.
func TestTargetOfAWrappedDriver(t *testing.T) {
	r := newRig(t)
	sql.Register("wrapped", otdb.WrapDriver(&sqlite3.SQLiteDriver{}, r.options()...))
	db, err := sql.Open("wrapped", sqliteFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, ok := db.Driver().(*sqlite3.SQLiteDriver); !ok {
		t.Errorf("Driver() is a %T", db.Driver())
	}
	stop, err := otdb.ObservePool(db, r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantSpans(span{name: "CONNECT", start: attrs{"db.system.name": "sqlite", "db.namespace": "shop.db", "db.operation.name": "CONNECT"}})
	for _, p := range r.Collect()["db.client.connection.count"].Data.(metricdata.Sum[int64]).DataPoints {
		if name, _ := p.Attributes.Value("db.client.connection.pool.name"); name.AsString() != "sqlite" {
			t.Errorf("the pool is %q", name.AsString())
		}
	}
}

// TestArgumentsThatAreNone has pgx take options as the first arguments of a query.
func TestArgumentsThatAreNone(t *testing.T) {
	b := newBackend(t)
	r := newRig(t)
	var asked []string
	db := r.open("pgx", b.dsn(""), otdb.WithQueryParameters(func(key string) bool {
		asked = append(asked, key)
		return true
	}))
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.TakeSpans()
	rows, err := db.QueryContext(t.Context(), pgSelect, pgx.QueryExecModeDescribeExec, pgx.QueryResultFormats{1, 0}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if users := readUsers(t, rows); len(users) != 2 {
		t.Errorf("read %v", users)
	}
	r.wantSpans(span{name: "SELECT otdb_users", start: b.attrs().With(attrs{
		"db.query.summary": "SELECT otdb_users", "db.query.text": pgSelect, "db.query.parameter.0": "3",
	})})
	if len(asked) != 1 || asked[0] != "0" {
		t.Errorf("asked for %q", asked)
	}

	// With nothing but options a text is not parameterised, whatever it looks like.
	for _, options := range [][]any{
		{pgx.QueryExecModeExec},
		{pgx.QueryExecModeSimpleProtocol},
		{pgx.QueryResultFormats{0}},
		{pgx.QueryResultFormatsByOID{25: 0}},
		{pgx.QueryExecModeCacheDescribe, pgx.QueryResultFormats{1}},
	} {
		// The server does not know the statement, and pgx may find that an argument is missing.
		_, _ = db.ExecContext(t.Context(), "SELECT 'Ross' AS name WHERE id = $1", options...)
		for _, s := range r.TakeSpans() {
			set := attribute.NewSet(s.Attributes()...)
			if text, _ := set.Value("db.query.text"); text.AsString() != "SELECT ? AS name WHERE id = $1" {
				t.Errorf("%v: recorded %q", options, text.AsString())
			}
		}
	}
}
