package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
)

// manyRows returns the results of queries that have n rows.
func manyRows(n int) func(string) []fakedb.ResultSet {
	return func(string) []fakedb.ResultSet {
		return []fakedb.ResultSet{{Columns: []string{"a"}, Rows: make([][]driver.Value, n)}}
	}
}

// slow makes a call take that long, on the bubble's clock.
func slow(d time.Duration) fakedb.Fault {
	return fakedb.Fault{Do: func(context.Context) { time.Sleep(d) }}
}

// observe opens an observed database with the SDK's tracer. Its connection is
// made already, so that every span is about what the test does.
func observe(t *testing.T, fake *fakedb.DB, opts ...otdb.Option) (*sql.DB, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	opts = append([]otdb.Option{
		otdb.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
		otdb.WithMeterProvider(metricnoop.NewMeterProvider()),
		otdb.WithOperations(otdb.DefaultOperations &^ otdb.OperationConnect),
	}, opts...)
	db := otdb.OpenDB(fake.Connector(), opts...)
	t.Cleanup(func() { _ = db.Close() })
	if err := db.PingContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db, spans
}

// only returns the one span there is.
func only(t *testing.T, spans *tracetest.SpanRecorder) sdktrace.ReadOnlySpan {
	t.Helper()
	if started, ended := len(spans.Started()), spans.Ended(); started != 1 || len(ended) != 1 {
		t.Fatalf("%d spans started, ended: %v", started, names(ended))
	}
	return spans.Ended()[0]
}

func names(spans []sdktrace.ReadOnlySpan) (names []string) {
	for _, s := range spans {
		names = append(names, s.Name()+" "+attributeOf(s, "error.type"))
	}
	return names
}

