package integration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/taskspan/taskspan/integration/internal/observe"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// canary is what every secret of a scenario starts with. It is of letters and
// digits alone, so that no quoting or escaping of a DSN hides it.
const canary = "cAnArY7Qz"

// cage is what a scenario gets.
type cage struct {
	t      *testing.T
	ctx    context.Context
	db     *sql.DB
	engine engine
	dsn    string
	opts   []otdb.Option
	hidden int
}

// secret returns text that nothing exported may hold.
func (c *cage) secret() string {
	c.hidden++
	return fmt.Sprintf("%s%dEnd", canary, c.hidden)
}

// number returns a number that nothing exported may hold.
func (c *cage) number() int64 {
	c.hidden++
	return 8_150_613_000_000 + int64(c.hidden)
}

// numbers is what all numbers start with.
const numbers = "8150613"

func (c *cage) exec(query string, args ...any) error {
	_, err := c.db.ExecContext(c.ctx, query, args...)
	return err
}

func (c *cage) query(query string, args ...any) error { return c.queryOn(c.db, query, args...) }

func (c *cage) queryOn(on caller, query string, args ...any) error {
	rows, err := on.QueryContext(c.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		continue
	}
	return rows.Err()
}

func (c *cage) inTx(f func(tx *sql.Tx) error) error {
	tx, err := c.db.BeginTx(c.ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// connect opens a database with another DSN and uses it.
func (c *cage) connect(dsn string) error {
	db, err := otdb.Open(c.engine.driverName, dsn, c.opts...)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(c.ctx)
}

// scenario does something with secrets. What it returns is the error of its task.
type scenario struct {
	name string
	do   func(c *cage) error
}

// everywhere runs on every server. Its placeholders are PostgreSQL's where the
// server is one.
var everywhere = []scenario{
	{"an argument", func(c *cage) error { return c.query(c.bind("SELECT ?"), c.secret()) }},
	{"an argument that is a number", func(c *cage) error {
		return c.query(c.bind("SELECT * FROM vault WHERE id = ?"), c.number())
	}},
	{"an argument that is bytes", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO vault (id, secret) VALUES (101, ?)"), []byte(c.secret()))
	}},
	{"a literal", func(c *cage) error { return c.query("SELECT * FROM vault WHERE secret = '" + c.secret() + "'") }},
	{"a literal with a quote in it", func(c *cage) error {
		return c.query("SELECT * FROM vault WHERE secret = 'it''s " + c.secret() + "'")
	}},
	{"a literal that is a number", func(c *cage) error {
		return c.query(fmt.Sprintf("SELECT * FROM vault WHERE id = %d OR id = -%d", c.number(), c.number()))
	}},
	{"a literal that is a decimal number", func(c *cage) error { return c.query(fmt.Sprintf("SELECT %d.25, %de2", c.number(), c.number())) }},
	{"a list of literals", func(c *cage) error {
		return c.query("SELECT * FROM vault WHERE secret IN ('" + c.secret() + "', '" + c.secret() + "')")
	}},
	{"a literal in an insert", func(c *cage) error {
		return c.exec("INSERT INTO vault (id, secret) VALUES (102, '" + c.secret() + "')")
	}},
	{"a literal in an update", func(c *cage) error { return c.exec("UPDATE vault SET secret = '" + c.secret() + "' WHERE id = 1") }},
	{"a comment", func(c *cage) error { return c.query("SELECT 1 /* " + c.secret() + " */ -- " + c.secret()) }},
	{"a comment in front", func(c *cage) error { return c.query("/* " + c.secret() + " */ SELECT 1") }},
	{"a literal beside placeholders without arguments", func(c *cage) error {
		return c.query("SELECT '" + c.secret() + "' /* ? */")
	}},
	{"a string that does not end", func(c *cage) error { return c.query("SELECT '" + c.secret()) }},
	{"a comment that does not end", func(c *cage) error { return c.query("SELECT 1 /* " + c.secret()) }},
	{"a word that is no statement", func(c *cage) error { return c.exec("'" + c.secret() + "'") }},
	{"an error of the syntax beside a literal", func(c *cage) error { return c.query("SELEC '" + c.secret() + "' FROM vault") }},
	{"a primary key that is taken", func(c *cage) error {
		n := c.number()
		if err := c.exec(c.bind("INSERT INTO vault (id, secret) VALUES (?, 'x')"), n); err != nil {
			return err
		}
		return c.exec(c.bind("INSERT INTO vault (id, secret) VALUES (?, 'x')"), n)
	}},
	{"a unique value that is taken", func(c *cage) error {
		s := c.secret()
		if err := c.exec(c.bind("INSERT INTO vault (id, secret, code) VALUES (103, 'x', ?)"), s); err != nil {
			return err
		}
		return c.exec(c.bind("INSERT INTO vault (id, secret, code) VALUES (104, 'x', ?)"), s)
	}},
	{"a unique literal that is taken", func(c *cage) error {
		s := c.secret()
		if err := c.exec("INSERT INTO vault (id, secret, code) VALUES (105, 'x', '" + s + "')"); err != nil {
			return err
		}
		return c.exec("INSERT INTO vault (id, secret, code) VALUES (106, 'x', '" + s + "')")
	}},
	{"a check that fails", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO vault (id, secret, amount) VALUES (107, ?, -1)"), c.secret())
	}},
	{"a null that is not allowed", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO vault (id, code) VALUES (?, ?)"), c.number(), c.secret())
	}},
	{"a foreign key that is not there", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO key_rings (id, vault) VALUES (1, ?)"), c.number())
	}},
	{"a value that is too long", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO vault (id, secret, code) VALUES (108, 'x', ?)"), strings.Repeat(c.secret(), 9))
	}},
	{"a number that is out of range", func(c *cage) error {
		return c.exec(fmt.Sprintf("INSERT INTO vault (id, secret, amount) VALUES (109, 'x', %d)", c.number()))
	}},
	{"a number that is out of range as an argument", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO vault (id, secret, amount) VALUES (109, 'x', ?)"), c.number())
	}},
	{"a date that is none", func(c *cage) error {
		return c.exec("INSERT INTO vault (id, secret, day) VALUES (110, 'x', '" + c.secret() + "')")
	}},
	{"a date that is none as an argument", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO vault (id, secret, day) VALUES (110, 'x', ?)"), c.secret())
	}},
	{"a table that is not there, quoted", func(c *cage) error {
		return c.query("SELECT * FROM nothing WHERE a = '" + c.secret() + "'")
	}},
	{"a prepared statement with a literal", func(c *cage) error {
		stmt, err := c.db.PrepareContext(c.ctx, "SELECT * FROM vault WHERE secret = '"+c.secret()+"'")
		if err != nil {
			return err
		}
		defer stmt.Close()
		var id int
		err = stmt.QueryRowContext(c.ctx).Scan(&id)
		return err
	}},
	{"a prepared statement with an argument", func(c *cage) error {
		stmt, err := c.db.PrepareContext(c.ctx, c.bind("UPDATE vault SET amount = amount + 1 WHERE secret = ?"))
		if err != nil {
			return err
		}
		defer stmt.Close()
		_, err = stmt.ExecContext(c.ctx, c.secret())
		return err
	}},
	{"a preparation that fails", func(c *cage) error {
		_, err := c.db.PrepareContext(c.ctx, "SELECT nothing FROM vault WHERE secret = '"+c.secret()+"'")
		return err
	}},
	{"an error in a transaction", func(c *cage) error {
		return c.inTx(func(tx *sql.Tx) error {
			_, err := tx.ExecContext(c.ctx, c.bind("INSERT INTO vault (id, secret) VALUES (1, ?)"), c.secret())
			return err
		})
	}},
	{"an error that the application wraps", func(c *cage) error {
		err := c.exec("INSERT INTO vault (id, secret, day) VALUES (111, 'x', '" + c.secret() + "')")
		return fmt.Errorf("importing the vault: %w", fmt.Errorf("row 7: %w", err))
	}},
	{"errors that the application joins", func(c *cage) error {
		return errors.Join(c.exec("INSERT INTO vault (id, secret, day) VALUES (112, 'x', '"+c.secret()+"')"),
			c.exec(c.bind("INSERT INTO key_rings (id, vault) VALUES (2, ?)"), c.number()))
	}},
	{"an error that the application swallows", func(c *cage) error {
		_ = c.exec("INSERT INTO vault (id, secret, day) VALUES (113, 'x', '" + c.secret() + "')")
		return nil
	}},
	{"an error that is skipped", func(c *cage) error {
		return worker.Skip(c.exec("INSERT INTO vault (id, secret, day) VALUES (113, 'x', '" + c.secret() + "')"))
	}},
	{"a panic with the error of a driver", func(c *cage) error {
		panic(c.exec("INSERT INTO vault (id, secret, day) VALUES (114, 'x', '" + c.secret() + "')"))
	}},
	{"a panic with an error around it", func(c *cage) error {
		panic(fmt.Errorf("giving up: %w", c.exec(c.bind("INSERT INTO key_rings (id, vault) VALUES (3, ?)"), c.number())))
	}},
	{"a panic with a struct that holds a value", func(c *cage) error { panic(struct{ Password string }{c.secret()}) }},
	{"a panic while rows are open", func(c *cage) error {
		rows, err := c.db.QueryContext(c.ctx, c.bind("SELECT ?"), c.secret())
		if err != nil {
			return err
		}
		defer rows.Close()
		panic(rows)
	}},
	{"a scan into the wrong type", func(c *cage) error {
		var n int
		return c.db.QueryRowContext(c.ctx, "SELECT '"+c.secret()+"'").Scan(&n)
	}},
	{"rows that nobody closes", func(c *cage) error {
		rows, err := c.db.QueryContext(c.ctx, "SELECT '"+c.secret()+"' UNION ALL SELECT '"+c.secret()+"'")
		if err != nil {
			return err
		}
		rows.Next()
		c.t.Cleanup(func() { _ = rows.Close() })
		return nil
	}},
	{"a statement that is repeated", func(c *cage) error {
		for range 25 {
			if err := c.query(c.bind("SELECT id FROM vault WHERE secret = ?"), c.secret()); err != nil {
				return err
			}
		}
		return nil
	}},
	{"a statement that is canceled", func(c *cage) error {
		ctx, cancel := context.WithTimeoutCause(c.ctx, 20*time.Millisecond, context.DeadlineExceeded)
		defer cancel()
		if c.engine.system == "postgresql" {
			_, err := c.db.ExecContext(ctx, "SELECT pg_sleep(60), '"+c.secret()+"'")
			return err
		}
		_, err := c.db.ExecContext(ctx, "SELECT SLEEP(60), '"+c.secret()+"'")
		return err
	}},
	{"an argument that the driver cannot take", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO vault (id, secret) VALUES (115, ?)"), struct{ Password string }{c.secret()})
	}},
	{"too many arguments", func(c *cage) error { return c.exec(c.bind("UPDATE vault SET secret = ?"), c.secret(), c.secret()) }},
	{"bytes that are no text", func(c *cage) error {
		return errors.Join(c.query(c.bind("SELECT * FROM vault WHERE secret = ?"), c.secret()+"\xff\xc3"), c.query("SELECT '"+c.secret()+"\xff'"),
			c.query(c.bind("SELECT \xc3 FROM vault WHERE secret = ?"), c.secret()))
	}},
	{"literals beside an argument", func(c *cage) error {
		return c.query(c.bind("SELECT * FROM vault WHERE id = ? AND code = '"+c.secret()+"' AND secret <> 'the word "+c.secret()+"'"), c.number())
	}},
	{"a number beside an argument", func(c *cage) error {
		return c.query(c.bind(fmt.Sprintf("SELECT * FROM vault WHERE id = %d AND code = ?", c.number())), c.secret())
	}},
	{"rows of literals beside an argument", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO vault (id, secret) VALUES (?, '"+c.secret()+"'), (119, '"+c.secret()+"')"), c.number())
	}},
	{"a name that is an address", func(c *cage) error {
		name := `"https://u:` + c.secret() + "@h/x?sig=" + c.secret() + `"`
		if c.engine.system == "mysql" {
			name = strings.ReplaceAll(name, `"`, "`")
		}
		return c.query(c.bind("SELECT * FROM "+name+" WHERE a = ?"), c.secret())
	}},
	{"copies of an error", func(c *cage) error {
		text := fmt.Sprint(c.quoting())
		return errors.Join(errors.New(strings.ToUpper(text)), errors.New(strings.ToLower(text)+", giving up"), fmt.Errorf("load: %x", text),
			fmt.Errorf("load: %q", fmt.Sprintf("%q", text)), errors.New(strings.Join(strings.Fields(text), " ")), errors.New(strings.Trim(text, "\"'.()")),
			fmt.Errorf("load: %v", []byte(text)), errors.New(html.EscapeString(text)), errors.New(strings.ReplaceAll(text, " ", "_")),
			errors.New(text[strings.LastIndex(text, ": ")+1:]))
	}},
	{"the words of an error", func(c *cage) error { return fmt.Errorf("load: %v", c.quoting()) }},
	{"an error in a type of the program", func(c *cage) error { return &vaultError{Msg: fmt.Sprint(c.quoting())} }},
	{"a panic with the words of an error", func(c *cage) error { panic(fmt.Sprint(c.quoting())) }},
	{"a panic in a function that has a secret", func(c *cage) error {
		if unlock(c.number(), c.secret()) {
			return nil
		}
		return errors.New("there is no panic")
	}},
	{"the cause of a cancellation", func(c *cage) error {
		ctx, cancel := context.WithCancelCause(c.ctx)
		cancel(fmt.Errorf("giving up: %v", c.quoting()))
		c.ctx = ctx
		return errors.Join(context.Cause(ctx), c.query("SELECT 1"))
	}},
	{"a connection of its own", func(c *cage) error {
		conn, err := c.db.Conn(c.ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.Raw(func(raw any) error {
			_, err := raw.(driver.QueryerContext).QueryContext(c.ctx, "SELEC '"+c.secret()+"' FROM vault", nil)
			if err == nil || errors.Is(err, driver.ErrSkip) {
				c.t.Error("the query was not tried")
			}
			return fmt.Errorf("raw: %v", err)
		})
	}},
	{"a long text", func(c *cage) error {
		return c.query("SELECT 1 WHERE 'a' IN ('" + strings.Repeat(c.secret()+"', '", 5000) + "')")
	}},
}

