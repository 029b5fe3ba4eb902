// Package statements has statements with and without a context.
package statements

import (
	"context"
	"database/sql"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

func plain(ctx context.Context, db *sql.DB) {
	_, _ = db.Query("SELECT 1")              // want `^Query runs without ctx, so its task does not see it; use QueryContext\(ctx, …\)$`
	_ = db.QueryRow("SELECT $1", 1)          // want `QueryRow runs without ctx`
	_, _ = db.Exec("DELETE", []any{1, 2}...) // want `Exec runs without ctx`
	_, _ = db.Prepare("SELECT 1")            // want `Prepare runs without ctx`
	_ = db.Ping()                            // want `use PingContext\(ctx\)`
	_, _ = db.Begin()                        // want `use BeginTx\(ctx, nil\)`
	_, _ = db.QueryContext(ctx, "SELECT 1")
}

func tx(ctx context.Context, tx *sql.Tx, stmt *sql.Stmt) error {
	defer tx.Exec("UNLOCK")
	tx.Stmt(stmt)           // want `use StmtContext\(ctx, …\)`
	_, _ = stmt.Exec()      // want `use ExecContext\(ctx, …\)`
	_, err := stmt.Query(1) // want `use QueryContext`
	return err
}

func none(db *sql.DB) { _, _ = db.Query("SELECT 1") }

func blank(_ context.Context, db *sql.DB) { _, _ = db.Query("SELECT 1") }

func shadowed(ctx context.Context, db *sql.DB) {
	{
		ctx := 1
		_, _ = db.Query("SELECT 1", ctx)
	}
	_, _ = db.Query("SELECT 1") // want `without ctx`
}

func handler(db *sql.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = db.Query("SELECT 1") // want `use QueryContext\(r.Context\(\), …\)`
		ctx := r.Context()
		_, _ = db.Query("SELECT 1") // want `use QueryContext\(ctx, …\)`
		_ = ctx
	}
}

func main() {
	ctx := context.Background()
	var db *sql.DB
	_ = db.Ping()
	_ = ctx
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = db.Ping()
	_ = ctx
}

func cancelled(ctx context.Context, db *sql.DB) {
	short, cancel := context.WithTimeout(ctx, time.Second)
	_ = db.Ping() // want `without short`
	cancel()
	_ = db.Ping() // want `without ctx`
	_ = short
}

func replaced(ctx context.Context, db *sql.DB) {
	{
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		_ = ctx
		cancel()
		_ = db.Ping()
	}
	g, ctx := errgroup.WithContext(ctx)
	_ = g.Wait()
	_ = ctx
}

func group(ctx context.Context, db *sql.DB) {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return db.Ping() })
	_ = g.Wait()
	_ = db.Ping() // want `without ctx`
	_ = gctx
}

func done(ctx context.Context, db *sql.DB, tick chan int) {
	for {
		select {
		case <-ctx.Done():
			_, _ = db.Exec("UNLOCK")
			return
		case <-tick:
			_, _ = db.Exec("TICK") // want `without ctx`
		}
	}
}

func after(ctx context.Context, db *sql.DB) {
	<-ctx.Done()
	_, _ = db.Exec("UNLOCK")
}

func deferred(ctx context.Context, db *sql.DB) {
	defer func() { _, _ = db.Exec("UNLOCK") }()
	go func() { _, _ = db.Exec("LATER") }()
	go func(ctx context.Context) { _, _ = db.Exec("LATER") }(ctx) // want `without ctx`
	func() { _, _ = db.Exec("NOW") }()                            // want `without ctx`
}

func closures(ctx context.Context, db *sql.DB, run func(func() error), with func(context.Context, func() error)) {
	run(func() error { return db.Ping() })
	with(ctx, func() error { return db.Ping() }) // want `without ctx`
	run(func() error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return db.Ping() // want `without ctx`
	})
}

type testing struct{}

func (testing) Cleanup(func())           {}
func (testing) Context() context.Context { return nil }

func cleanup(ctx context.Context, t testing, db *sql.DB) {
	t.Cleanup(func() { _ = ctx; _ = db.Ping() })
}

type Span struct{}

func start(ctx context.Context) (context.Context, Span) { return ctx, Span{} }

func spans(ctx context.Context, db *sql.DB) {
	ctx, span := start(ctx)
	_ = db.Ping() // want `without ctx`
	_ = span
	_ = ctx
}

func several(ctx context.Context, db *sql.DB) {
	inner := context.WithValue(ctx, Span{}, 1)
	_ = db.Ping() // want `without inner`
	_ = inner
}