func attributeOf(s sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, a := range s.Attributes() {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

// ends checks how a span ended. The outcome is its error.type.
func ends(t *testing.T, s sdktrace.ReadOnlySpan, length time.Duration, outcome string) {
	t.Helper()
	if got := s.EndTime().Sub(s.StartTime()); got != length {
		t.Errorf("the span is %v long, want %v", got, length)
	}
	status := codes.Error
	if outcome == "" {
		status = codes.Unset
	}
	if got := attributeOf(s, "error.type"); got != outcome || s.Status().Code != status {
		t.Errorf("error.type is %q, status %v; want %q, %v", got, s.Status(), outcome, status)
	}
	if len(s.Events()) > 0 {
		t.Errorf("events: %v", s.Events())
	}
}

// read reads n rows and waits after each.
func read(t *testing.T, rows *sql.Rows, n int, wait time.Duration) {
	t.Helper()
	for range n {
		if !rows.Next() {
			t.Fatal("no row:", rows.Err())
		}
		time.Sleep(wait)
	}
}

func fakeOf(shape fakedb.Shape) *fakedb.DB { return newFake(shape &^ fakedb.SessionResetter) }

func TestSpanEndsWithItsRows(t *testing.T) {
	tests := []struct {
		name    string
		use     func(t *testing.T, fake *fakedb.DB, db *sql.DB)
		length  time.Duration
		outcome string
	}{
		{"all rows", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			rows := must(db.Query("SELECT"))
			for rows.Next() {
				time.Sleep(time.Second)
			}
			time.Sleep(time.Second) // is no part of it
			_ = rows.Close()
		}, 3 * time.Second, ""},
		{"all result sets", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			rows := must(db.Query("MULTI"))
			for more := true; more; more = rows.NextResultSet() {
				time.Sleep(time.Second)
				for rows.Next() {
				}
			}
			time.Sleep(time.Second)
			_ = rows.Close()
		}, 3 * time.Second, ""},
		{"closed between result sets", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			rows := must(db.Query("MULTI"))
			for rows.Next() {
			}
			time.Sleep(time.Second)
			_ = rows.Close()
		}, time.Second, ""},
		{"closed early", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			rows := must(db.Query("SELECT"))
			read(t, rows, 1, time.Second)
			_ = rows.Close()
			_ = rows.Close()
		}, time.Second, ""},
		{"no row for QueryRow", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			if err := db.QueryRow("NONE").Scan(new(any), new(any)); err != sql.ErrNoRows {
				t.Error(err)
			}
		}, 0, ""},
		{"a row for QueryRow", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			if err := db.QueryRow("SELECT").Scan(new(any), new(any)); err != nil {
				t.Error(err)
			}
		}, 0, ""},
		{"an error in the middle", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			fake.On(fakedb.RowsNext, 2, fakedb.Fault{Do: slow(time.Second).Do, Err: driver.ErrBadConn})
			rows := must(db.Query("SELECT"))
			for rows.Next() {
				time.Sleep(time.Second)
			}
			if rows.Err() != driver.ErrBadConn {
				t.Error(rows.Err())
			}
		}, 2 * time.Second, "driver.ErrBadConn"},
		{"an error of the next result set", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			fake.On(fakedb.RowsToNextResultSet, 1, fakedb.Fault{Err: driver.ErrBadConn})
			rows := must(db.Query("MULTI"))
			for rows.Next() {
			}
			if rows.NextResultSet() || rows.Err() != driver.ErrBadConn {
				t.Error(rows.Err())
			}
		}, 0, "driver.ErrBadConn"},
		{"an error of Close", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			fake.On(fakedb.RowsClose, 1, fakedb.Fault{Err: driver.ErrBadConn})
			rows := must(db.Query("SELECT"))
			if err := rows.Close(); err != driver.ErrBadConn {
				t.Error(err)
			}
		}, 0, "driver.ErrBadConn"},
		{"no rows and no error", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			fake.On(fakedb.ConnQueryContext, 1, fakedb.Fault{Nil: true})
			if rows, err := db.Query("SELECT"); err != nil || rows == nil {
				t.Error(rows, err)
			}
		}, 0, ""},
		{"cancelled by the consumer", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			ctx, cancel := context.WithCancel(t.Context())
			rows := must(db.QueryContext(ctx, "SELECT"))
			read(t, rows, 1, time.Second)
			fake.On(fakedb.RowsNext, 2, slow(time.Second))
			read(t, rows, 1, time.Minute)
			cancel()
			synctest.Wait()
			time.Sleep(time.Minute)
			if rows.Next() || rows.Err() != context.Canceled {
				t.Error(rows.Err())
			}
		}, time.Minute + 2*time.Second, "context.Canceled"},
		{"cancelled while clean-up is slow", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			fake.On(fakedb.RowsClose, 1, slow(time.Minute))
			ctx, cancel := context.WithCancel(t.Context())
			rows := must(db.QueryContext(ctx, "SELECT"))
			read(t, rows, 1, time.Second)
			cancel()
			time.Sleep(time.Hour)
		}, time.Minute + time.Second, "context.Canceled"},
		{"cancelled while the driver advances", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			ctx, cancel := context.WithCancel(t.Context())
			rows := must(db.QueryContext(ctx, "SELECT"))
			read(t, rows, 1, time.Second)
			fake.On(fakedb.RowsNext, 2, fakedb.Fault{Do: func(context.Context) { time.Sleep(3 * time.Second); cancel() }, Err: context.Canceled})
			if rows.Next() {
				t.Error("a row")
			}
		}, 4 * time.Second, "context.Canceled"},
		{"cancelled after many slow rows", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			fake.Results = manyRows(200)
			ctx, cancel := context.WithCancel(t.Context())
			rows := must(db.QueryContext(ctx, "SELECT"))
			read(t, rows, 13, time.Second)
			time.Sleep(time.Minute)
			cancel()
			synctest.Wait()
		}, 13*time.Second + time.Minute, "context.Canceled"},
		{"cancelled after rows that became slow", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			fake.Results = manyRows(200)
			ctx, cancel := context.WithCancel(t.Context())
			rows := must(db.QueryContext(ctx, "SELECT"))
			read(t, rows, 120, 0)
			read(t, rows, 20, time.Second)
			cancel()
			synctest.Wait()
		}, 20 * time.Second, "context.Canceled"},
		{"past the deadline", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			rows := must(db.QueryContext(ctx, "SELECT"))
			read(t, rows, 1, 0)
			time.Sleep(time.Minute)
			_ = rows.Close()
		}, 5 * time.Second, "context.DeadlineExceeded"},
		{"cancelled after the last row", func(t *testing.T, fake *fakedb.DB, db *sql.DB) {
			ctx, cancel := context.WithCancel(t.Context())
			rows := must(db.QueryContext(ctx, "SELECT"))
			for rows.Next() {
			}
			cancel()
			_ = rows.Close()
		}, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				db, spans := observe(t, fake)
				tt.use(t, fake, db)
				ends(t, only(t, spans), tt.length, tt.outcome)
			})
		})
	}
}

func TestSpanEndsWithItsTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeOf(fakedb.Modern)
		db, spans := observe(t, fake, otdb.WithOperations(0))
		ctx, cancel := context.WithCancel(t.Context())
		tx := must(db.BeginTx(ctx, nil))
		rows := must(tx.QueryContext(context.Background(), "SELECT"))
		read(t, rows, 1, 0)
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		ends(t, only(t, spans), time.Minute, "context.Canceled")
	})
}

// foreignSpan is a span that does not tell its times, as those of the SDK do.
type foreignSpan struct{ trace.Span }

type foreignProvider struct{ trace.TracerProvider }

func (p foreignProvider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return foreignTracer{p.TracerProvider.Tracer(name, opts...)}
}

type foreignTracer struct{ trace.Tracer }

func (t foreignTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := t.Tracer.Start(ctx, name, opts...)
	foreign := foreignSpan{span}
	return trace.ContextWithSpan(ctx, foreign), foreign
}

// TestForeignSpan checks that a span which does not tell its times ends at the
// last call of the driver too.
func TestForeignSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		db, _ := observe(t, fakeOf(fakedb.Modern),
			otdb.WithTracerProvider(foreignProvider{sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))}))
		ctx, cancel := context.WithCancel(t.Context())
		rows := must(db.QueryContext(ctx, "SELECT"))
		read(t, rows, 1, time.Minute)
		cancel()
		synctest.Wait()
		ends(t, only(t, spans), time.Minute, "context.Canceled")
	})
}

func TestDriverDuration(t *testing.T) {
	tests := []struct {
		name             string
		rows             int
		driver, consumer time.Duration // for each row
		want             string        // otdb.driver.duration
	}{
		{"slow consumer", 2, 500 * time.Millisecond, time.Second, "1"},
		{"slow driver", 2, time.Second, 0, ""},
		{"quick consumer", 2, time.Second, 499 * time.Microsecond, ""},
		{"slow driver of many rows", 500, time.Second, 0, ""},
		{"slow consumer of many rows", 2 + 32*16, 0, time.Second, "0"},
		{"both, of many rows", 2 + 32*16, time.Second, time.Second, "514"},
		{"quick consumer of many rows", 101, 0, time.Microsecond, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeOf(fakedb.Modern)
				fake.Results = manyRows(tt.rows)
				db, spans := observe(t, fake)
				for n := range tt.rows {
					fake.On(fakedb.RowsNext, n+1, slow(tt.driver))
				}
				rows := must(db.Query("SELECT"))
				read(t, rows, tt.rows, tt.consumer)
				for rows.Next() {
				}
				span := only(t, spans)
				ends(t, span, time.Duration(tt.rows)*(tt.driver+tt.consumer), "")
				if got := attributeOf(span, "otdb.driver.duration"); got != tt.want {
					t.Errorf("otdb.driver.duration is %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestLeakedRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeOf(fakedb.Modern)
		db, spans := observe(t, fake)
		l := ledger.New(nil, "task")
		fake.Results = manyRows(11)
		rows := must(db.QueryContext(ledger.NewContext(t.Context(), l), "SELECT"))
		fake.On(fakedb.RowsNext, 10, slow(time.Second))
		read(t, rows, 10, time.Minute)
		leaks := l.EndTask()
		if len(leaks) != 1 || leaks[0].Rows != 10 {
			t.Errorf("leaks: %+v", leaks)
		}
		span := only(t, spans)
		ends(t, span, 10*time.Minute+time.Second, "")
		if attributeOf(span, "otdb.rows_leaked") != "true" {
			t.Errorf("attributes: %v", span.Attributes())
		}
		if got := l.Totals(); got.Operations != 1 || got.Statements != 1 || got.Rows != 10 || got.Errors != 0 || got.Duration != time.Second {
			t.Errorf("the ledger has %+v", got)
		}
		// The rows stay usable.
		read(t, rows, 1, 0)
		if rows.Next() || rows.Err() != nil || rows.Close() != nil {
			t.Error(rows.Err())
		}
		if only(t, spans); len(l.EndTask()) > 0 || l.Totals().Operations != 1 {
			t.Error("the rows ended twice")
		}
	})
}

// Rows that nobody has begun to read last until their task ends, too.
func TestRowsLeakedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeOf(fakedb.Modern)
		fake.On(fakedb.ConnQueryContext, 1, slow(time.Second))
		db, spans := observe(t, fake)
		l := ledger.New(nil, "task")
		rows := must(db.QueryContext(ledger.NewContext(t.Context(), l), "SELECT"))
		defer rows.Close()
		time.Sleep(time.Minute)
		if leaks := l.EndTask(); len(leaks) != 1 || leaks[0].Rows != 0 {
			t.Errorf("leaks: %+v", leaks)
		}
		ends(t, only(t, spans), time.Minute+time.Second, "")
		if got := l.Totals(); got.Duration != time.Second {
			t.Errorf("the ledger has %+v", got)
		}
	})
}

