package orders

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
)

func TestDrivers(t *testing.T) {
	server := startPostgres(t)
	for driver, dsn := range map[string]string{
		"sqlite3":  filepath.Join(t.TempDir(), "orders.db"),
		"pgx":      server,
		"postgres": server, // lib/pq
	} {
		t.Run(driver, func(t *testing.T) { testInvoice(t, driver, dsn) })
	}
}

// startPostgres returns the DSN of a PostgreSQL in a container that ends with the test.
func startPostgres(t *testing.T) string {
	t.Helper()
	testcontainers.SkipIfProviderIsNotHealthy(t)
	image := cmp.Or(os.Getenv("TASKSPAN_POSTGRES_IMAGE"), "postgres:17-alpine")
	container, err := postgres.Run(t.Context(), image, postgres.WithDatabase("orders"), postgres.BasicWaitStrategies())
	testcontainers.CleanupContainer(t, container)
	if err != nil {
		t.Fatal(err)
	}
	dsn, err := container.ConnectionString(t.Context(), "sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}
