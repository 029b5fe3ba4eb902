package otdb

import (
	"context"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNameQuery(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithMaxSummaries(2))
	conn := attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}
	const text = "DELETE FROM otdb_users"
	exec := func(ctx context.Context) {
		t.Helper()
		if _, err := db.ExecContext(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	ctx := NameQuery(context.Background(), "users.purge")
	exec(ctx)
	exec(NameQuery(ctx, "users.clear")) // the inner one wins
	exec(context.Background())
	exec(NameQuery(ctx, ""))
	st, err := db.PrepareContext(ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.ExecContext(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.ExecContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	named := func(name string) span {
		return span{name: name, start: conn.With(attrs{"db.query.summary": name, "db.query.text": text})}
	}
	prepare := span{name: "PREPARE", start: conn.With(attrs{
		"db.operation.name": "PREPARE", "db.query.summary": "users.purge", "db.query.text": text,
	})}
	r.wantSpans(
		span{name: "CONNECT", start: conn.With(attrs{"db.operation.name": "CONNECT"})},
		named("users.purge"), named("users.clear"), named("DELETE otdb_users"), named("users.purge"),
		prepare, named("users.purge"), named("DELETE otdb_users"),
	)
	// The text was there first, and one of the names.
	if got, want := r.countsBySummary(), (map[string]uint64{"DELETE otdb_users": 2, "users.purge": 3, "_OTHER": 1}); !maps.Equal(got, want) {
		t.Errorf("points %v, want %v", got, want)
	}
}

func TestNamesAreCut(t *testing.T) {
	long := strings.Repeat("é", 300)
	for name, want := range map[string]string{
		"a\xffb": "a\uFFFDb",
		long:     long[:2*255],
		"short":  "short",
	} {
		got, _ := NameQuery(t.Context(), name).Value(nameKey{}).(string)
		if got != want || !utf8.ValidString(got) {
			t.Errorf("%q became %q", name, got)
		}
	}
}

// A program that names nothing pays nothing, and one that does pays once for each text.
func TestNamesAllocateOnce(t *testing.T) {
	db := observed(t)
	st := db.statement("SELECT 1 FROM a")
	ctx := NameQuery(context.Background(), "a.one")
	if first := st.named(ctx); st.named(ctx) != first {
		t.Error("the statement of a name was made twice")
	}
	if n := testing.AllocsPerRun(100, func() { st.named(ctx) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The comment that sqlc puts in front of a text names it, and NameQuery comes first.
func TestNameInAComment(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithOperations(0))
	const text = "-- name: PurgeUsers :exec\nDELETE FROM otdb_users"
	for _, ctx := range []context.Context{context.Background(), NameQuery(context.Background(), "users.purge")} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	conn := attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}
	named := func(name string) span {
		return span{name: name, start: conn.With(attrs{"db.query.summary": name, "db.query.text": "DELETE FROM otdb_users"})}
	}
	r.wantSpans(named("PurgeUsers"), named("users.purge"))
}
