package drivers

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/otdb"
)

func TestRaw(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, _ *rig, db *sql.DB, _ attrs) {
		want := reflect.TypeFor[*sqlite3.SQLiteConn]()
		if s.name != "sqlite3" {
			want = reflect.TypeFor[*stdlib.Conn]()
		}
		conn, err := db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Raw(func(c any) error {
			if raw := otdb.Raw(c); reflect.TypeOf(raw) != want {
				t.Errorf("Raw returns a %T", raw)
			} else if otdb.Raw(raw) != raw {
				t.Error("Raw of the driver's own connection is another one")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if otdb.Raw(nil) != nil || otdb.Raw(7) != 7 {
			t.Error("Raw changes what is no connection")
		}
	})
}

func TestCopyFromThroughRaw(t *testing.T) {
	on(t, []system{postgres, realPostgres}, func(t *testing.T, _ system, r *rig, db *sql.DB, _ attrs) {
		conn, err := db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Raw(func(c any) error {
			n, err := otdb.Raw(c).(*stdlib.Conn).Conn().CopyFrom(context.Background(), pgx.Identifier{"otdb_users"}, []string{"id", "email"},
				pgx.CopyFromRows([][]any{{int32(10), "canary-10@example.com"}, {int32(11), "canary-11@example.com"}}))
			if n != 2 {
				t.Errorf("%d rows copied", n)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		r.wantSpans() // the program has gone round us
	})
}

// A driver with a hook is wrapped and registered by its program, which asks for the
// driver's own connection in every way that docs/migrating.md has a search for.
func TestWrapDriverAndRaw(t *testing.T) {
	r := newRig(t)
	hook := func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("double", func(n int64) int64 { return 2 * n }, true)
	}
	sql.Register("sqlite3-with-raw", otdb.WrapDriver(&sqlite3.SQLiteDriver{ConnectHook: hook}, r.options(otdb.WithSystem("sqlite"))...))
	db, err := sql.Open("sqlite3-with-raw", "file:"+filepath.Join(t.TempDir(), "shop.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, ok := db.Driver().(*sqlite3.SQLiteDriver); !ok {
		t.Errorf("the driver is a %T", db.Driver())
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Raw(func(c any) error {
		if _, ok := c.(*sqlite3.SQLiteConn); ok {
			t.Error("the wrapped connection is the driver's own")
		}
		_, err := otdb.Raw(c).(*sqlite3.SQLiteConn).Exec("CREATE TABLE carts (n INTEGER); INSERT INTO carts VALUES (21)", nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r.TakeSpans()
	if err := conn.Raw(registerTriple); err != nil {
		t.Fatal(err)
	}
	r.wantSpans() // the program has gone round us
	var doubled, tripled int
	if err := conn.QueryRowContext(t.Context(), "SELECT double(n), triple(n) FROM carts WHERE n = ?", 21).Scan(&doubled, &tripled); err != nil || doubled != 42 || tripled != 63 {
		t.Error(doubled, tripled, err)
	}
	r.wantSpans(span{name: "SELECT carts", start: attrs{
		"db.system.name": "sqlite", "db.namespace": "shop.db", "db.query.summary": "SELECT carts",
		"db.query.text": "SELECT double(n), triple(n) FROM carts WHERE n = ?",
	}})
}

func registerTriple(c any) error {
	return otdb.Raw(c).(*sqlite3.SQLiteConn).RegisterFunc("triple", func(n int64) int64 { return 3 * n }, true)
}

// The searches of docs/migrating.md find what needs otdb.Raw, and nothing of gorm's Raw.
func TestSearchesForRaw(t *testing.T) {
	page, err := os.ReadFile("../../docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	var searches []*regexp.Regexp
	for _, search := range regexp.MustCompile(`(?m)^grep -rnE '(.*)' --include`).FindAllSubmatch(page, -1) {
		searches = append(searches, regexp.MustCompilePOSIX(string(search[1])))
	}
	for line, want := range map[string]bool{
		"err = conn.Raw(func(c any) error {":                          true,
		"return conn.Raw(registerTriple)":                             true,
		"return conn.Raw(s.copyRows)":                                 true,
		"n, err := c.(*stdlib.Conn).Conn().CopyFrom(ctx)":             true,
		"own, ok := driverConn.(*sqlite3.SQLiteConn)":                 true,
		"bulk, ok := driverConn.(*mssql.Conn)":                        true,
		`db.Raw("SELECT name FROM users WHERE id = ?", 3).Scan(&u)`:   false,
		"rows, err := db.QueryContext(ctx, query, raw)":               false,
		"func (s *store) copyRows(c any) error { return s.load(rows)": false,
	} {
		found := slices.ContainsFunc(searches, func(search *regexp.Regexp) bool { return search.MatchString(line) })
		if found != want {
			t.Errorf("%q is found: %t", line, found)
		}
	}
}
