package drivers

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// canaryStatements hold a secret, %s, where statements hold values. SQLite
// executes some and rejects others, with a text that quotes the value or not.
var canaryStatements = []string{
	"SELECT '%s'",
	"SELECT 'it''s %s'",
	"SELECT '%s' AS a, 'b'",
	"SELECT 'a' || '%s' || \"%s\"",
	"SELECT x'%s'",
	"SELECT -- %s\n 1",
	"SELECT /* %s */ 1",
	"SELECT 1 -- %s",
	"SELECT 1 /* %s",
	"SELECT '%s",
	"SELECT \"%s",
	"SELECT `%s",
	"SELECT [%s",
	"SELECT * FROM people WHERE email = '%s'",
	"SELECT * FROM people WHERE email IN ('a', '%s', 'b')",
	"SELECT * FROM people WHERE email LIKE '%%%s%%' ESCAPE '\\'",
	"SELECT * FROM people WHERE email = \"%s\"",
	"SELECT * FROM people WHERE email GLOB '%s*' OR email REGEXP '%s'",
	"SELECT * FROM people WHERE email BETWEEN '%s' AND 'z'",
	"SELECT CASE email WHEN '%s' THEN 1 ELSE 0 END FROM people",
	"SELECT coalesce(email, '%s') FROM people GROUP BY '%s' HAVING email > '%s' ORDER BY '%s' LIMIT 1",
	"SELECT json_extract('{\"a\": \"%s\"}', '$.a')",
	"SELECT json('{%s')",
	"SELECT json_extract('{}', '%s')",
	"SELECT CAST('%s' AS INTEGER) + abs('%s')",
	"SELECT date('%s'), strftime('%s', 'now')",
	"SELECT load_extension('%s')",
	"SELECT raise(ABORT, '%s')",
	"SELECT * FROM people WHERE email = '%s' UNION SELECT '%s', 2, 3",
	"WITH a AS (SELECT '%s' AS b) SELECT b FROM a",
	"VALUES ('%s', 1), ('%s', 2)",
	"INSERT INTO people (email, age) VALUES ('%s', 1)",
	"INSERT INTO people (email, age) VALUES ('%s', 1), ('%s', 2)",
	"INSERT INTO people (email, age) VALUES ('taken', '%s')",
	"INSERT INTO people (email, age) VALUES (NULL, '%s')",
	"INSERT INTO strict (id) VALUES ('%s')",
	"INSERT INTO checked (name) VALUES ('%s')",
	"INSERT INTO children (parent) VALUES ('%s')",
	"INSERT INTO guarded (name) VALUES ('%s')",
	"INSERT INTO people SELECT '%s', 3",
	"INSERT OR REPLACE INTO people (email) VALUES ('%s')",
	"INSERT INTO people (email) VALUES ('%s') ON CONFLICT (email) DO UPDATE SET email = '%s'",
	"INSERT INTO people (email) VALUES ('%s') RETURNING email",
	"REPLACE INTO people (email) VALUES ('%s')",
	"UPDATE people SET email = '%s'",
	"UPDATE people SET email = 'taken' WHERE email <> '%s'",
	"UPDATE strict SET id = '%s'",
	"DELETE FROM people WHERE email = '%s'",
	"CREATE TABLE defaults (a TEXT DEFAULT '%s')",
	"CREATE TABLE limits (a TEXT CHECK (a <> '%s'))",
	"CREATE VIEW seen AS SELECT '%s' AS a",
	"CREATE INDEX part ON people (email) WHERE email = '%s'",
	"CREATE TRIGGER watch AFTER INSERT ON people BEGIN SELECT '%s'; END",
	"ATTACH DATABASE '%s' AS other",
	"ATTACH DATABASE ':memory:' AS more KEY '%s'",
	"PRAGMA key = '%s'",
	"PRAGMA user_version = '%s'",
	"EXPLAIN SELECT '%s'",
	"SELECT 1; SELECT '%s'; SELECT 2",
	"SELECT 'a' '%s'",
	"SELECT FROM WHERE '%s'",
	"SELECT 1 WHERE '%s' = = 2",
	"SELEKT '%s'",
	"'%s'",
	"\"%s\"",
	"-- %s",
	"/* %s */",
	"SELECT e'%s', N'%s', b'%s', _utf8'%s'",
	"SELECT '\\' || '%s'",
	"SELECT '%s\x00%s'",
	"SELECT '\xff%s'",
	"SELECT '%s' /* it's %s */ || '%s' -- don't %s",
}

