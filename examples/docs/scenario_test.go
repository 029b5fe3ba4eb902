package docs

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskspan/taskspan/metrics"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
)

// keys are the keys of attributes, with their types.
type keys map[string]string

// instrument is what a metric is, apart from its values.
type instrument struct {
	kind, unit string
	keys       keys
	buckets    []float64
	values     map[string]keys // of a key, the values seen
}

// emitted is what the code emits.
type emitted struct {
	operations map[string]bool // names of the lifecycle spans
	statement  keys
	lifecycle  keys
	folded     keys
	task       keys
	kinds      map[string]map[string]bool // of spans, by statement, lifecycle, task
	events     map[string]keys
	metrics    map[string]*instrument
	served     map[string]string // Prometheus name to type
	findings   map[string]bool
	results    map[string]bool
	logs       map[string]*logRecord // by message
	river      struct {
		metrics map[string]*instrument
		served  map[string]string
	}
}

type logRecord struct {
	level slog.Level
	keys  keys
}

// userKey is the attribute that the scenario's options add; no page has it.
const userKey = "docs.user"

// recorder is a slog.Handler that keeps the shapes of records.
type recorder struct {
	mu       sync.Mutex
	logs     map[string]*logRecord
	progress func() // called for each record of a task whose database is at work
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }
func (r *recorder) Handle(_ context.Context, rec slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.logs[rec.Message]
	if l == nil {
		l = &logRecord{level: rec.Level, keys: keys{}}
		r.logs[rec.Message] = l
	}
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key != userKey {
			l.keys[a.Key] = strings.ToLower(a.Value.Kind().String())
		}
		if a.Key == "worker.task.db.in_progress.age" {
			r.progress()
		}
		return true
	})
	return nil
}

// taken returns the records so far. Tasks that run for long are logged by a timer, which
// may still be at it.
func (r *recorder) taken() map[string]*logRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	logs := r.logs
	r.logs = make(map[string]*logRecord)
	return logs
}

// emit runs a scenario with every option on, and returns what came out.
func emit(t *testing.T) *emitted {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
		AttributeValueLengthLimit: -1, AttributeCountLimit: -1, EventCountLimit: -1, LinkCountLimit: -1,
		AttributePerEventCountLimit: -1, AttributePerLinkCountLimit: -1,
	}))
	reader := sdkmetric.NewManualReader()
	meter, err := metrics.New(metrics.WithReader(reader))
	check(t, err)
	t.Cleanup(func() { check(t, meter.Shutdown(context.WithoutCancel(t.Context()))) })
	logged := make(chan struct{})
	rec := &recorder{logs: make(map[string]*logRecord), progress: sync.OnceFunc(func() { close(logged) })}
	logger := slog.New(telemetry.NewLogHandler(rec))

	runner, err := worker.New(
		worker.WithTracerProvider(tracer), worker.WithMeterProvider(meter), worker.WithLogger(logger),
		worker.WithPropagator(propagation.TraceContext{}), worker.WithLabelKeys(userKey), worker.WithRecoverPanics(),
		worker.WithRepeatedStatements(20), worker.WithSlowStatements(1), worker.WithIdleTransactions(1),
		worker.WithStillRunning(time.Millisecond), worker.WithSchedule("docs.scheduled", time.Hour))
	check(t, err)
	options := []otdb.Option{
		otdb.WithSystem("sqlite"),
		otdb.WithTracerProvider(tracer), otdb.WithMeterProvider(meter), otdb.WithAttributes(attribute.Bool(userKey, true)),
		otdb.WithNamespace("docs"), otdb.WithServer("db.example.com", 6000), otdb.WithPoolName("docs"), otdb.WithRowCounts(),
		otdb.WithOperations(otdb.DefaultOperations | otdb.OperationPing | otdb.OperationResetSession),
		otdb.WithQueryParameters(func(string) bool { return true }), otdb.WithSlowLog(1, logger),
	}
	db := otdb.OpenDB(connector("file:"+filepath.Join(t.TempDir(), "docs.db")), options...)
	t.Cleanup(func() { check(t, db.Close()) })
	batches, err := otdb.NewTracer("sqlite", options...) // database/sql has no batches
	check(t, err)
	db.SetMaxOpenConns(8)

	s := &scenario{T: t, runner: runner, db: db, batches: batches, logged: logged}
	s.play()
	var data metricdata.ResourceMetrics
	var served map[string]string
	// A gauge of the running tasks needs one.
	s.run("docs.running", nil, func(ctx context.Context) error {
		served = scrape(t, meter, "db_", "otdb_", "worker_")
		return reader.Collect(ctx, &data)
	})
	e := &emitted{
		operations: map[string]bool{}, statement: keys{}, lifecycle: keys{}, folded: keys{}, task: keys{}, events: map[string]keys{},
		kinds:   map[string]map[string]bool{"statement": {}, "lifecycle": {}, "folded": {}, "task": {}},
		metrics: map[string]*instrument{},
		served:  served, findings: map[string]bool{}, results: map[string]bool{}, logs: rec.taken(),
	}
	for _, span := range spans.GetSpans() {
		e.addSpan(span)
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			e.addMetric(m)
		}
	}
	check(t, runner.Drain(t.Context()))
	e.river.metrics = make(map[string]*instrument)
	emitRiver(t, e)
	return e
}

