// Package metrics exports OpenTelemetry metrics to Prometheus.
//
// [New] returns a [Provider]: a metric.MeterProvider of the OpenTelemetry SDK, together with the
// Prometheus registry that it exports to and the http.Handler that serves it.
//
//	m, err := metrics.New()
//	if err != nil {
//		return err
//	}
//	defer m.Shutdown(context.Background())
//	otel.SetMeterProvider(m)
//	http.Handle("GET /metrics", m.Handler())
//
// A program that also wants traces, logs and OTLP calls telemetry.Start instead, which builds on
// this package.
//
// # Names
//
// Names follow the OpenTelemetry specification for Prometheus compatibility, in the form that every
// Prometheus understands: characters other than letters, digits and colons become underscores, the
// unit is spelled out at the end, and counters end in _total. Units in braces are left out.
//
//	OpenTelemetry                       instrument, unit         Prometheus
//	db.client.operation.duration        histogram, s             db_client_operation_duration_seconds
//	db.client.response.returned_rows    histogram, {row}         db_client_response_returned_rows
//	db.client.connection.count          up-down counter          db_client_connection_count
//	db.client.connection.max            up-down counter          db_client_connection_max
//	otdb.connection.waits               counter, {wait}          otdb_connection_waits_total
//	otdb.connection.wait.duration       counter, s               otdb_connection_wait_duration_seconds_total
//	otdb.connection.closed              counter, {connection}    otdb_connection_closed_total
//	worker.task.duration                histogram, s             worker_task_duration_seconds
//	worker.task.active                  up-down counter, {task}  worker_task_active
//	worker.task.oldest.age              gauge, s                 worker_task_oldest_age_seconds
//	worker.task.last_success.timestamp  gauge, s                 worker_task_last_success_timestamp_seconds
//	worker.task.queue.duration          histogram, s             worker_task_queue_duration_seconds
//	worker.task.db.operations           histogram, {operation}   worker_task_db_operations
//	worker.task.db.duration             histogram, s             worker_task_db_duration_seconds
//	worker.task.findings                counter, {finding}       worker_task_findings_total
//
// Attributes become labels by the same rule for characters: error.type is error_type. The resource
// is the metric target_info, with the value 1. Every series carries the labels otel_scope_name,
// otel_scope_version and otel_scope_schema_url, as the specification has it: without them, two
// libraries that record the same metric would collide and a scrape would lose one of them.
//
// # Exemplars
//
// A measurement that is made in the context of a sampled span leaves an exemplar with that span's
// trace_id and span_id on the histogram bucket or the counter that it falls on. The environment
// variable OTEL_METRICS_EXEMPLAR_FILTER (trace_based, always_on, always_off) changes which
// measurements do. The formats OpenMetrics and protobuf have exemplars, and plain text has none: the
// client chooses. A Prometheus server asks for the former by itself, and keeps the exemplars if it
// was started with --enable-feature=exemplar-storage.
package metrics