// canaryCalls hold a secret where a program holds values.
var canaryCalls = map[string]func(ctx context.Context, db *sql.DB, secret string) error{
	"an argument": func(ctx context.Context, db *sql.DB, secret string) error {
		return queryAll(ctx, db, "SELECT * FROM people WHERE email = ?", secret)
	},
	"a numbered argument": func(ctx context.Context, db *sql.DB, secret string) error {
		return queryAll(ctx, db, "SELECT * FROM people WHERE email = ?1 OR email = ?1", secret)
	},
	"a named argument": func(ctx context.Context, db *sql.DB, secret string) error {
		return queryAll(ctx, db, "SELECT * FROM people WHERE email = :email", sql.Named("email", secret))
	},
	"bytes": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO people (email) VALUES (?)", []byte(secret))
		return err
	},
	"an argument and a literal": func(ctx context.Context, db *sql.DB, secret string) error {
		return queryAll(ctx, db, "SELECT * FROM people WHERE age > ? -- "+"a comment", secret)
	},
	"too many arguments": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO people (email) VALUES (?)", secret, secret, secret)
		return err
	},
	"an argument of no driver's type": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO people (email) VALUES (?)", struct{ Password string }{secret})
		return err
	},
	"a Valuer that fails": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO people (email) VALUES (?)", failingValuer{errors.New("no value for the argument")})
		_ = secret
		return err
	},
	"a unique constraint": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err1 := db.ExecContext(ctx, "INSERT INTO people (email) VALUES (?)", secret)
		_, err2 := db.ExecContext(ctx, "INSERT INTO people (email) VALUES (?)", secret)
		return errors.Join(err1, err2)
	},
	"a check": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO checked (name) VALUES (?)", secret)
		return err
	},
	"a strict column": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO strict (id) VALUES (?)", secret)
		return err
	},
	"a foreign key": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO children (parent) VALUES (?)", secret)
		return err
	},
	"a trigger that quotes": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO guarded (name) VALUES (?)", secret)
		return err
	},
	"malformed JSON": func(ctx context.Context, db *sql.DB, secret string) error {
		return queryAll(ctx, db, "SELECT json(?)", "{"+secret)
	},
	"a JSON path": func(ctx context.Context, db *sql.DB, secret string) error {
		return queryAll(ctx, db, "SELECT json_extract('{}', ?)", secret)
	},
	"a scan into the wrong type": func(ctx context.Context, db *sql.DB, secret string) error {
		var n int
		return db.QueryRowContext(ctx, "SELECT ?", secret).Scan(&n)
	},
	"a scan of a literal": func(ctx context.Context, db *sql.DB, secret string) error {
		var n int
		return db.QueryRowContext(ctx, "SELECT '"+secret+"'").Scan(&n)
	},
	"a prepared statement": func(ctx context.Context, db *sql.DB, secret string) error {
		st, err := db.PrepareContext(ctx, "INSERT INTO people (email) VALUES (?)")
		if err != nil {
			return err
		}
		defer st.Close()
		_, err1 := st.ExecContext(ctx, secret)
		_, err2 := st.ExecContext(ctx, secret)
		return errors.Join(err1, err2)
	},
	"a statement that cannot be prepared": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.PrepareContext(ctx, "SELECT '"+secret+"' FROM")
		return err
	},
	"a transaction": func(ctx context.Context, db *sql.DB, secret string) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		_, err1 := tx.ExecContext(ctx, "INSERT INTO people (email) VALUES (?)", secret)
		_, err2 := tx.ExecContext(ctx, "INSERT INTO people (email) VALUES ('"+secret+"')")
		return errors.Join(err1, err2, tx.Commit())
	},
	"an error that is wrapped": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO guarded (name) VALUES (?)", secret)
		return fmt.Errorf("storing a person: %w", err)
	},
	"an error that is wrapped twice and joined": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO guarded (name) VALUES ('"+secret+"')")
		return errors.Join(errors.New("giving up"), fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", err)))
	},
	"a context's error": func(ctx context.Context, db *sql.DB, secret string) error {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return queryAll(ctx, db, "SELECT '"+secret+"'")
	},
	"rows left open": func(ctx context.Context, db *sql.DB, secret string) error {
		rows, err := db.QueryContext(ctx, "SELECT email FROM people UNION SELECT ?", secret)
		if err == nil {
			rows.Next()
		}
		return err
	},
	"a query for each": func(ctx context.Context, db *sql.DB, secret string) error {
		for range 25 {
			if err := queryAll(ctx, db, "SELECT age FROM people WHERE email = ?", secret); err != nil {
				return err
			}
		}
		return nil
	},
	"a panic": func(_ context.Context, _ *sql.DB, secret string) error { panic(secret) },
	"a panic with a struct": func(_ context.Context, _ *sql.DB, secret string) error {
		panic(struct{ Password string }{secret})
	},
	"a panic with a driver's error": func(ctx context.Context, db *sql.DB, secret string) error {
		_, err := db.ExecContext(ctx, "INSERT INTO guarded (name) VALUES (?)", secret)
		panic(err)
	},
	"a DSN with a password": func(ctx context.Context, db *sql.DB, secret string) error {
		return openAndPing(ctx, db, "file::memory:?_auth&_auth_user=admin&_auth_pass="+secret)
	},
	"a DSN that leads nowhere": func(ctx context.Context, db *sql.DB, secret string) error {
		return openAndPing(ctx, db, "file:/nowhere/"+secret+"/people.db?mode=ro")
	},
	"a DSN with a wrong parameter": func(ctx context.Context, db *sql.DB, secret string) error {
		return openAndPing(ctx, db, "file:people.db?_busy_timeout="+secret)
	},
	"a DSN that is no URL": func(ctx context.Context, db *sql.DB, secret string) error {
		return openAndPing(ctx, db, "file:people.db?_loc="+secret+"%zz")
	},
}

