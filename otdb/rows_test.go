package otdb_test

import (
	"context"
	"database/sql"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
)

// What a metric says must not depend on whether the trace is sampled: here, that
// a query ended when its context closed the rows.
func TestMetricsDoNotDependOnSampling(t *testing.T) {
	for name, sampler := range map[string]sdktrace.Sampler{"sampled": sdktrace.AlwaysSample(), "not sampled": sdktrace.NeverSample()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(100)
				reader := sdkmetric.NewManualReader()
				db, _ := observe(t, fake,
					otdb.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler))),
					otdb.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
				ctx, cancel := context.WithCancel(t.Context())
				rows := must(db.QueryContext(ctx, "SELECT"))
				read(t, rows, 40, 0)
				fake.On(fakedb.RowsNext, 41, slow(time.Second))
				read(t, rows, 1, time.Minute)
				cancel()
				synctest.Wait()

				var got metricdata.ResourceMetrics
				if err := reader.Collect(context.Background(), &got); err != nil {
					t.Fatal(err)
				}
				for _, m := range got.ScopeMetrics[0].Metrics {
					h, ok := m.Data.(metricdata.Histogram[float64])
					if m.Name != "db.client.operation.duration" || !ok {
						continue
					}
					if len(h.DataPoints) != 1 || h.DataPoints[0].Sum != 61 {
						t.Errorf("points %+v, want one of 61 s", h.DataPoints)
					}
				}
			})
		})
	}
}

// A consumer that puts rows together and works on many at once is slow rarely, and for
// long. None of that is time in the database.
func TestConsumerOfBatches(t *testing.T) {
	for name, l := range map[string]*ledger.Ledger{"task": ledger.New(nil, "task"), "no task": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(1000)
				db, spans := observe(t, fake)
				ctx := t.Context()
				if l != nil {
					ctx = ledger.NewContext(ctx, l)
				}
				rows := must(db.QueryContext(ctx, "SELECT"))
				for range 10 {
					read(t, rows, 100, 0)
					time.Sleep(50 * time.Millisecond)
				}
				for rows.Next() {
				}
				span := only(t, spans)
				ends(t, span, 500*time.Millisecond, "")
				if got := attributeOf(span, "otdb.driver.duration"); got != "0" {
					t.Errorf("otdb.driver.duration is %s", got)
				}
				if got := l.Totals().Duration; got != 0 {
					t.Errorf("the ledger has %v", got)
				}
			})
		})
	}
}

// Pauses are the consumer's, wherever they are, and of a millisecond in all the span says
// so.
func TestPauses(t *testing.T) {
	const long = 10 * time.Millisecond
	for _, test := range []struct {
		name   string
		pauses [4]time.Duration // before the call of Next with that index
		want   string
	}{
		{"before the first", [4]time.Duration{long}, "0"},
		{"before the second", [4]time.Duration{0, long}, "0"},
		{"before the third", [4]time.Duration{0, 0, long}, "0"},
		{"before the end", [4]time.Duration{0, 0, 0, long}, "0"},
		{"before all", [4]time.Duration{long, long, long, long}, "0"},
		{"short ones", [4]time.Duration{long / 40, long / 40, long / 40, long / 40}, "0"},
		{"too short ones", [4]time.Duration{long / 41, long / 41, long / 41, long / 41}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(3)
				db, spans := observe(t, fake)
				rows := must(db.QueryContext(context.Background(), "SELECT"))
				total := time.Duration(0)
				for _, pause := range test.pauses {
					time.Sleep(pause)
					total += pause
					rows.Next()
				}
				span := only(t, spans)
				ends(t, span, total, "")
				if got := attributeOf(span, "otdb.driver.duration"); got != test.want {
					t.Errorf("otdb.driver.duration is %q, want %q", got, test.want)
				}
			})
		})
	}
}

