package drivers

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/integration/internal/observe"
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
	case "PANIC AT A ROW":
		return &chattyRows{panics: errors.New("the driver panics at the row of " + secret)}, nil
	case "NEXT SET":
		return &chattyRows{next: io.EOF, set: errors.New("there are no more results for " + secret)}, nil
	case "BAD":
		return nil, fmt.Errorf("the session is gone with %s: %w", secret, driver.ErrBadConn)
	case "LONG":
		return nil, errors.New(strings.Repeat("a long account of what a server did, ", 200) + "and the owner is " + secret)
	case "BROKEN":
		return nil, errors.New("the column \xff\xfe of \xc3 holds " + secret)
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

func (c chattyConn) CheckNamedValue(v *driver.NamedValue) error {
	return fmt.Errorf("no column for %v in the session of %s", v.Value, c)
}

func (chattyConn) Begin() (driver.Tx, error) { return nil, errors.New("not supported") }

func (c chattyConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	if strings.HasPrefix(string(c), "busy:") {
		return nil, errors.New("there is a transaction of " + string(c))
	}
	return chattyTx(c), nil
}

type chattyTx string

func (t chattyTx) Commit() error { return errors.New("nothing was stored for " + string(t)) }

func (t chattyTx) Rollback() error { return errors.New("nothing was given up for " + string(t)) }

type chattyRows struct{ next, close, set, panics error }

func (*chattyRows) Columns() []string { return []string{"a"} }

func (r *chattyRows) Next([]driver.Value) error {
	if r.panics != nil {
		panic(r.panics)
	}
	return r.next
}

func (r *chattyRows) HasNextResultSet() bool { return r.set != nil }

func (r *chattyRows) NextResultSet() error { return r.set }

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
	"quoted twice":             func(err error) error { return fmt.Errorf("load: %q", fmt.Sprintf("%q", err)) },
	"in upper case":            func(err error) error { return errors.New("load: " + strings.ToUpper(err.Error())) },
	"in lower case":            func(err error) error { return errors.New(strings.ToLower(err.Error()) + " when loading") },
	"trimmed":                  func(err error) error { return errors.New(strings.Trim(err.Error(), "\"'.) \n")) },
	"with joined lines":        func(err error) error { return errors.New(strings.Join(strings.Fields(err.Error()), " ")) },
	"in hexadecimal":           func(err error) error { return fmt.Errorf("load: %x", err.Error()) },
	"in spaced bytes":          func(err error) error { return fmt.Errorf("load: % X, %v", err.Error(), []byte(err.Error())) },
	"in HTML":                  func(err error) error { return errors.New("<p>" + html.EscapeString(err.Error()) + "</p>") },
	"in a URL":                 func(err error) error { return errors.New("load: " + url.QueryEscape(err.Error())) },
	"with underscores":         func(err error) error { return errors.New("load: " + strings.ReplaceAll(err.Error(), " ", "_")) },
	"in Go's syntax":           func(err error) error { return fmt.Errorf("load: %#v", err) },
	"in a type of the program": func(err error) error { return &loadError{Msg: "load: " + err.Error()} },
	"one of many": func(err error) error {
		return errors.Join(errors.New("one"), fmt.Errorf("two: %v\nthree: %v", err, errors.Join(err, io.EOF)))
	},
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

// loadError is an error of the program that keeps no error of the driver.
type loadError struct{ Msg string }

func (e *loadError) Error() string { return e.Msg }

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
			conn, err := db.Conn(ctx) // a statement of a pool drops what its Close says
			if err != nil {
				return err
			}
			defer conn.Close()
			stmt, err := conn.PrepareContext(ctx, "KEEP '"+secret+"'")
			if err != nil {
				return err
			}
			return stmt.Close()
		})
	}
	for name, end := range map[string]func(*sql.Tx) error{"commit": (*sql.Tx).Commit, "rollback": (*sql.Tx).Rollback} {
		calls["a chatty driver's "+name] = func(ctx context.Context, secret string) error {
			return chattyDB(ctx, secret, func(db *sql.DB) error {
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					return err
				}
				return end(tx)
			})
		}
	}
	calls["a chatty driver's BEGIN"] = func(ctx context.Context, secret string) error {
		return chattyDB(ctx, "busy:"+secret, func(db *sql.DB) error {
			_, err := db.BeginTx(ctx, nil)
			return err
		})
	}
	calls["a chatty driver's argument"] = func(ctx context.Context, secret string) error {
		return chattyDB(ctx, "", func(db *sql.DB) error { return queryAll(ctx, db, "SHORT ?", secret) })
	}
	calls["a chatty driver's second result"] = func(ctx context.Context, secret string) error {
		return chattyDB(ctx, "", func(db *sql.DB) error {
			rows, err := db.QueryContext(ctx, "NEXT SET '"+secret+"'")
			if err != nil {
				return err
			}
			defer rows.Close()
			rows.NextResultSet()
			return rows.Err()
		})
	}
	calls["a chatty driver's connection that is bad"] = func(ctx context.Context, secret string) error {
		return chattyQuery(ctx, "", "BAD '"+secret+"'")
	}
	calls["a chatty driver's long text"] = func(ctx context.Context, secret string) error {
		return chattyQuery(ctx, "", "LONG '"+secret+"'")
	}
	calls["a chatty driver's broken text"] = func(ctx context.Context, secret string) error {
		return chattyQuery(ctx, "", "BROKEN '"+secret+"'")
	}
	calls["a chatty driver's connection in Raw"] = func(ctx context.Context, secret string) error {
		return chattyDB(ctx, "", func(db *sql.DB) error {
			conn, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			return conn.Raw(func(c any) error {
				_, err := c.(driver.QueryerContext).QueryContext(ctx, "SHORT '"+secret+"'", nil)
				return err
			})
		})
	}
	calls["what the cause of a cancellation says"] = func(ctx context.Context, secret string) error {
		err := chattyQuery(ctx, "", "TABLE '"+secret+"'")
		inner, cancel := context.WithCancelCause(ctx)
		cancel(fmt.Errorf("giving up: %v", err))
		_ = canaryRunner.Run(inner, "inner", func(ctx context.Context) error { return context.Cause(ctx) })
		return err
	}
	canaryCalls["a chatty driver's panic at a row"] = func(ctx context.Context, _ *sql.DB, secret string) error {
		return chattyQuery(ctx, "", "PANIC AT A ROW '"+secret+"'")
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
				canaryMute = append(canaryMute, name)
			}
			return err
		}
	}
}

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

