package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
)

// foldTask is a task with a span and a ledger, as worker makes them.
type foldTask struct {
	ledger.Ledger
	span trace.Span
	ctx  context.Context
}

// task starts a task in ctx whose trace is bounded by n.
func (r *rig) task(ctx context.Context, name string, n int, opts ...trace.SpanStartOption) *foldTask {
	t := &foldTask{}
	spanCtx, span := r.TracerProvider.Tracer("task").Start(ctx, name, opts...)
	t.Init(ledger.FromContext(ctx), ledger.Config{Task: name, Limits: &ledger.Limits{OperationSpans: n, SlowStatements: time.Second}})
	if len(opts) > 0 {
		t.BeginTrace()
	}
	t.span, t.ctx = span, t.Bind(spanCtx)
	return t
}

func (t *foldTask) end() {
	t.Settle()
	t.span.End()
}

// folded are the spans that stand for others, and own those of operations, by name.
func (r *rig) folded() (folds map[string][]map[string]any, own map[string]int) {
	folds, own = make(map[string][]map[string]any), make(map[string]int)
	for _, s := range r.Spans() {
		kv := make(map[string]any)
		for _, a := range s.Attributes() {
			kv[string(a.Key)] = a.Value.AsInterface()
		}
		if kv["otdb.folded.count"] != nil {
			if s.SpanKind() != trace.SpanKindInternal {
				r.t.Errorf("a fold is %v", s.SpanKind())
			}
			folds[s.Name()] = append(folds[s.Name()], kv)
		} else {
			own[s.Name()]++
		}
	}
	return folds, own
}

// total returns how many operations the spans stand for, by name.
func (r *rig) operations() map[string]int64 {
	n := make(map[string]int64)
	folds, own := r.folded()
	for name, k := range own {
		n[name] += int64(k)
	}
	for name, all := range folds {
		for _, kv := range all {
			n[name] += kv["otdb.folded.count"].(int64)
		}
	}
	return n
}

// modern returns a database that answers at once, on the rig's clock or another.
func (r *rig) modern(fake *fakedb.DB, opts ...Option) *sql.DB {
	fake.Shape = fakedb.ExecerContext | fakedb.QueryerContext | fakedb.ConnPrepareContext | fakedb.ConnBeginTx
	db := OpenDB(fake.Connector(), r.options(append([]Option{WithOperations(DefaultOperations &^ OperationConnect)}, opts...)...)...)
	r.t.Cleanup(func() { _ = db.Close() })
	return db
}

func mustExec(t *testing.T, ctx context.Context, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.ExecContext(ctx, text); err != nil {
		t.Error(err)
	}
}

// The first operations of a kind have spans, and one more stands for all others.
func TestFolding(t *testing.T) {
	r := newRig(t)
	now := time.Hour
	db := r.modern(new(fakedb.DB), optionFunc(func(c *config) {
		c.clock.Now = func() time.Duration { now += time.Microsecond; return now }
		c.clock.Time = func(time.Duration) time.Time { return time.Now() }
	}))
	task := r.task(t.Context(), "load", 3)
	for range 10 {
		mustExec(t, task.ctx, db, "INSERT INTO a VALUES (1)")
	}
	for range 2 {
		mustExec(t, task.ctx, db, "DELETE FROM b")
	}
	task.end()
	first := span{name: "INSERT a", parent: "load", start: attrs{
		"db.system.name": "other_sql", "db.query.summary": "INSERT a", "db.query.text": "INSERT INTO a VALUES (?)",
	}}
	other := span{name: "DELETE b", parent: "load", start: attrs{
		"db.system.name": "other_sql", "db.query.summary": "DELETE b", "db.query.text": "DELETE FROM b",
	}}
	fold := span{name: "INSERT a", parent: "load", start: attrs{
		"db.system.name": "other_sql", "db.query.summary": "INSERT a",
		"otdb.folded.count": 7, "otdb.folded.errors": 0, "otdb.folded.rows": 0,
		"otdb.folded.duration": 7e-6, "otdb.folded.max": 1e-6,
	}}
	r.wantSpans(first, first, first, other, other, fold)
	if got := task.Totals(); got.Operations != 12 || got.Statements != 12 {
		t.Errorf("the ledger has %+v", got)
	}
	if got := r.countsBySummary(); got["INSERT a"] != 10 || got["DELETE b"] != 2 {
		t.Errorf("the points are %v", got)
	}
	// A trace of its own has bounds of its own, and 0 lifts them.
	outer := r.task(t.Context(), "outer", 1)
	inner := r.task(outer.ctx, "inner", 2, trace.WithNewRoot())
	unbounded := r.task(t.Context(), "unbounded", 0)
	for range 5 {
		mustExec(t, outer.ctx, db, "UPDATE outer_table")
		mustExec(t, inner.ctx, db, "UPDATE inner_table")
		mustExec(t, unbounded.ctx, db, "UPDATE free_table")
	}
	inner.end()
	outer.end()
	unbounded.end()
	folds, own := r.folded()
	if own["UPDATE outer_table"] != 1 || own["UPDATE inner_table"] != 2 || own["UPDATE free_table"] != 5 ||
		len(folds["UPDATE outer_table"]) != 1 || len(folds["UPDATE inner_table"]) != 1 || len(folds["UPDATE free_table"]) != 0 {
		t.Errorf("%v, %v", own, folds)
	}
}

