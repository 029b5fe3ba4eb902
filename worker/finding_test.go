package worker

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/taskspan/taskspan/internal/ledger"
)

func query(ctx context.Context, summary string, n int, d time.Duration) {
	text := textOf(summary)
	for range n {
		ledger.FromContext(ctx).Record(ledger.Entry{Text: text, Rows: 1, Duration: d})
	}
}

// textOf returns the text that stands for all statements with that summary.
func textOf(summary string) *ledger.Text {
	t := &ledger.Text{Summary: summary, Statement: true}
	if summary != "" {
		h := fnv.New64a()
		h.Write([]byte(summary))
		t.Hash = h.Sum64()
	}
	return t
}

// openRows is a result set that nobody closes.
type openRows struct {
	ledger.Place
	read  int64
	ended int
}

func (r *openRows) EndLeaked() (int64, bool) {
	r.ended++
	return r.read, true
}

func open(ctx context.Context, summary string, read int64) *openRows {
	r := &openRows{read: read}
	r.open(ctx, summary)
	return r
}

func (r *openRows) open(ctx context.Context, summary string) {
	ledger.FromContext(ctx).Begin(&r.Place, nil, textOf(summary), time.Now(), 0)
	r.Hold(r)
}

// foundMetric makes the metric of the findings of the task "load".
func foundMetric(byKind map[string]int64) metricdata.Metrics {
	sum := metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true}
	for kind, n := range byKind {
		sum.DataPoints = append(sum.DataPoints, metricdata.DataPoint[int64]{
			Attributes: set(kv{"worker.task.name": "load", "worker.finding.kind": kind}), Value: n,
		})
	}
	return metricdata.Metrics{
		Name:        "worker.task.findings",
		Description: "Findings of worker tasks, by kind.",
		Unit:        "{finding}",
		Data:        sum,
	}
}

// wantFindings checks the events, the records and the metric of the findings of
// the one span.
func (b *backend) wantFindings(want ...kv) {
	b.t.Helper()
	spans := b.ended()
	var events []event
	var records []record
	byKind := make(map[string]int64)
	for _, w := range want {
		events = append(events, event{Name: "worker.finding", Attrs: w})
		logged := kv{"worker.task.name": "load"}
		for k, v := range w {
			logged[k] = v
		}
		records = append(records, record{slog.LevelWarn, "task finding", "load", logged})
		byKind[w["worker.finding.kind"].(string)]++
	}
	for _, e := range spans[len(spans)-1].Events {
		takeLocation(e.Attrs)
	}
	wantEqual(b.t, "events", spans[len(spans)-1].Events, events)
	for i := range b.log.records {
		takeLocation(b.log.records[i].Attrs)
	}
	b.wantLog(records...)
	got := b.Collect()["worker.task.findings"]
	if len(want) == 0 {
		wantEqual(b.t, "metric", got, metricdata.Metrics{})
		return
	}
	b.WantMetric(foundMetric(byKind))
}

// takeLocation takes off where in the code something was: of most tests, it is in
// these helpers.
func takeLocation(attrs kv) {
	for _, key := range []attribute.Key{"code.file.path", "code.line.number", "code.function.name", "code.stacktrace"} {
		delete(attrs, key)
	}
}

func TestRepeatedStatement(t *testing.T) {
	for name, tc := range map[string]struct {
		opts []Option
		want []kv
	}{
		"default": {nil, []kv{
			{"worker.finding.kind": "repeated_statement", "worker.finding.count": int64(21), "db.query.summary": "SELECT imports"},
			{"worker.finding.kind": "repeated_statement", "worker.finding.count": int64(20), "db.query.summary": "SELECT packages"},
		}},
		"option": {[]Option{WithRepeatedStatements(21)}, []kv{
			{"worker.finding.kind": "repeated_statement", "worker.finding.count": int64(21), "db.query.summary": "SELECT imports"},
		}},
		"off": {[]Option{WithRepeatedStatements(0)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBackend(t, tc.opts...)
				_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
					query(ctx, "SELECT packages", 20, 0)
					query(ctx, "SELECT imports", 21, 0)
					query(ctx, "SELECT modules", 19, 0)
					query(ctx, "", 50, 0)
					return nil
				})
				b.wantFindings(tc.want...)
				if s := b.ended()[0]; s.Status != "" || s.Attributes()["worker.task.result"] != "success" {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What a nested task reports is not reported again around it; what only the
// sum of them shows is reported there.
func TestRepeatedStatementNested(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
			_ = b.runner.Run(ctx, "inner", func(ctx context.Context) error {
				query(ctx, "SELECT packages", 25, 0)
				return nil
			})
			for range 20 {
				_ = b.runner.Run(ctx, "one", func(ctx context.Context) error {
					query(ctx, "SELECT imports", 1, 0)
					return nil
				})
			}
			return nil
		})
		got := make(kv)
		for _, s := range b.ended() {
			for _, e := range s.Events {
				got[attribute.Key(s.Name+" "+e.Attrs["db.query.summary"].(string))] = e.Attrs["worker.finding.count"]
			}
		}
		wantEqual(t, "findings", got, kv{"inner SELECT packages": int64(25), "load SELECT imports": int64(20)})
	})
}

