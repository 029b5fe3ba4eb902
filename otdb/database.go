package otdb

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/sqltext"
	"github.com/taskspan/taskspan/internal/target"
)

// scope is what the package's tracers and meters are named after.
var scope = instrument.Scope{
	Package: "otdb", Name: "github.com/taskspan/taskspan/otdb", Version: Version, SchemaURL: semconv.SchemaURL,
}

// otherSummary stands for the summaries beyond the cap.
const otherSummary = "_OTHER"

// durationBuckets are the boundaries, in seconds, that the conventions ask for.
var durationBuckets = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10}

// database is everything that the connections of one database share. It is
// made once and never changes, except its caches.
type database struct {
	cfg     *config
	now     func() time.Duration // a reading of the clock
	epoch   time.Time            // of the readings
	target  target.Target
	dialect sqltext.Dialect

	tracer   trace.Tracer
	duration metric.Float64Histogram
	rows     metric.Int64Histogram

	selective bool // not every operation gets a span

	// attrs are the connection attributes and the user's own, in this order.
	attrs []attribute.KeyValue
	start []attribute.KeyValue // those that a span has from its start on
	rest  []attribute.KeyValue // and those that it gets at its end

	// The lifecycle operations; those that are not traced are nil.
	lifecycle                        map[string]*operationKind
	prepare, begin, commit, rollback *operationKind
	beginText                        ledger.Text

	result atomic.Pointer[resultType] // the last that a driver returned

	pools    waitedPools  // those that were opened here
	observed *waitedPools // otherwise, those of the same driver that were given to ObservePool

	transaction  metric.Float64Histogram
	transactions [len(txOutcomes)][]metric.RecordOption // by outcome

	statements statementCache
	comment    commenter

	mu        sync.Mutex
	summaries map[string]*operationKind // by summary or name, bounded by cfg.maxSummaries
	rare      int                       // of definitions and scripts among them
	other     *operationKind
}

// maxStartAttributes is how many of the attributes that options add a span has from its
// start on. It gets the others at its end, after its error: one that has too many drops
// the last ones.
const maxStartAttributes = 16

// newDatabase resolves everything that can be resolved once. Instruments that
// cannot be made are replaced by no-op ones and reported in the error.
func newDatabase(cfg *config, inferred target.Target) (*database, error) {
	t := cfg.target.Or(inferred)
	db := &database{
		cfg:       cfg,
		now:       cfg.clock.Now,
		epoch:     cfg.clock.Time(0),
		target:    t,
		dialect:   sqltext.DialectOf(t.System),
		attrs:     databaseAttributes(t, cfg),
		selective: cfg.requireParent || cfg.requireSample || cfg.spanFilter != nil,
		summaries: make(map[string]*operationKind),
	}
	db.start = db.attrs
	if most := len(db.attrs) - len(cfg.attributes) + maxStartAttributes; len(db.attrs) > most {
		db.start, db.rest = db.attrs[:most:most], db.attrs[most:]
	}
	var err error
	db.tracer, err = scope.Tracer(cfg.tracerProvider)
	err = errors.Join(err, db.makeInstruments())

	db.lifecycle = make(map[string]*operationKind)
	for bit, name := range operationNames {
		if o := Operation(1) << bit; cfg.operations&o != 0 {
			db.lifecycle[name] = db.lifecycleKind(o)
		}
	}
	db.prepare, db.begin = db.lifecycle[OperationPrepare.String()], db.lifecycle[OperationBegin.String()]
	db.commit, db.rollback = db.lifecycle[OperationCommit.String()], db.lifecycle[OperationRollback.String()]
	db.beginText.Summary = OperationBegin.String()
	db.other = db.summaryKind(otherSummary)
	db.comment = newCommenter(cfg)
	return db, err
}

func (db *database) makeInstruments() error {
	meter := scope.Meter(db.cfg.meterProvider)
	db.duration = meter.Float64Histogram("db.client.operation.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Duration of database client operations."),
		metric.WithExplicitBucketBoundaries(durationBuckets...))
	db.transaction = meter.Float64Histogram("otdb.transaction.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Duration of database transactions, from BEGIN to their end."),
		metric.WithExplicitBucketBoundaries(transactionBuckets...))
	for o, name := range txOutcomes {
		db.transactions[o] = recordOptions(db.with(txOutcomeKey.String(name)))
	}
	if db.cfg.rowCounts {
		db.rows = meter.Int64Histogram("db.client.response.returned_rows",
			metric.WithUnit("{row}"),
			metric.WithDescription("The actual number of records returned by the database operation."),
			metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000))
	}
	return meter.Err()
}

// time returns what time it is.
func (db *database) time() time.Time { return db.cfg.clock.Time(db.now()) }

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

// databaseAttributes returns the attributes of all spans and points of a database.
func databaseAttributes(t target.Target, cfg *config) []attribute.KeyValue {
	kv := targetAttributes(t)
	if cfg.poolName != "" {
		kv = append(kv, semconv.DBClientConnectionPoolName(cfg.poolName))
	}
	return instrument.Valid(append(kv, cfg.attributes...))
}
