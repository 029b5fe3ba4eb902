// Package suites runs the tests that others wrote for their own libraries, as they are
// on the module proxy, and then once more with every database opened by otdb. Each test
// has to have the verdict that it has without.
package suites
