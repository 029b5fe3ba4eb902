package riverworker

import (
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/errs"
)

// Plugin is a plugin for the configuration of a River client. It is safe for
// concurrent use, and may serve several clients. Make one with [New].
type Plugin struct {
	river.PluginDefaults

	config      *config
	tracer      trace.Tracer
	instruments *instruments
}

var (
	_ rivertype.Plugin              = (*Plugin)(nil)
	_ rivertype.JobInsertMiddleware = (*Plugin)(nil)
	_ rivertype.WorkerMiddleware    = (*Plugin)(nil)
	_ rivertype.HookWorkEnd         = (*Plugin)(nil)
)

// messagingSystem delivers the messages that jobs are.
var messagingSystem = semconv.MessagingSystemKey.String("river")

// New returns a plugin for river.Config.Plugins. Put it first: what other
// plugins do to a job is then within its task.
func New(opts ...Option) *Plugin {
	p := &Plugin{config: newConfig(opts), tracer: noop.Tracer{}}
	p.instruments = newInstruments(p.config.meterProvider)
	defer guard("making a tracer")
	provider := p.config.tracerProvider
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	if t := provider.Tracer(scopeName, trace.WithInstrumentationVersion(Version), trace.WithSchemaURL(semconv.SchemaURL)); t != nil {
		p.tracer = t
	}
	return p
}

// guard, deferred, keeps a panic of telemetry from the application.
func guard(doing string) {
	if v := recover(); v != nil {
		otel.Handle(fmt.Errorf("riverworker: panic while %s: a %T\n%s", doing, v, errs.Stack()))
	}
}
