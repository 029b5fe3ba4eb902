package otdb

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
)

// The attributes of the span that stands for operations without spans of their own.
const (
	foldedCountKey    = attribute.Key("otdb.folded.count")
	foldedErrorsKey   = attribute.Key("otdb.folded.errors")
	foldedDurationKey = attribute.Key("otdb.folded.duration") // sum, in seconds
	foldedMaxKey      = attribute.Key("otdb.folded.max")      // of one, in seconds
	foldedRowsKey     = attribute.Key("otdb.folded.rows")
)

// emit exports a fold of the kind as a span of the task in ctx.
func (k *operationKind) emit(ctx context.Context, f *ledger.Fold) {
	defer scope.Guard("the tracer")
	kv := slices.Concat(k.start, []attribute.KeyValue{
		foldedCountKey.Int64(f.Count),
		foldedErrorsKey.Int64(f.Errors),
		foldedDurationKey.Float64(f.Duration.Seconds()),
		foldedMaxKey.Float64(f.Max.Seconds()),
		foldedRowsKey.Int64(f.Rows),
	})
	_, span := k.db.tracer.Start(ctx, k.name, trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithTimestamp(k.db.timeOf(f.Start)), trace.WithAttributes(kv...))
	span.End(trace.WithTimestamp(k.db.timeOf(f.End)))
}

// timeOf returns the time of a reading of the clock. It counts back from now, since the
// clock of the machine may have been set since the process began.
func (db *database) timeOf(reading time.Duration) time.Time {
	return time.Now().Add(reading - db.now())
}

// startLate starts the span of an operation that has ended, with the times that it had.
func (o *operation) startLate(out *outcome) {
	defer scope.Guard("the tracer")
	end := time.Now()
	start := end.Add(-out.length)
	opts := slices.Concat(o.late, []trace.SpanStartOption{trace.WithTimestamp(start)})
	ctx, span := o.db.tracer.Start(o.ctx, o.name, opts...)
	o.ctx, o.span = ctx, span
	if out.described(o) {
		o.describe(out)
	}
	span.End(trace.WithTimestamp(end))
}
