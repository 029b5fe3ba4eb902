package tasktest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/tasktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func init() {
	sql.Register("tasktest", (&fakedb.DB{Shape: fakedb.Modern, Plain: true}).Driver())
}

// fake is the testing.TB of a test that is expected to fail. Its methods keep what
// they are told; those that end a test panic with errFatal.
type fake struct {
	testing.TB
	mu       sync.Mutex
	messages []string
}

var errFatal = errors.New("the test has ended")

func (f *fake) Helper() {}

func (f *fake) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages = append(f.messages, fmt.Sprintf(format, args...))
}

func (f *fake) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(errFatal)
}

// ends calls fn, which must end the test.
func (f *fake) ends(fn func()) {
	defer func() {
		if p := recover(); p != errFatal {
			panic(p)
		}
	}()
	fn()
	f.TB.Error("the test has not ended")
}

var (
	durations = regexp.MustCompile(` *[0-9.]+(ns|µs|ms|s)\b *`)
	lines     = regexp.MustCompile(`\S*/(\w+\.go):\d+`)
	traces    = regexp.MustCompile(`trace: [0-9a-f]{32}`)
)

// take returns what the test was told, without what differs from run to run.
func (f *fake) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := strings.Join(f.messages, "\n---\n")
	f.messages = nil
	text = durations.ReplaceAllString(text, " _ ")
	text = lines.ReplaceAllString(text, "$1:N")
	return traces.ReplaceAllString(text, "trace: T")
}

func (f *fake) wants(want string) {
	f.TB.Helper()
	if got, want := f.take(), strings.TrimPrefix(want, "\n"); got != want {
		f.TB.Errorf("the test was told\n%s\nwant\n%s", got, want)
	}
}

func start(t *testing.T, opts ...worker.Option) (*fake, *tasktest.Harness, *sql.DB) {
	f := &fake{TB: t}
	h := tasktest.New(f, opts...)
	return f, h, h.Open("tasktest", "")
}

func insert(ctx context.Context, db *sql.DB, n int) error {
	for range n {
		if _, err := db.ExecContext(ctx, "INSERT INTO items (name) VALUES (?)", "x"); err != nil {
			return err
		}
	}
	return nil
}

func TestPasses(t *testing.T) {
	t.Parallel()
	f, h, db := start(t)
	task := h.Run("import", func(ctx context.Context) error { return insert(ctx, db, 2) }, worker.WithID("7")).
		Succeeds().MaxStatements(2).NoRepeats().NoLeaks()
	if task.Err != nil || task.Report.ID != "7" || task.Report.Name != "import" {
		t.Errorf("%+v", task.Report)
	}
	h.NoStatementsOutside()
	f.wants("")
}

func TestMaxStatements(t *testing.T) {
	t.Parallel()
	f, h, db := start(t)
	h.Run("import", func(ctx context.Context) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		_, err = tx.ExecContext(ctx, "UPDATE items SET name = ?", "x")
		return errors.Join(err, worker.Run(ctx, "within", func(ctx context.Context) error {
			_, err := tx.ExecContext(ctx, "UPDATE items SET name = ?", "y")
			return err
		}), tx.Commit())
	}).Succeeds().MaxStatements(2).MaxStatements(1)
	f.wants(`
task import: 2 statements, want at most 1; those beyond:
    UPDATE items at tasktest_test.go:N (github.com/taskspan/taskspan/worker/tasktest_test.TestMaxStatements.func1.1)
import: success after _ 
  databases: 5 operations, 0 errors, 0 rows, _ in drivers
         2× _ slowest _ UPDATE items SET name = ?
  trace: T`)
}

func TestNoRepeats(t *testing.T) {
	t.Parallel()
	f, h, db := start(t)
	h.Run("import", func(ctx context.Context) error { return insert(ctx, db, 3) }).Succeeds().NoRepeats()
	f.wants(`
task import: statements were repeated:
    repeated_statement 3×, at tasktest_test.go:N: INSERT INTO items (name) VALUES (?)
import: success after _ 
  databases: 4 operations, 0 errors, 0 rows, _ in drivers
         3× _ slowest _ INSERT INTO items (name) VALUES (?)
  finding: repeated_statement 3×, at tasktest_test.go:N: INSERT INTO items (name) VALUES (?)
  trace: T`)

	f, h, db = start(t, worker.WithRepeatedStatements(4))
	h.Run("import", func(ctx context.Context) error { return insert(ctx, db, 3) }).NoRepeats()
	f.wants("")
}

