// Package backends is where Taskspan meets the programs at the other end of its
// telemetry: the OpenTelemetry Collector's own receiver, in this process, a
// Prometheus server, and a Jaeger. Its tests need no Docker; those of Prometheus
// need its programs prometheus and promtool, and that of Jaeger what `make jaeger`
// builds.
package backends