// chatty is a driver that says whatever it was given in errors without a type of
// its own, as many a driver does.
type chatty struct{}

func (chatty) Open(string) (driver.Conn, error) { return nil, errors.New("never called") }

func (chatty) OpenConnector(dsn string) (driver.Connector, error) {
	if strings.HasPrefix(dsn, "unreadable:") {
		return nil, fmt.Errorf("missing \"=\" after %q in <the DSN>", dsn)
	}
	return chattyConnector(dsn), nil
}

type chattyConnector string

func (c chattyConnector) Connect(context.Context) (driver.Conn, error) {
	if strings.HasPrefix(string(c), "unreachable:") {
		return nil, errors.New("cannot log in with \\" + string(c))
	}
	return chattyConn(c), nil
}

func (chattyConnector) Driver() driver.Driver { return chatty{} }

type chattyConn string

func (c chattyConn) Ping(context.Context) error {
	if strings.HasPrefix(string(c), "unreachable by ping:") {
		return errors.New("no answer from " + string(c))
	}
	return nil
}

func (c chattyConn) Prepare(query string) (driver.Stmt, error) {
	if strings.HasPrefix(query, "KEEP") {
		return chattyStmt(query), nil
	}
	return nil, errors.New("what is \"" + query + "\"\tmeant to be?")
}

func (chattyConn) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	verb, secret, _ := strings.Cut(query, " '")
	switch secret = strings.TrimSuffix(secret, "'"); verb {
	case "TABLE":
		return &chattyRows{next: errors.New("cannot read the row " + secret)}, nil
	case "CLOSE":
		return &chattyRows{next: io.EOF, close: errors.New("cannot give back the cursor of " + secret)}, nil
	case "SHORT":
		return nil, errors.New(secret)
	case "FIELDS":
		e := &chattyError{Code: 7, Row: &chattyRow{Values: []string{"plain", secret}, Names: map[string]any{"owner": chattyRow{Owner: "the owner " + secret}}}}
		return nil, e
	case "PANIC":
		panic(errors.New("the driver panics because of " + secret))
	}
	return nil, driver.ErrSkip
}

func (chattyConn) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	if secret, ok := strings.CutPrefix(query, "RESULT '"); ok {
		return chattyResult(strings.TrimSuffix(secret, "'")), nil
	}
	return nil, driver.ErrSkip
}

func (c chattyConn) Close() error {
	if strings.HasPrefix(string(c), "unclosable:") {
		return errors.New("the server keeps the session of " + string(c))
	}
	return nil
}

func (chattyConn) Begin() (driver.Tx, error) { return nil, errors.New("not supported") }

type chattyRows struct{ next, close error }

func (*chattyRows) Columns() []string { return []string{"a"} }

func (r *chattyRows) Next([]driver.Value) error { return r.next }

func (r *chattyRows) Close() error { return r.close }

type chattyResult string

func (r chattyResult) LastInsertId() (int64, error) {
	return 0, errors.New("no key was made for " + string(r))
}

