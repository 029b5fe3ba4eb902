package otpgx_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/otdb/otpgx"
	"github.com/taskspan/taskspan/otdb/otpgx/internal/oteltest"
	"github.com/taskspan/taskspan/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type attrs = oteltest.Attrs

// rig is a tracer on a server, and what it exports.
type rig struct {
	*oteltest.Rig
	*server
	tracer *otpgx.Tracer
	runner *worker.Runner
	report worker.Report // of the last task
}

func newRig(t *testing.T, opts ...otdb.Option) *rig {
	t.Helper()
	r := &rig{Rig: oteltest.New(t, oteltest.Scope{Name: "github.com/taskspan/taskspan/otdb", Version: otdb.Version, SchemaURL: semconv.SchemaURL})}
	r.Ignore = []attribute.Key{"otdb.connection.wait"} // the machine may be busy
	tracer, err := otpgx.NewTracer(r.options(opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	r.tracer, r.server = tracer, newServer(t)
	r.runner, err = worker.New(worker.WithTracerProvider(r.TracerProvider), worker.WithMeterProvider(r.MeterProvider))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.runner.Watch(func(_ context.Context, report worker.Report) { r.report = report }))
	return r
}

func (r *rig) options(more ...otdb.Option) []otdb.Option {
	return append([]otdb.Option{otdb.WithTracerProvider(r.TracerProvider), otdb.WithMeterProvider(r.MeterProvider)}, more...)
}

// task runs f as a task.
func (r *rig) task(t *testing.T, f func(context.Context) error) error {
	t.Helper()
	return r.runner.Run(t.Context(), "load", f)
}

// at are the attributes of all that happens on the server.
var at = attrs{"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "db.example.com", "server.port": 6432}

func client(name, parent string, start, end attrs) oteltest.Span {
	return oteltest.Span{Name: name, Kind: trace.SpanKindClient, Parent: parent, Start: at.With(start), End: end}
}

func lifecycle(name string) oteltest.Span {
	return client(name, "load", attrs{"db.operation.name": name}, nil)
}

func statement(summary, text string) oteltest.Span {
	return client(summary, "load", attrs{"db.query.summary": summary, "db.query.text": text}, nil)
}

// failed is a span with an error.
func failed(s oteltest.Span, err error, end attrs) oteltest.Span {
	s.Failed, s.Status, s.End = true, errs.Message(err), end
	return s
}

func TestStatements(t *testing.T) {
	r := newRig(t)
	pool := r.pool(t, r.tracer)
	var refused error
	err := r.task(t, func(ctx context.Context) error {
		if _, err := pool.Exec(ctx, "INSERT INTO users VALUES ($1)", canary); err != nil {
			return err
		}
		rows, err := pool.Query(ctx, "SELECT name FROM users LIMIT 3")
		if err != nil {
			return err
		}
		if names, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(names) != 3 {
			return fmt.Errorf("%d names: %w", len(names), err)
		}
		var name string
		if err := pool.QueryRow(ctx, "INSERT INTO users VALUES ('canary-hunter2') RETURNING name").Scan(&name); err != nil {
			return err
		}
		if err := pool.QueryRow(ctx, "SELECT name FROM users LIMIT 0").Scan(&name); !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("no rows: %w", err)
		}
		_, refused = pool.Exec(ctx, "UPDATE users SET name = $1 WHERE fail", canary)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	duplicate := attrs{"error.type": "23505", "db.response.status_code": "23505"}
	r.WantSpans(
		lifecycle("CONNECT"),
		statement("INSERT users", "INSERT INTO users VALUES ($1)"),
		statement("SELECT users", "SELECT name FROM users LIMIT ?"),
		statement("INSERT users", "INSERT INTO users VALUES (?) RETURNING name"),
		statement("SELECT users", "SELECT name FROM users LIMIT ?"),
		failed(statement("UPDATE users", "UPDATE users SET name = $1 WHERE fail"), refused, duplicate),
	)
	if db := r.report.DB; db.Operations != 6 || db.Errors != 1 || db.Rows != 4 || len(db.Statements) != 4 {
		t.Errorf("the account is %+v", db)
	}
	if !strings.Contains(refused.Error(), canary) {
		t.Errorf("the application got %v", refused)
	}
	r.WantNothingOf(canary, password)
}

// What a driver said does not leave in the error of the task.
func TestErrorsAreRemembered(t *testing.T) {
	for name, f := range map[string]func(context.Context, *pgxpool.Pool) error{
		"exec": func(ctx context.Context, pool *pgxpool.Pool) error {
			_, err := pool.Exec(ctx, "DELETE FROM users WHERE fail")
			return err
		},
		"prepare": func(ctx context.Context, pool *pgxpool.Pool) error {
			return pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
				_, err := c.Conn().Prepare(ctx, "q", "SELECT unknown")
				return err
			})
		},
		"implicit prepare": func(ctx context.Context, pool *pgxpool.Pool) error {
			_, err := pool.Exec(ctx, "DELETE FROM unknown WHERE a = $1", 1)
			return err
		},
		"batch": func(ctx context.Context, pool *pgxpool.Pool) error {
			var b pgx.Batch
			b.Queue("DELETE FROM a")
			b.Queue("DELETE FROM b WHERE fail")
			return pool.SendBatch(ctx, &b).Close()
		},
		"copy": func(ctx context.Context, pool *pgxpool.Pool) error {
			_, err := pool.CopyFrom(ctx, pgx.Identifier{"unknown"}, []string{"a"}, pgx.CopyFromRows(nil))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			pool := r.pool(t, r.tracer)
			var said string
			if err := r.task(t, func(ctx context.Context) error {
				err := f(ctx, pool)
				if err == nil {
					t.Fatal("it did not fail")
				}
				said = err.Error()
				return errors.New("loading: " + said)
			}); err == nil || !strings.Contains(said, canary) {
				t.Errorf("the error is %v", err)
			}
			r.WantNothingOf(canary, password)
			if n := len(r.report.Findings); n != 0 {
				t.Errorf("findings: %v", r.report.Findings)
			}
			if r.report.DB.Errors != 1 {
				t.Errorf("the account is %+v", r.report.DB)
			}
		})
	}
}

