package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/slogtest"

	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"
)

var logSpan = trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{0x4b, 0xf9, 15: 1}, SpanID: trace.SpanID{0xa0, 7: 2},
})

// inSpan passes every record on in a span's context.
type inSpan struct{ slog.Handler }

func (h inSpan) Handle(ctx context.Context, r slog.Record) error {
	return h.Handler.Handle(trace.ContextWithSpanContext(ctx, logSpan), r)
}
func (h inSpan) WithAttrs(a []slog.Attr) slog.Handler { return inSpan{h.Handler.WithAttrs(a)} }
func (h inSpan) WithGroup(n string) slog.Handler      { return inSpan{h.Handler.WithGroup(n)} }

// The rules for handlers hold with and without ids.
func TestLogHandlerIsAHandler(t *testing.T) {
	for name, wrap := range map[string]func(slog.Handler) slog.Handler{
		"without span": func(h slog.Handler) slog.Handler { return h },
		"in span":      func(h slog.Handler) slog.Handler { return inSpan{h} },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			slogtest.Run(t, func(*testing.T) slog.Handler {
				out.Reset()
				return wrap(NewLogHandler(slog.NewJSONHandler(&out, nil)))
			}, func(t *testing.T) map[string]any {
				var m map[string]any
				if err := json.Unmarshal(out.Bytes(), &m); err != nil {
					t.Fatal(err)
				}
				if name == "in span" {
					if m[traceIDKey] != logSpan.TraceID().String() || m[spanIDKey] != logSpan.SpanID().String() {
						t.Errorf("ids missing at the top level of %v", m)
					}
					delete(m, traceIDKey)
					delete(m, spanIDKey)
				}
				return m
			})
		})
	}
}

// withoutTime makes records reproducible.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestLogHandlerText(t *testing.T) {
	const ids = " trace_id=4bf90000000000000000000000000001 span_id=a000000000000002\n"
	ctx := trace.ContextWithSpanContext(context.Background(), logSpan)
	var out bytes.Buffer
	root := slog.New(NewLogHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
	g := root.With("a", 1).WithGroup("g")
	for _, test := range []struct {
		logger *slog.Logger
		want   string
	}{
		{root, "level=INFO msg=m k=v"},
		{root.With("a", 1), "level=INFO msg=m a=1 k=v"},
		{g, "level=INFO msg=m a=1 g.k=v"},
		{g.With("b", 2), "level=INFO msg=m a=1 g.b=2 g.k=v"},
		{g.With("b", 2).With("c", 3).WithGroup("h").With("d", 4), "level=INFO msg=m a=1 g.b=2 g.c=3 g.h.d=4 g.h.k=v"},
		{g.WithGroup("").With(), "level=INFO msg=m a=1 g.k=v"},
		{g, "level=INFO msg=m a=1 g.k=v"}, // loggers made of it have not changed it
	} {
		out.Reset()
		test.logger.InfoContext(ctx, "m", "k", "v")
		if got := out.String(); got != test.want+ids {
			t.Errorf("in span:\n got %swant %s", got, test.want+ids)
		}
		out.Reset()
		test.logger.InfoContext(context.Background(), "m", "k", "v")
		if got := out.String(); got != test.want+"\n" {
			t.Errorf("without span:\n got %swant %s", got, test.want)
		}
	}
}

func TestLogHandlerKeepsSource(t *testing.T) {
	var out bytes.Buffer
	l := slog.New(NewLogHandler(slog.NewJSONHandler(&out, &slog.HandlerOptions{AddSource: true}))).WithGroup("g")
	l.WarnContext(trace.ContextWithSpanContext(context.Background(), logSpan), "m", "k", "v")
	var m struct {
		Source struct{ Function string }
		Level  string
		G      map[string]string
	}
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	if m.Source.Function != "github.com/taskspan/taskspan/telemetry.TestLogHandlerKeepsSource" || m.Level != "WARN" || m.G["k"] != "v" {
		t.Errorf("%+v", m)
	}
}

