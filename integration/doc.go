// Package integration tests Taskspan against real database servers in
// containers, with the drivers and libraries that programs use, and with
// networks and servers that fail. It is a module of its own, so that users of
// the library inherit none of its dependencies.
//
// A test here runs the same program on the bare driver and through otdb, and
// compares all that the program sees, every span, and every point of the
// metrics. The package drivers has what real drivers show without a server, and
// backends the other end: collectors and Prometheus. A test that needs no real driver
// belongs beside the code it tests, in the root module.
//
// `make integration` runs everything; README.md lists what is needed.
package integration
