package drivers

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jmoiron/sqlx"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
	gormlogger "gorm.io/gorm/logger"

	"github.com/taskspan/taskspan/integration/internal/ent"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

type customer struct {
	ID int64 `bun:"id,pk" db:"id"`
}

// located is a database on which tasks are run for their findings.
type located struct {
	*testing.T
	db     *sql.DB
	runner *worker.Runner
	report worker.Report
}

func newLocated(t *testing.T, opts ...worker.Option) *located {
	t.Helper()
	db, err := otdb.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "shop.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	runner, err := worker.New(append(opts, worker.WithRepeatedStatements(5))...)
	if err != nil {
		t.Fatal(err)
	}
	l := &located{T: t, db: db, runner: runner}
	t.Cleanup(runner.Watch(func(_ context.Context, r worker.Report) { l.report = r }))
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO customers (id) VALUES (1), (2), (3)"); err != nil {
		t.Fatal(err)
	}
	return l
}

// want runs a task and checks where its one finding of a kind is: in this file,
// on the line that comes so many after that of the call.
func (l *located) want(kind worker.FindingKind, after int, fn func(ctx context.Context) error) worker.Finding {
	l.Helper()
	_, file, line, _ := runtime.Caller(1)
	want := fmt.Sprint(file, ":", line+after)
	if err := l.runner.Run(l.Context(), "load", fn); err != nil {
		l.Fatal(err)
	}
	for _, f := range l.report.Findings {
		if f.Kind != kind {
			continue
		}
		got := f.Location.String()
		if after == 0 {
			want = ""
		}
		if got != want {
			l.Errorf("%s is at %q, want %q:\n%s", kind, got, want, f.Location.Stack)
		}
		return f
	}
	l.Errorf("no %s in\n%s", kind, l.report)
	return worker.Finding{}
}

// An N+1 is found on its line, whatever library runs the statements.
func TestRepeatedStatementsThroughLibraries(t *testing.T) {
	l := newLocated(t)
	g, err := gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: l.db}), &gorm.Config{Logger: gormlogger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	b := bun.NewDB(l.db, pgdialect.New())
	x := sqlx.NewDb(l.db, "sqlite3")
	e := ent.NewClient(entsql.OpenDB(dialect.SQLite, l.db))
	const n = 7

	l.want(worker.FindingRepeatedStatement, 3, func(ctx context.Context) error {
		for i := range n {
			var id int
			if err := l.db.QueryRowContext(ctx, "SELECT id FROM customers WHERE id = ?", i%3+1).Scan(&id); err != nil {
				return err
			}
		}
		return nil
	})
	l.want(worker.FindingRepeatedStatement, 3, func(ctx context.Context) error {
		for i := range n {
			var found []customer
			if err := g.WithContext(ctx).Where("id = ?", i).Find(&found).Error; err != nil {
				return err
			}
		}
		return nil
	})
	l.want(worker.FindingRepeatedStatement, 3, func(ctx context.Context) error {
		for i := range n {
			var found []customer
			if err := b.NewSelect().Model(&found).Where("id = ?", i).Scan(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	l.want(worker.FindingRepeatedStatement, 2, func(ctx context.Context) error {
		for i := range int64(n) {
			if _, err := e.Find(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
	f := l.want(worker.FindingRepeatedStatement, 3, func(ctx context.Context) error {
		for i := range n {
			var found []customer
			if err := x.SelectContext(ctx, &found, "SELECT id FROM customers WHERE id = ?", i); err != nil {
				return err
			}
		}
		return nil
	})
	if f.Summary != "SELECT customers" || f.Text != "SELECT id FROM customers WHERE id = ?" || f.Count != n {
		t.Errorf("%v", f)
	}
	lines := strings.Split(strings.TrimSpace(f.Location.Stack), "\n")
	if len(lines) < 4 || len(lines) > 16 || !strings.Contains(lines[2], "(*located).want") {
		t.Errorf("stack %q", lines)
	}
}

// What leaks is known by its statement the first time, and by its line from then
// on. It is what the program holds until it ends it.
func TestLeaksOnTheirLines(t *testing.T) {
	l := newLocated(t)
	var rows *sql.Rows
	var tx *sql.Tx
	for i := range 3 {
		after := func(lines int) int { return lines * min(i, 1) }
		f := l.want(worker.FindingRowsLeaked, after(1), func(ctx context.Context) (err error) {
			rows, err = l.db.QueryContext(ctx, "SELECT id FROM customers ORDER BY id DESC")
			rows.Next()
			return err
		})
		if f.Text != "SELECT id FROM customers ORDER BY id DESC" || f.Rows != 1 || len(l.report.DB.Held) != 1 || l.report.DB.Held[0].Kind != worker.HeldRows {
			t.Errorf("%v in\n%s", f, l.report)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		f = l.want(worker.FindingTransactionLeaked, after(1), func(ctx context.Context) (err error) {
			if tx, err = l.db.BeginTx(ctx, nil); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, "UPDATE customers SET id = id WHERE id = ?", 1)
			return err
		})
		if f.Text != "UPDATE customers SET id = id WHERE id = ?" || len(l.report.DB.Held) != 1 || l.report.DB.Held[0].Kind != worker.HeldTransaction {
			t.Errorf("%v in\n%s", f, l.report)
		}
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

// A slow statement and an idle transaction are found where they end.
func TestSlowAndIdleOnTheirLines(t *testing.T) {
	l := newLocated(t, worker.WithSlowStatements(time.Microsecond), worker.WithIdleTransactions(time.Microsecond))
	l.want(worker.FindingSlowStatement, 2, func(ctx context.Context) error {
		var n int
		return l.db.QueryRowContext(ctx, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) SELECT count(*) FROM n").Scan(&n)
	})
	f := l.want(worker.FindingTransactionIdle, 9, func(ctx context.Context) error {
		tx, err := l.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM customers WHERE id = ?", 7); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
		return tx.Commit()
	})
	if f.Text != "DELETE FROM customers WHERE id = ?" || f.Slowest < time.Millisecond || f.Slowest > time.Minute {
		t.Errorf("%v", f)
	}
}