func TestSlowStatement(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithSlowStatements(time.Second))
		_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
			query(ctx, "SELECT packages", 1, time.Second)
			query(ctx, "SELECT packages", 1, 2*time.Second)
			query(ctx, "SELECT imports", 1, time.Second-1)
			query(ctx, "", 1, 3*time.Second)
			return nil
		})
		b.wantFindings(
			kv{"worker.finding.kind": "slow_statement", "worker.finding.count": int64(1), "worker.finding.slowest": 3.},
			kv{"worker.finding.kind": "slow_statement", "worker.finding.count": int64(2), "worker.finding.slowest": 2., "db.query.summary": "SELECT packages"},
		)
	})
}

func TestRowsLeaked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		var rows []*openRows
		_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
			_ = b.runner.Run(ctx, "inner", func(ctx context.Context) error {
				rows = append(rows, open(ctx, "SELECT imports", 0), open(ctx, "SELECT packages", 3), open(ctx, "SELECT packages", 4))
				closed := open(ctx, "SELECT modules", 1)
				closed.Leave()
				return nil
			})
			// Rows may pass to the task around the one that opened them.
			for _, r := range rows {
				if r.ended > 0 {
					t.Error("ended with the inner task")
				}
			}
			return nil
		})
		b.wantFindings(
			kv{"worker.finding.kind": "rows_leaked", "worker.finding.count": int64(2), "worker.finding.rows": int64(7), "db.query.summary": "SELECT packages"},
			kv{"worker.finding.kind": "rows_leaked", "worker.finding.count": int64(1), "worker.finding.rows": int64(0), "db.query.summary": "SELECT imports"},
		)
		for _, r := range rows {
			if r.ended != 1 {
				t.Errorf("ended %d times", r.ended)
			}
		}
	})
}

// Rows of a task that outlives the one that started it are not that one's.
func TestRowsLeakedByOutliving(t *testing.T) {
	for name, want := range map[string]bool{"closed": false, "leaked": true} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			opened, over := make(chan struct{}), make(chan struct{})
			var f *Future[int]
			_ = b.runner.Run(t.Context(), "request", func(ctx context.Context) error {
				f = Go(ctx, "background", func(ctx context.Context) (int, error) {
					rows := open(ctx, "SELECT a", 1)
					close(opened)
					<-over
					late := open(ctx, "SELECT b", 1)
					if !want {
						rows.Leave()
						late.Leave()
					}
					return 0, nil
				}, WithRunner(b.runner))
				<-opened
				return nil
			})
			close(over)
			_, _ = f.Wait()
			for _, s := range b.ended() {
				n := 0
				if s.Name == "background" && want {
					n = 2
				}
				if len(s.Events) != n {
					t.Errorf("%s: findings %v", s.Name, s.Events)
				}
			}
		})
	}
}

// heldTransaction is a transaction that nobody ends.
type heldTransaction struct {
	ledger.Transaction
	closing bool
}

func (x *heldTransaction) EndLeaked() (int64, bool) { return 0, !x.closing }

