package tasktest_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/taskspan/taskspan/worker/tasktest"
)

// Store is the code under test.
type Store struct{ db *sql.DB }

func (s *Store) Import(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO items (name) VALUES (?), (?)", "a", "b")
	return err
}

func testImport(t *testing.T) {
	h := tasktest.New(t)
	store := &Store{db: h.Open("tasktest", "")} // the name of a driver, and its DSN
	h.Run("orders.import", store.Import).
		Succeeds().
		MaxStatements(3).
		NoRepeats().
		NoLeaks()
	h.NoStatementsOutside()
}

func Example() {
	// In a test file this is the function TestImport.
	testing.RunTests(func(_, _ string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestImport", F: testImport}})
	// Output:
}