// TestLeakedRowsRace ends a task while other goroutines read and close its rows.
func TestLeakedRowsRace(t *testing.T) {
	rec := &recorder{}
	fake := fakeOf(fakedb.Modern)
	db := otdb.OpenDB(fake.Connector(), otdb.WithTracerProvider(rec), otdb.WithMeterProvider(metricnoop.NewMeterProvider()),
		otdb.WithOperations(0), otdb.WithRowCounts())
	defer db.Close()
	for range 50 {
		const consumers = 4
		before := len(rec.all())
		l := ledger.New(nil, "task")
		ctx := ledger.NewContext(t.Context(), l)
		open := make(chan struct{}, consumers)
		var wg sync.WaitGroup
		for range consumers {
			wg.Go(func() {
				rows, err := db.QueryContext(ctx, "SELECT")
				open <- struct{}{}
				if err != nil {
					t.Error(err)
					return
				}
				for rows.Next() {
				}
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		for range consumers {
			<-open
		}
		leaks := l.EndTask()
		// Statements that end by themselves just then may miss the account.
		totals := l.Totals()
		wg.Wait()
		marked := 0
		for _, s := range rec.all()[before:] {
			if s.attribute("otdb.rows_leaked") != "" {
				marked++
			}
		}
		if marked != len(leaks) || totals != l.Totals() || int(totals.Operations) < marked || totals.Operations > consumers {
			t.Fatalf("%d leaks, %d spans are marked, the ledger has %+v", len(leaks), marked, totals)
		}
	}
	rec.check(t, "race")
}

// TestPanicsAreNotExported checks every operation that can panic: its span ends
// once, says so, and holds nothing of the value.
func TestPanicsAreNotExported(t *testing.T) {
	use := func(db *sql.DB) {
		ctx := context.Background()
		attempt := func(f func()) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				f()
			}()
			<-done
		}
		attempt(func() { _ = db.PingContext(ctx) })
		attempt(func() { _, _ = db.ExecContext(ctx, "INSERT ?", 1) })
		attempt(func() { _, _ = readAllQuietly(db.QueryContext(ctx, "MULTI ?", 1)) })
		attempt(func() {
			s := must(db.PrepareContext(ctx, "PREPARED ?"))
			defer s.Close()
			_, _ = s.ExecContext(ctx, 1)
		})
		attempt(func() {
			s := must(db.PrepareContext(ctx, "PREPARED ?"))
			defer s.Close()
			_, _ = readAllQuietly(s.QueryContext(ctx, 1))
		})
		attempt(func() { _ = must(db.BeginTx(ctx, nil)).Commit() })
		attempt(func() { _ = must(db.BeginTx(ctx, nil)).Rollback() })
	}
	operations := map[fakedb.Method]string{
		fakedb.ConnectorConnect: "CONNECT", fakedb.ConnPing: "PING", fakedb.ConnResetSession: "RESET_SESSION",
		fakedb.ConnPrepareWithContext: "PREPARE", fakedb.ConnBeginWithContext: "BEGIN", fakedb.TxCommit: "COMMIT", fakedb.TxRollback: "ROLLBACK",
		fakedb.ConnExecContext: "statement", fakedb.ConnQueryContext: "statement",
		fakedb.StmtExecWithContext: "statement", fakedb.StmtQueryWithContext: "statement",
		fakedb.RowsColumns: "statement", fakedb.RowsNext: "statement", fakedb.RowsHasNextResultSet: "statement",
		fakedb.RowsToNextResultSet: "statement", fakedb.RowsClose: "statement",
	}
	for m, operation := range operations {
		for _, f := range []fakedb.Fault{{Panic: panicValue}, {Goexit: true}} {
			t.Run(fmt.Sprint(m, " Goexit ", f.Goexit), func(t *testing.T) {
				sdk := tracetest.NewSpanRecorder()
				rec := &recorder{}
				for _, provider := range []trace.TracerProvider{sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(sdk)), rec} {
					fake := newFake(fakedb.Modern)
					fake.On(m, 1, f)
					db := otdb.OpenDB(fake.Connector(), otdb.WithTracerProvider(provider), otdb.WithMeterProvider(metricnoop.NewMeterProvider()),
						otdb.WithOperations(otdb.DefaultOperations|otdb.OperationPing|otdb.OperationResetSession))
					use(db)
					_ = db.Close()
				}
				rec.check(t, "panic")
				class := "panic"
				if f.Goexit {
					class = "runtime.Goexit"
				}
				failed := 0
				for _, s := range rec.all() {
					if s.attribute("error.type") == class {
						failed++
						if s.operation() != operation || s.status != codes.Error {
							t.Errorf("the span %v failed, want %s", s, operation)
						}
					}
				}
				if failed != 1 && m != fakedb.RowsClose { // which comes after the end of the rows
					t.Errorf("%d spans failed", failed)
				}
				for _, s := range sdk.Ended() {
					if text := fmt.Sprint(s.Attributes(), s.Events(), s.Status(), s.Name()); strings.Contains(text, "secret") {
						t.Errorf("exported: %s", text)
					}
				}
			})
		}
	}
}

