package telemetry

import (
	"context"
	"log/slog"
	"slices"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
)

// initialHandler is OpenTelemetry's own handler of errors, which prints to standard error.
var initialHandler = otel.GetErrorHandler()

// handleErrors makes the errors of OpenTelemetry itself log records, unless the program handles them already.
func handleErrors() {
	if handler := otel.GetErrorHandler(); isInitial(handler) {
		otel.SetErrorHandler(errorHandler{})
	}
	otel.SetLogger(logr.FromSlogHandler(sdkLog{}))
}

func isInitial(handler otel.ErrorHandler) bool {
	// Handlers may be functions, which cannot be compared.
	if _, isFunc := handler.(otel.ErrorHandlerFunc); isFunc {
		return false
	}
	return handler == initialHandler
}

// ownKey marks the context of records about OpenTelemetry: exporting them could fail again, and go on so.
type ownKey struct{}

var ownContext = context.WithValue(context.Background(), ownKey{}, true)

// errorHandler logs to slog's default logger.
type errorHandler struct{}

var _ otel.ErrorHandler = errorHandler{}

// Handle implements otel.ErrorHandler.
func (errorHandler) Handle(err error) {
	slog.Default().ErrorContext(ownContext, "opentelemetry", "error", err)
}

// sdkLog logs what the SDK logs as errors. It leaves out what can be a credential: the parts of variables that
// hold headers and endpoints.
type sdkLog struct{}

var _ slog.Handler = sdkLog{}

// secretMessages are those of records whose error repeats a part of a header or an endpoint.
var secretMessages = []string{"parse headers", "escape header value", "parse url"}

// Enabled implements slog.Handler.
func (sdkLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

// Handle implements slog.Handler.
func (sdkLog) Handle(_ context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, "opentelemetry: "+r.Message, 0)
	if !slices.Contains(secretMessages, r.Message) {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "err" {
				out.AddAttrs(slog.Any("error", a.Value.Any()))
			}
			return true
		})
	}
	handler := slog.Default().Handler()
	if !handler.Enabled(ownContext, r.Level) {
		return nil
	}
	return handler.Handle(ownContext, out)
}

// WithAttrs implements slog.Handler.
func (h sdkLog) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler.
func (h sdkLog) WithGroup(string) slog.Handler { return h }
