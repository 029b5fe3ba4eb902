package otpgx_test

import (
	"context"
	"log"
	"os"

	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/tracelog"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/otdb/otpgx"
	"github.com/taskspan/taskspan/worker"
)

func Example() {
	ctx := context.Background()
	cfg, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	tracer, err := otpgx.NewTracer(otdb.WithPoolName("orders"))
	if err != nil {
		log.Fatal(err)
	}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	stop, err := otpgx.ObservePool(pool, otdb.WithPoolName("orders"))
	if err != nil {
		log.Fatal(err)
	}
	defer stop()
	err = worker.Run(ctx, "orders.ship", func(ctx context.Context) error {
		_, err := pool.Exec(ctx, "UPDATE orders SET shipped = true WHERE id = $1", 7)
		return err
	})
	if err != nil {
		log.Print(err)
	}
}

// Another tracer goes on beside it.
func ExampleNewTracer_multitracer() {
	cfg, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	tracer, err := otpgx.NewTracer()
	if err != nil {
		log.Fatal(err)
	}
	logged := &tracelog.TraceLog{Logger: tracelog.LoggerFunc(discard), LogLevel: tracelog.LogLevelWarn}
	cfg.ConnConfig.Tracer = multitracer.New(tracer, logged)
}

func discard(context.Context, tracelog.LogLevel, string, map[string]any) {}