func readAllQuietly(rows *sql.Rows, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			n++
		}
	}
	return n, rows.Err()
}

// sliceContext is a context that cannot be compared.
type sliceContext struct {
	context.Context
	_ []int
}

// TestSkippedFastPath checks that a statement is one span when its driver skips
// the fast path, whatever becomes of it then.
func TestSkippedFastPath(t *testing.T) {
	skip := fakedb.Fault{Err: driver.ErrSkip}
	exec := func(ctx context.Context, db *sql.DB, args ...any) error {
		_, err := db.ExecContext(ctx, "INSERT ?", args...)
		return err
	}
	query := func(ctx context.Context, db *sql.DB, args ...any) error {
		_, err := readAllQuietly(db.QueryContext(ctx, "SELECT ?", args...))
		return err
	}
	tests := []struct {
		name    string
		shape   fakedb.Shape
		faults  map[fakedb.Method]fakedb.Fault
		ctx     func(context.Context) context.Context
		args    []any
		length  time.Duration
		outcome string
	}{
		{name: "executed", length: 3 * time.Second},
		{name: "legacy driver", shape: fakedb.Execer | fakedb.Queryer, length: 3 * time.Second},
		{name: "a context that cannot be compared", ctx: func(ctx context.Context) context.Context { return sliceContext{Context: ctx} }, length: 3 * time.Second},
		{name: "a context by pointer", ctx: func(ctx context.Context) context.Context { return &sliceContext{Context: ctx} }, length: 3 * time.Second},
		{name: "prepare fails", faults: map[fakedb.Method]fakedb.Fault{
			fakedb.ConnPrepareWithContext: {Do: slow(time.Second).Do, Err: driver.ErrBadConn}, fakedb.ConnPrepare: {Do: slow(time.Second).Do, Err: driver.ErrBadConn},
		}, length: 2 * time.Second, outcome: "driver.ErrBadConn"},
		{name: "execution fails", faults: map[fakedb.Method]fakedb.Fault{
			fakedb.StmtExecWithContext: {Err: io.ErrUnexpectedEOF}, fakedb.StmtQueryWithContext: {Err: io.ErrUnexpectedEOF},
		}, length: 2 * time.Second, outcome: "io.ErrUnexpectedEOF"},
		{name: "prepare panics", faults: map[fakedb.Method]fakedb.Fault{
			fakedb.ConnPrepareWithContext: {Panic: panicValue},
		}, length: time.Second, outcome: "panic"},
		{name: "execution panics", faults: map[fakedb.Method]fakedb.Fault{
			fakedb.StmtExecWithContext: {Panic: panicValue}, fakedb.StmtQueryWithContext: {Panic: panicValue},
		}, length: 2 * time.Second, outcome: "panic"},
		{name: "counting the arguments panics", faults: map[fakedb.Method]fakedb.Fault{
			fakedb.StmtNumInput: {Panic: panicValue},
		}, length: 2 * time.Second, outcome: "panic"},
		{name: "too many arguments", args: []any{1, 2}, length: 2 * time.Second, outcome: "_OTHER"},
		{name: "a refused argument", args: []any{nil}, shape: fakedb.ExecerContext | fakedb.QueryerContext | fakedb.ColumnConverter, length: 2 * time.Second, outcome: "_OTHER"},
	}
	for _, tt := range tests {
		for kind, run := range map[string]func(context.Context, *sql.DB, ...any) error{"exec": exec, "query": query} {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if tt.shape == 0 {
						tt.shape = fakedb.Modern
					}
					fake := fakeOf(tt.shape)
					for _, m := range append(execMethods, queryMethods...) {
						fake.On(m, 1, fakedb.Fault{Do: slow(time.Second).Do, Err: skip.Err})
					}
					for _, m := range append(prepareMethods, append(stmtExecMethods, stmtQueryMethods...)...) {
						fake.On(m, 1, slow(time.Second))
					}
					for m, f := range tt.faults {
						fake.On(m, 1, f)
					}
					if tt.outcome == "driver.ErrBadConn" {
						for _, m := range append(execMethods, queryMethods...) {
							fake.On(m, 2, fakedb.Fault{Err: errors.New("the second attempt")})
						}
					}
					db, spans := observe(t, fake)
					ctx := context.Background()
					if tt.ctx != nil {
						ctx = tt.ctx(ctx)
					}
					if tt.args == nil {
						tt.args = []any{1}
					}
					func() {
						defer func() { _ = recover() }()
						_ = run(ctx, db, tt.args...)
					}()
					if tt.outcome == "driver.ErrBadConn" {
						if n := len(spans.Ended()); n != 2 || len(spans.Started()) != 2 {
							t.Fatalf("spans: %v", names(spans.Ended()))
						}
						ends(t, spans.Ended()[0], tt.length, tt.outcome)
						return
					}
					ends(t, only(t, spans), tt.length, tt.outcome)
				})
			})
		}
	}
}

