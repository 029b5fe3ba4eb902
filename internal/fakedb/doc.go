// Package fakedb is a database driver for tests and benchmarks. It does what a
// script demands, and takes any combination of the optional interfaces of
// database/sql/driver.
//
//	fake := &fakedb.DB{Shape: fakedb.ExecerContext | fakedb.Pinger}
//	fake.On(fakedb.ConnExecContext, 1, fakedb.Fault{Err: driver.ErrSkip})
//	db := sql.OpenDB(fake.Connector())
//	// …
//	fake.Calls() // every call the driver saw, in order
//
// With DB.Plain the driver does nothing, keeps no log and allocates nothing
// once it is connected, which is what benchmarks want.
//
// The methods of a type are decided when it is compiled, so the types for the
// combinations are generated.
package fakedb

//go:generate go run gen.go
