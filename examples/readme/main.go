package main

import (
	"context"
	"errors"
	"log"

	_ "github.com/mattn/go-sqlite3"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/telemetry"
	"github.com/taskspan/taskspan/worker"
)

func main() {
	ctx := context.Background()
	shutdown, err := telemetry.Start(ctx)           // exports what the OTEL_* variables ask for
	db, openErr := otdb.Open("sqlite3", ":memory:") // in place of sql.Open
	if err = errors.Join(err, openErr); err != nil {
		log.Fatal(err)
	}
	err = worker.Run(ctx, "orders.open", func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "CREATE TABLE orders (id INTEGER PRIMARY KEY)")
		return err
	})
	if err = errors.Join(err, shutdown(ctx)); err != nil {
		log.Fatal(err)
	}
}
