package telemetry

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"slices"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/trace"
)

// Keys of the attributes that connect a log record with its trace, as the specification has them.
// https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
const (
	traceIDKey = "trace_id"
	spanIDKey  = "span_id"
)

// logScope is the name of the logger of records that go to OpenTelemetry.
const logScope = "github.com/taskspan/taskspan/telemetry"

// NewLogHandler returns a handler that passes each record on twice: to next, with the attributes
// trace_id and span_id if the record's context has a span, and to the global OpenTelemetry
// LoggerProvider, from where [Start] exports it if a logs exporter is configured.
//
//	slog.SetDefault(slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(os.Stderr, nil))))
//
// The ids are always top-level attributes, whatever groups the logger has. Records that have no span
// reach next unchanged, at no cost in memory. The level is that of next, for both: what it is not
// enabled for is not exported either. With a nil next, records go to OpenTelemetry alone.
//
// The next handler may be slog's default one, or be built on it, as in
//
//	slog.SetDefault(slog.New(telemetry.NewLogHandler(slog.Default().Handler())))
//
// The package log then prints to where it did when the handler was made.
//
// The handler may be made before Start is called, and used concurrently if next can be.
func NewLogHandler(next slog.Handler) slog.Handler {
	return &logHandler{
		next:   next,
		base:   next,
		export: otelslog.NewHandler(logScope),
		toLog:  printsToLog(next),
		log:    standardLog(),
	}
}

var _ slog.Handler = (*logHandler)(nil)

// logHandler cannot just add the ids to a record once the logger has a group: next would put them into
// it. It therefore keeps next as it was before the first group, and nests the groups itself where a
// record has ids.
type logHandler struct {
	next   slog.Handler // with all groups and attributes; for records without a span; nil: none
	base   slog.Handler // with those attributes that came before the first group
	groups []logGroup   // outermost first
	export slog.Handler
	toLog  bool        // next prints by the package log
	log    *log.Logger // as the package log was when the handler was made
}

// logGroup is a group of a logger, and the logger's attributes in it.
type logGroup struct {
	name  string
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	if h.next == nil {
		return h.export.Enabled(ctx, level)
	}
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	from := fromProgram
	// A record from package log has neither, unless a handler around this one adds it.
	if h.toLog || h.next != nil && r.NumAttrs() == 0 && ctx == context.Background() {
		from = source()
	}
	if from == fromItself {
		return h.log.Output(0, r.Message) // which is the whole line
	}
	var exportErr error
	if h.export.Enabled(ctx, r.Level) && !isOwn(ctx) {
		exportErr = h.export.Handle(ctx, r) // it takes the ids from ctx
	}
	switch {
	case h.next == nil:
		return exportErr
	case from == fromLog && h.toLog:
		return join(h.log.Output(0, r.Message), exportErr)
	}
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return join(h.next.Handle(ctx, r), exportErr)
	}
	return join(h.base.Handle(ctx, h.identified(r, sc)), exportErr)
}

// join spares the common case an allocation.
func join(err, other error) error {
	if other == nil {
		return err
	}
	return errors.Join(err, other)
}

// identified returns r for base: with its attributes nested in the groups, and the ids outside of them.
func (h *logHandler) identified(r slog.Record, sc trace.SpanContext) slog.Record {
	if len(h.groups) == 0 {
		r = r.Clone()
	} else {
		attrs := make([]slog.Attr, 0, r.NumAttrs())
		r.Attrs(func(a slog.Attr) bool {
			attrs = append(attrs, a)
			return true
		})
		for _, g := range slices.Backward(h.groups) {
			attrs = []slog.Attr{{Key: g.name, Value: slog.GroupValue(slices.Concat(g.attrs, attrs)...)}}
		}
		r = slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.AddAttrs(attrs...)
	}
	r.AddAttrs(slog.String(traceIDKey, sc.TraceID().String()), slog.String(spanIDKey, sc.SpanID().String()))
	return r
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	h2 := *h
	h2.export = h.export.WithAttrs(attrs)
	if h.next == nil {
		return &h2
	}
	h2.next = h.next.WithAttrs(attrs)
	if n := len(h.groups); n > 0 {
		h2.groups = slices.Clone(h.groups)
		last := &h2.groups[n-1]
		last.attrs = slices.Concat(last.attrs, attrs)
	} else {
		h2.base = h2.next
	}
	return &h2
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	h2 := *h
	h2.export = h.export.WithGroup(name)
	if h.next == nil {
		return &h2
	}
	h2.next = h.next.WithGroup(name)
	h2.groups = append(slices.Clip(h.groups), logGroup{name: name})
	return &h2
}
