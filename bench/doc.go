// Package bench measures what Taskspan costs. It is a module of its own, so that
// users of the library inherit none of the libraries that it is compared with.
//
// The command in compare does all of it: the same work bare and traced, in one
// run on one machine, so that the difference is the overhead and nothing else.
// Times are read by people (`make bench`); limits on allocations are ordinary
// tests beside the code they bind.
package bench
