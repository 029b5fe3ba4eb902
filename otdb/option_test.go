package otdb

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/errs"
)

// mistakes are options with a mistake, and what is said of it.
var mistakes = []struct {
	option Option
	text   string
}{
	{WithAttributes(attribute.String("", "x")), "otdb: WithAttributes: an attribute has no key"},
	{WithSystem(""), "otdb: WithSystem: the name is empty; leave the option out to have it inferred"},
	{WithServer("db", -1), "otdb: WithServer: the port -1 is not between 0 and 65535"},
	{WithServer("db", 65536), "otdb: WithServer: the port 65536 is not between 0 and 65535"},
	{WithServer("", 5433), "otdb: WithServer: the address is empty; leave the option out to have it inferred"},
	{WithQueryText(QueryTextOff + 1), "otdb: WithQueryText: 3 is none of the QueryText constants"},
	{WithOperations(allOperations + 1), "otdb: WithOperations: 0x80 holds unknown operations"},
	{WithCommenter(0), "otdb: WithCommenter: 0 is neither CommentStatic nor CommentFull"},
	{WithCommenter(CommentFull + 1), "otdb: WithCommenter: 3 is neither CommentStatic nor CommentFull"},
	{WithCommenter(CommentStatic, attribute.String("", "x")), `otdb: WithCommenter: the tag "" cannot be written`},
	{WithCommenter(CommentStatic, attribute.String("a*/b", "x")), `otdb: WithCommenter: the tag "a*/b" cannot be written`},
	{WithSlowLog(-time.Second, nil), "otdb: WithSlowLog: the threshold -1s is negative"},
	{WithMaxSummaries(0), "otdb: WithMaxSummaries: 0 is not positive"},
	{WithMaxSummaries(-1), "otdb: WithMaxSummaries: -1 is not positive"},
}

