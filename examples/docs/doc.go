// Package docs holds the tests of the pages in the repository's docs directory:
// that what they say of the telemetry is what the code emits, that their
// programs compile, and that their links lead somewhere.
package docs