// forPostgres are the ways in which PostgreSQL alone quotes values.
var forPostgres = []scenario{
	{"a dollar-quoted string", func(c *cage) error { return c.query("SELECT $$" + c.secret() + "$$, $tag$" + c.secret() + "$tag$") }},
	{"an escape string", func(c *cage) error { return c.query(`SELECT E'it\'s ` + c.secret() + `'`) }},
	{"a bit string and a Unicode string", func(c *cage) error { return c.query(`SELECT U&'\0061 ` + c.secret() + `'`) }},
	{"a cast that fails", func(c *cage) error { return c.query("SELECT '" + c.secret() + "'::int") }},
	{"a cast of an argument that fails", func(c *cage) error { return c.query("SELECT ($1::text)::int", c.secret()) }},
	{"a cast to JSON that fails", func(c *cage) error { return c.query(`SELECT ($1::text)::json`, `{"key": `+c.secret()+`}`) }},
	{"a cast to a UUID that fails", func(c *cage) error { return c.query("SELECT ($1::text)::uuid", c.secret()) }},
	{"a cast to a time that fails", func(c *cage) error { return c.query("SELECT ($1::text)::timestamptz", c.secret()) }},
	{"an exception of a function", func(c *cage) error {
		return c.exec("DO $$ BEGIN RAISE EXCEPTION 'no entry for %', '" + c.secret() + "' USING DETAIL = '" + c.secret() + "', HINT = '" + c.secret() + "'; END $$")
	}},
	{"an exclusion that fails", func(c *cage) error {
		return c.exec("INSERT INTO bookings VALUES ('[" + fmt.Sprint(c.number()) + "," + fmt.Sprint(c.number()) + "]'), ('[1,]')")
	}},
	{"an error in the middle of the rows", func(c *cage) error {
		return c.query("SELECT s::int FROM (VALUES ('1'), ('" + c.secret() + "')) v (s)")
	}},
	{"the password of a role", func(c *cage) error { return c.exec("CREATE ROLE nobody LOGIN LOGIN PASSWORD '" + c.secret() + "'") }},
	{"names that a function invents", func(c *cage) error {
		name := "'of " + c.secret() + "'"
		return c.exec("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '23505', CONSTRAINT = " + name + ", TABLE = " + name + ", COLUMN = " + name +
			", DATATYPE = " + name + ", SCHEMA = " + name + "; END $$")
	}},
	{"keys beside an argument", func(c *cage) error {
		return c.query("SELECT pgp_sym_encrypt($1, 'key of "+c.secret()+"'), set_config('a.b', 'value "+c.secret()+"', true)", c.secret())
	}},
	{"a setting beside an argument", func(c *cage) error {
		return c.query("SELECT set_config('a.b', 'value "+c.secret()+"', true) WHERE $1 <> ''", c.secret())
	}},
	{"a program of a COPY", func(c *cage) error { return c.exec("COPY vault FROM PROGRAM 'echo " + c.secret() + "'") }},
	{"a file of a COPY", func(c *cage) error { return c.exec("COPY vault FROM '/nowhere/" + c.secret() + "'") }},
	{"a connection of a subscription", func(c *cage) error {
		return c.exec("CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 password=" + c.secret() + "' PUBLICATION p")
	}},
	{"a statement in a statement", func(c *cage) error {
		return c.exec("DO $$ BEGIN EXECUTE 'SELEC ''" + c.secret() + "'''; END $$")
	}},
	{"a notification", func(c *cage) error { return c.exec("NOTIFY news, '" + c.secret() + "'") }},
	{"a setting", func(c *cage) error { return c.exec("SET application_name = '" + c.secret() + "'") }},
	{"a setting that is wrong", func(c *cage) error { return c.exec("SET work_mem = '" + c.secret() + "'") }},
	{"a COPY", func(c *cage) error {
		return c.inTx(func(tx *sql.Tx) error {
			stmt, err := tx.PrepareContext(c.ctx, "COPY vault (id, secret, day) FROM STDIN")
			if err != nil {
				return err
			}
			defer stmt.Close()
			if _, err := stmt.ExecContext(c.ctx, 116, c.secret(), c.secret()); err != nil {
				return err
			}
			_, err = stmt.ExecContext(c.ctx)
			return err
		})
	}},
	{"an EXECUTE with literals", func(c *cage) error {
		conn, err := c.db.Conn(c.ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.ExecContext(c.ctx, "PREPARE find (text) AS SELECT * FROM vault WHERE secret = $1"); err != nil {
			return err
		}
		return c.queryOn(conn, "EXECUTE find ('"+c.secret()+"')")
	}},
	{"a wrong password in a URL", func(c *cage) error { return c.connect(c.url(url.UserPassword(user, c.secret()))) }},
	{"a wrong password of special characters in a URL", func(c *cage) error {
		return c.connect(c.url(url.UserPassword(user, c.secret()+"@:/?#[]%&= "+c.secret())))
	}},
	{"an unescaped password in a URL", func(c *cage) error {
		return c.connect(strings.Replace(c.dsn, password, c.secret()+"@"+c.secret(), 1))
	}},
	{"a password in a URL that cannot be parsed", func(c *cage) error {
		return c.connect(strings.Replace(c.dsn, password, c.secret()+"%zz/"+c.secret(), 1))
	}},
	{"a password in the parameters of a URL", func(c *cage) error {
		return c.connect(strings.Replace(c.dsn, ":"+password, "", 1) + "&password=" + c.secret())
	}},
	{"a wrong password in keywords", func(c *cage) error {
		return c.connect(c.keywords("password=" + c.secret()))
	}},
	{"a quoted password in keywords", func(c *cage) error {
		return c.connect(c.keywords(`password='it\'s ` + c.secret() + ` host=elsewhere'`))
	}},
	{"a password in keywords that cannot be parsed", func(c *cage) error {
		return c.connect(c.keywords(`password='` + c.secret()))
	}},
	{"a user who is not there", func(c *cage) error { return c.connect(c.url(url.UserPassword(c.secret(), c.secret()))) }},
	{"a password for a port where nobody listens", func(c *cage) error {
		return c.connect("postgres://" + c.secret() + ":" + c.secret() + "@127.0.0.1:1/db?sslmode=disable")
	}},
	{"a password beside a parameter that is wrong", func(c *cage) error {
		return c.connect("postgres://u:" + c.secret() + "@127.0.0.1:1/db?sslmode=" + c.secret())
	}},
	{"a password beside a port that is wrong", func(c *cage) error {
		return c.connect("postgres://u:" + c.secret() + "@127.0.0.1:x/db")
	}},
}

// forMariaDB are the ways in which MariaDB alone quotes values.
var forMariaDB = []scenario{
	{"a string in double quotes", func(c *cage) error { return c.query(`SELECT * FROM vault WHERE secret = "` + c.secret() + `"`) }},
	{"an escaped quote", func(c *cage) error { return c.query(`SELECT 'it\'s ` + c.secret() + `'`) }},
	{"a string with a character set", func(c *cage) error { return c.query(`SELECT _utf8mb4'` + c.secret() + `', N'` + c.secret() + `'`) }},
	{"a hash comment", func(c *cage) error { return c.query("SELECT 1 # " + c.secret()) }},
	{"an executable comment", func(c *cage) error { return c.query("SELECT 1 /*! , '" + c.secret() + "' */") }},
	{"a user variable", func(c *cage) error { return c.exec("SET @secret = '" + c.secret() + "'") }},
	{"a setting that is wrong", func(c *cage) error { return c.exec("SET sql_mode = '" + c.secret() + "'") }},
	{"a signal", func(c *cage) error {
		return c.exec("BEGIN NOT ATOMIC SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '" + c.secret() + "'; END")
	}},
	{"names that a signal invents", func(c *cage) error {
		name := "'of " + c.secret() + "'"
		return c.exec("BEGIN NOT ATOMIC SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, CONSTRAINT_NAME = " + name + ", TABLE_NAME = " + name +
			", MESSAGE_TEXT = 'Duplicate entry ''x'' for key ''of " + c.secret() + "'''; END")
	}},
	{"a key beside an argument", func(c *cage) error {
		return c.query("SELECT AES_ENCRYPT(?, 'key of "+c.secret()+"')", c.secret())
	}},
	{"the password of a user that is there", func(c *cage) error { return c.exec("CREATE USER root IDENTIFIED BY '" + c.secret() + "'") }},
	{"the password of a server", func(c *cage) error {
		return c.exec("CREATE OR REPLACE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER '" + c.secret() + "', PASSWORD '" + c.secret() + "')")
	}},
	{"a statement in a statement", func(c *cage) error { return c.exec("EXECUTE IMMEDIATE 'SELEC ''" + c.secret() + "'''") }},
	{"a statement that is prepared in a statement", func(c *cage) error { return c.exec("PREPARE s FROM 'SELECT ''" + c.secret() + "'''") }},
	{"an enumeration without the value", func(c *cage) error {
		return c.exec(c.bind("INSERT INTO kinds VALUES (?)"), c.secret())
	}},
	{"a JSON that is none", func(c *cage) error { return c.exec(c.bind("INSERT INTO documents VALUES (?)"), "{"+c.secret()) }},
	{"a function without arguments that fit", func(c *cage) error {
		return c.query("SELECT * FROM vault WHERE id = ST_GeomFromText('" + c.secret() + "')")
	}},
	{"the password of a user", func(c *cage) error {
		return c.exec("CREATE USER nobody IDENTIFIED WITH nothing AS '" + c.secret() + "'")
	}},
	{"a LOAD DATA from a file that is not there", func(c *cage) error {
		return c.exec("LOAD DATA LOCAL INFILE '" + c.secret() + "' INTO TABLE vault")
	}},
	{"a value that cannot be a number", func(c *cage) error {
		return c.exec("INSERT INTO vault (id, secret, amount) VALUES (117, 'x', '" + c.secret() + "')")
	}},
	{"an update that truncates", func(c *cage) error {
		return c.exec("UPDATE vault SET amount = amount + '" + c.secret() + "'")
	}},
	{"a wrong password", func(c *cage) error { return c.connect(c.mysql(func(m *mysql.Config) { m.Passwd = c.secret() })) }},
	{"a wrong password of special characters", func(c *cage) error {
		return c.connect(c.mysql(func(m *mysql.Config) { m.Passwd = c.secret() + "@:/?#)(&" + c.secret() }))
	}},
	{"a password that looks like an address", func(c *cage) error {
		return c.connect(c.mysql(func(m *mysql.Config) { m.Passwd = "x@tcp(" + c.secret() + ":3306)/" + c.secret() }))
	}},
	{"a user who is not there", func(c *cage) error {
		return c.connect(c.mysql(func(m *mysql.Config) { m.User, m.Passwd = c.secret(), c.secret() }))
	}},
	{"a password for a port where nobody listens", func(c *cage) error {
		return c.connect("root:" + c.secret() + "@tcp(127.0.0.1:1)/db")
	}},
	{"a password in a DSN that cannot be parsed", func(c *cage) error { return c.connect("root:" + c.secret() + "@tcp(127.0.0.1:1") }},
	{"a password in a DSN without a slash", func(c *cage) error { return c.connect("root:" + c.secret()) }},
	{"a password beside a parameter that is wrong", func(c *cage) error {
		return c.connect("root:" + c.secret() + "@tcp(127.0.0.1:1)/db?timeout=" + c.secret())
	}},
}

// quoting returns an error whose text quotes a secret.
func (c *cage) quoting() error {
	if c.engine.system == "postgresql" {
		return c.exec("SELECT '" + c.secret() + "'::int")
	}
	return c.exec("INSERT INTO vault (id, secret, amount) VALUES (118, 'x', '" + c.secret() + "')")
}

// vaultError is an error of the program that keeps no error of the driver.
type vaultError struct{ Msg string }

func (e *vaultError) Error() string { return e.Msg }

//go:noinline
func unlock(number int64, secret string) bool {
	if number > 0 && secret != "" {
		panic("it does not open")
	}
	return true
}

func (c *cage) bind(query string) string { return (&journal{engine: c.engine}).bind(query) }

func (c *cage) url(who *url.Userinfo) string {
	u, err := url.Parse(c.dsn)
	if err != nil {
		c.t.Fatal(err)
	}
	u.User = who
	return u.String()
}

func (c *cage) keywords(password string) string {
	u, err := url.Parse(c.dsn)
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable %s", u.Hostname(), u.Port(), user, strings.TrimPrefix(u.Path, "/"), password)
}

func (c *cage) mysql(change func(*mysql.Config)) string {
	m, err := mysql.ParseDSN(c.dsn)
	if err != nil {
		c.t.Fatal(err)
	}
	change(m)
	return m.FormatDSN()
}

// setup makes what the scenarios need.
func (c *cage) setup() {
	for _, q := range []string{
		"CREATE TABLE vault (id BIGINT PRIMARY KEY, secret VARCHAR(2000) NOT NULL, code VARCHAR(40) UNIQUE, amount INT CHECK (amount >= 0), day DATE)",
		"CREATE TABLE keys (id INT PRIMARY KEY, vault BIGINT REFERENCES vault (id))",
		"INSERT INTO vault (id, secret, amount) VALUES (1, 'nothing', 1)",
	} {
		if c.engine.system == "mysql" {
			q = strings.Replace(q, "keys", "`keys`", 1)
		}
		mustExec(c.t, c.db, q)
	}
	if c.engine.system == "mysql" {
		mustExec(c.t, c.db, "RENAME TABLE `keys` TO key_rings")
		mustExec(c.t, c.db, "CREATE TABLE kinds (kind ENUM('a', 'b'))")
		mustExec(c.t, c.db, "CREATE TABLE documents (document JSON)")
	} else {
		mustExec(c.t, c.db, "ALTER TABLE keys RENAME TO key_rings")
		mustExec(c.t, c.db, "CREATE TABLE bookings (days INT8RANGE, EXCLUDE USING gist (days WITH &&))")
	}
}

// Whatever an application does with secrets, nothing of them is exported: not
// in a span, an event, a status, a metric or a record of the log.
func TestCanariesStayInTheirCages(t *testing.T) {
	for name, e := range map[string]engine{"pgx": pgx, "pq": pq, "mysql": goMySQL, "mysql_interpolated": goMySQLInt} {
		t.Run(name, func(t *testing.T) {
			e.verifies(t, "no secret is exported (canary corpus)")
			scenarios := append(everywhere[:len(everywhere):len(everywhere)], forPostgres...)
			if e.system == "mysql" {
				scenarios = append(everywhere[:len(everywhere):len(everywhere)], forMariaDB...)
			}
			dsn, _, _ := e.open(t)
			(&cage{t: t, engine: e, db: must[*sql.DB](t)(sql.Open(e.driverName, dsn))}).prepare(t)
			failed := 0
			for _, s := range scenarios {
				t.Run(s.name, func(t *testing.T) {
					if free(t, e, dsn, s) != nil {
						failed++
					}
				})
			}
			t.Logf("%d scenarios, of which %d failed as they should", len(scenarios), failed)
			if len(scenarios) < 60 || failed < len(scenarios)/2 {
				t.Error("too few scenarios, or too few that fail")
			}
		})
	}
}

// prepare is setup on a database that is closed afterwards.
func (c *cage) prepare(t *testing.T) {
	t.Helper()
	defer c.db.Close()
	c.setup()
}

// free runs one scenario as a task, and searches all that was exported.
func free(t *testing.T, e engine, dsn string, s scenario) error {
	t.Helper()
	rec := observe.New()
	opts := rec.Options(otdb.WithRowCounts(), otdb.WithSlowLog(time.Nanosecond, rec.Logger),
		otdb.WithOperations(otdb.DefaultOperations|otdb.OperationPing|otdb.OperationResetSession))
	db := must[*sql.DB](t)(otdb.Open(e.driverName, dsn, opts...))
	defer db.Close()
	runner := rec.Runner(t, worker.WithRecoverPanics(), worker.WithSlowStatements(time.Nanosecond))
	outlets := observe.NewOutlets(t, runner, rec.TracerProvider)
	c := &cage{t: t, db: db, engine: e, dsn: dsn, opts: opts}
	err := runner.Run(t.Context(), "the scenario", func(ctx context.Context) error {
		c.ctx = ctx
		defer outlets.Look()
		return s.do(c)
	})
	if c.hidden == 0 {
		t.Error("the scenario has no secret")
	}
	everything := rec.Everything(t) + outlets.Take()
	observe.CheckUTF8(t, s.name, everything)
	for _, form := range []string{
		canary, numbers, strconv.FormatInt(8_150_613_000_000, 16)[:7], password, "canary-Pa55", hex.EncodeToString([]byte(canary)),
		base64.RawStdEncoding.EncodeToString([]byte(canary))[:11], fmt.Sprint([]byte(canary))[1:20],
	} {
		for line := range strings.Lines(everything) {
			if i := strings.Index(strings.ToLower(line), strings.ToLower(form)); i >= 0 {
				t.Errorf("%q is exported: …%s\nthe application's error: %v", form, line[max(0, i-300):min(len(line), i+80)], err)
				break
			}
		}
	}
	if rec.Count(observe.ScopeWorker) != 1 {
		t.Errorf("%d tasks", rec.Count(observe.ScopeWorker))
	}
	return err
}

// The search of the canaries finds one that is let out on purpose.
func TestCanariesAreFoundWhenTheyAreOut(t *testing.T) {
	rec := observe.New()
	db := must[*sql.DB](t)(otdb.Open("sqlite", "file:"+t.TempDir()+"/vault.db",
		rec.Options(otdb.WithQueryParameters(func(string) bool { return true }))...))
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT ?", canary).Scan(new(string)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(rec.Everything(t), canary) {
		t.Error("a canary that is exported was not found")
	}
}
