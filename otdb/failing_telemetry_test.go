package otdb_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/otdb"
)

const telemetryPanic = "secret of the telemetry"

type panickingSampler struct{ sdktrace.Sampler }

func (panickingSampler) ShouldSample(sdktrace.SamplingParameters) sdktrace.SamplingResult {
	panic(telemetryPanic)
}

type panickingProcessor struct {
	sdktrace.SpanProcessor
	start, end bool
}

func (p panickingProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {
	if p.start {
		panic(telemetryPanic)
	}
}

func (p panickingProcessor) OnEnd(sdktrace.ReadOnlySpan) {
	if p.end {
		panic(telemetryPanic)
	}
}

func (panickingProcessor) Shutdown(context.Context) error { return nil }

func (panickingProcessor) ForceFlush(context.Context) error { return nil }

type panickingProvider struct{ tracenoop.TracerProvider }

func (panickingProvider) Tracer(string, ...trace.TracerOption) trace.Tracer { panic(telemetryPanic) }

// spanlessProvider gives tracers whose spans are nil, or panic.
type spanlessProvider struct {
	tracenoop.TracerProvider
	span trace.Span
}

func (p spanlessProvider) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return spanlessTracer{span: p.span}
}

type spanlessTracer struct {
	tracenoop.Tracer
	span trace.Span
}

func (s spanlessTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return ctx, s.span
}

type panickingSpan struct{ tracenoop.Span }

func (panickingSpan) IsRecording() bool { return true }

func (panickingSpan) End(...trace.SpanEndOption) { panic(telemetryPanic) }

// slowlyPanickingSpan takes its time for it.
type slowlyPanickingSpan struct{ panickingSpan }

func (slowlyPanickingSpan) End(...trace.SpanEndOption) {
	time.Sleep(time.Hour)
	panic(telemetryPanic)
}

// panickingMeter panics where it says so.
type panickingMeter struct {
	metricnoop.Meter
	where string
}

type panickingMeters struct {
	metricnoop.MeterProvider
	meter panickingMeter
}

func (m panickingMeter) at(where string) {
	if m.where == where {
		panic(telemetryPanic)
	}
}

func (p panickingMeters) Meter(string, ...metric.MeterOption) metric.Meter {
	p.meter.at("meter")
	return p.meter
}

func (m panickingMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	m.at("instrument")
	return panickingHistogram{m: m}, nil
}

func (m panickingMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	m.at("register")
	return panickingRegistration{m: m}, nil
}

type panickingHistogram struct {
	metricnoop.Float64Histogram
	m panickingMeter
}

func (h panickingHistogram) Record(context.Context, float64, ...metric.RecordOption) {
	h.m.at("record")
}

type panickingRegistration struct {
	metricnoop.Registration
	m panickingMeter
}

func (r panickingRegistration) Unregister() error {
	r.m.at("unregister")
	return nil
}

