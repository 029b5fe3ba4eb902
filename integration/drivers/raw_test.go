package drivers

import (
	"context"
	"database/sql"
	"reflect"
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