func TestNilOptionsAreIgnored(t *testing.T) {
	r := newRig(t)
	db, err := Open("sqlite3", ":memory:", nil, WithTracerProvider(nil), WithMeterProvider(nil), WithPropagator(nil), WithSlowLog(0, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	r.WantHandled()
}

func TestOperationNames(t *testing.T) {
	for o, want := range map[Operation]string{
		0: "statement", OperationConnect: "CONNECT", OperationResetSession: "RESET_SESSION",
		DefaultOperations: "CONNECT|BEGIN|COMMIT|ROLLBACK|PREPARE", 1<<7 | OperationPing: "PING|unknown",
	} {
		if got := o.String(); got != want {
			t.Errorf("%d is %q, want %q", o, got, want)
		}
	}
}

func TestMistakesAreReturned(t *testing.T) {
	for _, m := range mistakes {
		r := newRig(t)
		if db, err := Open("sqlite3", ":memory:", m.option); db != nil || err == nil || err.Error() != m.text {
			t.Errorf("Open: %v, %v, want %s", db, err, m.text)
		}
		before := sql.Drivers()
		if name, err := Register("sqlite3", m.option); name != "" || err == nil || err.Error() != m.text {
			t.Errorf("Register: %q, %v, want %s", name, err, m.text)
		}
		if !slices.Equal(before, sql.Drivers()) {
			t.Error("Register has registered a driver")
		}
		db, err := sql.Open("sqlite3", ":memory:")
		if err != nil {
			t.Fatal(err)
		}
		stop, err := ObservePool(db, m.option)
		if err == nil || err.Error() != m.text {
			t.Errorf("ObservePool: %v, want %s", err, m.text)
		}
		stop()
		_ = db.Close()
		r.WantHandled()
	}
	_, err := Open("sqlite3", ":memory:", nil, WithMaxSummaries(0), WithSystem(""))
	if want := "otdb: WithMaxSummaries: 0 is not positive\notdb: WithSystem: the name is empty; leave the option out to have it inferred"; err == nil || err.Error() != want {
		t.Errorf("err = %v, want all mistakes: %s", err, want)
	}
}

func TestMistakesAreReported(t *testing.T) {
	for _, m := range mistakes {
		r := newRig(t)
		opts := r.options(m.option)
		bare := sqliteConnector(t, ":memory:")

		db := OpenDB(bare, opts...)
		r.WantHandled(m.text)
		if err := db.PingContext(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if n := len(r.TakeSpans()); n != 1 {
			t.Errorf("%s: %d spans of OpenDB", m.text, n)
		}

		db = sql.OpenDB(WrapConnector(bare, opts...))
		r.WantHandled(m.text)
		_ = db.Close()

		wrapped := WrapDriver(bare.Driver(), opts...)
		r.WantHandled(m.text) // once, not at every connection
		for range 2 {
			c, err := wrapped.Open(":memory:")
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		r.WantHandled()
	}
}

// Options that are left out or nil mean the defaults.
func TestNilOptionsAreDefaults(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithQueryParameters(nil), WithSpanFilter(nil), WithErrorText(nil),
		WithPropagator(nil), WithAttributes(), WithNamespace(""), WithServer("", 0), WithPoolName(""))
	script(t, context.Background(), db)
	if n := len(r.Spans()); n != 4 {
		t.Errorf("%d spans", n)
	}
	r.wantDurations()
	r.WantNothingOf("canary")
}

func TestTargetAndAttributes(t *testing.T) {
	for _, test := range []struct {
		name string
		opts []Option
		conn attrs
	}{
		{"inferred", nil, attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}},
		{"system", []Option{WithSystem("mariadb")}, attrs{"db.system.name": "mariadb", "db.namespace": "shop.db"}},
		{"namespace", []Option{WithNamespace("shop")}, attrs{"db.system.name": "sqlite", "db.namespace": "shop"}},
		{"server", []Option{WithServer("db.example.com", 7)}, attrs{
			"db.system.name": "sqlite", "db.namespace": "shop.db", "server.address": "db.example.com", "server.port": 7,
		}},
		{"server without a port", []Option{WithServer("db.example.com", 0)}, attrs{
			"db.system.name": "sqlite", "db.namespace": "shop.db", "server.address": "db.example.com",
		}},
		{"server with the default port", []Option{WithSystem("postgresql"), WithServer("db.example.com", 5432)}, attrs{
			"db.system.name": "postgresql", "db.namespace": "shop.db", "server.address": "db.example.com",
		}},
		{"attributes", []Option{WithAttributes(attribute.String("a", "x"), attribute.Int("b", 1)), WithAttributes(attribute.Bool("c", true))}, attrs{
			"db.system.name": "sqlite", "db.namespace": "shop.db", "a": "x", "b": 1, "c": true,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			db := r.open("sqlite3", sqliteFile(t), test.opts...)
			if _, err := db.ExecContext(context.Background(), "DELETE FROM otdb_users"); err != nil {
				t.Fatal(err)
			}
			r.wantSpans(
				span{name: "CONNECT", start: test.conn.With(attrs{"db.operation.name": "CONNECT"})},
				span{name: "DELETE otdb_users", start: test.conn.With(attrs{
					"db.query.summary": "DELETE otdb_users", "db.query.text": "DELETE FROM otdb_users",
				})},
			)
			r.wantDurations()
		})
	}
}

func TestSpanIsNamedAfterTheSystemWithoutSummary(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", ":memory:")
	if _, err := db.ExecContext(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	conn := attrs{"db.system.name": "sqlite"}
	r.wantSpans(
		span{name: "CONNECT", start: conn.With(attrs{"db.operation.name": "CONNECT"})},
		span{name: "sqlite", start: conn}, // nor is there a text
	)
	r.wantDurations()
}

func TestQueryText(t *testing.T) {
	const (
		static     = "SELECT email FROM otdb_users WHERE id = ? AND email <> 'static'"
		sanitized  = "SELECT email FROM otdb_users WHERE id = ? AND email <> ?"
		literal    = "SELECT email FROM otdb_users WHERE email = 'canary-1@example.com' -- canary\n AND id IN (1, 2, 3)"
		noLiterals = "SELECT email FROM otdb_users WHERE email = ? \n AND id IN (?)"
	)
	conn := attrs{"db.system.name": "sqlite", "db.namespace": "shop.db", "db.query.summary": "SELECT otdb_users"}
	for _, test := range []struct {
		name             string
		mode             QueryText
		static, literals string
	}{
		{"default", QueryTextDefault, static, noLiterals},
		{"sanitized", QueryTextSanitized, sanitized, noLiterals},
		{"off", QueryTextOff, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			db := r.open("sqlite3", sqliteFile(t), WithQueryText(test.mode))
			ctx := context.Background()
			if err := db.PingContext(ctx); err != nil {
				t.Fatal(err)
			}
			r.TakeSpans()
			var email string
			for range 2 { // from the cache, too
				if err := db.QueryRowContext(ctx, static, 1).Scan(&email); err != nil {
					t.Fatal(err)
				}
				if err := db.QueryRowContext(ctx, literal).Scan(&email); err != nil {
					t.Fatal(err)
				}
			}
			// Without arguments the text is not parameterised, placeholder or not.
			if err := db.QueryRowContext(ctx, static).Scan(&email); err == nil {
				t.Fatal("no error")
			}
			if _, err := db.PrepareContext(ctx, static); err != nil {
				t.Fatal(err)
			}
			with := func(text string) attrs {
				if text == "" {
					return conn
				}
				return conn.With(attrs{"db.query.text": text})
			}
			withoutArguments := sanitized
			if test.mode == QueryTextOff {
				withoutArguments = ""
			}
			spans := r.Spans()
			failed := spans[len(spans)-2]
			r.wantSpans(
				span{name: "SELECT otdb_users", start: with(test.static)},
				span{name: "SELECT otdb_users", start: with(test.literals)},
				span{name: "SELECT otdb_users", start: with(test.static)},
				span{name: "SELECT otdb_users", start: with(test.literals)},
				span{
					name: "SELECT otdb_users", start: with(withoutArguments), failed: true, status: failed.Status().Description,
					end: attrs{"error.type": "*errors.errorString"},
				},
				span{name: "PREPARE", start: with(test.static).With(attrs{"db.operation.name": "PREPARE"})},
			)
			r.WantNothingOf("canary")
		})
	}
}

func TestQueryParameters(t *testing.T) {
	r := newRig(t)
	allowed := []string{"id", "at", "0", "2", "4", "6", "7"}
	db := r.open("sqlite3", sqliteFile(t), WithQueryParameters(func(key string) bool { return slices.Contains(allowed, key) }))
	ctx := context.Background()
	if err := db.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
	r.TakeSpans()
	conn := attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}

	const named = "SELECT email FROM otdb_users WHERE id = :id AND email <> :email"
	var email string
	if err := db.QueryRowContext(ctx, named, sql.Named("id", 1), sql.Named("email", "canary")).Scan(&email); err != nil {
		t.Fatal(err)
	}
	r.wantSpans(span{name: "SELECT otdb_users", start: conn.With(attrs{
		"db.query.summary": "SELECT otdb_users", "db.query.text": named, "db.query.parameter.id": "1",
	})})

	const values = "SELECT ?, ?, ?, ?, ?, ?, ?, ?"
	at := time.Date(2026, 5, 4, 3, 2, 1, 7, time.UTC)
	args := []any{"text", "canary", []byte("bytes"), "canary", nil, "canary", at, 1.5}
	read := make([]any, len(args))
	for i := range read {
		read[i] = new(any)
	}
	st, err := db.PrepareContext(ctx, values)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	r.TakeSpans()
	start := conn.With(attrs{
		"db.query.summary": "SELECT", "db.query.text": values, "db.query.parameter.0": "text", "db.query.parameter.2": "bytes",
		"db.query.parameter.4": "NULL", "db.query.parameter.6": "2026-05-04T03:02:01.000000007Z", "db.query.parameter.7": "1.5",
	})
	if err := db.QueryRowContext(ctx, values, args...).Scan(read...); err != nil {
		t.Fatal(err)
	}
	if err := st.QueryRowContext(ctx, args...).Scan(read...); err != nil {
		t.Fatal(err)
	}
	r.wantSpans(span{name: "SELECT", start: start}, span{name: "SELECT", start: start})

	// A key that is not allowed adds nothing, and so does a call without arguments.
	if _, err := db.ExecContext(ctx, "UPDATE otdb_users SET id = :else WHERE id = 404", sql.Named("else", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "DELETE FROM otdb_users"); err != nil {
		t.Fatal(err)
	}
	r.wantSpans(
		span{name: "UPDATE otdb_users", start: conn.With(attrs{
			"db.query.summary": "UPDATE otdb_users", "db.query.text": "UPDATE otdb_users SET id = :else WHERE id = 404",
		})},
		span{name: "DELETE otdb_users", start: conn.With(attrs{"db.query.summary": "DELETE otdb_users", "db.query.text": "DELETE FROM otdb_users"})},
	)
	r.wantDurations()
	r.WantNothingOf("canary")
}

func TestSpanFilter(t *testing.T) {
	r := newRig(t)
	var infos []SpanInfo
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "seen")
	db, _ := r.openTicking(WithSpanFilter(func(ctx context.Context, info SpanInfo) bool {
		if ctx.Value(key{}) != "seen" {
			t.Error("the filter did not get the statement's context")
		}
		infos = append(infos, info)
		return info.Summary == "SELECT otdb_users"
	}))
	script(t, ctx, db)
	r.WantMetric(metricdata.Metrics{ // all of them
		Name: "db.client.operation.duration", Description: "Duration of database client operations.", Unit: "s",
		Data: withLengthOf(scriptMetric().Data.(metricdata.Histogram[float64]), "SELECT otdb_users", r),
	})
	r.wantSpans(span{name: "SELECT otdb_users", start: attrs{
		"db.system.name": "sqlite", "db.namespace": "shop.db", "db.query.summary": "SELECT otdb_users",
		"db.query.text": "SELECT id, email FROM otdb_users WHERE id < ?",
	}})
	st, err := db.PrepareContext(ctx, "DELETE FROM otdb_users WHERE id = ?")
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Close()
	want := []SpanInfo{
		{Operation: OperationConnect},
		{Summary: "INSERT otdb_users", Query: "INSERT INTO otdb_users (id, email) VALUES (?, ?)"},
		{Summary: "SELECT otdb_users", Query: "SELECT id, email FROM otdb_users WHERE id < ?"},
		{Summary: "INSERT otdb_users", Query: "INSERT INTO otdb_users (id, email) VALUES (?, ?)"},
		{Operation: OperationPrepare, Query: "DELETE FROM otdb_users WHERE id = ?"},
	}
	if !slices.Equal(infos, want) {
		t.Errorf("the filter was asked\n%+v, want\n%+v", infos, want)
	}
}

// withLengthOf puts the length of the one span into the point of its summary.
func withLengthOf(h metricdata.Histogram[float64], summary string, r *rig) metricdata.Histogram[float64] {
	s := r.Spans()[0]
	length := s.EndTime().Sub(s.StartTime()).Seconds()
	for i, p := range h.DataPoints {
		if v, _ := p.Attributes.Value("db.query.summary"); v.AsString() == summary {
			h.DataPoints[i] = histogram(p.Bounds, []observation{{p.Attributes, length}}).DataPoints[0]
		}
	}
	return h
}

func TestRequireParent(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithRequireParent())
	script(t, context.Background(), db)
	r.wantSpans()
	ctx, task := r.Start("task")
	if _, err := db.ExecContext(ctx, "DELETE FROM otdb_users"); err != nil {
		t.Fatal(err)
	}
	task.End()
	deleted := span{name: "DELETE otdb_users", parent: "task", start: attrs{
		"db.system.name": "sqlite", "db.namespace": "shop.db", "db.query.summary": "DELETE otdb_users", "db.query.text": "DELETE FROM otdb_users",
	}}
	r.wantSpans(deleted)
	// A parent in another process is one as well.
	remote := trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
	if _, err := db.ExecContext(remote, "DELETE FROM otdb_users"); err != nil {
		t.Fatal(err)
	}
	deleted.parent = "remote"
	r.wantSpans(deleted)
}

