package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/oteltest"
)

// listening is SQLite's driver with a record of the texts that it gets.
type listening struct {
	shopDriver
	texts []string
}

func (d *listening) Open(dsn string) (driver.Conn, error) {
	c, err := d.shopDriver.Open(dsn)
	if err != nil {
		return nil, err
	}
	return &listeningConn{c.(*shopConn), d}, nil
}

type listeningConn struct {
	*shopConn
	d *listening
}

func (c *listeningConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.d.texts = append(c.d.texts, query)
	return c.shopConn.ExecContext(ctx, query, args)
}

func (c *listeningConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.d.texts = append(c.d.texts, query)
	return c.shopConn.QueryContext(ctx, query, args)
}

func (c *listeningConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.d.texts = append(c.d.texts, "prepare "+query)
	return c.shopConn.PrepareContext(ctx, query)
}

// listen opens a database and returns what its driver gets.
func (r *rig) listen(opts ...Option) (*sql.DB, func() []string) {
	r.t.Helper()
	d := &listening{}
	opts = append([]Option{WithSystem("sqlite"), WithNamespace("shop.db"), WithPropagator(propagation.TraceContext{})}, opts...)
	db := OpenDB(dsnConnector{d, sqliteFile(r.t)}, r.options(opts...)...)
	r.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			r.t.Errorf("close: %v", err)
		}
	})
	return db, func() []string {
		texts := d.texts
		d.texts = nil
		return texts
	}
}

func wantTexts(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the driver got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// traceparent is what a span is called in comments.
func traceparent(s trace.SpanContext) string {
	return fmt.Sprintf("traceparent='00-%v-%v-01'", s.TraceID(), s.SpanID())
}

var shop = []attribute.KeyValue{attribute.String("route", "/orders/:id"), attribute.String("application", "shop & co"), attribute.Int("shard", 7)}

const shopComment = "application='shop%20%26%20co',route='%2Forders%2F%3Aid',shard='7'"

// commented runs an exec, a query and a prepared query in ctx.
func commented(t *testing.T, ctx context.Context, db *sql.DB) {
	t.Helper()
	if _, err := db.ExecContext(ctx, "DELETE FROM otdb_users WHERE id = 404"); err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(ctx, "SELECT id, email FROM otdb_users WHERE id < ?", 3)
	if err != nil {
		t.Fatal(err)
	}
	if users := readUsers(t, rows); len(users) != 2 {
		t.Errorf("read %v", users)
	}
	st, err := db.PrepareContext(ctx, "SELECT id, email FROM otdb_users")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if rows, err = st.QueryContext(ctx); err != nil {
		t.Fatal(err)
	}
	readUsers(t, rows)
}

func TestCommenter(t *testing.T) {
	task := ledger.NewContext(context.Background(), ledger.New(nil, "orders.ship 'n' go*/"))
	const taskComment = "task='orders.ship%20%27n%27%20go%2A%2F'"
	for _, test := range []struct {
		name string
		opts []Option
		ctx  context.Context
		// static is the comment of all texts; full has a place for the traceparent.
		static, full string
	}{
		{"off", nil, task, "", ""},
		{"static without anything to say", []Option{WithCommenter(CommentStatic)}, context.Background(), "", ""},
		{"static", []Option{WithCommenter(CommentStatic, shop...)}, context.Background(), "/*" + shopComment + "*/ ", "/*" + shopComment + "*/ "},
		{
			"static in a task",
			[]Option{WithCommenter(CommentStatic, shop...)}, task,
			"/*" + shopComment + "," + taskComment + "*/ ", "/*" + shopComment + "," + taskComment + "*/ ",
		},
		{"task alone", []Option{WithCommenter(CommentStatic)}, task, "/*" + taskComment + "*/ ", "/*" + taskComment + "*/ "},
		{"a tag of the task's name", []Option{WithCommenter(CommentStatic, attribute.String("task", "mine"))}, task, "/*task='mine'*/ ", "/*task='mine'*/ "},
		{"full", []Option{WithCommenter(CommentFull, shop...)}, context.Background(), "/*" + shopComment + "*/ ", "/*" + shopComment + ",%s*/ "},
		{"full in a task", []Option{WithCommenter(CommentFull)}, task, "/*" + taskComment + "*/ ", "/*" + taskComment + ",%s*/ "},
		{"full without tags", []Option{WithCommenter(CommentFull)}, context.Background(), "", "/*%s*/ "},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			db, texts := r.listen(test.opts...)
			commented(t, test.ctx, db)
			spans := r.Spans()
			if len(spans) != 5 {
				t.Fatalf("%d spans", len(spans))
			}
			full := func(i int) string {
				return strings.ReplaceAll(test.full, "%s", traceparent(spans[i].SpanContext()))
			}
			wantTexts(t, texts(),
				full(1)+"DELETE FROM otdb_users WHERE id = 404",
				full(2)+"SELECT id, email FROM otdb_users WHERE id < ?",
				"prepare "+test.static+"SELECT id, email FROM otdb_users")
			for _, s := range spans {
				for _, kv := range s.Attributes() {
					if strings.Contains(kv.Value.String(), "/*") {
						t.Errorf("the comment is recorded: %s", oteltest.KeyValue(kv))
					}
				}
			}
			r.wantDurations()
		})
	}
}