// TestSkippedAndDropped checks a statement that its driver skipped and that
// nobody goes on with: the connection's end ends its span, and nothing before
// that, since somebody might still go on.
func TestSkippedAndDropped(t *testing.T) {
	drop := func(t *testing.T, ctx context.Context, c *sql.Conn) {
		t.Helper()
		err := c.Raw(func(dc any) error {
			_, err := dc.(driver.ExecerContext).ExecContext(ctx, "DROPPED ?", []driver.NamedValue{{Ordinal: 1, Value: int64(1)}})
			return err
		})
		if err != driver.ErrSkip {
			t.Fatal(err)
		}
	}
	next := map[string]func(context.Context, *sql.Conn) error{
		"exec":       func(ctx context.Context, c *sql.Conn) error { _, err := c.ExecContext(ctx, "INSERT"); return err },
		"query":      func(ctx context.Context, c *sql.Conn) error { return c.QueryRowContext(ctx, "NONE").Err() },
		"other text": func(ctx context.Context, c *sql.Conn) error { _, err := c.PrepareContext(ctx, "OTHER"); return err },
		"other context": func(_ context.Context, c *sql.Conn) error {
			_, err := c.PrepareContext(context.Background(), "DROPPED ?")
			return err
		},
		"begin": func(ctx context.Context, c *sql.Conn) error { _, err := c.BeginTx(ctx, nil); return err },
		"ping":  func(ctx context.Context, c *sql.Conn) error { return c.PingContext(ctx) },
	}
	for name, f := range next {
		t.Run(name, func(t *testing.T) {
			fake := fakeOf(fakedb.Modern)
			fake.On(fakedb.ConnExecContext, 1, fakedb.Fault{Err: driver.ErrSkip})
			db, spans := observe(t, fake)
			ctx, cancel := context.WithCancel(t.Context())
			c := must(db.Conn(ctx))
			drop(t, ctx, c)
			if n := len(spans.Ended()); n != 0 {
				t.Fatalf("%d spans ended", n)
			}
			if err := f(ctx, c); err != nil {
				t.Fatal(err)
			}
			dropped := spans.Started()[0].Name() + " _OTHER"
			before := names(spans.Ended())
			if slices.Contains(before, dropped) {
				t.Errorf("ended: %v", before)
			}
			if err := c.Raw(func(dc any) error { return dc.(driver.Conn).Close() }); err != nil {
				t.Fatal(err)
			}
			if ended, want := names(spans.Ended()), append(before, dropped); !slices.Equal(ended, want) {
				t.Errorf("ended: %v, want %v", ended, want)
			}
			cancel()
			_ = c.Close()
		})
	}
}

