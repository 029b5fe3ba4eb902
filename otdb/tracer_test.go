package otdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
)

// tracer returns a tracer whose telemetry goes to the rig.
func (r *rig) tracer(opts ...Option) *Tracer {
	r.t.Helper()
	t, err := NewTracer("postgresql", r.options(opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

// readings is a clock that shows what a test sets.
func readings(now *time.Duration) Option {
	return optionFunc(func(c *config) {
		c.clock = instrument.Clock{Now: func() time.Duration { return *now }, Time: time.Unix(0, 0).Add}
	})
}

// run is an operation that has ended at once.
func (t *Tracer) run(ctx context.Context, c Call, rows int64, err error) {
	_, s := t.Start(ctx, c)
	s.End(rows, err)
}

func TestTracerSpans(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer(WithRowCounts(), WithQueryParameters(func(key string) bool { return key == "1" }))
	ctx, root := r.Start("root")
	served := Call{Server: "db.example.com", Port: 6432, Namespace: "shop"}
	call := func(change func(*Call)) Call {
		c := served
		change(&c)
		return c
	}
	refused := serializationFailure{}

	tracer.run(ctx, call(func(c *Call) { c.Operation = OperationConnect }), -1, nil)
	tracer.run(ctx, call(func(c *Call) {
		c.Query, c.Args = "SELECT name FROM users WHERE id = $1 AND age > $2", []any{"secret", 17}
	}), 3, nil)
	tracer.run(ctx, call(func(c *Call) { c.Query = "DELETE FROM users WHERE name = 'ada'" }), -1, refused)
	tracer.run(ctx, call(func(c *Call) { c.Operation, c.Query = OperationPrepare, "UPDATE users SET name = $1" }), -1, nil)
	tracer.run(NameQuery(ctx, "orders.count"), Call{Query: "SELECT count(*) FROM orders"}, 1, nil)
	tracer.run(ctx, Call{Operation: OperationPing}, -1, nil) // is not traced
	tracer.run(ctx, call(func(c *Call) { c.Query, c.Waited = "VACUUM", 2*time.Millisecond }), -1, nil)
	root.End()

	at := attrs{"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "db.example.com", "server.port": 6432}
	r.wantSpans(
		span{name: "CONNECT", parent: "root", start: at.With(attrs{"db.operation.name": "CONNECT"})},
		span{
			name: "SELECT users", parent: "root", start: at.With(attrs{
				"db.query.summary": "SELECT users", "db.query.text": "SELECT name FROM users WHERE id = $1 AND age > $2",
				"db.query.parameter.1": "17",
			}),
			end: attrs{"db.response.returned_rows": 3},
		},
		span{
			name: "DELETE users", parent: "root",
			start: at.With(attrs{"db.query.summary": "DELETE users", "db.query.text": "DELETE FROM users WHERE name = ?"}),
			end:   attrs{"error.type": "40001", "db.response.status_code": "40001"}, err: refused,
		},
		span{name: "PREPARE", parent: "root", start: at.With(attrs{
			"db.operation.name": "PREPARE", "db.query.summary": "UPDATE users", "db.query.text": "UPDATE users SET name = $1",
		})},
		span{
			name: "orders.count", parent: "root",
			start: attrs{"db.system.name": "postgresql", "db.query.summary": "orders.count", "db.query.text": "SELECT count(*) FROM orders"},
			end:   attrs{"db.response.returned_rows": 1},
		},
		span{
			name: "VACUUM", parent: "root", start: at.With(attrs{"db.query.summary": "VACUUM", "db.query.text": "VACUUM"}),
			end: attrs{"otdb.connection.wait": .002},
		},
	)
	r.wantDurations("otdb.connection.wait")
}

// A batch is one operation, and its statements are statements.
func TestTracerBatches(t *testing.T) {
	for _, test := range []struct {
		queries       []string
		summary, text string
		ctx           context.Context
	}{
		{
			[]string{"INSERT INTO a VALUES ($1)", "INSERT INTO a VALUES ($1)", "INSERT INTO a VALUES ($1)"},
			"BATCH INSERT a", "INSERT INTO a VALUES ($1)", t.Context(),
		}, {
			[]string{"INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (2)", "INSERT INTO a (b) VALUES ('c')"},
			"BATCH INSERT a", "INSERT INTO a VALUES (?); INSERT INTO a (b) VALUES (?)", t.Context(),
		}, {
			[]string{"INSERT INTO a VALUES ($1)", "DELETE FROM b", "INSERT INTO a VALUES ($1)"},
			"BATCH", "INSERT INTO a VALUES ($1); DELETE FROM b; INSERT INTO a VALUES ($1)", t.Context(),
		}, {
			[]string{"INSERT INTO a VALUES ($1)", "DELETE FROM b"},
			"orders.load", "INSERT INTO a VALUES ($1); DELETE FROM b", NameQuery(t.Context(), "orders.load"),
		}, {
			[]string{"", ""}, "BATCH", "", t.Context(),
		},
	} {
		r := newRig(t)
		var filtered []SpanInfo
		tracer := r.tracer(WithSpanFilter(func(_ context.Context, i SpanInfo) bool { filtered = append(filtered, i); return true }))
		task := ledger.New(nil, "task")
		tracer.run(ledger.NewContext(test.ctx, task), Call{Batch: test.queries}, 7, nil)
		start := attrs{"db.system.name": "postgresql", "db.query.summary": test.summary, "db.operation.batch.size": len(test.queries)}
		if test.text != "" {
			start["db.query.text"] = test.text
		}
		r.wantSpans(span{name: test.summary, start: start})
		r.wantDurations("db.operation.batch.size")
		if want := []SpanInfo{{Summary: test.summary, Query: strings.Join(test.queries, "; ")}}; !reflect.DeepEqual(filtered, want) {
			t.Errorf("the filter saw %+v, want %+v", filtered, want)
		}
		n := int64(len(test.queries))
		if got := task.Totals(); got.Operations != 1 || got.Statements != n || got.Rows != 7 || got.Duration <= 0 {
			t.Errorf("the account is %+v", got)
		}
		var counted int64
		for _, s := range task.Statements() {
			if s.Summary == test.summary && s.Batch {
				if s.Count != 1 || s.Rows != 7 || s.Total != task.Totals().Duration || s.SQL != test.text {
					t.Errorf("the batch is %+v", s)
				}
				continue
			}
			if counted += s.Count; s.Total != 0 {
				t.Errorf("a statement of a batch has a time of its own: %+v", s)
			}
		}
		if counted != n {
			t.Errorf("%d statements have accounts, want %d", counted, n)
		}
		if got := task.Repeated(1); len(got) != 0 {
			t.Errorf("repeated: %+v", got)
		}
	}
	// One statement is no batch, and what ran outside of batches is repeated.
	r := newRig(t)
	task := ledger.New(nil, "task")
	ctx := ledger.NewContext(t.Context(), task)
	tracer := r.tracer()
	tracer.run(ctx, Call{Batch: []string{"DELETE FROM b"}}, -1, nil)
	tracer.run(ctx, Call{Batch: []string{"DELETE FROM b", "DELETE FROM b"}}, -1, nil)
	tracer.run(ctx, Call{Query: "DELETE FROM b"}, -1, nil)
	want := attrs{"db.system.name": "postgresql", "db.query.summary": "DELETE b", "db.query.text": "DELETE FROM b"}
	r.wantSpans(span{name: "DELETE b", start: want}, span{
		name: "BATCH DELETE b", start: want.With(attrs{"db.query.summary": "BATCH DELETE b", "db.operation.batch.size": 2}),
	}, span{name: "DELETE b", start: want})
	if got := task.Repeated(1); len(got) != 1 || got[0].Count != 2 || got[0].Summary != "DELETE b" {
		t.Errorf("repeated: %+v", got)
	}
}

// Batches of many long texts are bounded, and so are their summaries.
func TestTracerLongBatches(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer(WithMaxSummaries(1))
	task := ledger.New(nil, "task")
	var queries []string
	for i := range 5000 {
		queries = append(queries, fmt.Sprintf("SELECT %s FROM t%d", strings.Repeat("é", 500), i))
	}
	tracer.run(ledger.NewContext(t.Context(), task), Call{Batch: queries}, -1, nil)
	s := r.Spans()[0]
	for _, a := range s.Attributes() {
		if len(a.Value.AsString()) > 4<<10 {
			t.Errorf("%s has %d bytes", a.Key, len(a.Value.AsString()))
		}
	}
	if got := task.Totals(); got.Statements != 5000 || len(task.Statements()) > ledger.MaxStatements {
		t.Errorf("the account is %+v of %d texts", got, len(task.Statements()))
	}
}

// A span ends once, with the first call or with its task.
func TestTracerEndsOnce(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer()
	(*Span)(nil).End(0, nil)

	task := ledger.New(nil, "task")
	ctx := ledger.NewContext(t.Context(), task)
	_, twice := tracer.Start(ctx, Call{Query: "DELETE FROM a"})
	twice.End(-1, nil)
	twice.End(3, errors.New("again"))
	_, open := tracer.Start(ctx, Call{Query: "SELECT * FROM b"})
	_, connect := tracer.Start(ctx, Call{Operation: OperationConnect}) // is no result set
	done, cancel := context.WithCancel(ctx)
	_, cancelled := tracer.Start(done, Call{Query: "SELECT * FROM c"})
	_, batch := tracer.Start(ctx, Call{Batch: []string{"SELECT 1", "SELECT 2"}})
	cancel()
	if s := task.Snapshot(time.Now()); len(s.InProgress) != 4 || len(s.Held) != 0 {
		t.Errorf("in progress: %v, held: %v", s.InProgress, s.Held)
	}
	var leaks []string
	for _, l := range task.EndTask() {
		leaks = append(leaks, l.Summary)
	}
	if want := []string{"SELECT b", "BATCH SELECT"}; !reflect.DeepEqual(leaks, want) {
		t.Errorf("leaks %v, want %v", leaks, want)
	}
	for _, s := range []*Span{open, connect, cancelled, batch} {
		s.End(7, nil)
		s.End(7, nil)
	}
	db := attrs{"db.system.name": "postgresql"}
	leaked := attrs{"otdb.rows_leaked": true}
	r.wantSpans(
		span{name: "DELETE a", start: db.With(attrs{"db.query.summary": "DELETE a", "db.query.text": "DELETE FROM a"})},
		span{name: "SELECT b", start: db.With(attrs{"db.query.summary": "SELECT b", "db.query.text": "SELECT * FROM b"}), end: leaked},
		span{name: "BATCH SELECT", start: db.With(attrs{
			"db.query.summary": "BATCH SELECT", "db.query.text": "SELECT ?", "db.operation.batch.size": 2,
		}), end: leaked},
		span{name: "CONNECT", start: db.With(attrs{"db.operation.name": "CONNECT"})},
		span{name: "SELECT c", start: db.With(attrs{"db.query.summary": "SELECT c", "db.query.text": "SELECT * FROM c"})},
	)
	r.wantDurations("otdb.rows_leaked", "db.operation.batch.size")
	if got := task.Totals(); got.Operations != 3 || got.Statements != 4 || got.Rows != 0 {
		t.Errorf("the account is %+v", got)
	}
}

// One that is ended while its task ends, ends once.
func TestTracerRace(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer()
	for range 200 {
		task := ledger.New(nil, "task")
		_, s := tracer.Start(ledger.NewContext(t.Context(), task), Call{Query: "SELECT 1", Session: t})
		var all sync.WaitGroup
		all.Go(func() { s.End(1, nil) })
		all.Go(func() { task.EndTask() })
		all.Wait()
	}
	if n := len(r.Spans()); n != 200 {
		t.Errorf("%d spans", n)
	}
	r.wantDurations("otdb.rows_leaked")
}

// transactions are the points of otdb.transaction.duration, by outcome.
func (r *rig) transactions() map[string]string {
	got := make(map[string]string)
	if m, ok := r.Collect()["otdb.transaction.duration"]; ok {
		for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
			outcome, _ := p.Attributes.Value("otdb.transaction.outcome")
			got[outcome.AsString()] = fmt.Sprint(p.Count, " in ", p.Sum, " s, ", p.Attributes.Len(), " attributes")
		}
	}
	return got
}

func TestTracerTransactions(t *testing.T) {
	for name, opts := range map[string][]Option{"traced": nil, "not traced": {WithOperations(0)}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			var now time.Duration
			// Spans without times: the clock has them.
			opts := append(opts, WithTracerProvider(foreignProvider{tp: r.TracerProvider}), readings(&now))
			tracer := r.tracer(opts...)
			ctx := t.Context()
			at := Call{Server: "db.example.com", Namespace: "shop"}
			op := func(o Operation, session any, err error) {
				c := at
				c.Operation, c.Session = o, session
				_, s := tracer.Start(ctx, c)
				now += time.Second
				s.End(-1, err)
			}
			session := new(int)
			op(OperationBegin, session, nil)
			tracer.Transaction(ctx, session, TxOpen) // which is known
			op(OperationCommit, session, nil)
			tracer.Transaction(ctx, session, TxNone) // and so is this
			op(OperationCommit, session, nil)        // of no transaction

			op(OperationBegin, session, serializationFailure{})
			tracer.Transaction(ctx, session, TxCommitted) // there was none

			op(OperationBegin, session, nil)
			op(OperationRollback, session, nil)

			op(OperationBegin, session, nil)
			op(OperationCommit, session, serializationFailure{})

			op(OperationBegin, session, nil)
			op(OperationCommit, session, errors.New("broken pipe"))

			other := new(int)
			op(OperationBegin, session, nil)
			op(OperationBegin, other, nil)
			now += time.Minute
			tracer.Transaction(ctx, session, TxRolledBack)
			op(OperationRollback, session, nil) // too late
			tracer.Transaction(ctx, other, TxState(9))

			tracer.Transaction(ctx, session, TxOpen)
			now += time.Hour
			tracer.Transaction(ctx, session, TxCommitted)
			tracer.Transaction(ctx, nil, TxOpen)

			want := map[string]string{
				"commit":   "2 in 3602 s, 4 attributes",
				"rollback": "3 in 66 s, 4 attributes",
				"lost":     "2 in 64 s, 4 attributes",
			}
			if got := r.transactions(); !reflect.DeepEqual(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			if n := tracer.sessions.n.Load(); n != 0 {
				t.Errorf("%d sessions are kept", n)
			}
		})
	}
}

// A session that cannot be a key, or is one too many, is none.
func TestTracerSessions(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer()
	ctx := t.Context()
	tracer.run(ctx, Call{Operation: OperationBegin, Session: []int{1}}, -1, nil)
	if n := tracer.sessions.n.Load(); n != 0 {
		t.Errorf("%d sessions are kept", n)
	}
	r.WantHandled("otdb: the session of a call panicked with a runtime.errorString")
	for i := range maxSessions + 100 {
		tracer.Transaction(ctx, i, TxOpen)
	}
	if n := tracer.sessions.n.Load(); n != maxSessions {
		t.Errorf("%d sessions are kept", n)
	}
	for i := range maxSessions + 100 {
		tracer.Transaction(ctx, i, TxNone)
	}
	if n := tracer.sessions.n.Load(); n != 0 {
		t.Errorf("%d sessions are kept", n)
	}
}

// A transaction that is open when its task ends is a leak, and one in which nothing
// happens for long is idle.
func TestTracerTransactionFindings(t *testing.T) {
	r := newRig(t)
	var now time.Duration
	tracer := r.tracer(WithTracerProvider(foreignProvider{tp: r.TracerProvider}), readings(&now))
	var task ledger.Ledger
	task.Init(nil, ledger.Config{Task: "task", Limits: &ledger.Limits{IdleTransactions: 10 * time.Second}})
	ctx := task.Bind(t.Context())
	step := func(c Call) {
		c.Session = "one"
		_, s := tracer.Start(ctx, c)
		now += time.Second
		s.End(-1, nil)
		now += 6 * time.Second
	}
	step(Call{Operation: OperationBegin})
	step(Call{Query: "DELETE FROM a"})
	if held := task.Snapshot(time.Now()).Held; len(held) != 1 || !held[0].Transaction || held[0].Summary != "DELETE a" {
		t.Errorf("held: %+v", held)
	}
	step(Call{Operation: OperationCommit})
	idle := task.Idle()
	if len(idle) != 1 || idle[0].Longest != 12*time.Second || idle[0].Summary != "DELETE a" {
		t.Errorf("idle: %+v", idle)
	}
	step(Call{Operation: OperationBegin})
	leaks := task.EndTask()
	if len(leaks) != 1 || !leaks[0].Transaction || leaks[0].Summary != "BEGIN" {
		t.Errorf("leaks: %+v", leaks)
	}
	step(Call{Operation: OperationRollback})
	if got := r.transactions(); got["rollback"] == "" {
		t.Errorf("the transaction was not recorded: %v", got)
	}
}

func TestTracerWaits(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer()
	task := ledger.New(nil, "task")
	ctx := ledger.NewContext(t.Context(), task)
	tracer.Waited(t.Context(), time.Hour) // outside of tasks
	tracer.Waited(ctx, -1)
	tracer.Waited(ctx, 2*time.Second) // the server is not known
	tracer.run(ctx, Call{Operation: OperationConnect, Server: "db.example.com", Namespace: "shop"}, -1, nil)
	tracer.Waited(ctx, time.Second)
	named := r.tracer(WithPoolName("orders"))
	named.Waited(ctx, 3*time.Second)
	if got := task.Totals().Wait; got != 6*time.Second {
		t.Errorf("the task waited for %v", got)
	}
	got := make(map[string]time.Duration)
	for _, w := range task.LongWaits() {
		got[w.Pool] = w.Total
	}
	want := map[string]time.Duration{"postgresql": 2 * time.Second, "db.example.com:5432/shop": time.Second, "orders": 3 * time.Second}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("waits %v, want %v", got, want)
	}
}

func TestTracerPool(t *testing.T) {
	r := newRig(t)
	stats := sql.DBStats{
		MaxOpenConnections: 8, InUse: 2, Idle: 3, WaitCount: 4, WaitDuration: 5 * time.Second,
		MaxIdleClosed: 6, MaxIdleTimeClosed: 7, MaxLifetimeClosed: 8,
	}
	tracer := r.tracer(WithServer("db.example.com", 5432), WithNamespace("shop"), WithAttributes(attribute.String("zone", "b")))
	stop, err := tracer.ObservePool(func() sql.DBStats { return stats })
	if err != nil {
		t.Fatal(err)
	}
	pool := poolNumbers{
		idle: 3, used: 2, limit: 8, waits: 4, wait: 5 * time.Second, maxIdle: 6, maxIdleTime: 7, maxLifetimeDone: 8,
		target: attrs{"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "db.example.com"},
	}
	zone := attribute.String("zone", "b")
	r.wantPools(map[string]poolNumbers{"db.example.com:5432/shop": pool}, zone)
	stop()
	stop()
	r.wantPools(nil)
	if _, err := tracer.ObservePool(nil); err == nil {
		t.Error("a nil function is a mistake")
	}
	stop, err = tracer.ObservePool(func() sql.DBStats { panic("secret") })
	if err != nil {
		t.Fatal(err)
	}
	r.Collect()
	r.WantHandled("otdb: the function given to Tracer.ObservePool panicked with a string")
	stop()
}

func TestNewTracer(t *testing.T) {
	for _, test := range []struct {
		system string
		opts   []Option
		want   string
	}{
		{"", nil, "otdb: NewTracer: the system is empty"},
		{"", []Option{WithSystem("cassandra")}, ""},
		{"cassandra", []Option{nil}, ""},
		{"cassandra", []Option{WithMaxSummaries(-1)}, "otdb: WithMaxSummaries: -1 is not positive"},
	} {
		tracer, err := NewTracer(test.system, test.opts...)
		if (tracer == nil) != (err != nil) || (err == nil) != (test.want == "") || err != nil && err.Error() != test.want {
			t.Errorf("NewTracer(%q): %v, %v, want %q", test.system, tracer, err, test.want)
		}
		if tracer != nil && tracer.base.target.System != "cassandra" {
			t.Errorf("the system is %q", tracer.base.target.System)
		}
	}
}

// Calls name as many servers as they like.
func TestTracerServers(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer()
	for range 2 {
		for i := range 3 * maxServers / 2 {
			tracer.run(t.Context(), Call{Query: "SELECT 1", Server: fmt.Sprint("db", i)}, 1, nil)
		}
	}
	servers := make(map[string]int)
	for _, s := range r.Spans() {
		address := ""
		for _, a := range s.Attributes() {
			if a.Key == "server.address" {
				address = a.Value.AsString()
			}
		}
		servers[address]++
	}
	if len(servers) != maxServers+1 || servers["db0"] != 2 || servers[""] != maxServers {
		t.Errorf("%d servers, of them %d spans without one", len(servers), servers[""])
	}
	r.wantDurations()
}

// Options come before what calls know.
func TestTracerOptionsFirst(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer(WithSystem("cockroachdb"), WithServer("proxy", 26258), WithNamespace("shop"))
	tracer.run(t.Context(), Call{Query: "SELECT 1", Server: "db.example.com", Port: 1, Namespace: "bank"}, 1, nil)
	r.wantSpans(span{name: "SELECT", start: attrs{
		"db.system.name": "cockroachdb", "server.address": "proxy", "server.port": 26258, "db.namespace": "shop",
		"db.query.summary": "SELECT", "db.query.text": "SELECT ?",
	}})
}

// No value that a client hands over or gets leaves the process.
func TestTracerKeepsSecrets(t *testing.T) {
	const secret = "hunter2-canary"
	r := newRig(t)
	tracer := r.tracer(WithRowCounts(), WithSlowLog(0, nil))
	task := ledger.New(nil, "task")
	ctx := ledger.NewContext(t.Context(), task)
	for _, query := range []string{
		"SELECT * FROM a WHERE b = $1", "SELECT * FROM a WHERE b = '" + secret + "'", "COPY a FROM STDIN WITH (PASSWORD '" + secret + "')",
	} {
		failed := fmt.Errorf("ERROR: invalid value %q near '%s'", secret, secret)
		tracer.run(ctx, Call{Query: query, Args: []any{secret, []byte(secret), &secret1{secret}}}, 1, failed)
		tracer.run(ctx, Call{Operation: OperationPrepare, Query: query}, -1, failed)
		tracer.run(ctx, Call{Batch: []string{query, query + ";"}, Args: []any{secret}, Session: secret}, 1, failed)
		_, s := tracer.Start(ctx, Call{Query: query, Args: []any{secret}})
		s.End(-1, nil)
		s.End(-1, failed) // is remembered all the same
	}
	r.WantNothingOf(secret)
	for _, s := range task.Statements() {
		if strings.Contains(s.SQL+s.Summary, secret) {
			t.Errorf("the account has %q", s.SQL)
		}
	}
}

type secret1 struct{ text string }

func (s *secret1) String() string { return s.text }

// Own spans and folded operations are all operations of a tracer too.
func TestTracerFolds(t *testing.T) {
	for seed := range uint64(20) {
		r := newRig(t)
		var now atomic.Int64
		tracer := r.tracer(withClock(func() time.Duration { return time.Duration(now.Add(int64(time.Second) / 7)) }))
		var all sync.WaitGroup
		var started atomic.Int64
		var grow func(ctx context.Context, rng *rand.Rand, depth int)
		grow = func(ctx context.Context, rng *rand.Rand, depth int) {
			session := new(int)
			for range rng.IntN(16) {
				c := Call{Session: session}
				later := rng.IntN(4) == 0
				if later { // a session does one thing at a time
					c.Session = nil
				}
				switch op := rng.IntN(9); {
				case op < 4:
					c.Query = fmt.Sprintf("DELETE FROM t%d", rng.IntN(12))
				case op == 4:
					c.Batch = []string{"DELETE FROM t1", "DELETE FROM t1"}
				case op < 8:
					c.Operation = []Operation{OperationBegin, OperationCommit, OperationConnect}[rng.IntN(3)]
				case depth < 3:
					inner := r.task(ctx, "inner", rng.IntN(4))
					branch := rand.New(rand.NewPCG(rng.Uint64(), 0)) //nolint:gosec // the same forest each time
					all.Go(func() { grow(inner.ctx, branch, depth+1) })
					if rng.IntN(2) == 0 {
						all.Go(inner.end)
					} else {
						inner.end()
					}
					continue
				}
				started.Add(1)
				var err error
				if rng.IntN(5) == 0 {
					err = serializationFailure{}
				}
				_, s := tracer.Start(ctx, c)
				if later {
					all.Go(func() { s.End(1, err) })
				} else {
					s.End(1, err)
				}
			}
		}
		for i := range uint64(4) {
			root := r.task(context.Background(), "root", 2)
			all.Go(func() {
				grow(root.ctx, rand.New(rand.NewPCG(seed, i)), 0) //nolint:gosec // as above
				root.end()
			})
		}
		all.Wait()
		var sum, points int64
		for name, n := range r.operations() {
			if name != "root" && name != "inner" {
				sum += n
			}
		}
		for _, p := range r.Collect()["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
			points += int64(p.Count)
		}
		if sum != started.Load() || points != sum {
			t.Errorf("seed %d: %d operations, %d points, spans for %d", seed, started.Load(), points, sum)
		}
	}
}

// The spans of a trace are bounded by their kinds, as all are.
func TestTracerFolding(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer()
	task := r.task(t.Context(), "load", 2)
	for range 10 {
		tracer.run(task.ctx, Call{Query: "DELETE FROM a"}, -1, nil)
	}
	for range 5 {
		tracer.run(task.ctx, Call{Batch: []string{"DELETE FROM a", "DELETE FROM a"}}, -1, nil)
	}
	task.end()
	folds, own := r.folded()
	if own["DELETE a"] != 2 || own["BATCH DELETE a"] != 2 || len(folds) != 2 ||
		folds["DELETE a"][0]["otdb.folded.count"] != int64(8) || folds["BATCH DELETE a"][0]["otdb.folded.count"] != int64(3) {
		t.Errorf("%v, %v", own, folds)
	}
	if got := task.Totals(); got.Operations != 15 || got.Statements != 20 {
		t.Errorf("the account is %+v", got)
	}
}

// The context has the span of the operation, for the client's own child spans.
func TestTracerContext(t *testing.T) {
	r := newRig(t)
	tracer := r.tracer()
	ctx, s := tracer.Start(t.Context(), Call{Query: "DELETE FROM a"})
	at := trace.SpanContextFromContext(ctx)
	s.End(-1, nil)
	if got := r.Spans()[0].SpanContext(); !got.Equal(at) {
		t.Errorf("the context has %v, the span is %v", at, got)
	}
}
