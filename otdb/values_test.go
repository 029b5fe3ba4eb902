package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/sqltext"
)

// An attribute that is no valid UTF-8 makes exporters drop the whole batch.
func TestParametersAreValidText(t *testing.T) {
	for _, v := range []driver.Value{[]byte{0xff, 0xfe}, "\xff", strings.Repeat("é", sqltext.MaxText), []byte(strings.Repeat("x", 1<<20))} {
		if got, _ := parameterText(v); !utf8.ValidString(got) || len(got) > sqltext.MaxText {
			t.Errorf("%d bytes, valid: %v", len(got), utf8.ValidString(got))
		}
	}
}

// So does a key that is none.
func TestParameterKeysAreValidText(t *testing.T) {
	db := observed(t, WithQueryParameters(func(string) bool { return true }))
	config := trace.NewSpanStartConfig(db.parameters(nil, []driver.NamedValue{{Name: "a\xff", Ordinal: 1, Value: "x"}})...)
	want := []attribute.KeyValue{attribute.String("db.query.parameter.a\ufffd", "x")}
	if got := config.Attributes(); !slices.Equal(got, want) {
		t.Errorf("recorded %v", got)
	}
}

// pgx lets any Go value through. What is none of database/sql's is not printed:
// neither its methods nor its fields may come into it.
func TestParametersOfDriversThatConvert(t *testing.T) {
	values := []driver.Value{
		"text", hidden{"canary"}, &hidden{"canary"}, (*hidden)(nil), namedArgs{"password": "canary"}, []string{"canary"},
		new("canary"), sql.NullString{String: "canary", Valid: true}, map[string]int{"canary": 1}, int32(7), uint8(8), float32(0.5), true, nil,
	}
	args := make([]driver.NamedValue, len(values))
	for i, v := range values {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	var asked []string
	db := observed(t, WithQueryParameters(func(key string) bool {
		asked = append(asked, key)
		return key != "10"
	}))
	config := trace.NewSpanStartConfig(db.parameters(nil, args)...)
	got := attribute.NewSet(config.Attributes()...)
	want := attribute.NewSet(
		attribute.String("db.query.parameter.0", "text"), attribute.String("db.query.parameter.9", "7"),
		attribute.String("db.query.parameter.11", "0.5"), attribute.String("db.query.parameter.12", "true"),
		attribute.String("db.query.parameter.13", "NULL"),
	)
	if !got.Equals(&want) {
		t.Errorf("recorded %v", config.Attributes())
	}
	if want := []string{"0", "9", "10", "11", "12", "13"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

// namedArgs are as pgx has them.
type namedArgs map[string]any

// hidden says to the database what must not be known of it.
type hidden struct{ plain string }

func (hidden) Value() (driver.Value, error) { return "***", nil }

func (h hidden) String() string { panic("not printed: " + h.plain) }

// A variable of a script is no placeholder: without arguments nothing shows that
// the text is parameterised.
func TestPreparedScripts(t *testing.T) {
	long := strings.Repeat("a", 300) // no summary has room for it
	for _, test := range []struct{ system, query, want string }{
		{"microsoft.sql_server", "DECLARE @pw nvarchar(50) = N'canary'; EXEC dbo.set_pw @pw", "DECLARE @pw nvarchar(?) = ?; EXEC dbo.set_pw @pw"},
		{"microsoft.sql_server", "SELECT name FROM users WHERE id = @p1 AND kind = 'a'", "SELECT name FROM users WHERE id = @p1 AND kind = ?"},
		{"oracle.db", "BEGIN :new.pw := 'canary'; END;", "BEGIN :new.pw := ?; END;"},
		{"other_sql", "SELECT * FROM docs WHERE data ? 'canary'", "SELECT * FROM docs WHERE data ? ?"},
		{"postgresql", "PREPARE q AS SELECT $1; EXECUTE q('canary')", "PREPARE q AS SELECT $1; EXECUTE q(?)"},
		{"postgresql", "REASSIGN OWNED BY a TO b; SELECT 'canary', $1", "REASSIGN OWNED BY a TO b; SELECT ?, $1"},
		{"postgresql", "SELECT 1 FROM " + long + "; UPDATE a SET b = 'canary' WHERE c = $1", "SELECT ? FROM " + long + "; UPDATE a SET b = ? WHERE c = $1"},
		{"mysql", "CHANGE MASTER TO MASTER_PASSWORD='canary'; SELECT ?", "CHANGE MASTER TO MASTER_PASSWORD=?; SELECT ?"},
		{"mysql", "SELECT ?, 'a\\'; SELECT 'canary'", "SELECT ?, ?"},
		{"sqlite", "SELECT ?1, 'a'; -- c", "SELECT ?1, 'a'; -- c"},
		{"postgresql", "SELECT name FROM users WHERE id = $1 AND kind = 'a'", "SELECT name FROM users WHERE id = $1 AND kind = 'a'"},
		{"mysql", "SELECT name FROM users WHERE id = ? AND kind = 'a'", "SELECT name FROM users WHERE id = ? AND kind = 'a'"},
		{"sqlite", "SELECT name FROM users WHERE id = :id AND kind = 'a'", "SELECT name FROM users WHERE id = :id AND kind = 'a'"},
	} {
		config := trace.NewSpanStartConfig(observed(t, WithSystem(test.system)).statement(test.query).prepareSpan...)
		set := attribute.NewSet(config.Attributes()...)
		if got, _ := set.Value("db.query.text"); got.AsString() != test.want {
			t.Errorf("%s: %s\n got %q\nwant %q", test.system, test.query, got.AsString(), test.want)
		}
	}
}

type panickingResult struct{ driver.Result }

func (*panickingResult) RowsAffected() (int64, error) { panic("canary") }

func TestRowsAffectedOfABrokenDriver(t *testing.T) {
	r := newRig(t)
	out := outcome{result: (*panickingResult)(nil)}
	if n, ok := out.rowsAffected(); ok {
		t.Errorf("%d rows", n)
	}
	r.WantHandled("otdb: the driver's RowsAffected panicked with a string")
}

// A connection remembers its latest text, but not a long one.
func TestLongTextsAreNotKept(t *testing.T) {
	const n, size = 8, 4 << 20
	d := observed(t)
	conns := make([]*conn, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range conns {
		conns[i] = &conn{db: d}
		conns[i].statement("INSERT INTO t VALUES ('" + strings.Repeat("x", size) + "')")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > size {
		t.Errorf("%d idle connections keep %d bytes", n, grown)
	}
	runtime.KeepAlive(conns)
}

// Two databases on one connector have a pool each, and an end each.
func TestPoolsOfOneConnector(t *testing.T) {
	r := newRig(t)
	c := WrapConnector(dsnConnector{&listening{}, ":memory:"}, r.options(WithPoolName("one"))...)
	a, b := OpenDB(c), OpenDB(c)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.PingContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Collect()["db.client.connection.count"]; !ok {
		t.Error("closing one database has taken the other's metrics away")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