// TestAttempts checks that each attempt that reaches the driver is a span.
func TestAttempts(t *testing.T) {
	fake := fakeOf(fakedb.Modern)
	for n := range 2 {
		fake.On(fakedb.ConnExecContext, n+1, fakedb.Fault{Err: driver.ErrBadConn})
	}
	db, spans := observe(t, fake)
	if _, err := db.ExecContext(t.Context(), "INSERT"); err != nil {
		t.Fatal(err)
	}
	want := []string{"driver.ErrBadConn", "driver.ErrBadConn", ""}
	if len(spans.Ended()) != len(want) {
		t.Fatalf("spans: %v", names(spans.Ended()))
	}
	for i, s := range spans.Ended() {
		if got := attributeOf(s, "error.type"); got != want[i] {
			t.Errorf("attempt %d has error.type %q, want %q", i, got, want[i])
		}
	}
}

// TestDriverWithoutFastPath checks what its statements look like: a PREPARE and
// the statement.
func TestDriverWithoutFastPath(t *testing.T) {
	db, spans := observe(t, newFake(0))
	if _, err := db.ExecContext(t.Context(), "INSERT ?", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := readAllQuietly(db.QueryContext(t.Context(), "SELECT ?", 1)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range spans.Ended() {
		got = append(got, attributeOf(s, "db.operation.name"))
	}
	if fmt.Sprint(got) != "[PREPARE  PREPARE ]" {
		t.Errorf("spans: %q", got)
	}
}

// TestDriverSeesTheSpan checks that the context which the driver gets holds the
// span of the statement.
func TestDriverSeesTheSpan(t *testing.T) {
	fake := fakeOf(fakedb.Modern)
	var seen []trace.SpanContext
	for _, m := range methods {
		fake.On(m, 0, fakedb.Fault{Do: func(ctx context.Context) {
			if ctx != nil {
				seen = append(seen, trace.SpanContextFromContext(ctx))
			}
		}})
	}
	db, spans := observe(t, fake)
	seen = nil
	if _, err := db.ExecContext(t.Context(), "INSERT ?", 1); err != nil {
		t.Fatal(err)
	}
	s := must(db.PrepareContext(t.Context(), "SELECT ?"))
	if _, err := readAllQuietly(s.QueryContext(t.Context(), 1)); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	tx := must(db.BeginTx(t.Context(), nil))
	_ = tx.Rollback()
	if len(seen) != 4 {
		t.Fatalf("%d contexts", len(seen))
	}
	for i, s := range spans.Ended()[:4] {
		if !seen[i].Equal(s.SpanContext()) {
			t.Errorf("the driver got another span in call %d of %s", i, s.Name())
		}
	}
}

// TestPointIsSpan checks that the metric's value is the length of the span,
// whatever ended it.
func TestPointIsSpan(t *testing.T) {
	tests := map[string]struct {
		run  func(context.Context, context.CancelFunc, *sql.DB)
		opts []otdb.Option
	}{
		"exec":        {run: func(ctx context.Context, _ context.CancelFunc, db *sql.DB) { _, _ = db.ExecContext(ctx, "INSERT") }},
		"failed exec": {run: func(ctx context.Context, _ context.CancelFunc, db *sql.DB) { _, _ = db.ExecContext(ctx, "FAIL ?", 1) }},
		"query": {run: func(ctx context.Context, _ context.CancelFunc, db *sql.DB) {
			_, _ = readAllQuietly(db.QueryContext(ctx, "SELECT"))
		}},
		"cancelled": {run: func(ctx context.Context, cancel context.CancelFunc, db *sql.DB) {
			rows := must(db.QueryContext(ctx, "SELECT"))
			rows.Next()
			cancel()
			_ = rows.Close()
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := fakeOf(fakedb.Modern)
			if name == "failed exec" {
				fake.On(fakedb.ConnExecContext, 1, fakedb.Fault{Err: io.ErrUnexpectedEOF})
			}
			reader := sdkmetric.NewManualReader()
			db, spans := observe(t, fake, append(tt.opts, otdb.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tt.run(ctx, cancel, db)
			for len(spans.Ended()) == 0 { // database/sql may still be closing the rows
				runtime.Gosched()
			}
			_ = db.Close()
			span := only(t, spans)
			var data metricdata.ResourceMetrics
			if err := reader.Collect(t.Context(), &data); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, m := range data.ScopeMetrics[0].Metrics {
				if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "db.client.operation.duration" {
					sum += h.DataPoints[0].Sum
				}
			}
			if want := span.EndTime().Sub(span.StartTime()).Seconds(); sum != want {
				t.Errorf("the point is %v, the span %v", sum, want)
			}
		})
	}
}

// TestTransactionIsForgotten checks that the context of a transaction that is
// over is not held against what comes later on its connection.
func TestTransactionIsForgotten(t *testing.T) {
	for name, end := range map[string]func(*sql.Tx) error{"commit": (*sql.Tx).Commit, "rollback": (*sql.Tx).Rollback} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, spans := observe(t, fakeOf(fakedb.Modern), otdb.WithOperations(0))
				ctx, cancel := context.WithCancel(t.Context())
				if err := end(must(db.BeginTx(ctx, nil))); err != nil {
					t.Fatal(err)
				}
				cancel()
				synctest.Wait()
				rows := must(db.QueryContext(t.Context(), "SELECT"))
				read(t, rows, 1, time.Second)
				_ = rows.Close()
				ends(t, only(t, spans), time.Second, "")
			})
		})
	}
}

