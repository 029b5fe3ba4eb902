// Package oteltest records what a test exports, from a sampler's first look at a
// span to the points of the metrics, and compares it whole. Only tests import it.
//
// The nested modules may not import it and have a copy in their own internal
// directory; internal/layers tests that the copies are the same.
package oteltest
