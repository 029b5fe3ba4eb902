package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// newResource describes the process: what is detected, then what the program says, then what the
// environment says; later ones win. Command line, executable path and owner are left out, since these
// can be secret or personal. What cannot be detected is reported and left out.
func newResource(ctx context.Context, attributes []attribute.KeyValue) *resource.Resource {
	res, err := resource.New(ctx,
		resource.WithService(),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithOSType(),
		resource.WithContainerID(),
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithProcessRuntimeDescription(),
		resource.WithAttributes(attributes...),
		resource.WithFromEnv(),
	)
	if err != nil {
		otel.Handle(fmt.Errorf("telemetry: detecting the resource: %w", err))
	}
	return res
}
