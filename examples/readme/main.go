package main

import (
	"context"
	"log"

	_ "github.com/mattn/go-sqlite3"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
)

func main() {
	ctx := context.Background()
	tel, err := telemetry.Start(ctx) // exports what the OTEL_* variables ask for
	if err != nil {
		log.Print(err) // the rest of telemetry works; so does the job
	}
	err = run(ctx)
	if err := tel.Shutdown(ctx); err != nil {
		log.Print(err) // a collector that is down does not fail the job
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	db, err := otdb.Open("sqlite3", ":memory:") // in place of sql.Open
	if err != nil {
		return err
	}
	defer db.Close()
	return worker.Run(ctx, "orders.open", func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "CREATE TABLE orders (id INTEGER PRIMARY KEY)")
		return err
	})
}
