package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/otdb"
)

// printer is an exporter that prints what the examples are about.
type printer struct {
	keys []attribute.Key // attributes to print with the name
}

func (p printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		fmt.Println("span:", s.Name())
		for _, kv := range s.Attributes() {
			if slices.Contains(p.keys, kv.Key) {
				fmt.Printf("  %s = %s\n", kv.Key, kv.Value.String())
			}
		}
		if d := s.Status().Description; d != "" {
			fmt.Println("  error:", d)
		}
	}
	return nil
}

func (printer) Shutdown(context.Context) error { return nil }

// provider returns a tracer provider that prints every span. A program gets
// its own from its set-up of OpenTelemetry, and need not name it to otdb if it
// is the global one.
func provider(keys ...attribute.Key) *sdktrace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(printer{keys}))
}

func Example() {
	db, err := otdb.Open("sqlite3", ":memory:", otdb.WithTracerProvider(provider()))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := tx.Exec("CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT)"); err != nil {
		log.Fatal(err)
	}
	if _, err := tx.Exec("INSERT INTO users (email) VALUES (?)", "ada@example.com"); err != nil {
		log.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// span: CONNECT
	// span: BEGIN
	// span: CREATE TABLE users
	// span: INSERT users
	// span: COMMIT
}

func ExampleOpen() {
	db, err := otdb.Open("sqlite3", ":memory:", otdb.WithTracerProvider(provider("db.query.text")))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	ctx := context.Background()
	if _, err := db.ExecContext(ctx, "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE)"); err != nil {
		log.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO users (email) VALUES ('ada@example.com')"); err != nil {
		log.Fatal(err)
	}
	// The driver's error is what the program gets. What is exported of it has
	// no values.
	_, err = db.ExecContext(ctx, "INSERT INTO users (email) VALUES (?)", "ada@example.com")
	fmt.Println("err:", err)
	// Output:
	// span: CONNECT
	// span: CREATE TABLE users
	//   db.query.text = CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE)
	// span: INSERT users
	//   db.query.text = INSERT INTO users (email) VALUES (?)
	// span: INSERT users
	//   db.query.text = INSERT INTO users (email) VALUES (?)
	//   error: constraint (2067): duplicate key, column "users.email"
	// err: UNIQUE constraint failed: users.email
}

func ExampleOpenDB() {
	// A connector is what a driver makes of a configuration: stdlib.GetConnector
	// of pgx or mysql.NewConnector, for example.
	connector := connectorTo(":memory:")

	db := otdb.OpenDB(connector, otdb.WithTracerProvider(provider("db.system.name", "db.namespace")),
		otdb.WithSystem("sqlite"), otdb.WithNamespace("orders"))
	defer db.Close()

	var n int
	if err := db.QueryRow("SELECT 1").Scan(&n); err != nil {
		log.Fatal(err)
	}
	fmt.Println(n)
	// Output:
	// span: CONNECT
	//   db.system.name = sqlite
	//   db.namespace = orders
	// span: SELECT
	//   db.system.name = sqlite
	//   db.namespace = orders
	// 1
}

func ExampleRegister() {
	name, err := otdb.Register("sqlite3", otdb.WithTracerProvider(provider()))
	if err != nil {
		log.Fatal(err)
	}

	// The name is for libraries that open the database themselves, such as
	// sqlx.Open(name, dsn).
	db, err := sql.Open(name, ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	// What sql.Open opens has no metrics of its pool until it is given here.
	stop, err := otdb.ObservePool(db, otdb.WithPoolName("orders"))
	if err != nil {
		log.Fatal(err)
	}
	defer stop()

	if _, err := db.Exec("CREATE TABLE orders (id INTEGER)"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// span: CONNECT
	// span: CREATE TABLE orders
}

func ExampleRaw() {
	db, err := otdb.Open("sqlite3", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	conn, err := db.Conn(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	// What only this driver can do is a method of its own connection, which is a
	// *sqlite3.SQLiteConn for mattn/go-sqlite3.
	type sqliteConn interface {
		RegisterFunc(name string, f any, pure bool) error
	}
	err = conn.Raw(func(c any) error {
		return otdb.Raw(c).(sqliteConn).RegisterFunc("greet", func(name string) string { return "hello " + name }, true)
	})
	if err != nil {
		log.Fatal(err)
	}
	var greeting string
	if err := conn.QueryRowContext(context.Background(), "SELECT greet('world')").Scan(&greeting); err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting)
	// Output:
	// hello world
}

func ExampleWithQueryParameters() {
	// The names of arguments that may be exported. Those without a name have
	// their position instead, from 0.
	allowed := []string{"id", "1"}
	db, err := otdb.Open("sqlite3", ":memory:",
		otdb.WithTracerProvider(provider("db.query.parameter.id", "db.query.parameter.email", "db.query.parameter.0", "db.query.parameter.1")),
		otdb.WithQueryParameters(func(key string) bool { return slices.Contains(allowed, key) }))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	if _, err := db.Exec("CREATE TABLE users (id INTEGER, email TEXT)"); err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO users VALUES (:id, :email)", sql.Named("id", 7), sql.Named("email", "ada@example.com")); err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec("UPDATE users SET email = ? WHERE id = ?", "ada@example.org", 7); err != nil {
		log.Fatal(err)
	}
	// Output:
	// span: CONNECT
	// span: CREATE TABLE users
	// span: INSERT users
	//   db.query.parameter.id = 7
	// span: UPDATE users
	//   db.query.parameter.1 = 7
}

func ExampleWithSpanFilter() {
	db, err := otdb.Open("sqlite3", ":memory:",
		otdb.WithTracerProvider(provider()),
		// Statements alone. The metrics have all operations all the same.
		otdb.WithSpanFilter(func(_ context.Context, info otdb.SpanInfo) bool { return info.Operation == 0 }))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	if _, err := db.Exec("CREATE TABLE users (id INTEGER, email TEXT)"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// span: CREATE TABLE users
}

// cluster is a client of a database in the manner of Cassandra's, which does not pass
// through database/sql.
type cluster struct {
	tracer *otdb.Tracer
	rows   map[string]string
}

// execute runs a statement of CQL.
func (c *cluster) execute(ctx context.Context, query string, args ...any) (rows []string, err error) {
	_, span := c.tracer.Start(ctx, otdb.Call{Query: query, Args: args, Server: "cassandra.example.com", Namespace: "shop"})
	defer func() { span.End(int64(len(rows)), err) }()
	switch {
	case len(args) == 2:
		c.rows[args[0].(string)] = args[1].(string)
	case c.rows[args[0].(string)] == "":
		return nil, fmt.Errorf("no email of %q", args[0])
	default:
		rows = append(rows, c.rows[args[0].(string)])
	}
	return rows, nil
}

// A client that does not pass through database/sql has its operations traced by a Tracer. Of
// errors that package errs does not know, their type is exported.
func ExampleNewTracer() {
	tracer, err := otdb.NewTracer("cassandra",
		otdb.WithTracerProvider(provider("db.system.name", "db.namespace", "server.address", "db.query.text")))
	if err != nil {
		log.Fatal(err)
	}
	shop := &cluster{tracer, make(map[string]string)}
	ctx := context.Background()
	if _, err := shop.execute(ctx, "INSERT INTO users (name, email) VALUES (?, ?)", "ada", "ada@example.com"); err != nil {
		log.Fatal(err)
	}
	if _, err := shop.execute(ctx, "SELECT email FROM users WHERE name = ?", "eve"); err == nil {
		log.Fatal("there is no such user")
	}
	// Output:
	// span: INSERT users
	//   db.system.name = cassandra
	//   db.namespace = shop
	//   server.address = cassandra.example.com
	//   db.query.text = INSERT INTO users (name, email) VALUES (?, ?)
	// span: SELECT users
	//   db.system.name = cassandra
	//   db.namespace = shop
	//   server.address = cassandra.example.com
	//   db.query.text = SELECT email FROM users WHERE name = ?
	//   error: other (*errors.errorString)
}

// connectorTo returns a connector of the driver that is registered as sqlite3.
func connectorTo(dsn string) driver.Connector { return connector(dsn) }

type connector string

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(string(c)) }

func (c connector) Driver() driver.Driver {
	db, err := sql.Open("sqlite3", string(c))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	return db.Driver()
}

// A name says more than a summary where many statements look alike. It is that of the
// span, and of the series.
func ExampleNameQuery() {
	db, err := otdb.Open("sqlite3", ":memory:", otdb.WithTracerProvider(provider()),
		otdb.WithOperations(0)) // statements alone
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	ctx := otdb.NameQuery(context.Background(), "due invoices")
	var n int
	if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil {
		log.Fatal(err)
	}
	// Output:
	// span: due invoices
}

// A driver that a program registers by itself is wrapped before.
func ExampleWrapDriver() {
	db, err := sql.Open("sqlite3", "") // for its driver: this opens nothing
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	sql.Register("sqlite3-traced", otdb.WrapDriver(db.Driver(), otdb.WithTracerProvider(provider()), otdb.WithOperations(0)))

	traced, err := sql.Open("sqlite3-traced", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer traced.Close()
	if _, err := traced.Exec("CREATE TABLE users (id INTEGER)"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// span: CREATE TABLE users
}

// A connector is wrapped where a library, and not the program, makes the database.
func ExampleWrapConnector() {
	wrapped := otdb.WrapConnector(connectorTo(":memory:"), otdb.WithTracerProvider(provider()), otdb.WithOperations(0))

	db := sql.OpenDB(wrapped) // the library does this
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE users (id INTEGER)"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// span: CREATE TABLE users
}
