package bench

import (
	"context"
	"database/sql"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/otdb"
)

const (
	query     = "SELECT n FROM numbers WHERE n < ?"
	statement = "UPDATE numbers SET n = ? WHERE n = ?"
)

// mode is how a database is opened for a benchmark.
type mode string

const (
	bare      mode = "bare"      // database/sql alone
	sampled   mode = "sampled"   // through otdb; every span is recorded and thrown away at its end
	unsampled mode = "unsampled" // through otdb; no span is recorded, metrics are
)

var modes = []mode{bare, sampled, unsampled}

// discard is a span processor that makes the SDK record spans, and keeps none.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

// open opens a database whose queries have the given number of rows.
func open(rows int, m mode) *sql.DB {
	c := connector{rows: rows}
	if m == bare {
		return sql.OpenDB(c)
	}
	tracers, meters := providers(m)
	return otdb.OpenDB(c, otdb.WithTracerProvider(tracers), otdb.WithMeterProvider(meters))
}

func providers(m mode) (*sdktrace.TracerProvider, *sdkmetric.MeterProvider) {
	sampler := sdktrace.AlwaysSample()
	if m == unsampled {
		sampler = sdktrace.NeverSample()
	}
	return sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSpanProcessor(discard{})),
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
}

// transaction is one of three statements.
func transaction(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := tx.ExecContext(ctx, statement, 1, 2); err != nil {
			tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func BenchmarkExec(b *testing.B) {
	each(b, 0, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, statement, 1, 2)
		return err
	})
}

func BenchmarkQueryRow(b *testing.B) {
	each(b, 1, func(ctx context.Context, db *sql.DB) error {
		_, err := count(ctx, db)
		return err
	})
}

func BenchmarkQuery100Rows(b *testing.B) {
	each(b, 100, func(ctx context.Context, db *sql.DB) error {
		_, err := count(ctx, db)
		return err
	})
}

func BenchmarkTransaction(b *testing.B) { each(b, 0, transaction) }

// each runs f on a database opened in each mode.
func each(b *testing.B, rows int, f func(context.Context, *sql.DB) error) {
	for _, m := range modes {
		b.Run(string(m), func(b *testing.B) {
			db := open(rows, m)
			defer db.Close()
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := f(ctx, db); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