// Transactions that are left open, or idle for too long, and waits for
// connections are findings, with what there is to say of them.
func TestTransactionsAndWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithIdleTransactions(time.Minute))
		begin := &ledger.Text{Summary: "BEGIN"}
		var report Report
		defer b.runner.Watch(func(_ context.Context, r Report) { report = r })()
		began := time.Now()
		_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
			l := ledger.FromContext(ctx)
			start := func(x *heldTransaction, statement string) *heldTransaction {
				l.BeginTransaction(&x.Transaction, begin, time.Now(), time.Now(), x)
				if statement != "" {
					text := textOf(statement)
					text.SQL = statement + " SET id = ?"
					var p ledger.Place
					l.Begin(&p, &x.Transaction, text, time.Now(), 0)
					l.End(&p, ledger.Entry{Text: text})
				}
				return x
			}
			start(&heldTransaction{}, "UPDATE packages")
			start(&heldTransaction{}, "")
			start(&heldTransaction{closing: true}, "UPDATE imports") // database/sql is rolling it back
			for _, idle := range []time.Duration{time.Minute, 2 * time.Minute, time.Second} {
				x := start(&heldTransaction{}, "UPDATE modules")
				time.Sleep(idle)
				x.End(time.Now())
			}
			l.Waited("db:5432/shop", 1500*time.Millisecond)
			l.Waited("db:5432/shop", 500*time.Millisecond)
			l.Waited("db:5432/other", 999*time.Millisecond)
			r, _ := CurrentReport(ctx)
			if n := len(r.Findings); n != 2 { // what leaks is not known before the end
				t.Errorf("%d findings so far: %v", n, r.Findings)
			}
			held := []HeldReport{
				{Kind: HeldTransaction, Summary: "UPDATE packages", Since: began, Idle: 181 * time.Second},
				{Kind: HeldTransaction, Summary: "BEGIN", Since: began, Idle: 181 * time.Second},
				{Kind: HeldTransaction, Summary: "UPDATE imports", Since: began, Idle: 181 * time.Second},
			}
			wantEqual(t, "held", r.DB.Held, held)
			return nil
		})
		if len(report.DB.Held) != 3 || len(report.Findings) != 4 || report.DB.Wait != 2999*time.Millisecond {
			t.Errorf("%v", report)
		}
		b.wantFindings(
			kv{"worker.finding.kind": "transaction_leaked", "worker.finding.count": int64(1), "db.query.summary": "UPDATE packages", "db.query.text": "UPDATE packages SET id = ?"},
			kv{"worker.finding.kind": "transaction_leaked", "worker.finding.count": int64(1), "db.query.summary": "BEGIN"},
			kv{"worker.finding.kind": "transaction_idle", "worker.finding.count": int64(2), "db.query.summary": "UPDATE modules", "db.query.text": "UPDATE modules SET id = ?", "worker.finding.slowest": 120.},
			kv{"worker.finding.kind": "connection_wait", "worker.finding.count": int64(2), "db.client.connection.pool.name": "db:5432/shop", "worker.finding.slowest": 1.5},
		)
		s := b.ended()[0]
		if s.Attributes()["worker.task.findings"] != int64(4) || s.Attributes()["worker.task.db.wait"] != 2.999 {
			t.Errorf("%v", s.Attributes())
		}
		b.WantMetric(histogram("worker.task.db.wait",
			"Time that a worker task waited for database connections, if it waited.",
			observations(kv{"worker.task.name": "load"}, 2.999)))
	})
}

// A task within another reports what it waited for, and that one the rest.
func TestConnectionWaitNested(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			_ = b.runner.Run(ctx, "inner", func(ctx context.Context) error {
				ledger.FromContext(ctx).Waited("pool", 2*time.Second)
				return nil
			})
			ledger.FromContext(ctx).Waited("pool", time.Second/2)
			return nil
		})
		inner, outer := b.ended()[0], b.ended()[1]
		if len(inner.Events) != 1 || len(outer.Events) != 0 || inner.Attributes()["worker.task.db.wait"] != 2. || outer.Attributes()["worker.task.db.wait"] != 2.5 {
			t.Errorf("%+v\n%+v", inner, outer)
		}
	})
}

// A failure is recorded beside the findings, and the span ends when the
// function does, however long it takes to report.
func TestFindingsOfFailure(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithErrorText(func(err error) string {
			time.Sleep(time.Second)
			return err.Error()
		}))
		_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
			time.Sleep(took)
			query(ctx, "SELECT packages", 20, 0)
			return errTyped
		})
		s := b.ended()[0]
		if len(s.Events) != 2 || s.Events[0].Name != "worker.finding" || s.Events[1].Name != "exception" || s.Length != took {
			t.Errorf("%+v", s)
		}
		if sum := b.Collect()["worker.task.duration"].Data.(metricdata.Histogram[float64]).DataPoints[0].Sum; sum != took.Seconds() {
			t.Errorf("duration %v", sum)
		}
	})
}

// How much a task reports is bounded.
func TestFindingsBounded(t *testing.T) {
	b := newBackend(t, WithSlowStatements(1))
	_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
		for i := range 2 * maxFindings {
			query(ctx, fmt.Sprint("SELECT ", i), 20, 1)
			open(ctx, fmt.Sprint("SELECT ", i), 0)
		}
		return nil
	})
	b.WantMetric(foundMetric(map[string]int64{"repeated_statement": maxFindings, "rows_leaked": maxFindings, "slow_statement": maxFindings}))
	if n := len(b.ended()[0].Events); n != 3*maxFindings {
		t.Errorf("%d events", n)
	}
}

