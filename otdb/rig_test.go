package otdb

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/oteltest"
)

// rig holds everything that the databases of a test export.
type rig struct {
	*oteltest.Rig

	t *testing.T
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{oteltest.New(t, oteltest.Scope{Name: scope.Name, Version: Version, SchemaURL: semconv.SchemaURL}), t}
}

// options are those of a database under observation. Its clock stands still, so
// that no span is the longer for its consumer.
func (r *rig) options(more ...Option) []Option {
	return append([]Option{
		WithTracerProvider(r.TracerProvider), WithMeterProvider(r.MeterProvider),
		withClock(func() time.Duration { return time.Hour }),
	}, more...)
}

// withClock sets the clock. It is not a part of the API.
func withClock(clock func() time.Duration) Option {
	return optionFunc(func(c *config) {
		c.clock = instrument.Clock{Now: clock, Time: func(reading time.Duration) time.Time {
			return time.Now().Add(reading - clock())
		}}
	})
}

// open opens a database whose telemetry goes to the rig.
func (r *rig) open(driverName, dsn string, more ...Option) *sql.DB {
	r.t.Helper()
	db, err := Open(driverName, dsn, r.options(more...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			r.t.Errorf("close: %v", err)
		}
	})
	return db
}

// attrs are attributes in short. An int is an int64.
type attrs = oteltest.Attrs

// span is a whole span of a database in short.
type span struct {
	name   string
	parent string // the parent's name, "" for a root
	start  attrs  // what a sampler sees
	end    attrs  // what is added after the start
	err    error  // whose safe text is the status, nil for no status
	status string // the status's text, where there is no err
	failed bool   // with status
}

// wantSpans checks that these and no other spans of otdb have ended since the
// last call, in this order, and that nothing about them is different.
func (r *rig) wantSpans(want ...span) {
	r.t.Helper()
	var whole []oteltest.Span
	for _, w := range want {
		s := oteltest.Span{Name: w.name, Kind: trace.SpanKindClient, Parent: w.parent, Start: w.start, End: w.end, Failed: w.failed, Status: w.status}
		if w.start["otdb.folded.count"] != nil {
			s.Kind = trace.SpanKindInternal
		}
		if w.err != nil {
			s.Failed, s.Status = true, errs.Message(w.err)
		}
		whole = append(whole, s)
	}
	r.WantSpans(whole...)
}

// durationMetric is what db.client.operation.duration has to be after spans.
func durationMetric(spans []sdktrace.ReadOnlySpan, without ...attribute.Key) metricdata.Metrics {
	var recorded []observation
	for _, s := range spans {
		recorded = append(recorded, observation{metricAttributes(s, without...), s.EndTime().Sub(s.StartTime()).Seconds()})
	}
	return metricdata.Metrics{
		Name:        "db.client.operation.duration",
		Description: "Duration of database client operations.",
		Unit:        "s",
		Data:        histogram([]float64{.001, .005, .01, .05, .1, .5, 1, 5, 10}, recorded),
	}
}

// wantDurations checks that the duration of every span, and nothing else, has
// been recorded, without those attributes.
func (r *rig) wantDurations(without ...attribute.Key) {
	r.t.Helper()
	r.WantMetric(durationMetric(r.Spans(), without...))
}

// observation is one recording of a histogram.
type observation struct {
	attributes attribute.Set
	value      float64
}

func histogram(bounds []float64, recorded []observation) metricdata.Histogram[float64] {
	var all []oteltest.Observation
	for _, o := range recorded {
		all = append(all, oteltest.Observation{Attributes: o.attributes, Value: o.value})
	}
	return oteltest.Histogram(bounds, all)
}

// metricAttributes are those of a span that its point in the metrics has.
func metricAttributes(s sdktrace.ReadOnlySpan, without ...attribute.Key) attribute.Set {
	var kv []attribute.KeyValue
	lifecycle := slices.ContainsFunc(s.Attributes(), func(kv attribute.KeyValue) bool { return kv.Key == semconv.DBOperationNameKey })
	for _, a := range s.Attributes() {
		switch a.Key {
		case semconv.DBQueryTextKey, semconv.DBResponseReturnedRowsKey, rowsAffectedKey, rowsLeakedKey, driverDurationKey:
			continue
		case semconv.DBQuerySummaryKey:
			if lifecycle {
				continue
			}
		}
		if !strings.HasPrefix(string(a.Key), "db.query.parameter.") && !slices.Contains(without, a.Key) {
			kv = append(kv, a)
		}
	}
	return attribute.NewSet(kv...)
}
