package drivers

import (
	"context"
	"errors"
	"os"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/integration/internal/ent"
	"github.com/taskspan/taskspan/otdb"
)

// ent is given the name of a registered driver, as docs/migrating.md says: it goes by the
// beginning of that name.
func TestEntWithARegisteredDriver(t *testing.T) {
	r := newRig(t)
	name, err := otdb.Register("sqlite3", r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	drv, err := entsql.Open(name, sqliteFile(t))
	if err != nil {
		t.Fatal(err)
	}
	stop, err := otdb.ObservePool(drv.DB(), r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := drv.Close(); err != nil {
			t.Error(err)
		}
	})
	if got := drv.Dialect(); got != dialect.SQLite {
		t.Errorf("ent takes %q for the dialect %q", name, got)
	}
	ctx := t.Context()
	if err := drv.Exec(ctx, "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT UNIQUE)", []any{}, nil); err != nil {
		t.Fatal(err)
	}
	r.TakeSpans()

	c := ent.NewClient(drv)
	id, err := c.Create(ctx, "canary")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Rename(ctx, id, "canary 2"); err != nil {
		t.Error(err)
	}
	if found, err := c.Find(ctx, id); err != nil || len(found) != 1 || found[0] != (ent.Customer{ID: id, Name: "canary 2"}) {
		t.Errorf("found %v, %v", found, err)
	}
	_, err = c.Create(ctx, "canary 2")
	var duplicated sqlite3.Error
	if !errors.As(err, &duplicated) || !sqlgraph.IsConstraintError(err) {
		t.Fatalf("a duplicate is %v", err)
	}

	conn := attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}
	statement := func(summary, text string) span {
		return span{name: summary, start: conn.With(attrs{"db.query.summary": summary, "db.query.text": text})}
	}
	const insert = "INSERT INTO `customers` (`name`) VALUES (?) RETURNING `id`"
	duplicate := statement("INSERT `customers`", insert)
	duplicate.end, duplicate.err = attrs{"db.response.status_code": "2067", "error.type": "2067"}, duplicated
	r.wantSpans(
		statement("INSERT `customers`", insert),
		span{name: "BEGIN", start: conn.With(attrs{"db.operation.name": "BEGIN"})},
		statement("UPDATE `customers`", "UPDATE `customers` SET `name` = ? WHERE `id` = ?"),
		statement("SELECT `customers`", "SELECT `id`, `name` FROM `customers` WHERE `id` = ?"),
		span{name: "COMMIT", start: conn.With(attrs{"db.operation.name": "COMMIT"})},
		statement("SELECT `customers`", "SELECT `customers`.`id`, `customers`.`name` FROM `customers` WHERE `customers`.`id` = ?"),
		duplicate,
	)
	if _, ok := r.Collect()["db.client.connection.count"]; !ok {
		t.Error("the pool has no metrics")
	}
	r.WantNothingOf("canary")
}

// A name such as "pgx-otdb" says nothing to ent, which is given a database of ours.
func TestEntOnPostgres(t *testing.T) {
	for _, dsn := range servers() {
		testEntOnPostgres(t, dsn)
	}
}

func testEntOnPostgres(t *testing.T, dsn string) {
	r := newRig(t)
	drv := entsql.OpenDB(dialect.Postgres, r.open("pgx", dsn))
	ctx := t.Context()
	if err := drv.Exec(ctx, "CREATE TABLE customers (id SERIAL PRIMARY KEY, name TEXT UNIQUE)", []any{}, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drv.Exec(context.WithoutCancel(ctx), "DROP TABLE customers", []any{}, nil); err != nil {
			t.Error(err)
		}
	})
	r.TakeSpans()
	c := ent.NewClient(drv)
	id, err := c.Create(ctx, "canary")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := c.Find(ctx, id); err != nil || len(found) != 1 || found[0] != (ent.Customer{ID: id, Name: "canary"}) {
		t.Errorf("found %v, %v", found, err)
	}
	var names []string
	for _, s := range r.TakeSpans() {
		names = append(names, s.Name())
	}
	wantTexts(t, names, `INSERT "customers"`, `SELECT "customers"`)
	r.WantNothingOf("canary")
}

// servers returns the DSN of the PostgreSQL that integration/run starts, and none where
// tests run without it, as make test does.
func servers() []string {
	if dsn := os.Getenv(environment); dsn != "" {
		return []string{dsn}
	}
	return nil
}
