package open

import "database/sql"

func exempt(dsn string) {
	_, _ = sql.Open("mysql", dsn) //nolint:otdbvet // a proxy traces it
	_, _ = sql.Open("mysql", dsn) //nolint
	_, _ = sql.Open("mysql", dsn) //nolint:errcheck,opendb // a proxy traces it
	_, _ = sql.Open("mysql", dsn) //nolint:errcheck // want `sql.Open opens`
	_, _ = sql.Open("mysql", dsn) //otdbvet:ignore a proxy traces it
	//otdbvet:ignore a proxy traces it
	_, _ = sql.Open(
		"mysql", dsn)
	_, _ = sql.Open(
		"mysql", dsn) //otdbvet:ignore a proxy traces it
	_, _ = sql.Open("mysql", dsn) // want `sql.Open opens`
}

//otdbvet:ignore nothing here is traced
func exemptAll(dsn string) {
	_, _ = sql.Open("mysql", dsn)
	_, _ = sql.Open("pgx", dsn)
}