func (r chattyResult) RowsAffected() (int64, error) {
	return 0, errors.New("nobody counted the rows of " + string(r))
}

type chattyStmt string

func (chattyStmt) NumInput() int { return 0 }

func (chattyStmt) Exec([]driver.Value) (driver.Result, error) { return driver.ResultNoRows, nil }

func (chattyStmt) Query([]driver.Value) (driver.Rows, error) { return &chattyRows{next: io.EOF}, nil }

func (s chattyStmt) Close() error { return errors.New("the server keeps the statement " + string(s)) }

// chattyError has values in its fields, and in those of what they hold.
type chattyError struct {
	Code int
	Row  *chattyRow
}

type chattyRow struct {
	Owner  string
	Values []string
	Names  map[string]any
}

func (*chattyError) Error() string { return "a row is rejected" }

func init() { sql.Register("chatty", chatty{}) }

func chattyQuery(ctx context.Context, dsn, query string, opts ...otdb.Option) error {
	db, err := otdb.Open("chatty", dsn, append(opts, canaryOptions...)...)
	if err != nil {
		return err
	}
	defer db.Close()
	return queryAll(ctx, db, query)
}

// canaryForms are what tasks make of an error before they return it.
var canaryForms = map[string]func(error) error{
	"wrapped":   func(err error) error { return fmt.Errorf("load: %w", err) },
	"formatted": func(err error) error { return fmt.Errorf("load: %v, giving up", err) },
	"quoted":    func(err error) error { return fmt.Errorf("load: %q", err) },
	"JSON": func(err error) error {
		text, _ := json.Marshal(map[string]string{"error": err.Error()})
		return errors.New(string(text))
	},
	"quoted twice":      func(err error) error { return fmt.Errorf("load: %q", fmt.Sprintf("%q", err)) },
	"in upper case":     func(err error) error { return errors.New("load: " + strings.ToUpper(err.Error())) },
	"in lower case":     func(err error) error { return errors.New(strings.ToLower(err.Error()) + " when loading") },
	"trimmed":           func(err error) error { return errors.New(strings.Trim(err.Error(), "\"'.) \n")) },
	"with joined lines": func(err error) error { return errors.New(strings.Join(strings.Fields(err.Error()), " ")) },
	"in hexadecimal":    func(err error) error { return fmt.Errorf("load: %x", err.Error()) },
	"in spaced bytes":   func(err error) error { return fmt.Errorf("load: % X, %v", err.Error(), []byte(err.Error())) },
	"without its prefix": func(err error) error {
		return errors.New("load " + err.Error()[strings.LastIndex(err.Error(), ": ")+1:])
	},
	"without its first half": func(err error) error {
		words := strings.Fields(err.Error())
		return errors.New("load: " + strings.Join(words[max(0, len(words)/2-2):], " "))
	},
	"beside itself": func(err error) error { return fmt.Errorf("load: %s: %w", strings.ToUpper(err.Error()), err) },
	"as a panic":    func(err error) error { panic(fmt.Errorf("load: %v", err)) },
	"after many others": func(err error) error {
		for i := range 1100 {
			errs.LookDriver(fmt.Errorf("another driver said the text %d to another task", i), nil)
		}
		return fmt.Errorf("load: %v", err)
	},
	"field by field": func(err error) error {
		if e, ok := err.(*chattyError); ok {
			return fmt.Errorf("row %s of %v is rejected", e.Row.Values[1], e.Row.Names["owner"].(chattyRow).Owner)
		}
		return err
	},
}