// The trace goes on to the database from the nearest span that there is.
func TestCommenterWithoutSpan(t *testing.T) {
	r := newRig(t)
	db, texts := r.listen(WithCommenter(CommentFull), WithSpanFilter(func(context.Context, SpanInfo) bool { return false }))
	ctx, task := r.Start("task")
	defer task.End()
	if _, err := db.ExecContext(ctx, "DELETE FROM otdb_users"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(context.Background(), "DELETE FROM otdb_users"); err != nil {
		t.Fatal(err)
	}
	wantTexts(t, texts(), "/*"+traceparent(task.SpanContext())+"*/ DELETE FROM otdb_users", "DELETE FROM otdb_users")
}

func TestCommentFormat(t *testing.T) {
	c := newCommenter(&config{comment: CommentStatic, commentTags: []attribute.KeyValue{
		attribute.String("z", "1"), attribute.String("a-b", "2"), attribute.String("a", "3"), attribute.String("a'?", "4'?*/ü\x00 +:$1@%"),
	}})
	const want = "/*a='3',a%27%3F='4%27%3F%2A%2F%C3%BC%00%20%2B%3A%241%40%25',a-b='2',z='1'*/"
	if c.static != want {
		t.Errorf("got  %s\nwant %s", c.static, want)
	}
	value, err := url.PathUnescape("4%27%3F%2A%2F%C3%BC%00%20%2B%3A%241%40%25")
	if err != nil || value != "4'?*/ü\x00 +:$1@%" {
		t.Errorf("value %q, %v", value, err)
	}
}

// A comment shares what servers keep of a text with the statement.
func TestCommentsAreBounded(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	long := strings.Repeat("x", 5000)
	c := newCommenter(&config{comment: CommentStatic, commentTags: []attribute.KeyValue{
		attribute.String("a", long), attribute.String("b", strings.Repeat("é", 80)), attribute.String("c", long), attribute.String("d", long),
	}})
	const a, b = "a='", "b='"
	cut := a + long[:100] + "',"
	accents := strings.Repeat("%C3%A9", 50)
	for _, test := range []struct {
		name     string
		got      string
		contains []string
	}{
		{"tags", c.static, []string{cut, b + accents}},
		{"task", c.format(c.with(strings.Repeat("é", 300), nil)), []string{cut, "task='" + accents + "'"}},
		{"trace", c.format(c.with(long, map[string]string{"traceparent": trace, "tracestate": strings.Repeat("k=v,", 120)})),
			[]string{cut, "task='" + long[:100] + "'", "traceparent='" + trace + "'"}},
		{"nothing fits", c.format(map[string]string{"x": long}), nil},
	} {
		if len(test.got) > maxComment {
			t.Errorf("%s: %d bytes", test.name, len(test.got))
		}
		for _, part := range test.contains {
			if !strings.Contains(test.got, part) {
				t.Errorf("%s: %s is not in %s", test.name, part, test.got)
			}
		}
		if test.contains == nil && test.got != "" {
			t.Errorf("%s: %s", test.name, test.got)
		}
	}
}

// Baggage holds the application's values, and must not reach the server's logs.
func TestCommenterLeavesBaggageOut(t *testing.T) {
	r := newRig(t)
	db, texts := r.listen(WithCommenter(CommentFull),
		WithPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})))
	member, err := baggage.NewMember("customer", "canary")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(baggage.ContextWithBaggage(t.Context(), bag), "DELETE FROM otdb_users"); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(texts(), "\n")
	if !strings.Contains(got, "traceparent='") || strings.Contains(got, "canary") || strings.Contains(got, "baggage") {
		t.Errorf("the driver got %q", got)
	}
}
