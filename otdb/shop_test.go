package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// shopDriver stands in for a driver of SQLite: it is registered under the name
// of one, has the interfaces of one, and knows as much SQL as the tests and the
// examples say. The module integration runs statements on the real ones.
type shopDriver struct{}

func init() { sql.Register("sqlite3", &shopDriver{}) }

// shops are the databases by their DSN. Those in memory are their connection's.
var shops sync.Map

// shopDB is a database: what is in its tables' columns, which are unique.
type shopDB struct {
	mu    sync.Mutex
	rows  map[string][]map[string]driver.Value // by table
	funcs map[string]func(string) string
}

// Open implements driver.Driver.
func (*shopDriver) Open(dsn string) (driver.Conn, error) {
	db := &shopDB{rows: make(map[string][]map[string]driver.Value), funcs: make(map[string]func(string) string)}
	if dsn != ":memory:" {
		found, _ := shops.LoadOrStore(dsn, db)
		db = found.(*shopDB)
	}
	return &shopConn{db: db}, nil
}

// sqliteFile makes a database with the tests' tables and returns its DSN.
func sqliteFile(t *testing.T) string {
	t.Helper()
	dsn := "file:" + filepath.Join(t.TempDir(), "shop.db") + "?_sync=OFF"
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for id := range 2 {
		if _, err := db.Exec("INSERT INTO otdb_users (id, email) VALUES (?, ?)", id+1, fmt.Sprintf("canary-%d@example.com", id+1)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { shops.Delete(dsn) })
	return dsn
}

// Error has the shape of the error of mattn/go-sqlite3.
type Error struct { //nolint:errname // as the driver calls it
	Code, ExtendedCode int
	text               string
}

func (e Error) Error() string { return e.text }

var errSyntax = Error{1, 1, "SQL logic error"}

type shopConn struct{ db *shopDB }

var (
	_ driver.ExecerContext      = (*shopConn)(nil)
	_ driver.QueryerContext     = (*shopConn)(nil)
	_ driver.ConnPrepareContext = (*shopConn)(nil)
	_ driver.ConnBeginTx        = (*shopConn)(nil)
	_ driver.Pinger             = (*shopConn)(nil)
)

func (c *shopConn) Close() error               { return nil }
func (c *shopConn) Ping(context.Context) error { return nil }
func (c *shopConn) Begin() (driver.Tx, error)  { return shopTx{}, nil }
func (c *shopConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return shopTx{}, nil
}
func (c *shopConn) Prepare(query string) (driver.Stmt, error) { return &shopStmt{c, query}, nil }

func (c *shopConn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return c.Prepare(query)
}

// RegisterFunc is what only this driver can do.
func (c *shopConn) RegisterFunc(name string, f any, _ bool) error {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.db.funcs[name] = f.(func(string) string)
	return nil
}

type shopTx struct{}

func (shopTx) Commit() error   { return nil }
func (shopTx) Rollback() error { return nil }

type shopStmt struct {
	c     *shopConn
	query string
}

func (s *shopStmt) Close() error  { return nil }
func (s *shopStmt) NumInput() int { return -1 }

func (s *shopStmt) Exec([]driver.Value) (driver.Result, error) { return nil, errors.New("no context") }
func (s *shopStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, errors.New("no context") }

func (s *shopStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.query, args)
}

func (s *shopStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.query, args)
}

var (
	shopRemark = regexp.MustCompile(`(?s)/\*.*?\*/|--[^\n]*`)
	shopInsert = regexp.MustCompile(`^INSERT INTO (\w+)(?: \(([^)]*)\))? VALUES \((.*)\)$`)
	shopSelect = regexp.MustCompile(`^SELECT (.*?)(?: FROM (\w+)(?: WHERE (.*?))?(?: ORDER BY \w+)?)?$`)
	shopDelete = regexp.MustCompile(`^DELETE FROM (\w+)(?: WHERE (.*))?$`)
	shopTerm   = regexp.MustCompile(`^(\w+) (=|<>|<|IN) (.*)$`)
	shopCall   = regexp.MustCompile(`^(\w+)\('(.*)'\)$`)
)

// shopText is a text without its comments.
func shopText(query string) string {
	return strings.TrimSuffix(strings.Join(strings.Fields(shopRemark.ReplaceAllString(query, " ")), " "), ";")
}

// ExecContext implements driver.ExecerContext. What it does not know affects nothing.
func (c *shopConn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	text := shopText(query)
	values := &shopArgs{args: args}
	if m := shopInsert.FindStringSubmatch(text); m != nil {
		return driver.RowsAffected(1), c.db.insert(m[1], list(m[2]), list(m[3]), values)
	}
	if m := shopDelete.FindStringSubmatch(text); m != nil {
		kept, before := []map[string]driver.Value(nil), c.db.rows[m[1]]
		for _, row := range before {
			if fits, err := values.again().fits(row, m[2]); err != nil {
				return nil, err
			} else if !fits {
				kept = append(kept, row)
			}
		}
		c.db.rows[m[1]] = kept
		return driver.RowsAffected(len(before) - len(kept)), nil
	}
	return driver.RowsAffected(0), nil
}

