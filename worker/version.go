package worker

import (
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/internal/instrument"
)

// Version is the version of the instrumentation scope.
const Version = "0.1.0"

// scope is the instrumentation scope.
var scope = &instrument.Scope{
	Package:   "worker",
	Name:      "github.com/taskspan/taskspan/worker",
	Version:   Version,
	SchemaURL: semconv.SchemaURL,
}
