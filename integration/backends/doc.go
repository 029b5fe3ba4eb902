// Package backends is where Taskspan meets the programs at the other end of its
// telemetry: the OpenTelemetry Collector's own receiver, in this process, and a
// Prometheus server. Its tests need no Docker; those of Prometheus need its
// programs prometheus and promtool.
package backends
