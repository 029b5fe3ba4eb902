package otdb

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/sqltext"
	"github.com/taskspan/taskspan/internal/target"
)

// scope is the name of the instrumentation scope.
const scope = "github.com/taskspan/taskspan/otdb"

// otherSummary stands for the summaries beyond the cap.
const otherSummary = "_OTHER"

// durationBuckets are the boundaries, in seconds, that the conventions ask for.
var durationBuckets = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10}

// database is everything that the connections of one database share. It is
// made once and never changes, but for its caches.
type database struct {
	cfg     *config
	target  target.Target
	dialect sqltext.Dialect

	tracer   trace.Tracer
	duration metric.Float64Histogram
	rows     metric.Int64Histogram

	selective bool // not every operation gets a span

	// attrs are the connection attributes and the user's own, in this order.
	attrs []attribute.KeyValue

	// The lifecycle operations; those that are not traced are nil.
	lifecycle                        map[string]*descriptor
	prepare, begin, commit, rollback *descriptor

	statements statementCache
	comment    commenter

	mu        sync.Mutex
	summaries map[string]*descriptor // by summary, bounded by cfg.maxSummaries
	other     *descriptor
}

// descriptor is what spans and metrics of one kind of operation have in common:
// of one lifecycle operation, or of all statements with one summary.
type descriptor struct {
	db     *database
	info   SpanInfo
	name   string               // the span's
	start  []attribute.KeyValue // given at the span's start
	metric []attribute.KeyValue // of every point in the metrics
	record []metric.RecordOption
	// startOptions are start, ready to be handed to the tracer. Statements add
	// their text, so theirs are with the text.
	startOptions []trace.SpanStartOption

	// watched says that rows of such statements came slowly where nobody looked:
	// see rows.go.
	watched atomic.Bool
}

// newDatabase resolves everything that can be resolved once. Instruments that
// cannot be made are replaced by no-op ones and reported in the error.
func newDatabase(cfg *config, inferred target.Target) (*database, error) {
	t := cfg.target.Or(inferred)
	db := &database{
		cfg:       cfg,
		target:    t,
		dialect:   sqltext.DialectOf(t.System),
		attrs:     append(targetAttributes(t), cfg.attributes...),
		selective: cfg.requireParent || cfg.spanFilter != nil,
		summaries: make(map[string]*descriptor),
	}
	err := errors.Join(db.makeTracer(), db.makeInstruments())

	db.lifecycle = make(map[string]*descriptor)
	for name, bit := range operationBit {
		if cfg.operations&bit != 0 {
			db.lifecycle[name] = db.lifecycleDescriptor(name)
		}
	}
	db.prepare, db.begin = db.lifecycle[opPrepare], db.lifecycle[opBegin]
	db.commit, db.rollback = db.lifecycle[opCommit], db.lifecycle[opRollback]
	db.other = db.summaryDescriptor(otherSummary)
	db.comment = newCommenter(cfg)
	return db, err
}

// panicOf, deferred, turns the panic of a provider into an error.
func panicOf(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("otdb: %s panicked with a %T; it is not used", what, p)
	}
}

func (db *database) makeTracer() (err error) {
	db.tracer = tracenoop.Tracer{}
	defer panicOf("the tracer provider", &err)
	t := db.cfg.tracerProvider.Tracer(scope,
		trace.WithInstrumentationVersion(Version), trace.WithSchemaURL(semconv.SchemaURL))
	if t == nil {
		return errors.New("otdb: the tracer provider returned no tracer; nothing is traced")
	}
	db.tracer = t
	return nil
}

// meter returns the meter of the provider, and a no-op one with an error if the
// provider has none.
func (c *config) meter() (m metric.Meter, err error) {
	m = noop.Meter{}
	defer panicOf("the meter provider", &err)
	found := c.meterProvider.Meter(scope,
		metric.WithInstrumentationVersion(Version), metric.WithSchemaURL(semconv.SchemaURL))
	if found == nil {
		return m, errors.New("otdb: the meter provider returned no meter; nothing is measured")
	}
	return found, nil
}

func (db *database) makeInstruments() error {
	db.duration, db.rows = noop.Float64Histogram{}, noop.Int64Histogram{}
	meter, err := db.cfg.meter()
	return errors.Join(err, db.instrumentsOf(meter))
}

func (db *database) instrumentsOf(meter metric.Meter) (err error) {
	defer panicOf("the meter", &err)
	var err1, err2 error
	db.duration, err1 = meter.Float64Histogram("db.client.operation.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Duration of database client operations."),
		metric.WithExplicitBucketBoundaries(durationBuckets...))
	if err1 != nil || db.duration == nil {
		db.duration = noop.Float64Histogram{}
	}
	if db.cfg.rowCounts {
		db.rows, err2 = meter.Int64Histogram("db.client.response.returned_rows",
			metric.WithUnit("{row}"),
			metric.WithDescription("The actual number of records returned by the database operation."),
			metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000))
		if err2 != nil || db.rows == nil {
			db.rows = noop.Int64Histogram{}
		}
	}
	return errors.Join(err1, err2)
}

func targetAttributes(t target.Target) []attribute.KeyValue {
	kv := []attribute.KeyValue{semconv.DBSystemNameKey.String(t.System)}
	if t.Namespace != "" {
		kv = append(kv, semconv.DBNamespace(t.Namespace))
	}
	if t.Address != "" {
		kv = append(kv, semconv.ServerAddress(t.Address))
		if t.Port != 0 {
			kv = append(kv, semconv.ServerPort(t.Port))
		}
	}
	return kv
}

func (db *database) lifecycleDescriptor(name string) *descriptor {
	d := &descriptor{
		db:     db,
		info:   SpanInfo{Operation: name},
		name:   name,
		start:  db.with(semconv.DBOperationName(name)),
		metric: db.with(semconv.DBOperationName(name)),
	}
	d.record = recordOptions(d.metric)
	d.startOptions = startOptions(d.start)
	return d
}

func (db *database) summaryDescriptor(summary string) *descriptor {
	d := &descriptor{
		db:     db,
		info:   SpanInfo{Summary: summary},
		name:   summary,
		start:  db.attrs,
		metric: db.attrs,
	}
	if summary == "" {
		d.name = db.target.System
	} else {
		d.start = db.with(semconv.DBQuerySummary(summary))
		d.metric = d.start
	}
	d.record = recordOptions(d.metric)
	return d
}

// bySummary returns the descriptor of the statements with that summary. Beyond
// the cap on summaries, its points are those of "_OTHER".
func (db *database) bySummary(summary string) *descriptor {
	db.mu.Lock()
	defer db.mu.Unlock()
	if d := db.summaries[summary]; d != nil {
		return d
	}
	d := db.summaryDescriptor(summary)
	if len(db.summaries) < db.cfg.maxSummaries {
		db.summaries[summary] = d
		return d
	}
	d.metric, d.record = db.other.metric, db.other.record
	return d
}

// with returns a new slice of the database's attributes and kv.
func (db *database) with(kv ...attribute.KeyValue) []attribute.KeyValue {
	return append(db.attrs[:len(db.attrs):len(db.attrs)], kv...)
}

// spanKind is boxed once for all.
var spanKind = trace.WithSpanKind(trace.SpanKindClient)

func startOptions(kv []attribute.KeyValue) []trace.SpanStartOption {
	return []trace.SpanStartOption{spanKind, trace.WithAttributes(kv...)}
}

// recordOptions copies kv: a set is made by sorting its argument in place.
func recordOptions(kv []attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(slices.Clone(kv)...))}
}

// now returns a reading of the clock.
func (db *database) now() time.Duration { return db.cfg.clock() }