func TestOperations(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithOperations(OperationCommit))
	ctx := context.Background()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := tx.PrepareContext(ctx, "DELETE FROM otdb_users")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.ExecContext(ctx); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if tx, err = db.BeginTx(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
	conn := attrs{"db.system.name": "sqlite", "db.namespace": "shop.db"}
	r.wantSpans(
		span{name: "DELETE otdb_users", start: conn.With(attrs{"db.query.summary": "DELETE otdb_users", "db.query.text": "DELETE FROM otdb_users"})},
		span{name: "COMMIT", start: conn.With(attrs{"db.operation.name": "COMMIT"})},
	)
	r.wantDurations() // metrics neither
}

func TestErrorText(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithErrorText(func(err error) string {
		if errs.Classify(err).Kind != errs.KindConstraint {
			t.Errorf("err = %v", err)
		}
		return "it went wrong"
	}))
	script(t, context.Background(), db)
	spans := r.Spans()
	if got := spans[3].Status().Description; got != "it went wrong" {
		t.Errorf("status %q", got)
	}
}

func TestPanicsOfGivenFunctions(t *testing.T) {
	boom := func() { panic("canary") }
	for _, test := range []struct {
		name   string
		option Option
		calls  int // of the function, in a script
	}{
		{"WithSpanFilter", WithSpanFilter(func(context.Context, SpanInfo) bool { boom(); return false }), 4},
		{"WithQueryParameters", WithQueryParameters(func(string) bool { boom(); return true }), 3},
		{"WithErrorText", WithErrorText(func(error) string { boom(); return "canary" }), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			db := r.open("sqlite3", sqliteFile(t), test.option)
			script(t, context.Background(), db)
			r.WantHandled(slices.Repeat([]string{"otdb: the function given to " + test.name + " panicked with a string"}, test.calls)...)
			spans := r.Spans()
			if len(spans) != 4 {
				t.Errorf("%d spans", len(spans))
			}
			if got := spans[3].Status().Description; test.name == "WithErrorText" && got != "" {
				t.Errorf("status %q", got)
			}
			r.wantDurations()
			r.WantNothingOf("canary")
		})
	}
}

