package sqltext_test

import (
	"testing"

	"github.com/taskspan/taskspan/internal/sqltext"
)

func TestDialectOf(t *testing.T) {
	for system, want := range map[string]string{
		"postgresql": "PostgreSQL", "cockroachdb": "PostgreSQL", "aws.redshift": "PostgreSQL",
		"mysql": "MySQL", "mariadb": "MySQL", "sqlite": "SQLite", "microsoft.sql_server": "SQLServer",
		"oracle.db": "Oracle", "other_sql": "Default", "clickhouse": "Default", "": "Default", "PostgreSQL": "Default",
	} {
		if got := sqltext.DialectOf(system).String(); got != want {
			t.Errorf("%q: got %s, want %s", system, got, want)
		}
	}
	if r := sqltext.Parse(sqltext.Dialect(200), "SELECT 'a' FROM t"); r.Text != "SELECT ? FROM t" {
		t.Errorf("unknown dialect: %q", r.Text)
	}
}