func init() {
	const unconnected = otdb.DefaultOperations &^ otdb.OperationConnect &^ otdb.OperationPrepare
	calls := map[string]func(ctx context.Context, secret string) error{
		"a chatty driver's DSN":     func(ctx context.Context, secret string) error { return chattyQuery(ctx, "unreadable:"+secret, "") },
		"a chatty driver's log-in":  func(ctx context.Context, secret string) error { return chattyQuery(ctx, "unreachable:"+secret, "") },
		"a chatty driver's PREPARE": func(ctx context.Context, secret string) error { return chattyQuery(ctx, "", "SELECT '"+secret+"'") },
		"a chatty driver's rows": func(ctx context.Context, secret string) error {
			return chattyQuery(ctx, "", "TABLE 'rows' '"+secret+"'")
		},
		"a chatty driver's log-in, not traced": func(ctx context.Context, secret string) error {
			return chattyQuery(ctx, "unreachable:"+secret, "", otdb.WithOperations(unconnected))
		},
		"a chatty driver's PREPARE, not traced": func(ctx context.Context, secret string) error {
			return chattyQuery(ctx, "", "SELECT '"+secret+"'", otdb.WithOperations(unconnected))
		},
	}
	chattyDB := func(ctx context.Context, dsn string, use func(db *sql.DB) error) error {
		db, err := otdb.Open("chatty", dsn, canaryOptions...)
		if err != nil {
			return err
		}
		return errors.Join(use(db), db.Close())
	}
	calls["a chatty driver's ping"] = func(ctx context.Context, secret string) error {
		return chattyDB(ctx, "unreachable by ping:"+secret, func(db *sql.DB) error { return db.PingContext(ctx) })
	}
	calls["a chatty driver's session that ends"] = func(ctx context.Context, secret string) error {
		return chattyDB(ctx, "unclosable:"+secret, func(db *sql.DB) error { return queryAll(ctx, db, "CLOSE 'early'") })
	}
	calls["a chatty driver's rows, closed after the end"] = func(ctx context.Context, secret string) error {
		return chattyDB(ctx, "", func(db *sql.DB) error {
			rows, err := db.QueryContext(ctx, "CLOSE '"+secret+"'")
			if err != nil {
				return err
			}
			rows.Next()
			return errors.Join(rows.Err(), rows.Close())
		})
	}
	calls["a chatty driver's error of a few letters"] = func(ctx context.Context, secret string) error {
		return chattyQuery(ctx, "", "SHORT '"+secret+"'")
	}
	for name, method := range map[string]func(sql.Result) (int64, error){"key": sql.Result.LastInsertId, "count": sql.Result.RowsAffected} {
		calls["a chatty driver's "+name] = func(ctx context.Context, secret string) error {
			return chattyDB(ctx, "", func(db *sql.DB) error {
				res, err := db.ExecContext(ctx, "RESULT '"+secret+"'")
				if err == nil {
					_, err = method(res)
				}
				return err
			})
		}
	}
	calls["a chatty driver's statement that is closed"] = func(ctx context.Context, secret string) error {
		return chattyDB(ctx, "", func(db *sql.DB) error {
			stmt, err := db.PrepareContext(ctx, "KEEP '"+secret+"'")
			if err != nil {
				return err
			}
			return stmt.Close()
		})
	}
	canaryCalls["a chatty driver's fields"] = func(ctx context.Context, _ *sql.DB, secret string) error {
		return chattyQuery(ctx, "", "FIELDS '"+secret+"'")
	}
	canaryCalls["a chatty driver's panic"] = func(ctx context.Context, _ *sql.DB, secret string) error {
		return chattyQuery(ctx, "", "PANIC '"+secret+"'")
	}
	for name, call := range calls {
		canaryCalls[name] = func(ctx context.Context, _ *sql.DB, secret string) error {
			err := call(ctx, secret)
			if err == nil || !strings.Contains(err.Error(), secret) {
				panic("the driver does not say what it was given")
			}
			return err
		}
	}
}

type failingValuer struct{ err error }

func (v failingValuer) Value() (driver.Value, error) { return nil, v.err }

// inCanaryTask is the input of a task: it has an allow-listed field and others.
type inCanaryTask struct {
	Batch    int `trace:"batch"`
	Password string
	Nested   struct{ Token string }
}

