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
				fake.On(fakedb.RowsNext, 41, slow(time.Second)) // the clock is read behind that one
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
// and for long. The first time is seen only when it has passed. A task is told
// neither of a slow statement nor of time in its databases.
func TestConsumerOfBatches(t *testing.T) {
	for _, test := range []struct {
		name   string
		ledger *ledger.Ledger
	}{{"task", ledger.New(nil, "task")}, {"no task", nil}} {
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
				if got := attributeOf(span, "otdb.driver.duration"); got != "0.05" {
					t.Errorf("otdb.driver.duration is %s", got)
				}
				if got := test.ledger.Totals().Duration; got != 0 {
					t.Errorf("the ledger has %v", got)
				}
			})
		})
	}
}

// A consumer that becomes slow behind the first rows is slow where nobody looks.
// The next time of such a statement somebody does, until it comes quickly again.
func TestConsumerThatBecomesSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeOf(fakedb.Modern)
		fake.Results = manyRows(50)
		db, spans := observe(t, fake)
		query := func(rows *sql.Rows, fast int) (inDriver string) {
			read(t, rows, fast, 0)
			read(t, rows, 50-fast, 10*time.Millisecond)
			if rows.Next() {
				t.Error("a row too many")
			}
			ends(t, only(t, spans), time.Duration(50-fast)*10*time.Millisecond, "")
			return attributeOf(spans.Ended()[0], "otdb.driver.duration")
		}
		run := func(text string, fast int) string {
			spans.Reset()
			// Without a way for anybody else to end the rows: otherwise the clock is
			// read more often.
			return query(must(db.QueryContext(context.Background(), text)), fast)
		}
		for i, step := range []struct {
			text string
			fast int
			want string
		}{
			{"SELECT", 0, "0"},  // slow from the first row on
			{"SELECT", 2, ""},   // not seen, and so taken for the driver's
			{"SELECT", 2, "0"},  // watched
			{"SELECT", 49, "0"}, // still
			{"SELECT", 2, "0"},
			{"SELECT", 50, ""},          // quick, all of it the driver's
			{"SELECT", 3, ""},           // not watched any more
			{"SELECT a FROM b", 3, ""},  // nor was this one
			{"SELECT", 3, "0"},          // but now that one is again
			{"SELECT a FROM b", 3, "0"}, // and so is this one
		} {
			if got := run(step.text, step.fast); got != step.want {
				t.Errorf("step %d: otdb.driver.duration is %q, want %q", i, got, step.want)
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

// A task is charged with the time of its database that is known to be that: a pause
// where nobody looked is not, unless the driver turns out to be slow.
func TestTimeInTheDatabasesOfATask(t *testing.T) {
	const n = 60
	upTo := func(last int, d time.Duration) func(int) time.Duration {
		return func(row int) time.Duration {
			if row <= last {
				return 0
			}
			return d
		}
	}
	at := func(one int, d time.Duration) func(int) time.Duration {
		return func(row int) time.Duration {
			if row == one {
				return d
			}
			return 0
		}
	}
	never := at(-1, 0)
	for name, test := range map[string]struct {
		driver, consumer func(row int) time.Duration // for a row, and behind it
		want             time.Duration
	}{
		"slow driver":                        {upTo(0, time.Second), never, n * time.Second},
		"slow consumer":                      {never, upTo(0, time.Second), 0},
		"both":                               {upTo(0, time.Second), upTo(0, time.Second), n * time.Second},
		"driver that becomes slow":           {upTo(44, time.Second), never, (n - 44) * time.Second},
		"consumer that becomes slow":         {never, upTo(44, time.Second), 0},
		"consumer that pauses":               {never, at(44, time.Second), 0},
		"consumer that pauses at the end":    {never, at(59, time.Second), 0},
		"consumer that pauses with few rows": {at(1, time.Second), at(3, time.Second), time.Second},
		"driver that pauses":                 {at(44, time.Second), never, 0},
		"driver that pauses with few rows":   {at(3, time.Second), never, time.Second},
		"a pause of each":                    {at(8, time.Second), at(9, time.Second), time.Second},
		"driver that is hardly slow later":   {at(55, 10*time.Microsecond), at(44, time.Hour), 20 * time.Microsecond},
		"driver that pauses twice":           {func(row int) time.Duration { return at(44, time.Second)(row) + at(55, time.Second)(row) }, never, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(n)
				for row := 1; row <= n; row++ {
					fake.On(fakedb.RowsNext, row, slow(test.driver(row)))
				}
				db, _ := observe(t, fake)
				task := ledger.New(nil, "task")
				rows := must(db.QueryContext(ledger.NewContext(t.Context(), task), "SELECT"))
				for row := 1; rows.Next(); row++ {
					time.Sleep(test.consumer(row))
				}
				if got := task.Totals(); got.Duration != test.want || got.Rows != n {
					t.Errorf("the ledger has %d rows, %v, want %v", got.Rows, got.Duration, test.want)
				}
			})
		})
	}
}

// Rows that come quickly and are then left alone end when the driver was called
// last, whether or not anybody looked then.
func TestEndOfQuickRows(t *testing.T) {
	const quick = time.Microsecond
	for read := range 200 {
		synctest.Test(t, func(t *testing.T) {
			fake := fakeOf(fakedb.Modern)
			fake.Results = manyRows(1000)
			for row := 1; row <= 2*read; row++ {
				fake.On(fakedb.RowsNext, row, slow(quick))
			}
			db, spans := observe(t, fake)
			ctx, cancel := context.WithCancel(t.Context())
			cancelled := must(db.QueryContext(ctx, "SELECT"))
			for range read {
				cancelled.Next()
			}
			time.Sleep(time.Hour)
			cancel()
			synctest.Wait()
			ends(t, only(t, spans), time.Duration(read)*quick, "context.Canceled")

			spans.Reset()
			task := ledger.New(nil, "task")
			leaked := must(db.QueryContext(ledger.NewContext(t.Context(), task), "SELECT"))
			defer leaked.Close()
			for range read {
				leaked.Next()
			}
			time.Sleep(time.Hour)
			if leaks := task.EndTask(); len(leaks) != 1 || leaks[0].Rows != int64(read) {
				t.Errorf("leaks %v, want one of %d rows", leaks, read)
			}
			ends(t, only(t, spans), time.Duration(read)*quick, "")
		})
	}
}