// keepLogger makes p the global LoggerProvider of a test.
func keepLogger(t *testing.T, p sdklog.Processor) {
	t.Helper()
	keepGlobals(t)
	lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(p))
	otel.SetLoggerProvider(lp)
	t.Cleanup(func() {
		if err := lp.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

type keptRecords struct {
	recordingLogs
	records []sdklog.Record
}

func (p *keptRecords) OnEmit(_ context.Context, r *sdklog.Record) error {
	p.records = append(p.records, r.Clone())
	return nil
}

// OpenTelemetry gets the record as it was, with the ids in their own fields, and at the level of next.
func TestLogHandlerExports(t *testing.T) {
	kept := &keptRecords{}
	keepLogger(t, kept)
	ctx := trace.ContextWithSpanContext(context.Background(), logSpan)
	l := slog.New(NewLogHandler(slog.NewTextHandler(io.Discard, nil))).With("a", 1).WithGroup("g")
	l.DebugContext(ctx, "not enabled")
	l.ErrorContext(ctx, "m", "k", "v")
	if len(kept.records) != 1 {
		t.Fatalf("%d records", len(kept.records))
	}
	r := kept.records[0]
	if r.Body().AsString() != "m" || r.TraceID() != logSpan.TraceID() || r.SpanID() != logSpan.SpanID() || r.AttributesLen() != 2 {
		t.Errorf("%v, trace %v, span %v, %d attributes", r.Body(), r.TraceID(), r.SpanID(), r.AttributesLen())
	}
}

func TestLogHandlerWithoutNext(t *testing.T) {
	if NewLogHandler(nil).Enabled(context.Background(), slog.LevelError) {
		t.Error("enabled without a provider")
	}
	kept := &keptRecords{}
	keepLogger(t, kept)
	l := slog.New(NewLogHandler(nil))
	l.With("a", 1).WithGroup("g").InfoContext(context.Background(), "m", "k", "v")
	if len(kept.records) != 1 || kept.records[0].AttributesLen() != 2 {
		t.Errorf("%v", kept.records)
	}
}

// failingHandler reports what it is given.
type failingHandler struct{ slog.Handler }

var errHandler = errors.New("disk full")

func (failingHandler) Handle(context.Context, slog.Record) error { return errHandler }

func TestLogHandlerErrors(t *testing.T) {
	h := NewLogHandler(failingHandler{slog.NewTextHandler(io.Discard, nil)})
	var r slog.Record
	if err := h.Handle(context.Background(), r); err != errHandler { // the identical one
		t.Errorf("%v", err)
	}
	errOther := errors.New("other")
	if err := join(errHandler, errOther); !errors.Is(err, errHandler) || !errors.Is(err, errOther) {
		t.Errorf("%v", err)
	}
}

// discard is a handler that allocates nothing.
type discard struct{}

func (discard) Enabled(context.Context, slog.Level) bool  { return true }
func (discard) Handle(context.Context, slog.Record) error { return nil }
func (discard) WithAttrs([]slog.Attr) slog.Handler        { return discard{} }
func (discard) WithGroup(string) slog.Handler             { return discard{} }

func TestLogHandlerAllocatesNothingWithoutSpan(t *testing.T) {
	keepGlobals(t)
	otel.SetLoggerProvider(sdklog.NewLoggerProvider()) // as when no logs exporter is configured
	var r slog.Record
	r.AddAttrs(slog.Int("a", 1))
	for name, h := range map[string]slog.Handler{
		"no group": NewLogHandler(discard{}),
		"group":    NewLogHandler(discard{}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("b", 2)}),
	} {
		if n := testing.AllocsPerRun(100, func() {
			if h.Enabled(context.Background(), slog.LevelInfo) {
				h.Handle(context.Background(), r) //nolint:errcheck // it discards
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
