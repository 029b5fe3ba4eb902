package orders

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/worker/tasktest"
)

func TestInvoice(t *testing.T) {
	t.Parallel()
	testInvoice(t, "sqlite3", filepath.Join(t.TempDir(), "orders.db"))
}

func testInvoice(t *testing.T, driver, dsn string) {
	h := tasktest.New(t)
	store := prepare(t, h.Open(driver, dsn))
	invoice := func(ctx context.Context) error { return store.Invoice(ctx, "Ada") }

	h.Run("orders.invoice", invoice).Succeeds().MaxStatements(2).NoRepeats().NoLeaks()
	h.Run("orders.invoice", invoice).Fails(errs.KindConstraint, "").NoLeaks() // there is one already
	h.NoStatementsOutside()
}

// prepare returns a store with four orders.
func prepare(t testing.TB, db *sql.DB) *Store {
	t.Helper()
	for _, query := range []string{
		"DROP TABLE IF EXISTS orders",
		"DROP TABLE IF EXISTS invoices",
		"CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, price INTEGER, invoiced INTEGER DEFAULT 0)",
		"CREATE TABLE invoices (customer TEXT PRIMARY KEY, total INTEGER)",
		"INSERT INTO orders (id, customer, price) VALUES (1, 'Ada', 20), (2, 'Ada', 5), (3, 'Ada', 7), (4, 'Bob', 1)",
	} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	return &Store{db}
}
