package statements

import (
	"context"
	"database/sql"
)

type embeds struct{ *sql.DB }

type overrides struct{ *sql.DB }

func (overrides) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return nil, nil
}

type field struct {
	inner struct{ db *sql.DB }
}

type both interface {
	Exec(query string, args ...any) (sql.Result, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

type onlyWithout interface {
	Exec(query string, args ...any) (sql.Result, error)
}

type other interface {
	Exec(query string) error
	ExecContext(ctx context.Context, query string) error
}

type mine struct{}

func (mine) Query(string) {}

func types(ctx context.Context, e embeds, o overrides, f field, b both, w onlyWithout, x other, m mine, many []*sql.DB, conn *sql.Conn) {
	_, _ = e.Query("SELECT 1") // want `without ctx`
	_, _ = o.Query("SELECT 1")
	_, _ = f.inner.db.Query("SELECT 1") // want `without ctx`
	_, _ = b.Exec("DELETE")             // want `without ctx`
	_, _ = w.Exec("DELETE")
	_ = x.Exec("DELETE")
	m.Query("")
	_, _ = many[0].Exec( // want `without ctx`
		"DELETE",
	)
	_, _ = (*sql.DB).Query(many[0], "SELECT 1")
	_, _ = conn.QueryContext(ctx, "SELECT 1")
}

func generic[T both](ctx context.Context, t T) {
	_, _ = t.Exec("DELETE") // want `without ctx`
}

func values(ctx context.Context, db *sql.DB, use func(func(string, ...any) (sql.Result, error))) {
	exec := db.Exec
	_, _ = exec("DELETE") // want `Exec runs without ctx`
	use(db.Exec)
}

func arguments() (string, any) { return "", nil }

func spread(ctx context.Context, db *sql.DB) {
	_, _ = db.Query(arguments()) // want `without ctx`
}

func commented(ctx context.Context, db *sql.DB) {
	_, _ = db.Query( /* the query */ "SELECT 1", // want `without ctx`
		1)
	_ = db.Ping() //otdbvet:ignore it has to work when the program ends
}