// TestClosedRowsAreForgotten checks that a task which goes on does not keep the
// rows that it has closed.
func TestClosedRowsAreForgotten(t *testing.T) {
	fake := fakeOf(fakedb.Modern)
	var columns weak.Pointer[string]
	fake.Results = func(string) []fakedb.ResultSet {
		c := make([]string, 1)
		columns = weak.Make(&c[0])
		return []fakedb.ResultSet{{Columns: c}}
	}
	db, _ := observe(t, fake)
	l := ledger.New(nil, "task")
	if _, err := readAllQuietly(db.QueryContext(ledger.NewContext(context.Background(), l), "SELECT")); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if columns.Value() != nil {
		t.Error("the rows are still referred to")
	}
	runtime.KeepAlive(l)
}

// A statement that has only legacy methods is not reached by a context that is done:
// what was skipped ends with that context's error.
func TestSkippedAndRejected(t *testing.T) {
	for name, run := range map[string]func(context.Context, *sql.DB) error{
		"exec": func(ctx context.Context, db *sql.DB) error { _, err := db.ExecContext(ctx, "INSERT ?", 1); return err },
		"query": func(ctx context.Context, db *sql.DB) error {
			_, err := readAllQuietly(db.QueryContext(ctx, "SELECT ?", 1))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			fake := fakeOf(fakedb.Modern &^ (fakedb.StmtExecContext | fakedb.StmtQueryContext))
			fake.On(fakedb.ConnExecContext, 1, fakedb.Fault{Err: driver.ErrSkip})
			fake.On(fakedb.ConnQueryContext, 1, fakedb.Fault{Err: driver.ErrSkip})
			fake.On(fakedb.StmtNumInput, 1, fakedb.Fault{Do: func(context.Context) { cancel() }})
			db, spans := observe(t, fake)
			if err := run(ctx, db); err != context.Canceled {
				t.Fatal(err)
			}
			ended := names(spans.Ended())
			if last := ended[len(ended)-1]; !strings.HasSuffix(last, " context.Canceled") {
				t.Errorf("ended: %v", ended)
			}
		})
	}
}
