// Package layers holds no code. Its test reads the import graph of the module
// and fails where a package imports what its layer must not, where the
// OpenTelemetry SDK comes within reach of a package that instruments, and where
// two versions of the semantic conventions are in use.
//
// The linter's depguard has the same rules for direct imports and reports them
// at the line; the test also sees what comes in through a dependency.
package layers