// records keeps log records as text, with the span of their context.
type records struct {
	mu    sync.Mutex
	lines []string
	spans []trace.SpanContext
	level slog.Level
}

func (h *records) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *records) Handle(ctx context.Context, rec slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := fmt.Sprintf("%v %s", rec.Level, rec.Message)
	rec.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v(%v)", a.Key, a.Value.Kind(), a.Value)
		return true
	})
	h.lines = append(h.lines, line)
	h.spans = append(h.spans, trace.SpanContextFromContext(ctx))
	return nil
}

func (h *records) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *records) WithGroup(string) slog.Handler      { return h }

func TestSlowStatements(t *testing.T) {
	h := &records{}
	r := newRig(t)
	db, _ := r.openTicking(WithTracerProvider(noop.NewTracerProvider()),
		WithAttributes(attribute.String("zone", "b")), WithSlowLog(4*time.Millisecond, slog.New(h)))
	script(t, context.Background(), db)
	want := []string{"WARN slow statement db.system.name=String(sqlite) db.namespace=String(shop.db) zone=String(b) " +
		"db.query.summary=String(SELECT otdb_users) duration=Float64(0.004) otdb.driver.duration=Float64(0.004)"}
	if !slices.Equal(h.lines, want) {
		t.Errorf("logged\n%q, want\n%q", h.lines, want)
	}
}

