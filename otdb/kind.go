package otdb

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/sqltext"
)

// operationKind is what spans and metrics of one kind of operation have in common:
// of one lifecycle operation, or of all statements with one summary.
type operationKind struct {
	db     *database
	info   SpanInfo
	entry  ledger.Text          // what the ledger knows of a lifecycle operation
	name   string               // the span's
	start  []attribute.KeyValue // given at the span's start
	metric []attribute.KeyValue // of every point in the metrics
	record []metric.RecordOption
	// startOptions are start, ready to be handed to the tracer. Statements add
	// their text, so theirs are with the text.
	startOptions []trace.SpanStartOption
	// folded is what operations without a span are counted by. Kinds beyond the cap on
	// names share one.
	folded *ledger.Kind
}

// statement reports whether it is a kind of statement, and not of a lifecycle operation.
func (k *operationKind) statement() bool { return k.info.Operation == 0 }

func (db *database) lifecycleKind(o Operation) *operationKind {
	name := o.String()
	k := &operationKind{
		db:     db,
		info:   SpanInfo{Operation: o},
		entry:  ledger.Text{Summary: name},
		name:   name,
		start:  db.startWith(semconv.DBOperationName(name)),
		metric: db.with(semconv.DBOperationName(name)),
	}
	k.record = recordOptions(k.metric)
	k.startOptions = startOptions(k.start)
	k.folded = ledger.NewKind(k.emit)
	return k
}

// lifecycleOf returns the kind of a lifecycle operation, nil if it is not traced.
func (db *database) lifecycleOf(o Operation) *operationKind {
	switch o {
	case OperationBegin:
		return db.begin
	case OperationCommit:
		return db.commit
	case OperationRollback:
		return db.rollback
	case OperationPrepare:
		return db.prepare
	default:
		return db.lifecycle[o.String()]
	}
}

func (db *database) summaryKind(summary string) *operationKind {
	k := &operationKind{
		db:     db,
		info:   SpanInfo{Summary: summary},
		name:   summary,
		start:  db.start,
		metric: db.attrs,
	}
	if summary == "" {
		k.name = db.target.System
	} else {
		k.start = db.startWith(semconv.DBQuerySummary(summary))
		if k.metric = k.start; len(db.rest) > 0 {
			k.metric = db.with(semconv.DBQuerySummary(summary))
		}
	}
	k.record = recordOptions(k.metric)
	k.folded = ledger.NewKind(k.emit)
	return k
}

// kindOf returns the kind of the statements of that name, which have such texts. Beyond the
// cap on names, its points are those of "_OTHER".
func (db *database) kindOf(name string, r sqltext.Result) *operationKind {
	db.mu.Lock()
	defer db.mu.Unlock()
	if k := db.summaries[name]; k != nil {
		return k
	}
	k := db.summaryKind(name)
	rare := r.Several || r.Definition
	if len(db.summaries) < db.cfg.maxSummaries && (!rare || db.rare < max(1, db.cfg.maxSummaries/10)) {
		db.summaries[name] = k
		if rare {
			db.rare++
		}
		return k
	}
	k.metric, k.record, k.folded = db.other.metric, db.other.record, db.other.folded
	return k
}

// with returns a new slice of the database's attributes and kv.
func (db *database) with(kv ...attribute.KeyValue) []attribute.KeyValue {
	return append(db.attrs[:len(db.attrs):len(db.attrs)], kv...)
}

// startWith is with for what a span has from its start on.
func (db *database) startWith(kv ...attribute.KeyValue) []attribute.KeyValue {
	return append(db.start[:len(db.start):len(db.start)], kv...)
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
