// Package otpgx traces pgx and pgxpool where they are used without database/sql: what
// package otdb does for a *sql.DB, it does for a *pgxpool.Pool.
//
//	cfg, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
//	…
//	cfg.ConnConfig.Tracer, err = otpgx.NewTracer()
//	…
//	pool, err := pgxpool.NewWithConfig(ctx, cfg)
//	…
//	stop, err := otpgx.ObservePool(pool)
//
// Spans, metrics, the account of the worker task and its findings are those of package
// otdb, with its options. A batch is one span, BATCH with what its statements have in
// common, with db.operation.batch.size; its statements are in the account. A CopyFrom is a
// statement. Begin, Commit and Rollback are BEGIN, COMMIT and ROLLBACK. A statement that pgx prepares
// for a query is a part of that.
//
// # What pgx does not show
//
// pgx calls a tracer when a query begins and when its rows are closed. So the time that the
// application takes for its rows counts as the database's, and a statement that runs in
// another goroutine when its task ends counts as open rows. The rows of a query are those
// that the database sent. An acquire of less than 100 µs is no wait; the ping of a
// connection that was idle, and the pool's hooks, are part of one. Ping,
// WaitForNotification, Deallocate and pgconn's own methods are not seen.
//
// To use it together with another tracer, give both to multitracer.New.
package otpgx
