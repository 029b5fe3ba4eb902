package telemetry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// newResource describes the process: what is detected, then what the program sets, then what the
// environment sets; later ones win. Command line, executable path and owner are left out, since these
// can be secret or personal. Parts that cannot be detected are reported and left out.
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
	name := "unknown_service:" + filepath.Base(os.Args[0])
	for _, kv := range attributes {
		if kv.Key == semconv.ServiceNameKey && strings.TrimSpace(kv.Value.AsString()) != "" {
			name = kv.Value.AsString()
		}
	}
	return clean(res, name)
}

// clean returns res with a name in place of an empty one of the service, which OTEL_RESOURCE_ATTRIBUTES and
// options can leave, and with valid UTF-8 alone: one bad byte makes an exporter drop all there is.
func clean(res *resource.Resource, name string) *resource.Resource {
	attributes := res.Attributes()
	for i, kv := range attributes {
		switch {
		case kv.Key == semconv.ServiceNameKey && kv.Value.Type() == attribute.STRING && strings.TrimSpace(kv.Value.AsString()) == "":
			attributes[i] = semconv.ServiceName(strings.ToValidUTF8(name, "\ufffd"))
		case kv.Value.Type() == attribute.STRING && !utf8.ValidString(kv.Value.AsString()):
			attributes[i].Value = attribute.StringValue(strings.ToValidUTF8(kv.Value.AsString(), "\ufffd"))
		}
	}
	return resource.NewWithAttributes(res.SchemaURL(), attributes...)
}