// A pause is not the driver's where rows are many and quick either, and between result
// sets.
func TestPauseAmongManyRows(t *testing.T) {
	sets := func(n ...int) (sets []fakedb.ResultSet) {
		for _, n := range n {
			sets = append(sets, manyRows(n)("")...)
		}
		return sets
	}
	const long = 10 * time.Millisecond
	for name, test := range map[string]struct {
		sets  []fakedb.ResultSet
		after int // rows
	}{
		"1001 rows":                {sets(1001), 900},
		"5000 rows":                {sets(5000), 4900},
		"near the end":             {sets(5000), 4999},
		"between sets":             {sets(130, 300), 130},
		"between sets of few rows": {sets(2, 3), 2},
	} {
		for how, ctx := range map[string]func(*testing.T) context.Context{
			"background":  func(*testing.T) context.Context { return context.Background() },
			"cancellable": func(t *testing.T) context.Context { return t.Context() },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fake := fakeOf(fakedb.Modern)
					fake.Results = func(string) []fakedb.ResultSet { return test.sets }
					fake.On(fakedb.ConnQueryContext, 1, slow(time.Second))
					db, spans := observe(t, fake)
					rows := must(db.QueryContext(ctx(t), "SELECT"))
					read(t, rows, test.after, 0)
					if len(test.sets) > 1 && rows.Next() {
						t.Fatal("a row too many")
					}
					time.Sleep(long)
					for more := true; more; more = rows.NextResultSet() {
						for rows.Next() {
						}
					}
					span := only(t, spans)
					ends(t, span, time.Second+long, "")
					if got := attributeOf(span, "otdb.driver.duration"); got != "1" {
						t.Errorf("otdb.driver.duration is %q, want 1", got)
					}
				})
			})
		}
	}
}

// The time that the driver takes to close rows early is the driver's: some read all that is
// left.
func TestSlowClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeOf(fakedb.Modern)
		fake.Results = manyRows(100)
		fake.On(fakedb.RowsClose, 1, slow(time.Second))
		db, spans := observe(t, fake)
		l := ledger.New(nil, "task")
		rows := must(db.QueryContext(ledger.NewContext(t.Context(), l), "SELECT"))
		read(t, rows, 50, 0)
		time.Sleep(time.Minute)
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		span := only(t, spans)
		ends(t, span, time.Minute+time.Second, "")
		if got := attributeOf(span, "otdb.driver.duration"); got != "1" {
			t.Errorf("otdb.driver.duration is %q, want 1", got)
		}
		if got := l.Totals(); got.Duration != time.Second || got.Rows != 50 {
			t.Errorf("the ledger has %+v", got)
		}
	})
}

// Rows that are open when their task ends are no leak if their context is done, or that of
// their transaction: database/sql closes them.
func TestRowsThatAContextClosesAreNoLeak(t *testing.T) {
	for _, which := range []string{"query", "transaction"} {
		t.Run(which, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(3)
				db, spans := observe(t, fake, otdb.WithOperations(0))
				l := ledger.New(nil, "task")
				queryCtx, cancelQuery := context.WithCancel(ledger.NewContext(t.Context(), l))
				defer cancelQuery()
				txCtx, cancelTx := context.WithCancel(t.Context())
				defer cancelTx()
				tx := must(db.BeginTx(txCtx, nil))
				rows := must(tx.QueryContext(queryCtx, "SELECT"))
				read(t, rows, 1, time.Second)
				if which == "query" {
					cancelQuery()
				} else {
					cancelTx()
				}
				if leaks := l.EndTask(); len(leaks) != 0 {
					t.Errorf("leaks: %+v", leaks)
				}
				synctest.Wait()
				span := only(t, spans)
				ends(t, span, time.Second, "context.Canceled")
				if got := attributeOf(span, "otdb.rows_leaked"); got != "" {
					t.Errorf("otdb.rows_leaked is %q", got)
				}
				_ = rows.Close()
			})
		})
	}
}

// Commit and Rollback with open rows are an end like Close.
func TestTransactionThatEndsWithOpenRows(t *testing.T) {
	for name, end := range map[string]func(*sql.Tx) error{"commit": (*sql.Tx).Commit, "rollback": (*sql.Tx).Rollback} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(3)
				db, spans := observe(t, fake, otdb.WithOperations(0))
				tx := must(db.BeginTx(t.Context(), nil))
				rows := must(tx.QueryContext(t.Context(), "SELECT"))
				read(t, rows, 1, time.Second)
				if err := end(tx); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				ends(t, only(t, spans), time.Second, "")
				_ = rows.Close()
			})
		})
	}
}