// connector opens SQLite's database of that DSN, with connections that can be
// reset.
type connector string

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }
func (c connector) Connect(context.Context) (driver.Conn, error) {
	raw, err := c.Driver().Open(string(c))
	if err != nil {
		return nil, err
	}
	return resettable{raw.(*sqlite3.SQLiteConn)}, nil
}

type resettable struct{ *sqlite3.SQLiteConn }

func (resettable) ResetSession(context.Context) error { return nil }

// scenario does to a database what telemetry has something to say about.
type scenario struct {
	*testing.T
	runner  *worker.Runner
	db      *sql.DB
	batches *otdb.Tracer
	logged  <-chan struct{} // closed when a task whose database is at work was logged
}

func (s *scenario) play() {
	s.run("docs.still", nil, func(ctx context.Context) error {
		worker.Progress(ctx, 1, 2)
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			<-s.logged
			cancel()
		}()
		var n int
		const endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
		if err := s.db.QueryRowContext(ctx, endless).Scan(&n); err == nil {
			return errAny
		}
		return nil
	}, worker.WithID("1"), worker.WithAttempt(1))
	s.run("docs.schema", nil, func(ctx context.Context) error {
		check(s.T, s.db.PingContext(ctx))
		_, batch := s.batches.Start(ctx, otdb.Call{Batch: []string{"SELECT 1", "SELECT 2"}})
		batch.End(2, nil)
		return s.exec(ctx, "CREATE TABLE docs (id INTEGER PRIMARY KEY)")
	})
	s.run("docs.waits", nil, func(ctx context.Context) error {
		s.db.SetMaxOpenConns(1)
		defer s.db.SetMaxOpenConns(8)
		hold := func(d time.Duration) {
			conn, err := s.db.Conn(context.WithoutCancel(ctx))
			check(s.T, err)
			time.AfterFunc(d, func() {
				if err := conn.Close(); err != nil {
					s.Error(err)
				}
			})
		}
		hold(1100 * time.Millisecond)
		check(s.T, s.exec(ctx, "UPDATE docs SET id = id"))
		hold(5 * time.Millisecond)
		tx, err := s.db.BeginTx(ctx, nil)
		check(s.T, err)
		return tx.Commit()
	})
	s.run("docs.transactions", nil, func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, nil)
		check(s.T, err)
		insert, err := tx.PrepareContext(ctx, "INSERT INTO docs VALUES (?)")
		check(s.T, err)
		for i := range 25 {
			_, err := insert.ExecContext(ctx, i)
			check(s.T, err)
		}
		check(s.T, insert.Close())
		check(s.T, tx.Commit())
		tx, err = s.db.BeginTx(ctx, nil)
		check(s.T, err)
		return tx.Rollback()
	}, worker.WithID("1"), worker.WithAttempt(1))
	s.run("docs.folded", nil, func(ctx context.Context) error {
		for range 3 {
			tx, err := s.db.BeginTx(ctx, nil)
			check(s.T, err)
			_, err = tx.ExecContext(ctx, "DELETE FROM docs WHERE id = -1")
			check(s.T, err)
			check(s.T, tx.Rollback())
		}
		return nil
	}, worker.WithMaxOperationSpans(1))
	s.run("docs.consumer", nil, func(ctx context.Context) error {
		rows, err := s.db.QueryContext(ctx, "SELECT id FROM docs WHERE id > ? LIMIT 2", 1)
		check(s.T, err)
		for rows.Next() {
			// A consumer that takes its time.
			for began := time.Now(); time.Since(began) < 5*time.Millisecond; {
			}
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	s.run("docs.leak", nil, func(ctx context.Context) error {
		rows, err := s.db.QueryContext(ctx, "SELECT id FROM docs")
		check(s.T, err)
		s.Cleanup(func() { check(s.T, rows.Close()) })
		rows.Next()
		return rows.Err()
	})
	s.run("docs.leak", nil, func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, nil)
		check(s.T, err)
		s.Cleanup(func() {
			// The test's context is done by now, and database/sql may have been quicker.
			if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
				check(s.T, err)
			}
		})
		return nil
	})
	s.run("docs.failure", errAny, func(ctx context.Context) error { return s.exec(ctx, "INSERT INTO docs VALUES (?)", 1) })
	s.run("docs.retry", errAny, func(ctx context.Context) error { return s.exec(ctx, "INSERT INTO docs VALUES (?)", 1) },
		worker.WithID("8"), worker.WithAttempt(1), worker.WithMaxAttempts(2))
	s.run("docs.syntax", errAny, func(ctx context.Context) error {
		stmt, err := s.db.PrepareContext(ctx, "SELEC ?")
		if err == nil {
			check(s.T, stmt.Close())
		}
		return err
	})
	s.run("docs.overflow", errAny, func(ctx context.Context) error {
		rows, err := s.db.QueryContext(ctx, "SELECT abs(column1) FROM (VALUES (1), (?))", math.MinInt64)
		check(s.T, err)
		for rows.Next() {
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	s.run("docs.procedure", errAny, func(ctx context.Context) error { return s.exec(ctx, "CALL docs(?)", 1) })
	s.run("docs.panic", errAny, func(context.Context) error { panic("any") })
	s.run("docs.skip", errAny, func(context.Context) error { return worker.Skip(errAny) })
	ctx, cancel := context.WithCancelCause(s.Context())
	cancel(errors.New("the shop is closed"))
	s.runIn(ctx, "docs.cancellation", errAny, func(ctx context.Context) error { return ctx.Err() })
	late, stop := context.WithDeadline(s.Context(), time.Unix(1, 0))
	defer stop()
	s.runIn(late, "docs.timeout", errAny, func(ctx context.Context) error { return ctx.Err() })

	carrier := propagation.MapCarrier{}
	s.run("docs.producer", nil, func(ctx context.Context) error {
		worker.Inject(ctx, carrier)
		return nil
	})
	input := struct {
		Order int `trace:"order"`
	}{7}
	s.run("docs.consume", errAny, func(context.Context) error { return errAny }, worker.FromCarrier(carrier), worker.WithID("7"),
		worker.WithAttempt(2), worker.WithEnqueuedAt(time.Unix(1, 0)), worker.WithInput(input),
		worker.WithLabel(userKey, "one"), worker.WithAttributes(attribute.Bool(userKey, true)))
}

var errAny = errors.New("any")

func (s *scenario) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.db.ExecContext(ctx, query, args...)
	return err
}

func (s *scenario) run(name string, want error, fn func(context.Context) error, opts ...worker.TaskOption) {
	s.runIn(s.Context(), name, want, fn, opts...)
}

// runIn runs a task; want says only whether it fails.
func (s *scenario) runIn(ctx context.Context, name string, want error, fn func(context.Context) error, opts ...worker.TaskOption) {
	s.Helper()
	if err := worker.Run(ctx, name, fn, append(opts, worker.WithRunner(s.runner))...); (err == nil) != (want == nil) {
		s.Fatalf("%s: %v", name, err)
	}
}

func (k keys) add(kv ...attribute.KeyValue) {
	for _, a := range kv {
		key := string(a.Key)
		for _, prefix := range []string{"db.query.parameter.", "worker.task.input."} {
			if strings.HasPrefix(key, prefix) {
				key = prefix + "<key>"
			}
		}
		if key == userKey {
			continue
		}
		k[key] = strings.ToLower(a.Value.Type().String())
	}
}

func (e *emitted) addSpan(span tracetest.SpanStub) {
	class, into := "task", e.task
	if strings.HasSuffix(span.InstrumentationScope.Name, "/otdb") {
		class, into = "statement", e.statement
		if slices.ContainsFunc(span.Attributes, func(a attribute.KeyValue) bool { return a.Key == "db.operation.name" }) {
			class, into = "lifecycle", e.lifecycle
			e.operations[span.Name] = true
		}
		if slices.ContainsFunc(span.Attributes, func(a attribute.KeyValue) bool { return a.Key == "otdb.folded.count" }) {
			class, into = "folded", e.folded
		}
	}
	into.add(span.Attributes...)
	e.kinds[class][strings.ToUpper(span.SpanKind.String())] = true
	for _, a := range span.Attributes {
		if a.Key == "worker.task.result" {
			e.results[a.Value.AsString()] = true
		}
	}
	for _, event := range span.Events {
		if e.events[event.Name] == nil {
			e.events[event.Name] = keys{}
		}
		e.events[event.Name].add(event.Attributes...)
		for _, a := range event.Attributes {
			if a.Key == "worker.finding.kind" {
				e.findings[a.Value.AsString()] = true
			}
		}
	}
}

func (e *emitted) addMetric(m metricdata.Metrics) { e.metrics[m.Name] = newInstrument(m) }

func newInstrument(m metricdata.Metrics) *instrument {
	in := &instrument{unit: m.Unit, keys: keys{}, values: map[string]keys{}}
	add := func(set attribute.Set) {
		in.keys.add(set.ToSlice()...)
		for _, a := range set.ToSlice() {
			if in.values[string(a.Key)] == nil {
				in.values[string(a.Key)] = keys{}
			}
			in.values[string(a.Key)][a.Value.String()] = ""
		}
	}
	switch d := m.Data.(type) {
	case metricdata.Histogram[float64]:
		in.kind = "histogram"
		for _, p := range d.DataPoints {
			add(p.Attributes)
			in.buckets = p.Bounds
		}
	case metricdata.Histogram[int64]:
		in.kind = "histogram"
		for _, p := range d.DataPoints {
			add(p.Attributes)
			in.buckets = p.Bounds
		}
	case metricdata.Sum[int64]:
		in.kind = sumKind(d.IsMonotonic)
		for _, p := range d.DataPoints {
			add(p.Attributes)
		}
	case metricdata.Sum[float64]:
		in.kind = sumKind(d.IsMonotonic)
		for _, p := range d.DataPoints {
			add(p.Attributes)
		}
	case metricdata.Gauge[float64]:
		in.kind = "gauge"
		for _, p := range d.DataPoints {
			add(p.Attributes)
		}
	case metricdata.Gauge[int64]:
		in.kind = "gauge"
		for _, p := range d.DataPoints {
			add(p.Attributes)
		}
	default:
		in.kind = fmt.Sprintf("%T", d)
	}
	return in
}

func sumKind(monotonic bool) string {
	if monotonic {
		return "counter"
	}
	return "updowncounter"
}

// scrape returns the names with those prefixes, and the types, that Prometheus is served.
func scrape(t *testing.T, p *metrics.Provider, prefixes ...string) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	served := make(map[string]string)
	for line := range strings.Lines(w.Body.String()) {
		var name, kind string
		if _, err := fmt.Sscanf(line, "# TYPE %s %s", &name, &kind); err != nil {
			continue
		}
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				served[name] = kind
			}
		}
	}
	return served
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
