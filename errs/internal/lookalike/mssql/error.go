// Package mssql has errors of the shape of those of go-mssqldb, for tests: the
// module does not depend on it.
package mssql

// Error is an error of the server.
type Error struct {
	Number     int32
	State      uint8
	Class      uint8
	Message    string
	ServerName string
	ProcName   string
	LineNo     int32
}

func (e Error) Error() string { return "mssql: " + e.Message }

// SQLErrorNumber returns the number of the error.
func (e Error) SQLErrorNumber() int32 { return e.Number }
