// Package mysql has errors of the shape of those of go-sql-driver/mysql and of
// go-mysql, for tests: the module does not depend on either.
package mysql

import "fmt"

// MySQLError is an error of the server, as go-sql-driver/mysql returns it.
type MySQLError struct {
	Number   uint16
	SQLState [5]byte
	Message  string
}

func (e *MySQLError) Error() string {
	if e.SQLState != [5]byte{} {
		return fmt.Sprintf("Error %d (%s): %s", e.Number, e.SQLState, e.Message)
	}
	return fmt.Sprintf("Error %d: %s", e.Number, e.Message)
}

// MyError is an error of the server, as go-mysql returns it.
type MyError struct {
	Code    uint16
	Message string
	State   string
}

func (e *MyError) Error() string {
	return fmt.Sprintf("ERROR %d (%s): %s", e.Code, e.State, e.Message)
}