func TestPrepare(t *testing.T) {
	r := newRig(t)
	pool := r.pool(t, r.tracer)
	if err := r.task(t, func(ctx context.Context) error {
		return pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			for range 2 { // the second time it is known
				if _, err := c.Conn().Prepare(ctx, "q", "SELECT name FROM users WHERE id = $1"); err != nil {
					return err
				}
			}
			var name string
			if err := c.QueryRow(ctx, "q", "1").Scan(&name); err != nil {
				return err
			}
			var b pgx.Batch
			b.Queue("q", "1")
			b.Queue("q", "2")
			return c.SendBatch(ctx, &b).Close()
		})
	}); err != nil {
		t.Fatal(err)
	}
	const text = "SELECT name FROM users WHERE id = $1"
	r.WantSpans(lifecycle("CONNECT"),
		client("PREPARE", "load", attrs{"db.operation.name": "PREPARE", "db.query.summary": "SELECT users", "db.query.text": text}, nil),
		statement("SELECT users", text),
		client("BATCH SELECT users", "load", attrs{"db.query.summary": "BATCH SELECT users", "db.query.text": text, "db.operation.batch.size": 2}, nil),
	)
}

func TestBatchAndCopy(t *testing.T) {
	r := newRig(t)
	pool := r.pool(t, r.tracer)
	if err := r.task(t, func(ctx context.Context) error {
		var b pgx.Batch
		for range 3 {
			b.Queue("INSERT INTO users VALUES ($1) RETURNING name", canary).Query(func(rows pgx.Rows) error {
				_, err := pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
		}
		b.Queue("DELETE FROM users")
		if err := pool.SendBatch(ctx, &b).Close(); err != nil {
			return err
		}
		var one pgx.Batch // which is no batch
		one.Queue("DELETE FROM users")
		if err := pool.SendBatch(ctx, &one).Close(); err != nil {
			return err
		}
		if err := pool.SendBatch(ctx, new(pgx.Batch)).Close(); err != nil {
			return err
		}
		_, err := pool.CopyFrom(ctx, pgx.Identifier{"shop", "users"}, []string{"name"}, pgx.CopyFromRows([][]any{{canary}, {canary}}))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r.WantSpans(lifecycle("CONNECT"),
		client("BATCH", "load", attrs{
			"db.query.summary": "BATCH", "db.operation.batch.size": 4,
			"db.query.text": "INSERT INTO users VALUES ($1) RETURNING name; DELETE FROM users",
		}, nil),
		statement("DELETE users", "DELETE FROM users"),
		statement("COPY shop.users", "COPY shop.users (name) FROM STDIN BINARY"),
	)
	counts := make(map[string]string)
	for _, s := range r.report.DB.Statements {
		counts[s.Summary] = fmt.Sprint(s.Count, " ", s.Rows)
	}
	want := map[string]string{"BATCH": "1 3", "INSERT users": "3 0", "DELETE users": "2 0", "COPY shop.users": "1 0"}
	if fmt.Sprint(counts) != fmt.Sprint(want) || r.report.DB.Operations != 4 {
		t.Errorf("the account is %+v of %v", r.report.DB, counts)
	}
	r.WantNothingOf(canary, password)
}

// outcomes are the transactions in the metrics, by their outcomes.
func (r *rig) outcomes() map[string]uint64 {
	got := make(map[string]uint64)
	if m, ok := r.Collect()["otdb.transaction.duration"]; ok {
		for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
			outcome, _ := p.Attributes.Value("otdb.transaction.outcome")
			got[outcome.AsString()] = p.Count
		}
	}
	return got
}

func TestTransactions(t *testing.T) {
	r := newRig(t)
	pool := r.pool(t, r.tracer)
	broken := errors.New("broken")
	var refused error
	if err := r.task(t, func(ctx context.Context) error {
		// Committed, rolled back, rolled back by a commit that comes too late.
		if err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
			return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint
				_, err := tx.Exec(ctx, "DELETE FROM users")
				return err
			})
		}); err != nil {
			return err
		}
		if err := pgx.BeginFunc(ctx, pool, func(pgx.Tx) error { return broken }); !errors.Is(err, broken) {
			return fmt.Errorf("rollback: %w", err)
		}
		if err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, refused = tx.Exec(ctx, "DELETE FROM users WHERE fail")
			return nil
		}); !errors.Is(err, pgx.ErrTxCommitRollback) {
			return fmt.Errorf("commit: %w", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r.WantSpans(lifecycle("CONNECT"), lifecycle("BEGIN"), statement("savepoint", "savepoint sp_1"), statement("DELETE users", "DELETE FROM users"),
		statement("release", "release savepoint sp_1"), lifecycle("COMMIT"), lifecycle("BEGIN"), lifecycle("ROLLBACK"), lifecycle("BEGIN"),
		failed(statement("DELETE users", "DELETE FROM users WHERE fail"), refused, attrs{"error.type": "23505", "db.response.status_code": "23505"}),
		failed(lifecycle("COMMIT"), pgx.ErrTxCommitRollback, attrs{"error.type": "*errors.errorString"}))
	want := map[string]uint64{"commit": 1, "rollback": 2}
	if got := r.outcomes(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("transactions %v, want %v", got, want)
	}
}

func TestTransactionsByStatus(t *testing.T) {
	r := newRig(t)
	pool := r.pool(t, r.tracer)
	if err := r.task(t, func(ctx context.Context) error {
		for _, texts := range [][]string{
			{"begin", "DELETE FROM a", "commit"},                             // over before anybody knows of it
			{"begin", "DELETE FROM a"},                                       // and released: lost
			{"begin read only", "SELECT a", "rollback", "begin", "SELECT 1"}, // the second one is lost
		} {
			var b pgx.Batch
			for _, text := range texts {
				b.Queue(text)
			}
			if err := pool.SendBatch(ctx, &b).Close(); err != nil {
				return err
			}
		}
		return pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			for _, texts := range [][]string{{"begin", "SELECT 1"}, {"DELETE FROM a", "COMMIT"}, {"begin", "SELECT 1"}, {"SELECT 1", "ROLLBACK"}} {
				var b pgx.Batch
				for _, text := range texts {
					b.Queue(text)
				}
				if err := c.SendBatch(ctx, &b).Close(); err != nil {
					return err
				}
			}
			// A connection that breaks takes its transaction along.
			if _, err := c.Begin(ctx); err != nil {
				return err
			}
			if _, err := c.Exec(ctx, "hang up"); err == nil {
				return errors.New("it is still there")
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{"commit": 1, "rollback": 1, "lost": 3}
	if got := r.outcomes(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("transactions %v, want %v", got, want)
	}
	if n := len(r.report.Findings); n != 0 {
		t.Errorf("findings: %v", r.report.Findings)
	}
}

// Rows, batches and transactions that a task leaves open are findings.
func TestLeaks(t *testing.T) {
	r := newRig(t)
	pool := r.pool(t, r.tracer)
	var rows pgx.Rows
	var tx pgx.Tx
	if err := r.task(t, func(ctx context.Context) (err error) {
		if tx, err = pool.Begin(ctx); err != nil {
			return err
		}
		rows, err = pool.Query(ctx, "SELECT name FROM users LIMIT 3")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	rows.Close()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range r.report.Findings {
		found = append(found, string(f.Kind)+" "+f.Summary)
	}
	slices.Sort(found)
	if want := []string{"rows_leaked SELECT users", "transaction_leaked BEGIN"}; !slices.Equal(found, want) {
		t.Errorf("findings %v, want %v", found, want)
	}
	if got := r.outcomes(); got["rollback"] != 1 || len(got) != 1 {
		t.Errorf("transactions %v", got)
	}
}

// Two tracers side by side see the same, each by its own options.
func TestMultitracer(t *testing.T) {
	r := newRig(t)
	other, err := otpgx.NewTracer(r.options(otdb.WithNamespace("other"), otdb.WithOperations(0))...)
	if err != nil {
		t.Fatal(err)
	}
	pool := r.pool(t, multitracer.New(r.tracer, other))
	if err := r.task(t, func(ctx context.Context) error {
		_, err := pool.Exec(ctx, "DELETE FROM users")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	inner := statement("DELETE users", "DELETE FROM users")
	inner.Start["db.namespace"], inner.Parent = "other", "DELETE users"
	r.WantSpans(lifecycle("CONNECT"), statement("DELETE users", "DELETE FROM users"), inner)
}

// A pool of several hosts has no server: which of them it is, is not known.
func TestSeveralHosts(t *testing.T) {
	r := newRig(t)
	cfg := r.config(t, r.tracer)
	several, err := pgx.ParseConfig("host=a.example.com,b.example.com dbname=shop user=worker sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	several.DialFunc, several.LookupFunc, several.Tracer = cfg.ConnConfig.DialFunc, cfg.ConnConfig.LookupFunc, r.tracer
	conn, err := pgx.ConnectConfig(t.Context(), several)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.WantSpans(oteltest.Span{Name: "CONNECT", Kind: trace.SpanKindClient, Start: attrs{
		"db.system.name": "postgresql", "db.namespace": "shop", "db.operation.name": "CONNECT",
	}})
}

func TestMistakes(t *testing.T) {
	if tracer, err := otpgx.NewTracer(otdb.WithMaxSummaries(0)); tracer != nil || err == nil {
		t.Errorf("NewTracer: %v, %v", tracer, err)
	}
	if stop, err := otpgx.ObservePool(nil); stop == nil || err == nil {
		t.Errorf("ObservePool: %v", err)
	}
	r := newRig(t)
	if stop, err := otpgx.ObservePool(r.pool(t, nil), otdb.WithMaxSummaries(0)); stop == nil || err == nil {
		t.Errorf("ObservePool: %v", err)
	}
}

// Arguments are counted without pgx's options in front of them.
func TestParameters(t *testing.T) {
	r := newRig(t, otdb.WithQueryParameters(func(key string) bool { return key == "0" }))
	pool := r.pool(t, r.tracer)
	if err := r.task(t, func(ctx context.Context) error {
		_, err := pool.Exec(ctx, "DELETE FROM users WHERE id = $1 AND name = $2", pgx.QueryExecModeExec, "7", canary)
		if err != nil {
			return err
		}
		rows, err := pool.Query(ctx, "SELECT name FROM users WHERE name = 'canary-hunter2'", pgx.QueryExecModeSimpleProtocol)
		if err == nil {
			_, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	deleted := statement("DELETE users", "DELETE FROM users WHERE id = $1 AND name = $2")
	deleted.Start["db.query.parameter.0"] = "7"
	r.WantSpans(lifecycle("CONNECT"), deleted, statement("SELECT users", "SELECT name FROM users WHERE name = ?"))
	r.WantNothingOf(canary)
}