// insert adds a row, if no other has the id or the email of it.
func (db *shopDB) insert(table string, columns, terms []string, values *shopArgs) error {
	if len(columns) == 0 {
		columns = []string{"id", "email"}
	}
	row := make(map[string]driver.Value)
	for i, term := range terms {
		v, err := values.of(term)
		if err != nil {
			return err
		}
		row[columns[i]] = v
	}
	for _, unique := range []struct {
		column string
		code   int
	}{{"id", 1555}, {"email", 2067}} {
		v, there := row[unique.column]
		if there && slices.ContainsFunc(db.rows[table], func(other map[string]driver.Value) bool { return other[unique.column] == v }) {
			return Error{19, unique.code, "UNIQUE constraint failed: " + table + "." + unique.column}
		}
	}
	db.rows[table] = append(db.rows[table], row)
	return nil
}

// QueryContext implements driver.QueryerContext.
func (c *shopConn) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	m := shopSelect.FindStringSubmatch(shopText(query))
	if m == nil {
		return nil, errSyntax
	}
	values := &shopArgs{args: args}
	rows := &shopRows{columns: list(m[1])}
	if m[2] == "" {
		var row []driver.Value
		for _, term := range rows.columns {
			if call := shopCall.FindStringSubmatch(term); call != nil && c.db.funcs[call[1]] != nil {
				row = append(row, c.db.funcs[call[1]](call[2]))
				continue
			}
			v, err := values.of(term)
			if err != nil {
				return nil, err
			}
			row = append(row, v)
		}
		rows.rows = append(rows.rows, row)
		return rows, nil
	}
	if m[3] != "" && strings.Contains(m[3], "?") && len(args) == 0 {
		return nil, errors.New("not enough args to execute query: want 1 got 0")
	}
	for _, found := range c.db.rows[m[2]] {
		fits, err := values.again().fits(found, m[3])
		if err != nil {
			return nil, err
		}
		if !fits {
			continue
		}
		var row []driver.Value
		for _, column := range rows.columns {
			row = append(row, found[column])
		}
		rows.rows = append(rows.rows, row)
	}
	return rows, nil
}

// shopArgs are the arguments of a statement.
type shopArgs struct {
	args []driver.NamedValue
	next int // of those without a name
}

func (a *shopArgs) again() *shopArgs { return &shopArgs{args: a.args} }

// of returns the value of a term: a placeholder or a literal.
func (a *shopArgs) of(term string) (driver.Value, error) {
	if text, ok := strings.CutPrefix(term, "'"); ok {
		return strings.TrimSuffix(text, "'"), nil
	}
	if n, err := strconv.ParseInt(term, 10, 64); err == nil {
		return n, nil
	}
	if name, ok := strings.CutPrefix(term, ":"); ok {
		for _, arg := range a.args {
			if arg.Name == name {
				return arg.Value, nil
			}
		}
		return nil, errSyntax
	}
	if term != "?" || a.next >= len(a.args) {
		return nil, errSyntax
	}
	a.next++
	return a.args[a.next-1].Value, nil
}

// fits reports whether a row meets all conditions.
func (a *shopArgs) fits(row map[string]driver.Value, where string) (bool, error) {
	if where == "" {
		return true, nil
	}
	for _, condition := range strings.Split(where, " AND ") {
		m := shopTerm.FindStringSubmatch(condition)
		if m == nil {
			return false, errSyntax
		}
		if m[2] == "IN" {
			if !slices.Contains(list(strings.Trim(m[3], "()")), fmt.Sprint(row[m[1]])) {
				return false, nil
			}
			continue
		}
		v, err := a.of(m[3])
		if err != nil {
			return false, err
		}
		equal := row[m[1]] == v
		switch m[2] {
		case "=":
			if !equal {
				return false, nil
			}
		case "<>":
			if equal {
				return false, nil
			}
		case "<":
			if row[m[1]].(int64) >= v.(int64) {
				return false, nil
			}
		}
	}
	return true, nil
}

// list splits a list at its commas.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ", ")
}

type shopRows struct {
	columns []string
	rows    [][]driver.Value
}

func (r *shopRows) Columns() []string { return r.columns }
func (r *shopRows) Close() error      { return nil }

func (r *shopRows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

// user is what the tests read.
type user struct {
	id    int
	email string
}

func readUsers(t *testing.T, rows *sql.Rows) (users []user) {
	t.Helper()
	defer rows.Close()
	for rows.Next() {
		var u user
		if err := rows.Scan(&u.id, &u.email); err != nil {
			t.Fatal(err)
		}
		users = append(users, u)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return users
}