func TestNoLeaks(t *testing.T) {
	t.Parallel()
	f, h, db := start(t)
	var rows *sql.Rows
	var tx *sql.Tx
	task := h.Run("export", func(ctx context.Context) (err error) {
		if rows, err = db.QueryContext(ctx, "SELECT name FROM items"); err != nil {
			return err
		}
		tx, err = db.BeginTx(ctx, nil)
		return errors.Join(err, rows.Err())
	})
	task.Succeeds().NoLeaks()
	f.wants(`
task export: connections were leaked:
    rows_leaked 1×, 0 rows read, at tasktest_test.go:N: SELECT name FROM items
    transaction_leaked 1×, at tasktest_test.go:N: BEGIN
export: success after _ 
  databases: 4 operations, 0 errors, 0 rows, _ in drivers
         1× _ slowest _ SELECT name FROM items
  held: rows, for _ : SELECT items
  held: transaction, for _ ( _ of it idle): BEGIN
  finding: rows_leaked 1×, 0 rows read, at tasktest_test.go:N: SELECT name FROM items
  finding: transaction_leaked 1×, at tasktest_test.go:N: BEGIN
  trace: T`)
	h.NoStatementsOutside()
	f.wants("")
	if err := errors.Join(rows.Close(), tx.Rollback()); err != nil {
		t.Error(err)
	}
}

// databaseError is an error with a class of its own.
type databaseError struct{}

func (databaseError) Error() string { return "duplicate key" }

func (databaseError) ErrorClass() errs.Class {
	return errs.Class{Kind: errs.KindConstraint, Type: "23505", Code: "23505"}
}

func TestResults(t *testing.T) {
	t.Parallel()
	f, h, _ := start(t, worker.WithRecoverPanics())
	fails := h.Run("import", func(context.Context) error { return fmt.Errorf("insert: %w", databaseError{}) })
	fails.Fails(errs.KindConstraint, "23505").Fails(errs.KindConstraint, "")
	if !errors.Is(fails.Err, databaseError{}) {
		t.Errorf("Run returned %v", fails.Err)
	}
	f.wants("")
	fails.Succeeds()
	if got := f.take(); !strings.HasPrefix(got, "task import: the result is failure, want success\nimport: failure after _ \n  error: ") {
		t.Error(got)
	}
	for _, tt := range []struct {
		kind errs.Kind
		code string
		want string
	}{
		{errs.KindConstraint, "23503", "constraint (23503)"},
		{errs.KindDeadlock, "", "deadlock"},
	} {
		fails.Fails(tt.kind, tt.code)
		if got, want := f.take(), "task import: the task failed with constraint (23505), want "+tt.want+"\n"; !strings.HasPrefix(got, want) {
			t.Errorf("the test was told %s, want %s", got, want)
		}
	}
	for want, fn := range map[string]func(context.Context) error{
		"success": func(context.Context) error { return nil },
		"skip":    func(context.Context) error { return worker.Skip(nil) },
	} {
		h.Run("import", fn).Fails(errs.KindOther, "")
		if got, want := f.take(), "task import: the result is "+want+", want a failure with other\n"; !strings.HasPrefix(got, want) {
			t.Errorf("the test was told %s, want %s", got, want)
		}
	}
	h.Run("import", func(context.Context) error { panic("secret") }).Fails(errs.KindPanic, "")
	h.Run("import", func(context.Context) error { return databaseError{} }, worker.WithAttempt(1), worker.WithMaxAttempts(2)).
		Fails(errs.KindConstraint, "23505")
	f.wants("")
}

func TestNoStatementsOutside(t *testing.T) {
	t.Parallel()
	f, h, _ := start(t)
	// Options that suppress spans hide nothing.
	db := h.Open("tasktest", "", otdb.WithRequireParent(), otdb.WithTracerProvider(nil))
	h.Run("import", func(ctx context.Context) error {
		return errors.Join(insert(ctx, db, 1), insert(context.Background(), db, 1)) //nolint:contextcheck // which is the fault
	}).Succeeds().MaxStatements(1)
	h.NoStatementsOutside()
	f.wants(`
1 statement ran outside of tasks; pass each the context of its task:
    INSERT items at tasktest_test.go:N (github.com/taskspan/taskspan/worker/tasktest_test.insert)`)
}

// What runs before the first task prepares the test, unless there is no task at all.
func TestPreparation(t *testing.T) {
	t.Parallel()
	f, h, db := start(t)
	if err := insert(h.Context(), db, 2); err != nil {
		t.Fatal(err)
	}
	h.NoStatementsOutside()
	if got := f.take(); !strings.HasPrefix(got, "2 statements ran outside of tasks;") {
		t.Errorf("without any task the test was told %q", got)
	}
	h.Run("import", func(ctx context.Context) error { return insert(ctx, db, 1) }).Succeeds().MaxStatements(1)
	h.NoStatementsOutside()
	f.wants("")
	if err := insert(h.Context(), db, 1); err != nil {
		t.Fatal(err)
	}
	h.NoStatementsOutside()
	if got := f.take(); !strings.HasPrefix(got, "1 statement ran outside of tasks;") {
		t.Errorf("after a task the test was told %q", got)
	}
}

