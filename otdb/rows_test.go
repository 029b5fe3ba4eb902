package otdb_test

import (
	"context"
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
// a query ended with the last call of the driver and not with its clean-up.
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
					if len(h.DataPoints) != 1 || h.DataPoints[0].Sum != 1 {
						t.Errorf("points %+v, want one of 1 s", h.DataPoints)
					}
				}
			})
		})
	}
}

// A consumer that puts rows together and works on many at once is slow rarely,
// and for long. Without a task the first time is seen only when it has passed. A
// task is told neither of a slow statement nor of time in its databases.
func TestConsumerOfBatches(t *testing.T) {
	for _, test := range []struct {
		name   string
		ledger *ledger.Ledger
		want   string
	}{{"task", ledger.New(nil, "task"), "0"}, {"no task", nil, "0.05"}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(1000)
				db, spans := observe(t, fake)
				ctx := t.Context()
				if test.ledger != nil {
					ctx = ledger.NewContext(ctx, test.ledger)
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
				if got := attributeOf(span, "otdb.driver.duration"); got != test.want {
					t.Errorf("otdb.driver.duration is %s", got)
				}
				if got := test.ledger.Totals().Duration; got != 0 {
					t.Errorf("the ledger has %v", got)
				}
			})
		})
	}
}

// Outside of tasks the pauses before the first two rows are measured, and from the
// first long one on all others are. One behind the second row is where nobody looks.
func TestPausesBeforeTheFirstRows(t *testing.T) {
	const long = 10 * time.Millisecond
	for _, test := range []struct {
		name   string
		pauses [4]time.Duration // before the call of Next with that index
		want   string
	}{
		{"before the first", [4]time.Duration{long}, "0"},
		{"before the second", [4]time.Duration{0, long}, "0"},
		{"before the second and the end", [4]time.Duration{0, long, 0, long}, "0"},
		{"before the third", [4]time.Duration{0, 0, long}, ""},
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

// A consumer that becomes slow behind the first rows is slow where nobody looks, or
// where it is seen once it has been. The next time of such a statement somebody does,
// until it comes quickly again.
func TestConsumerThatBecomesSlow(t *testing.T) {
	type step struct {
		text   string
		fast   int // the rows before
		pauses int
		want   string
	}
	background := func(*testing.T) context.Context { return context.Background() }
	for name, test := range map[string]struct {
		ctx   func(*testing.T) context.Context
		rows  int
		steps []step
	}{
		"nobody else ends the rows": {background, 50, []step{
			{"SELECT", 0, 50, "0"}, // slow from the first row on
			{"SELECT", 2, 48, ""},  // not seen, and so taken for the driver's
			{"SELECT", 2, 48, "0"}, // watched
			{"SELECT", 49, 1, "0"}, // still
			{"SELECT", 2, 48, "0"},
			{"SELECT", 50, 0, ""},           // quick, all of it the driver's
			{"SELECT", 3, 47, ""},           // not watched any more
			{"SELECT a FROM b", 3, 47, ""},  // nor was this one
			{"SELECT", 3, 47, "0"},          // but now that one is again
			{"SELECT a FROM b", 3, 47, "0"}, // and so is this one
		}},
		"nobody else ends the rows, many": {background, 1000, []step{
			{"SELECT", 100, 1, ""}, // once, and seen some rows later
			{"SELECT", 100, 1, "0"},
			{"SELECT", 900, 1, "0"},
			{"SELECT", 1000, 0, ""},
			{"SELECT", 900, 1, ""},
			{"SELECT", 900, 1, "0"},
		}},
		"cancellable": {func(t *testing.T) context.Context { return t.Context() }, 50, []step{
			{"SELECT", 2, 1, ""}, // once, and seen with the next row
			{"SELECT", 2, 1, "0"},
			{"SELECT", 50, 0, ""},
			{"SELECT", 2, 48, "0"}, // the first is taken to have been like the others
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(test.rows)
				db, spans := observe(t, fake)
				for i, step := range test.steps {
					spans.Reset()
					rows := must(db.QueryContext(test.ctx(t), step.text))
					read(t, rows, step.fast, 0)
					read(t, rows, step.pauses, 10*time.Millisecond)
					read(t, rows, test.rows-step.fast-step.pauses, 0)
					if rows.Next() {
						t.Error("a row too many")
					}
					span := only(t, spans)
					ends(t, span, time.Duration(step.pauses)*10*time.Millisecond, "")
					if got := attributeOf(span, "otdb.driver.duration"); got != step.want {
						t.Errorf("step %d: otdb.driver.duration is %q, want %q", i, got, step.want)
					}
				}
			})
		})
	}
}

