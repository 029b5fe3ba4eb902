package sqltext_test

import (
	"fmt"

	"github.com/taskspan/taskspan/internal/sqltext"
)

func ExampleParse() {
	r := sqltext.Parse(sqltext.PostgreSQL,
		`SELECT u.id FROM users u JOIN teams t ON t.id = u.team WHERE u.mail = 'bob@x.com' AND t.id IN (1, 2, 3)`)
	fmt.Println(r.Text)
	fmt.Println(r.Summary)
	// Output:
	// SELECT u.id FROM users u JOIN teams t ON t.id = u.team WHERE u.mail = ? AND t.id IN (?)
	// SELECT users teams
}

func ExampleDialectOf() {
	fmt.Println(sqltext.DialectOf("mariadb"), sqltext.DialectOf("other_sql"))
	// Output: MySQL Default
}
