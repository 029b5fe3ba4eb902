package worker

import (
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// The attributes of this package. Those of the OpenTelemetry conventions come
// from semconv.
const (
	keyTaskName         = attribute.Key("worker.task.name")
	keyTaskID           = attribute.Key("worker.task.id")
	keyTaskAttempt      = attribute.Key("worker.task.attempt")
	keyTaskResult       = attribute.Key("worker.task.result")
	keyTaskCancelCause  = attribute.Key("worker.task.cancel.cause")
	keyTaskDBOperations = attribute.Key("worker.task.db.operations")
	keyTaskDBDuration   = attribute.Key("worker.task.db.duration")
	keyTaskDBRows       = attribute.Key("worker.task.db.rows")
	keyTaskDBErrors     = attribute.Key("worker.task.db.errors")
	// Of a task that is still running.
	keyTaskAge             = attribute.Key("worker.task.age")
	keyTaskProgressDone    = attribute.Key("worker.task.progress.done")
	keyTaskProgressTotal   = attribute.Key("worker.task.progress.total")
	keyTaskDBInProgress    = attribute.Key("worker.task.db.in_progress")
	keyTaskDBInProgressAge = attribute.Key("worker.task.db.in_progress.age")
	keyTaskDBHeld          = attribute.Key("worker.task.db.held")

	keyFindingKind    = attribute.Key("worker.finding.kind")
	keyFindingCount   = attribute.Key("worker.finding.count")
	keyFindingRows    = attribute.Key("worker.finding.rows")
	keyFindingSlowest = attribute.Key("worker.finding.slowest")

	inputPrefix = "worker.task.input."
)

// valid returns s without what is not UTF-8: an exporter would drop the whole
// batch for it.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