// A statement is listed where it was issued, wherever its rows end.
func TestIssued(t *testing.T) {
	t.Parallel()
	f, h, db := start(t)
	h.Run("export", func(ctx context.Context) error {
		rows, err := names(ctx, db)
		return errors.Join(err, rows.Close(), rows.Err())
	}).MaxStatements(0)
	if got, want := f.take(), "SELECT items at tasktest_test.go:N (github.com/taskspan/taskspan/worker/tasktest_test.names)"; !strings.Contains(got, want) {
		t.Errorf("the test was told\n%s\nwhich has no %q", got, want)
	}
}

func names(ctx context.Context, db *sql.DB) (*sql.Rows, error) {
	return db.QueryContext(ctx, "SELECT name FROM items")
}

// More texts than a report lists, two databases, a prepared statement, and a task of
// another runner within: each statement counts once.
func TestCounts(t *testing.T) {
	t.Parallel()
	other, err := worker.New()
	if err != nil {
		t.Fatal(err)
	}
	f, h, db := start(t)
	second := h.Open("tasktest", "second")
	h.Run("import", func(ctx context.Context) error {
		for i := range 300 {
			if _, err := db.ExecContext(ctx, fmt.Sprintf("UPDATE items SET c%d = ?", i), 1); err != nil {
				return err
			}
		}
		return other.Run(ctx, "within", func(ctx context.Context) error {
			stmt, err := second.PrepareContext(ctx, "UPDATE items SET name = ?")
			if err != nil {
				return err
			}
			defer stmt.Close()
			_, err = stmt.ExecContext(ctx, "x")
			return errors.Join(err, insert(ctx, second, 1))
		})
	}).Succeeds().MaxStatements(302).MaxStatements(301)
	h.NoStatementsOutside()
	if got, want := f.take(), "task import: 302 statements, want at most 301; those beyond:\n    INSERT items at "; !strings.HasPrefix(got, want) {
		t.Errorf("the test was told\n%s\nwant %q", got, want)
	}
}

// Subtests that run in parallel may share a harness.
func TestSubtests(t *testing.T) {
	t.Parallel()
	f, h, db := start(t)
	t.Run("group", func(t *testing.T) {
		for n := range 4 {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				h.Run("import", func(ctx context.Context) error { return insert(ctx, db, n) }).Succeeds().MaxStatements(n)
			})
		}
	})
	h.NoStatementsOutside()
	f.wants("")
}

// Code under test that starts its own tasks finds the runner in the context.
func TestTask(t *testing.T) {
	t.Parallel()
	f, h, db := start(t)
	for n := range 3 {
		if err := worker.Run(h.Context(), "import", func(ctx context.Context) error { return insert(ctx, db, n) }); err != nil {
			t.Error(err)
		}
	}
	h.Task("import").MaxStatements(2).MaxStatements(1)
	if got := f.take(); !strings.HasPrefix(got, "task import: 2 statements, want at most 1; those beyond:\n") {
		t.Error(got)
	}
	f.ends(func() { h.Task("export") })
	f.wants(`tasktest: no task "export" has ended; ended: import; running: none`)
	h.Run("list", func(context.Context) error {
		f.ends(func() { h.Task("list") })
		return nil
	}).Succeeds()
	f.wants(`tasktest: no task "list" has ended; ended: import; running: list`)
	f, h, _ = start(t)
	f.ends(func() { h.Task("export") })
	f.wants(`tasktest: no task "export" has ended; none has; a task that code starts with worker.Run needs the context of Harness.Context`)
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	f := &fake{TB: t}
	f.ends(func() { tasktest.New(f, worker.WithRepeatedStatements(-1)) })
	if got := f.take(); !strings.HasPrefix(got, "tasktest: options of the runner: worker: ") {
		t.Error(got)
	}
	h := tasktest.New(f)
	f.ends(func() { h.Open("no such driver", "") })
	if got := f.take(); !strings.HasPrefix(got, "tasktest: opening the database: ") {
		t.Error(got)
	}
}

// Harnesses do not see each other's tasks, nor those without one.
func TestApart(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			f, h, db := start(t)
			for range 20 {
				h.Run("import", func(ctx context.Context) error { return insert(ctx, db, n) }).Succeeds().MaxStatements(n)
			}
			h.NoStatementsOutside()
			f.wants("")
		})
	}
	wg.Wait()
}

func TestInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := tasktest.New(t)
		db := h.Open("tasktest", "")
		h.Run("import", func(ctx context.Context) error { return insert(ctx, db, 1) }).Succeeds().MaxStatements(1)
		h.NoStatementsOutside()
	})
}
