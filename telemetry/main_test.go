package telemetry

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The results must not depend on what the shell exports by OpenTelemetry.
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "OTEL_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	goleak.VerifyTestMain(m)
}

// start is Start for a test: without any OTEL_* variable but those in env, with the globals restored and
// errors of the SDK collected, and with a shutdown that has to succeed unless the test has called it.
func start(t *testing.T, env map[string]string, opts ...Option) (*Telemetry, error) {
	t.Helper()
	setEnv(t, env)
	keepGlobals(t)
	tel, err := Start(t.Context(), opts...)
	if tel == nil {
		t.Fatal("Telemetry is nil")
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		tel.Shutdown(ctx) //nolint:errcheck // tests that care call it themselves: the first result is kept
	})
	return tel, err
}

// texts are variables for which any text is good, or which are checked where they are used.
var texts = []string{
	"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", envPropagators, envProducers,
	"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", envPrometheusHost, envPrometheusPort,
	envOTLPEndpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
}

// setEnv sets the variables in env, and no other that could disturb a test.
func setEnv(t *testing.T, env map[string]string) {
	t.Helper()
	names := append(slices.Clone(texts), "COLUMNS")
	for _, v := range variables {
		names = append(names, v.name)
	}
	for _, name := range names {
		t.Setenv(name, env[name])
	}
	for name := range env {
		if !slices.Contains(names, name) {
			t.Fatalf("%s is not among the variables", name)
		}
	}
}

func keepGlobals(t *testing.T) {
	t.Helper()
	tp, mp, lp, p := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider(), otel.GetTextMapPropagator()
	t.Cleanup(func() {
		// The SDK complains about setting the initial one to itself.
		if otel.GetTracerProvider() != tp {
			otel.SetTracerProvider(tp)
		}
		if otel.GetMeterProvider() != mp {
			otel.SetMeterProvider(mp)
		}
		if otel.GetLoggerProvider() != lp {
			otel.SetLoggerProvider(lp)
		}
		if !same(otel.GetTextMapPropagator(), p) {
			otel.SetTextMapPropagator(p)
		}
	})
}

// same compares propagators, of which some types cannot be compared.
func same(a, b propagation.TextMapPropagator) bool {
	return reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

// sdkErrors collects what is passed to otel.Handle during a test.
type sdkErrors struct {
	some chan struct{} // closed with the first one

	mu   sync.Mutex
	list []error
}

func (e *sdkErrors) Handle(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.list = append(e.list, err); len(e.list) == 1 {
		close(e.some)
	}
}

func (e *sdkErrors) all() []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

func captureErrors(t *testing.T) *sdkErrors {
	t.Helper()
	e := &sdkErrors{some: make(chan struct{})}
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(e)
	t.Cleanup(func() { otel.SetErrorHandler(previous) })
	return e
}
