package open

import (
	"database/sql"
	"testing"
)

func TestOpen(t *testing.T) {
	_, _ = sql.Open("mysql", "")
}