func TestSlowStatementThatFails(t *testing.T) {
	h := &records{}
	previous := slog.Default()
	defer slog.SetDefault(previous)
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithSlowLog(time.Nanosecond, nil))
	slog.SetDefault(slog.New(h)) // after Open
	script(t, context.Background(), db)
	spans := r.Spans()
	if len(h.lines) != 3 { // CONNECT is no statement
		t.Fatalf("logged %q", h.lines)
	}
	failed := spans[3]
	want := fmt.Sprintf("WARN slow statement db.system.name=String(sqlite) db.namespace=String(shop.db) "+
		"db.query.summary=String(INSERT otdb_users) duration=Float64(%[1]v) otdb.driver.duration=Float64(%[1]v) "+
		"error.type=String(1555) db.response.status_code=String(1555)", failed.EndTime().Sub(failed.StartTime()).Seconds())
	if h.lines[2] != want {
		t.Errorf("logged\n%s, want\n%s", h.lines[2], want)
	}
	if !h.spans[2].Equal(failed.SpanContext()) {
		t.Error("the record is not in the statement's context")
	}
	if strings.Contains(strings.Join(h.lines, ""), "canary") {
		t.Errorf("logged a value: %q", h.lines)
	}

	h.level = slog.LevelError // nobody looks
	script(t, context.Background(), r.open("sqlite3", sqliteFile(t), WithSlowLog(time.Nanosecond, nil)))
	if len(h.lines) != 3 {
		t.Errorf("logged %q", h.lines[3:])
	}
}

func TestSlowStatementsAreNotThoseUnderTheThreshold(t *testing.T) {
	h := &records{}
	r := newRig(t)
	db := r.open("sqlite3", sqliteFile(t), WithSlowLog(time.Hour, slog.New(h)))
	script(t, context.Background(), db)
	if len(h.lines) > 0 {
		t.Errorf("logged %q", h.lines)
	}
}
