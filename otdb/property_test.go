package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/otdb"
)

var (
	propertySeed   = flag.Uint64("property.seed", 0, "run the random script of this seed alone")
	propertyBudget = flag.Duration("property.budget", 300*time.Millisecond, "for how long to run random scripts of new seeds")
)

// propertySeeds is how many seeds are the same in every run.
const propertySeeds = 150

// TestProperties runs random scripts with random faults on drivers of random
// shapes. Whatever happens: the application and the driver see what they see
// without otdb, and what was counted agrees.
func TestProperties(t *testing.T) {
	if *propertySeed != 0 {
		checkProperties(t, *propertySeed)
		return
	}
	for seed := range uint64(propertySeeds) {
		checkProperties(t, seed+1)
	}
	for deadline := time.Now().Add(*propertyBudget); time.Now().Before(deadline) && !t.Failed(); {
		checkProperties(t, rand.Uint64())
	}
}

func checkProperties(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	shape := pick(random, fakedb.Conns) | pick(random, fakedb.Stmts) | pick(random, fakedb.Rows) |
		fakedb.Shape(random.Uint32())&(fakedb.RowsColumnScanner|fakedb.DriverContext|fakedb.ConnectorCloser)
	s := script{name: fmt.Sprintf("-property.seed=%d", seed), run: func(w *world) { randomScript(w, seed) }}

	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	rec := &recorder{}
	want := s.play(t, openDB, shape, nil)
	got := s.play(t, openDB, shape, rec, otdb.WithMeterProvider(meters))

	sortCloses(want.calls)
	sortCloses(got.calls)
	what := fmt.Sprintf("%s, %v", s.name, shape)
	differ(t, what, want, got)
	rec.check(t, what)

	spans := rec.operations()
	if points := operationPoints(t, reader); !maps.Equal(points, spans) {
		t.Errorf("%s: the metrics have %v points, there are %v spans", what, points, spans)
	}
	expected := expectedOperations(got.calls)
	if rolledBack := spans["ROLLBACK"]; rolledBack < expected["ROLLBACK"] {
		// What database/sql rolls back since the context was done during a
		// Begin without one never was a transaction.
		expected["ROLLBACK"] = rolledBack
	}
	maps.DeleteFunc(expected, func(_ string, n int) bool { return n == 0 })
	if !maps.Equal(expected, spans) {
		t.Errorf("%s: %v spans, but the driver was called for %v", what, spans, expected)
	}

	totals := got.ledger.Totals()
	failed := 0
	for _, s := range rec.all() {
		if s.status == codes.Error {
			failed++
		}
	}
	if int(totals.Operations) != len(rec.all()) || int(totals.Statements) != spans["statement"] || int(totals.Errors) != failed || totals.Duration < 0 {
		t.Errorf("%s: the ledger has %+v, there are %d spans, of them %d statements, and %d failed",
			what, totals, len(rec.all()), spans["statement"], failed)
	}
	leaked := 0
	for _, s := range rec.all() {
		if s.attribute("otdb.rows_leaked") != "" {
			leaked++
		}
	}
	if leaked != len(got.leaks) {
		t.Errorf("%s: %d leaks, but %d spans say so", what, len(got.leaks), leaked)
	}
	if again := got.ledger.EndTask(); len(again) > 0 {
		t.Errorf("%s: rows are still listed: %v", what, again)
	}
}

// sortCloses sorts the statements that are closed with their connection, whose
// order is that of a map in database/sql.
func sortCloses(calls []fakedb.Call) {
	for i := range calls {
		if calls[i].Method != fakedb.StmtClose {
			continue
		}
		calls[i].Outcome = ""
		for j := i; j > 0 && calls[j-1].Method == fakedb.StmtClose && calls[j-1].Object > calls[j].Object; j-- {
			calls[j-1], calls[j] = calls[j], calls[j-1]
		}
	}
}

// operationPoints counts the points of db.client.operation.duration as
// recorder.operations counts spans.
func operationPoints(t *testing.T, reader sdkmetric.Reader) map[string]int {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			h, ok := m.Data.(metricdata.Histogram[float64])
			if !ok || m.Name != "db.client.operation.duration" {
				continue
			}
			for _, p := range h.DataPoints {
				op := "statement"
				if v, ok := p.Attributes.Value("db.operation.name"); ok {
					op = v.AsString()
				}
				counts[op] += int(p.Count)
			}
		}
	}
	return counts
}

// expectedOperations counts the operations that the driver was called for: a
// statement that it skipped goes on in the prepare and the execution that follow.
func expectedOperations(calls []fakedb.Call) map[string]int {
	counts := make(map[string]int)
	skipped := make(map[int]bool) // by connection
	folded := make(map[int]bool)  // by statement
	statements := 0
	for _, c := range calls {
		switch c.Method {
		case fakedb.ConnectorConnect, fakedb.DriverOpen:
			counts["CONNECT"]++
		case fakedb.ConnBegin, fakedb.ConnBeginWithContext:
			counts["BEGIN"]++
			skipped[c.Object] = false
		case fakedb.TxCommit:
			counts["COMMIT"]++
		case fakedb.TxRollback:
			counts["ROLLBACK"]++
		case fakedb.ConnExec, fakedb.ConnExecContext, fakedb.ConnQuery, fakedb.ConnQueryContext:
			counts["statement"]++
			skipped[c.Object] = c.Outcome == driver.ErrSkip.Error()
		case fakedb.ConnPrepare, fakedb.ConnPrepareWithContext:
			if !skipped[c.Object] {
				counts["PREPARE"]++
			}
			if c.Outcome == "" {
				statements++
				folded[statements] = skipped[c.Object]
			}
			skipped[c.Object] = false
		case fakedb.StmtExec, fakedb.StmtExecWithContext, fakedb.StmtQuery, fakedb.StmtQueryWithContext:
			if !folded[c.Object] {
				counts["statement"]++
			}
			folded[c.Object] = false
		}
	}
	return counts
}