// TestFailingTelemetry compares a database whose telemetry panics, wherever it can,
// with the raw driver: it is told of, without the value, and changes nothing.
func TestFailingTelemetry(t *testing.T) {
	use := func(db *sql.DB) (seen string) {
		ctx := context.Background()
		_, err := db.ExecContext(ctx, "INSERT ?", 1)
		seen += fmt.Sprintln("exec", err)
		n, err := readAllQuietly(db.QueryContext(ctx, "MULTI ?", 1))
		seen += fmt.Sprintln("query", n, err)
		s := must(db.PrepareContext(ctx, "PREPARED ?"))
		n, err = readAllQuietly(s.QueryContext(ctx, 1))
		seen += fmt.Sprintln("prepared", n, err, s.Close())
		tx := must(db.BeginTx(ctx, nil))
		_, err = tx.ExecContext(ctx, "INSERT ?", 2)
		seen += fmt.Sprintln("transaction", err, tx.Commit())
		return seen + fmt.Sprintf("%d in use", db.Stats().InUse)
	}
	raw := newFake(fakedb.Modern)
	db := sql.OpenDB(raw.Connector())
	want := use(db)
	_ = db.Close()

	sdk := func(opts ...sdktrace.TracerProviderOption) otdb.Option {
		return otdb.WithTracerProvider(sdktrace.NewTracerProvider(opts...))
	}
	meter := func(where string) otdb.Option {
		return otdb.WithMeterProvider(panickingMeters{meter: panickingMeter{where: where}})
	}
	for name, opt := range map[string]otdb.Option{
		"tracer provider": otdb.WithTracerProvider(panickingProvider{}),
		"sampler":         sdk(sdktrace.WithSampler(panickingSampler{})),
		"start":           sdk(sdktrace.WithSpanProcessor(panickingProcessor{start: true})),
		"end":             sdk(sdktrace.WithSpanProcessor(panickingProcessor{end: true})),
		"nil span":        otdb.WithTracerProvider(spanlessProvider{}),
		"span":            otdb.WithTracerProvider(spanlessProvider{span: panickingSpan{}}),
		"meter":           meter("meter"),
		"instrument":      meter("instrument"),
		"register":        meter("register"),
		"unregister":      meter("unregister"),
		"record":          meter("record"),
	} {
		t.Run(name, func(t *testing.T) {
			var handled []string
			previous := otel.GetErrorHandler()
			otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
				handled = append(handled, err.Error())
				panic(telemetryPanic) // which is telemetry too
			}))
			defer otel.SetErrorHandler(previous)
			fake := newFake(fakedb.Modern)
			db := otdb.OpenDB(fake.Connector(), otdb.WithMeterProvider(metricnoop.NewMeterProvider()), opt)
			if got := use(db); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
			_ = db.Close()
			if got, want := fmt.Sprint(fake.Calls()), fmt.Sprint(raw.Calls()); got != want {
				t.Errorf("the driver saw\n%s\nwant\n%s", got, want)
			}
			if len(handled) == 0 || slices.ContainsFunc(handled, func(s string) bool { return strings.Contains(s, telemetryPanic) }) {
				t.Errorf("reported: %q", handled)
			}
		})
	}
}

// A span that fails does not take the point in the metrics with it, nor the entry of
// the slow statement.
func TestPointsOfFailingSpans(t *testing.T) {
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	defer otel.SetErrorHandler(previous)
	for name, opt := range map[string]otdb.Option{
		"sampler": otdb.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(panickingSampler{}))),
		"end":     otdb.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(panickingProcessor{end: true}))),
		"span":    otdb.WithTracerProvider(spanlessProvider{span: panickingSpan{}}),
		"slowly":  otdb.WithTracerProvider(spanlessProvider{span: slowlyPanickingSpan{}}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reader := sdkmetric.NewManualReader()
				var log bytes.Buffer
				fake := newFake(fakedb.Modern)
				fake.On(fakedb.ConnExecContext, 1, slow(2*time.Second))
				db := otdb.OpenDB(fake.Connector(), opt, otdb.WithOperations(0),
					otdb.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
					otdb.WithSlowLog(time.Second, slog.New(slog.NewTextHandler(&log, nil))))
				defer db.Close()
				if _, err := db.ExecContext(t.Context(), "INSERT ?", 1); err != nil {
					t.Fatal(err)
				}
				if sum, n := points(t, reader); n != 1 || sum != 2 {
					t.Errorf("%d points, %v s, want one of 2 s", n, sum)
				}
				if got := strings.Count(log.String(), "slow statement"); got != 1 {
					t.Errorf("%d slow statements, want 1:\n%s", got, &log)
				}
			})
		})
	}
}

// A program that calls the driver itself gets the form that it calls.
func TestRawLegacyForms(t *testing.T) {
	calls := func(open func(driver.Connector) *sql.DB) string {
		fake := newFake(fakedb.Modern)
		db := open(fake.Connector())
		defer db.Close()
		c := must(db.Conn(t.Context()))
		defer c.Close()
		err := c.Raw(func(raw any) error {
			dc := raw.(driver.Conn)
			if err := must(dc.Begin()).Rollback(); err != nil { //nolint:staticcheck // what is tested
				return err
			}
			return must(dc.Prepare("SELECT 1")).Close()
		})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(fake.Calls())
	}
	want := calls(sql.OpenDB)
	spans := new(recorder)
	if got := calls(func(c driver.Connector) *sql.DB { return otdb.OpenDB(c, otdb.WithTracerProvider(spans)) }); got != want {
		t.Errorf("the driver saw\n%s\nwant\n%s", got, want)
	}
	var names []string
	for _, s := range spans.all() {
		names = append(names, s.name)
	}
	if got := strings.Join(names, " "); got != "CONNECT BEGIN ROLLBACK PREPARE" {
		t.Errorf("spans: %s", got)
	}
}