// What is remarkable has a span, as long as there is a place for it.
func TestLateSpans(t *testing.T) {
	r := newRig(t)
	var now atomic.Int64
	took := time.Millisecond
	failing := errors.New("no such table")
	fake := &fakedb.DB{}
	db := r.modern(fake, WithTracerProvider(foreignProvider{tp: r.TracerProvider}),
		withClock(func() time.Duration { return time.Duration(now.Load()) }))
	task := r.task(t.Context(), "load", 2)
	calls := 0
	run := func(d time.Duration, err error) {
		calls++
		fake.On(fakedb.ConnExecContext, calls, fakedb.Fault{Err: err, Do: func(context.Context) { now.Add(int64(d)) }})
		_, _ = db.ExecContext(task.ctx, "DELETE FROM a")
	}
	run(took, nil)
	run(took, failing) // which gives its place back
	run(took, failing) // and so does this one
	run(took, failing) // but a kind has two places to give back
	run(took, nil)
	run(2*took, nil)        // twice the slowest
	run(3*took, nil)        // not twice the slowest now
	run(took, failing)      // a failure, for the last place
	run(5*time.Second, nil) // slow, but there is no place
	run(took, failing)      // nor for this one
	task.end()
	folds, own := r.folded()
	if own["DELETE a"] != 4+2 || len(folds["DELETE a"]) != 1 {
		t.Fatalf("%v, %v", own, folds)
	}
	fold := folds["DELETE a"][0]
	if fold["otdb.folded.count"] != int64(4) || fold["otdb.folded.errors"] != int64(1) || fold["otdb.folded.max"] != 5.0 {
		t.Errorf("the fold is %v", fold)
	}
	late := 0
	for _, s := range r.Spans() {
		if d := s.EndTime().Sub(s.StartTime()); s.SpanKind() == trace.SpanKindClient && d >= 2*took-1 {
			late++
			if d != 2*took || s.Parent().SpanID() != task.span.SpanContext().SpanID() {
				t.Errorf("a late span of %v, below %v", d, s.Parent())
			}
		}
	}
	if late != 1 {
		t.Errorf("%d late spans took twice as long", late)
	}
}

// A consumer that runs for ten minutes exports its folds each minute.
func TestFoldsOfAMinute(t *testing.T) {
	r := newRig(t)
	var now atomic.Int64
	db := r.modern(new(fakedb.DB), withClock(func() time.Duration { return time.Duration(now.Load()) }))
	task := r.task(t.Context(), "consume", 10)
	for range 600 {
		now.Add(int64(time.Second))
		mustExec(t, task.ctx, db, "DELETE FROM a")
		mustExec(t, task.ctx, db, "INSERT INTO b VALUES (1)")
	}
	before := len(r.Spans())
	task.end()
	folds, own := r.folded()
	for name, all := range folds {
		if len(all) != 10 || own[name] != 10 {
			t.Errorf("%s: %d spans and %d folds, want 10 of each", name, own[name], len(all))
		}
	}
	if n := len(r.Spans()) - before; n != 2 || len(folds) != 2 {
		t.Errorf("%d spans only at the end, want one for each of 2 kinds", n)
	}
	if got := r.operations(); got["DELETE a"] != 600 || got["INSERT b"] != 600 {
		t.Errorf("the spans stand for %v", got)
	}
}

// What nested tasks fold beyond a thousand a minute is folded into those around them.
func TestFoldsOfNestedTasks(t *testing.T) {
	r := newRig(t)
	db := r.modern(new(fakedb.DB))
	outer := r.task(t.Context(), "outer", 1)
	const tasks = 1300
	for range tasks {
		inner := r.task(outer.ctx, "inner", 1)
		mustExec(t, inner.ctx, db, "DELETE FROM a")
		inner.end()
	}
	outer.end()
	folds, own := r.folded()
	if own["DELETE a"] != 1 || len(folds["DELETE a"]) != 1001 {
		t.Errorf("%d spans, %d folds", own["DELETE a"], len(folds["DELETE a"]))
	}
	if last := folds["DELETE a"][1000]; last["otdb.folded.count"] != int64(tasks-1-1000) {
		t.Errorf("the outer task's fold is %v", last)
	}
}

