// Package docs holds the tests of the pages in the repository's docs directory:
// that they describe the telemetry that the code emits, that their
// programs compile, and that their links lead somewhere.
package docs