// What a detached task does is its own, and so are its rows.
func TestDetached(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), took)
		defer cancel()
		var f *Future[int]
		var rows *openRows
		_ = b.runner.Run(ctx, "outer", func(ctx context.Context) error {
			f = Go(ctx, "detached", func(ctx context.Context) (int, error) {
				time.Sleep(2 * took)
				query(ctx, "SELECT packages", 1, 0)
				rows = open(ctx, "SELECT packages", 0)
				if _, ok := ctx.Deadline(); ok || ctx.Err() != nil || ctx.Value(key{}) != "value" {
					t.Errorf("%v", ctx)
				}
				return 0, ctx.Err()
			}, WithDetached(), WithRunner(b.runner))
			_, err := f.Wait()
			return err
		})
		if rows.ended != 1 {
			t.Errorf("the rows ended %d times", rows.ended)
		}
		spans := b.ended()
		if spans[0].Parent != "outer" || spans[0].Attributes()["worker.task.db.operations"] != int64(1) || len(spans[0].Events) != 1 {
			t.Errorf("%+v", spans[0])
		}
		if _, ok := spans[1].Attributes()["worker.task.db.operations"]; ok {
			t.Errorf("%+v", spans[1])
		}
	})
}

// The ledger may have been put into the context by something else.
func TestForeignLedger(t *testing.T) {
	b := newBackend(t)
	foreign := ledger.New(nil, "foreign")
	_ = b.runner.Run(ledger.NewContext(t.Context(), foreign), "load", func(ctx context.Context) error {
		query(ctx, "SELECT packages", 3, 0)
		return fails(ctx)
	})
	if n := foreign.Totals().Operations; n != 3 {
		t.Errorf("%d operations", n)
	}
}

// A ledger that panics costs the account.
func TestLedgerPanics(t *testing.T) {
	b := newBackend(t)
	if err := b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
		p := new(ledger.Place)
		ledger.FromContext(ctx).Begin(p, nil, textOf("SELECT packages"), time.Now(), 0)
		p.Hold(panickingRows{})
		return nil
	}); err != nil {
		t.Error(err)
	}
	b.WantHandled("worker: a task's ledger panicked with a string")
	b.ended()
}

type panickingRows struct{}

func (panickingRows) EndLeaked() (int64, bool) { panic("rows") }

func TestLabels(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithLabelKeys("tenant", "queue"))
		for range 2 {
			_ = b.runner.Run(t.Context(), "load", nothing, WithLabel("tenant", "acme\xff"), WithLabel("user", "17"))
			_ = b.runner.Run(t.Context(), "load", fails, WithLabel("tenant", "acme"), WithLabel("queue", "q"))
			_ = b.runner.Run(t.Context(), "load", nothing)
		}
		b.WantHandled(`worker: label "user" was not declared with WithLabelKeys, and is dropped`)
		b.wantMetrics(
			durationMetric(
				observations(kv{"worker.task.name": "load", "worker.task.result": "success", "tenant": "acme\uFFFD"}, 0., 0),
				observations(kv{
					"worker.task.name": "load", "worker.task.result": "failure", "error.type": "*worker.typedError", "tenant": "acme", "queue": "q",
				}, 0., 0),
				observations(kv{"worker.task.name": "load", "worker.task.result": "success"}, 0., 0),
			),
			activeMetric(map[string]int64{"load": 0}),
		)
		s := b.ended()[0]
		if _, ok := s.Attributes()["user"]; ok || s.Attributes()["tenant"] != "acme\uFFFD" {
			t.Errorf("%+v", s)
		}
	})
}

func TestUndeclaredLabelsBounded(t *testing.T) {
	b := newBackend(t)
	for i := range 2 * maxUndeclared {
		b.runner.declared([]attribute.KeyValue{attribute.String(fmt.Sprint("label", i), "x")})
	}
	if n := len(b.TakeHandled()); n != maxUndeclared {
		t.Errorf("%d faults", n)
	}
}

func TestQueueDuration(t *testing.T) {
	for _, noSpan := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			b := newBackend(t)
			if noSpan {
				b = newBackend(t, WithTracerProvider(nilSpans{}))
			}
			now := time.Now()
			time.Sleep(took)
			_ = b.runner.Run(t.Context(), "load", nothing, WithEnqueuedAt(now))
			_ = b.runner.Run(t.Context(), "load", nothing, WithEnqueuedAt(now.Add(time.Hour)))
			b.WantMetric(histogram("worker.task.queue.duration", "Time that worker tasks waited in a queue before they started.",
				observations(kv{"worker.task.name": "load"}, took.Seconds(), 0)))
		})
	}
}