func queryAll(ctx context.Context, db *sql.DB, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// canaryOptions are those of the databases that a scenario opens itself.
var canaryOptions []otdb.Option

func openAndPing(ctx context.Context, _ *sql.DB, dsn string) error {
	db, err := otdb.Open("sqlite3", dsn, canaryOptions...)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

// TestCanaries runs tasks that are full of secrets on a real SQLite, with
// everything observed, and searches all that is exported for each of them.
func TestCanaries(t *testing.T) {
	t.Chdir(t.TempDir()) // some of the statements make files
	spans := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	canaryOptions = []otdb.Option{
		otdb.WithTracerProvider(tracers), otdb.WithMeterProvider(meters),
		otdb.WithSlowLog(1, logger), otdb.WithRowCounts(),
	}
	db, err := otdb.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "people.db")+"?_foreign_keys=on&_sync=off&_journal_mode=memory&_busy_timeout=0", canaryOptions...)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, ddl := range []string{
		"CREATE TABLE people (email TEXT UNIQUE, age INTEGER)",
		"INSERT INTO people VALUES ('taken', 1)",
		"CREATE TABLE strict (id INTEGER PRIMARY KEY) STRICT",
		"CREATE TABLE checked (name TEXT CHECK (length(name) < 2))",
		"CREATE TABLE children (parent TEXT REFERENCES people (email))",
		"CREATE TABLE guarded (name TEXT)",
		"CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT raise(ABORT, 'refused'); END",
	} {
		if _, err := db.ExecContext(t.Context(), ddl); err != nil {
			t.Fatal(ddl, err)
		}
	}
	runner, err := worker.New(worker.WithTracerProvider(tracers), worker.WithMeterProvider(meters),
		worker.WithLogger(logger), worker.WithRecoverPanics(), worker.WithSlowStatements(1))
	if err != nil {
		t.Fatal(err)
	}

	var secrets []string
	once := func(name string, run func(ctx context.Context, secret string) error) {
		// Hexadecimal, so that it is well-formed in x'…' too, and without a digit, by
		// which it would be known as a value.
		secret := "cafe" + strings.Map(func(r rune) rune { return r - '0' + 'a' }, strconv.FormatInt(int64(len(secrets)+6*6*6*6), 6)) + "babe"
		secrets = append(secrets, secret)
		in := inCanaryTask{Batch: 1, Password: secret}
		in.Nested.Token = secret
		_ = runner.Run(t.Context(), "canary", func(ctx context.Context) error { return run(ctx, secret) }, worker.WithInput(in))
		wantNo(t, name, exportedSpans(spans)+log.String(), secret)
		spans.Reset()
		log.Reset()
	}
	scenario := func(name string, run func(ctx context.Context, secret string) error) {
		once(name, run)
		for how, say := range canaryForms {
			once(name+", "+how, func(ctx context.Context, secret string) error {
				if err := run(ctx, secret); err != nil {
					return say(err)
				}
				return nil
			})
		}
	}
	for _, text := range canaryStatements {
		query := func(secret string) string {
			return strings.ReplaceAll(strings.ReplaceAll(text, "%s", secret), "%%", "%")
		}
		scenario("query "+text, func(ctx context.Context, secret string) error { return queryAll(ctx, db, query(secret)) })
		scenario("exec "+text, func(ctx context.Context, secret string) error {
			_, err := db.ExecContext(ctx, query(secret))
			return err
		})
	}
	for name, run := range canaryCalls {
		scenario(name, func(ctx context.Context, secret string) error { return run(ctx, db, secret) })
	}
	measured := exportedMetrics(t, reader)
	for _, secret := range secrets {
		wantNo(t, "metrics", measured, secret)
	}
	if len(secrets) < 100 {
		t.Errorf("%d scenarios", len(secrets))
	}
	t.Logf("%d scenarios", len(secrets))

	// The search finds what is there: an allow-listed argument.
	open, err := otdb.Open("sqlite3", ":memory:", append(canaryOptions, otdb.WithQueryParameters(func(string) bool { return true }))...)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := queryAll(t.Context(), open, "SELECT ?", "allowed-canary"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(exportedSpans(spans), "allowed-canary") || !strings.Contains(measured, "people.db") {
		t.Error("the search finds nothing")
	}
}

func wantNo(t *testing.T, where, exported, secret string) {
	t.Helper()
	if i := strings.Index(strings.ToLower(exported), secret); i >= 0 {
		t.Errorf("%s: exported: …%s…", where, exported[max(0, i-200):min(len(exported), i+200)])
	}
}

// exportedSpans is all that the spans hold.
func exportedSpans(spans *tracetest.SpanRecorder) string {
	var b strings.Builder
	for _, s := range spans.Ended() {
		fmt.Fprintln(&b, s.Name(), s.Attributes(), s.Status(), s.Links(), s.Resource())
		for _, e := range s.Events() {
			fmt.Fprintln(&b, e.Name, e.Attributes)
		}
	}
	return b.String()
}

// exportedMetrics is all that the metrics hold, exemplars included.
func exportedMetrics(t *testing.T, reader sdkmetric.Reader) string {
	t.Helper()
	var m metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &m); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", m)
	for _, scope := range m.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if h, ok := metric.Data.(metricdata.Histogram[float64]); ok {
				for _, p := range h.DataPoints {
					fmt.Fprintln(&b, metric.Name, p.Attributes.ToSlice(), p.Exemplars)
				}
			}
		}
	}
	return b.String()
}
