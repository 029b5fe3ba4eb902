// Package drivers tests Taskspan on the drivers that programs use, as far as
// that needs no server: SQLite in this process, and pgx against a server in this
// process that speaks PostgreSQL's protocol. `make test` runs it.
//
// The tests of the root module use drivers and errors of their own, so that
// nobody who uses the library inherits a driver's version. Here it is shown that
// the real ones behave alike.
package drivers