// randomWorld is what a random script has open.
type randomWorld struct {
	*world
	*rand.Rand
	cancels []context.CancelFunc
	rows    []*sql.Rows
	stmts   []*sql.Stmt
	tx      *sql.Tx
	conn    *sql.Conn
}

// randomScript depends on nothing but the seed and on what it sees.
func randomScript(w *world, seed uint64) {
	r := &randomWorld{world: w, Rand: rand.New(rand.NewPCG(seed, 2))}
	for range 5 + r.IntN(25) {
		r.step()
	}
	// One by one, so that the order is the same in two runs.
	for _, cancel := range r.cancels {
		w.do("cancel", func() (any, error) { cancel(); return nil, nil })
	}
	if r.tx != nil {
		w.rollback(r.tx)
	}
	if r.conn != nil {
		w.closeConn(r.conn)
	}
}

var randomErrors = []error{errDriver, errBad, driver.ErrBadConn, driver.ErrSkip, io.EOF, context.Canceled, listError{"a"}}

var randomArguments = [][]any{
	{}, {1}, {1}, {1}, {nil}, {int64(1 << 40)}, {coin(1)}, {dropped{}, 1}, {refused{}}, {sql.Named("a", 1)}, {"text"}, {1, 2},
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// step does something at random, perhaps with a driver that fails.
func (r *randomWorld) step() {
	if r.IntN(3) == 0 {
		r.fault(fakedb.Fault{Err: driver.ErrSkip}, append(execMethods, queryMethods...)...)
	}
	if r.IntN(4) == 0 {
		// What has gone wrong once may be called from a goroutine of
		// database/sql, and from under a lock of a transaction or a single
		// connection, so that a panic must meet a call of this very step.
		panics := r.tx == nil && r.conn == nil && r.IntN(3) == 0
		m := pick(r.Rand, methods)
		switch m {
		case fakedb.ConnClose, fakedb.StmtClose, fakedb.RowsClose, fakedb.TxRollback:
			panics = false
		}
		f := fakedb.Fault{Err: pick(r.Rand, randomErrors)}
		if panics {
			f = pick(r.Rand, []fakedb.Fault{{Panic: panicValue}, {Goexit: true}})
		}
		nth := r.fake.Count(m) + 1 + r.IntN(2)
		r.fake.On(m, nth, f)
		if panics {
			defer r.fake.On(m, nth, fakedb.Fault{})
		}
		if m == fakedb.ConnIsValid && panics {
			r.fake.On(m, nth, fakedb.Fault{Err: errDriver})
		}
	}
	ctx := r.context()
	args := pick(r.Rand, randomArguments)
	target := r.runner()
	switch r.IntN(17) {
	case 0, 1, 2:
		r.exec(ctx, target, "INSERT ?", args...)
	case 3, 4, 5:
		r.query(ctx, target, pick(r.Rand, []string{"SELECT ?", "MULTI ?", "NONE ?"}), args...)
	case 6:
		r.queryRow(r.forever(), target, "SELECT ?", args...)
	case 7:
		// Not on a single connection: database/sql waits there for open rows
		// forever, once a driver returns ErrBadConn.
		r.rows = append(r.rows, r.world.rows(ctx, r.db, "MULTI ?", args...))
	case 8, 9:
		if len(r.rows) > 0 {
			rows := pick(r.Rand, r.rows)
			r.next(rows, 1+r.IntN(3))
			if r.IntN(2) == 0 {
				r.closeRows(rows)
			}
		}
	case 10:
		if s := r.prepare(ctx, target, "PREPARED ?"); s != nil {
			r.stmts = append(r.stmts, s)
		}
	case 11, 12:
		if len(r.stmts) > 0 {
			s := pick(r.Rand, r.stmts)
			if r.IntN(2) == 0 {
				r.stmtExec(ctx, s, args...)
			} else {
				r.stmtQuery(ctx, s, args...)
			}
		}
	case 13:
		r.transaction(ctx)
	case 16:
		if r.tx != nil { // it ends the rows
			r.next(r.world.rows(ctx, r.tx, "SELECT ?", 1), 1+r.IntN(3))
			r.rollback(r.tx)
			r.tx = nil
		}
	case 14:
		r.connection(ctx)
	case 15:
		if len(r.cancels) > 0 {
			cancel := pick(r.Rand, r.cancels)
			r.do("cancel", func() (any, error) { cancel(); return nil, nil })
		}
	}
}

// context returns a context of this step's own, so that one thing ends with it.
func (r *randomWorld) context() context.Context {
	if r.IntN(3) == 0 {
		return r.forever()
	}
	ctx, cancel := r.newContext(fmt.Sprint("context ", len(r.cancels)))
	r.cancels = append(r.cancels, cancel)
	return ctx
}

func (r *randomWorld) runner() runner {
	switch {
	case r.tx != nil && r.IntN(2) == 0:
		return r.tx
	case r.conn != nil && r.IntN(2) == 0:
		return r.conn
	default:
		return r.db
	}
}

func (r *randomWorld) transaction(ctx context.Context) {
	if r.tx == nil {
		r.tx = r.begin(ctx, pick(r.Rand, []*sql.TxOptions{nil, nil, {ReadOnly: true}}))
		return
	}
	if r.IntN(2) == 0 {
		r.commit(r.tx)
	} else {
		r.rollback(r.tx)
	}
	r.tx = nil
}

func (r *randomWorld) connection(ctx context.Context) {
	if r.conn == nil {
		r.conn = r.world.conn(ctx)
		return
	}
	r.closeConn(r.conn)
	r.conn = nil
}