// An operation that ends when no task is left has a span of its own, and so has one that
// begins then.
func TestStrays(t *testing.T) {
	r := newRig(t)
	fake := &fakedb.DB{Results: func(string) []fakedb.ResultSet {
		return []fakedb.ResultSet{{Columns: []string{"id"}, Rows: [][]driver.Value{{int64(1)}}}}
	}}
	db := r.modern(fake)
	task := r.task(t.Context(), "task", 1)
	mustExec(t, task.ctx, db, "DELETE FROM a")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	release := make(chan struct{})
	fake.On(fakedb.ConnExecContext, 2, fakedb.Fault{Do: func(context.Context) { <-release }})
	var stray sync.WaitGroup
	stray.Go(func() { mustExec(t, task.ctx, db, "DELETE FROM a") })
	for db.Stats().InUse < 2 {
		runtime.Gosched()
	}
	for len(fake.Calls()) < 3 { // the second exec has begun
		runtime.Gosched()
	}
	task.end()
	close(release)
	stray.Wait()
	mustExec(t, task.ctx, db, "DELETE FROM a")
	folds, own := r.folded()
	if own["DELETE a"] != 3 || len(folds) != 0 {
		t.Errorf("%v, %v", own, folds)
	}
}

// Operations that would have no span are not counted.
func TestFoldsOfFilteredOperations(t *testing.T) {
	r := newRig(t)
	hidden := true
	db := r.modern(new(fakedb.DB), WithSpanFilter(func(context.Context, SpanInfo) bool { return !hidden }))
	task := r.task(t.Context(), "task", 2)
	for range 10 {
		mustExec(t, task.ctx, db, "DELETE FROM a")
	}
	hidden = false
	for range 3 {
		mustExec(t, task.ctx, db, "DELETE FROM a")
	}
	task.end()
	if got := r.operations()["DELETE a"]; got != 3 {
		t.Errorf("the spans stand for %d operations, want 3", got)
	}
	if got := r.countsBySummary()["DELETE a"]; got != 13 {
		t.Errorf("%d points, want 13", got)
	}
}

// Own spans and folded operations are all operations, whatever tasks and goroutines do.
func TestFoldsOfForests(t *testing.T) {
	for seed := range uint64(30) {
		r := newRig(t)
		fake := &fakedb.DB{Results: func(string) []fakedb.ResultSet {
			return []fakedb.ResultSet{{Columns: []string{"id"}, Rows: [][]driver.Value{{int64(1)}, {int64(2)}}}}
		}}
		var now atomic.Int64
		failures := make(map[int]bool)
		db := r.modern(fake, withClock(func() time.Duration { return time.Duration(now.Add(int64(time.Second) / 7)) }))
		for i := range 40 {
			failures[i] = true
			fake.On(fakedb.ConnExecContext, i*11+1, fakedb.Fault{Err: driver.ErrBadConn, Do: func(context.Context) {}})
		}
		var all sync.WaitGroup
		var ran atomic.Int64
		var grow func(ctx context.Context, rng *rand.Rand, depth int)
		grow = func(ctx context.Context, rng *rand.Rand, depth int) {
			for range rng.IntN(12) {
				switch op := rng.IntN(8); {
				case op < 3:
					_, _ = db.ExecContext(ctx, fmt.Sprintf("DELETE FROM t%d", rng.IntN(12)))
				case op < 5:
					rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT * FROM t%d", rng.IntN(3)))
					if err == nil {
						rows.Next()
						_ = rows.Close()
					}
				case op == 5:
					if tx, err := db.BeginTx(ctx, nil); err == nil {
						_, _ = tx.ExecContext(ctx, "DELETE FROM t0")
						_ = tx.Commit()
					}
				case depth < 3:
					var opts []trace.SpanStartOption
					if rng.IntN(4) == 0 {
						opts = append(opts, trace.WithNewRoot())
					}
					inner := r.task(ctx, "inner", rng.IntN(4), opts...)
					branch := rand.New(rand.NewPCG(rng.Uint64(), 0)) //nolint:gosec // the same forest each time
					if rng.IntN(2) == 0 {
						grow(inner.ctx, branch, depth+1)
						inner.end()
						continue
					}
					// Goroutines outlive their tasks at times, and those around them.
					all.Go(func() { grow(inner.ctx, branch, depth+1) })
					all.Go(inner.end)
				}
			}
		}
		for range 4 {
			root := r.task(context.Background(), "root", 2)
			rng := rand.New(rand.NewPCG(seed, uint64(ran.Add(1)))) //nolint:gosec // as above
			all.Go(func() {
				grow(root.ctx, rng, 0)
				root.end()
			})
		}
		all.Wait()
		points := make(map[string]int64)
		for _, p := range r.Collect()["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
			for _, key := range []string{"db.query.summary", "db.operation.name"} {
				for _, kv := range p.Attributes.ToSlice() {
					if string(kv.Key) == key {
						points[kv.Value.AsString()] += int64(p.Count)
					}
				}
			}
		}
		spans := r.operations()
		for name, n := range points {
			if spans[name] != n {
				t.Errorf("seed %d: %s: the spans stand for %d operations, the metrics have %d", seed, name, spans[name], n)
			}
		}
	}
}