// Once a pause was seen where it could not be told, statements are watched as long as
// their consumer pauses, however many rows there are besides, and wherever it does.
func TestPauseAmongManyRows(t *testing.T) {
	sets := func(n ...int) (sets []fakedb.ResultSet) {
		for _, n := range n {
			sets = append(sets, manyRows(n)("")...)
		}
		return sets
	}
	const long = 10 * time.Millisecond
	for name, test := range map[string]struct {
		sets   []fakedb.ResultSet
		after  int // rows
		pauses [4]time.Duration
		want   [4]string
	}{
		"1001 rows":              {sets(1001), 900, [4]time.Duration{long, long, long, long}, [4]string{"", "0", "0", "0"}},
		"5000 rows":              {sets(5000), 4900, [4]time.Duration{long, long, long, long}, [4]string{"", "0", "0", "0"}},
		"quick for once":         {sets(5000), 4900, [4]time.Duration{long, 0, long, long}, [4]string{"", "", "", "0"}},
		"short of a millisecond": {sets(200), 100, [4]time.Duration{long / 20, long, long, long}, [4]string{"", "", "0", "0"}},
		"between sets":           {sets(130, 300), 130, [4]time.Duration{long, long, long, long}, [4]string{"", "0", "0", "0"}},
		"between sets, measured": {sets(129, 300), 129, [4]time.Duration{long, long, long, long}, [4]string{"", "0", "0", "0"}},
	} {
		for how, ctx := range map[string]func(*testing.T) context.Context{
			"background":  func(*testing.T) context.Context { return context.Background() },
			"cancellable": func(t *testing.T) context.Context { return t.Context() },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fake := fakeOf(fakedb.Modern)
					fake.Results = func(string) []fakedb.ResultSet { return test.sets }
					db, spans := observe(t, fake)
					for i, pause := range test.pauses {
						spans.Reset()
						rows := must(db.QueryContext(ctx(t), "SELECT"))
						read(t, rows, test.after, 0)
						if len(test.sets) > 1 && rows.Next() {
							t.Fatal("a row too many")
						}
						time.Sleep(pause)
						for more := true; more; more = rows.NextResultSet() {
							for rows.Next() {
							}
						}
						span := only(t, spans)
						ends(t, span, pause, "")
						if got := attributeOf(span, "otdb.driver.duration"); got != test.want[i] {
							t.Errorf("run %d: otdb.driver.duration is %q, want %q", i, got, test.want[i])
						}
					}
				})
			})
		}
	}
}

// Nor need any of the pauses be long.
func TestShortPausesOfManyRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeOf(fakedb.Modern)
		fake.Results = manyRows(100)
		db, spans := observe(t, fake)
		for i, want := range []string{"", "0", "0"} {
			spans.Reset()
			rows := must(db.QueryContext(context.Background(), "SELECT"))
			read(t, rows, 2, 0)
			read(t, rows, 98, 200*time.Microsecond)
			for rows.Next() {
			}
			if got := attributeOf(only(t, spans), "otdb.driver.duration"); got != want {
				t.Errorf("run %d: otdb.driver.duration is %q, want %q", i, got, want)
			}
		}
	})
}

// Many rows that come quickly are not watched for long, however long they take
// in all.
func TestManyRowsAreNotWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeOf(fakedb.Modern)
		db, spans := observe(t, fake)
		run := func(n int, wait time.Duration) (inDriver string) {
			fake.Results = manyRows(n)
			spans.Reset()
			rows := must(db.QueryContext(context.Background(), "SELECT"))
			read(t, rows, 2, 0)
			read(t, rows, n-2, wait)
			for rows.Next() {
			}
			return attributeOf(only(t, spans), "otdb.driver.duration")
		}
		const quick = 5 * time.Microsecond
		if got := run(100, time.Millisecond); got != "" {
			t.Errorf("%q is the driver's, although nobody looked", got)
		}
		if got := run(1000, quick); got != "0" {
			t.Errorf("watched, all is the consumer's; %q is the driver's", got)
		}
		if got := run(1000, quick); got == "0" {
			t.Error("the rows are still watched")
		}
	})
}