// canaryOptions are those of the databases that a scenario opens itself, and canaryRunner
// runs its tasks. canaryMute are scenarios whose driver did not say what it was given.
var (
	canaryOptions []otdb.Option
	canaryRunner  *worker.Runner
	canaryMute    []string
)

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

	canaryRunner = runner
	outlets := observe.NewOutlets(t, runner, tracers)

	var secrets []string
	once := func(name string, look func(), run func(ctx context.Context, secret string) error) {
		// Hexadecimal, so that it is well-formed in x'…' too, and without a digit, by
		// which it would be known as a value.
		secret := "cafe" + strings.Map(func(r rune) rune { return r - '0' + 'a' }, strconv.FormatInt(int64(len(secrets)+6*6*6*6), 6)) + "babe"
		secrets = append(secrets, secret)
		in := inCanaryTask{Batch: 1, Password: secret}
		in.Nested.Token = secret
		// The page keeps 20 runs of a name, which is less than there are of a scenario.
		task := fmt.Sprintf("canary %d", len(secrets)%2)
		_ = runner.Run(t.Context(), task, func(ctx context.Context) error {
			defer look()
			return run(ctx, secret)
		}, worker.WithInput(in))
		exported := exportedSpans(spans) + log.String()
		wantNo(t, name, exported, secret)
		observe.CheckUTF8(t, name, exported)
		spans.Reset()
		log.Reset()
	}
	scenario := func(name string, run func(ctx context.Context, secret string) error) {
		first := len(secrets)
		once(name, outlets.Look, run)
		for how, say := range canaryForms {
			once(name+", "+how, func() {}, func(ctx context.Context, secret string) error {
				if err := run(ctx, secret); err != nil {
					return say(err)
				}
				return nil
			})
		}
		seen := outlets.Take()
		wantNo(t, name, seen, secrets[first:]...)
		observe.CheckUTF8(t, name, seen)
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
	wantNo(t, "metrics", measured, secrets...)
	if len(canaryMute) > 0 {
		t.Errorf("these drivers do not say what they were given: %q", canaryMute)
	}
	if len(secrets) < 100 {
		t.Errorf("%d scenarios", len(secrets))
	}
	t.Logf("%d scenarios", len(secrets))

	// Of a panic the functions are seen, and no arguments of theirs.
	const card = 0x3b9d3828
	_ = runner.Run(t.Context(), "canary", func(context.Context) error {
		defer outlets.Look()
		return charge(card)
	})
	charged := exportedSpans(spans) + log.String() + outlets.Take()
	wantNo(t, "a panic", charged, strconv.FormatInt(card, 16))
	wantNo(t, "a panic", charged, strconv.Itoa(card))
	if !strings.Contains(charged, "drivers.charge(...)") {
		t.Error("no stack of the panic")
	}

	// The search finds what is there: the name of a task, and a line that the program prints.
	_ = runner.Run(t.Context(), "allowed-canary", func(context.Context) error {
		defer outlets.Look()
		slog.Error("printed-canary")
		otel.Handle(errors.New("handled-canary"))
		return nil
	})
	seen := outlets.Take()
	for _, outlet := range []string{"page view=running json: ", "page view=recent html: ", "page run=", "report ", "tree ", "standard error "} {
		_, there, _ := strings.Cut(seen, outlet)
		if !strings.Contains(there, "-canary") {
			t.Errorf("nothing is found in what is behind %q", outlet)
		}
	}
	if !strings.Contains(seen, "printed-canary") || !strings.Contains(seen, "handled-canary") {
		t.Error("what is printed is not seen")
	}

	// And an allow-listed argument.
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

//go:noinline
func charge(card int) error {
	if card > 0 {
		panic("declined")
	}
	return nil
}

func wantNo(t *testing.T, where, exported string, secrets ...string) {
	t.Helper()
	exported = strings.ToLower(exported)
	for _, secret := range secrets {
		if i := strings.Index(exported, secret); i >= 0 {
			t.Errorf("%s: exported: …%s…", where, exported[max(0, i-200):min(len(exported), i+200)])
		}
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
