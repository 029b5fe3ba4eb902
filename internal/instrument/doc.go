// Package instrument is what otdb and worker do alike with telemetry.
//
// Telemetry must not change what the application sees. A [Scope] makes tracers and
// instruments that always work, if need be as no-ops, and guards calls of telemetry
// and of the user's functions against panics. [Unwinding] finds out how a call ended
// that did not return. [Clock] is the clock.
package instrument
