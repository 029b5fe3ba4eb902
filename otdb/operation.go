package otdb

import (
	"context"
	"database/sql/driver"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
)

const (
	// driverDurationKey is the time inside the driver, in seconds, on spans
	// that are longer than that by outsideThreshold.
	driverDurationKey = attribute.Key("otdb.driver.duration")
	rowsAffectedKey   = attribute.Key("otdb.rows_affected")
	// rowsLeakedKey marks a span that was ended because its task was over
	// while its rows were still open.
	rowsLeakedKey = attribute.Key("otdb.rows_leaked")
)

const outsideThreshold = time.Millisecond

// operation is one logical operation on the database from its call to its end:
// a span, a point in the metrics and an entry in the task's ledger. The zero
// value is ready for begin.
type operation struct {
	*operationKind                 // nil before begin
	ctx            context.Context // the span's own, so that exemplars point at it
	span           trace.Span      // nil if there is none
	times          spanTimes       // the span again, if it knows its times
	started        time.Time       // by the span, if it knows its times
	began          time.Duration   // otherwise, a reading of the clock
	st             *statement      // that is executed or prepared, nil for other operations
	recording      bool            // the span is
	account

	// Within the bounds of a trace.
	share ledger.Share
	late  []trace.SpanStartOption // of the span that it may get at its end
}

// spanTimes are the times that a span may know. The SDK's spans do, which makes
// the points of the metrics equal to what the trace shows, and spares readings
// of the clock.
type spanTimes interface {
	StartTime() time.Time
	EndTime() time.Time
}

// execute begins the execution of a statement and returns the context for the driver.
func (o *operation) execute(ctx context.Context, st *statement, args []driver.NamedValue) context.Context {
	st = st.named(ctx)
	o.st = st
	return o.begin(ctx, st.operationKind, args)
}

// begin begins the operation and returns the context for the driver.
func (o *operation) begin(ctx context.Context, k *operationKind, args []driver.NamedValue) context.Context {
	o.operationKind = k
	o.ctx = ctx
	o.ledger = ledger.FromContext(ctx)
	o.text = &k.entry
	if k.statement() {
		o.text = &o.st.text
	}
	if o.wait.conn != nil {
		o.claimWait()
	}
	if !k.db.selective || o.traced() {
		span := true
		if o.ledger != nil {
			o.share, span = o.ledger.Count(k.folded)
		}
		if opts := o.options(args); span {
			o.startSpan(ctx, opts)
		} else {
			o.late = opts
		}
	}
	if o.times == nil {
		o.began = k.db.now()
	}
	if o.wait.look {
		o.lookForLimits()
	}
	if o.wait.took >= waitThreshold {
		o.showWait()
	}
	if o.ledger != nil || o.tx != nil {
		o.enter()
	}
	return o.ctx
}

// options returns the options of the span.
func (o *operation) options(args []driver.NamedValue) []trace.SpanStartOption {
	switch {
	case o.st == nil:
		return o.startOptions
	case !o.statement():
		return o.st.prepareSpan
	case len(args) == callOptions(args):
		return o.st.sanitized
	case o.db.cfg.parameters == nil:
		return o.st.withArguments
	default:
		return o.db.parameters(o.st.withArguments, args)
	}
}

// startSpan starts the span, unless the tracer panics.
func (o *operation) startSpan(ctx context.Context, opts []trace.SpanStartOption) {
	defer scope.Guard("the tracer")
	ctx, span := o.db.tracer.Start(ctx, o.name, opts...)
	if times, ok := span.(spanTimes); ok {
		if o.started = times.StartTime(); !o.started.IsZero() {
			o.times = times
		}
	}
	o.recording = o.times != nil || span.IsRecording()
	o.ctx, o.span = ctx, span
}

// traced reports whether the operation gets a span.
func (o *operation) traced() bool {
	cfg := o.db.cfg
	if parent := trace.SpanContextFromContext(o.ctx); parent.IsValid() {
		if cfg.requireSample && !parent.IsSampled() {
			return false
		}
	} else if cfg.requireParent {
		return false
	}
	if cfg.spanFilter == nil {
		return true
	}
	info := o.info
	if o.st != nil {
		info.Query = o.st.query
	}
	return o.db.filter(o.ctx, info)
}

// filter asks the user's filter. One that panics suppresses nothing.
func (db *database) filter(ctx context.Context, info SpanInfo) (traced bool) {
	traced = true
	defer scope.Guard("the function given to WithSpanFilter")
	return db.cfg.spanFilter(ctx, info)
}

// end ends the span, records the metrics and enters the operation into the
// ledger. It must be called once, and does nothing for an operation that was not
// begun.
func (o *operation) end(out *outcome) {
	out.classify(o)
	if o.operationKind != nil {
		folds := o.export(out)
		if (o.ledger != nil || o.tx != nil) && !o.enterLedger(out, folds) && folds {
			o.startLate(out) // no task is there to be folded into
		}
		if slow := o.db.cfg.slow; slow > 0 && o.statement() && out.inDriver() >= slow {
			o.logSlow(out)
		}
	}
}

// export ends the span and records the metrics, and reports whether the operation is to be
// folded. Neither span nor meter may fail the application, whose statement has been
// executed, nor keep the other from its part.
func (o *operation) export(out *outcome) (folds bool) {
	at := "the span"
	defer func() {
		if at == "" {
			return
		}
		if p := recover(); p != nil {
			scope.Panicked(at, p)
			if at == "the span" {
				folds = o.exportMetrics(out)
			}
		}
	}()
	o.endSpan(out)
	at = "the meter"
	folds = o.folds(out)
	o.measure(out)
	at = ""
	return folds
}

// exportMetrics is export for an operation whose span panicked.
func (o *operation) exportMetrics(out *outcome) (folds bool) {
	defer scope.Guard("the meter")
	out.length = o.elapsed(out.reading(o.db))
	folds = o.folds(out)
	o.measure(out)
	return folds
}

// elapsed returns the time from the begin of the operation to a reading of the
// clock.
func (o *operation) elapsed(reading time.Duration) time.Duration {
	if o.times != nil {
		return max(0, o.db.cfg.clock.Time(reading).Sub(o.started))
	}
	return max(0, reading-o.began)
}

// endSpan ends the span, if there is one, and sets the length of the operation. The
// time that it takes to describe the span is no part of that.
func (o *operation) endSpan(out *outcome) {
	if o.span == nil {
		out.length = o.elapsed(out.reading(o.db))
		return
	}
	var opts []trace.SpanEndOption
	described := out.described(o)
	if described || o.times == nil {
		out.length = o.elapsed(out.reading(o.db))
	}
	if described && o.recording {
		o.describe(out)
		if o.times != nil {
			opts = []trace.SpanEndOption{trace.WithTimestamp(o.started.Add(out.length))}
		}
	}
	o.span.End(opts...)
	if !described && o.times != nil {
		out.length = o.spanLength()
	}
}

// spanLength returns the length of a span that knows its times.
func (o *operation) spanLength() time.Duration {
	if end := o.times.EndTime(); !end.IsZero() {
		return end.Sub(o.started)
	}
	return o.elapsed(o.db.now()) // the span is not the SDK's, or does not record
}

// describe puts on the span what is known only at its end.
func (o *operation) describe(out *outcome) {
	if !o.span.IsRecording() {
		return
	}
	kv := out.classAttributes(make([]attribute.KeyValue, 0, 4))
	if out.failed() {
		o.span.SetStatus(codes.Error, o.db.errorText(out))
	}
	if out.outside >= outsideThreshold {
		kv = append(kv, driverDurationKey.Float64(out.inDriver().Seconds()))
	}
	if out.leaked {
		kv = append(kv, rowsLeakedKey.Bool(true))
	}
	if o.db.cfg.rowCounts {
		if out.hasRows {
			kv = append(kv, semconv.DBResponseReturnedRows(int(out.rows)))
		}
		if n, ok := out.rowsAffected(); ok {
			kv = append(kv, rowsAffectedKey.Int64(n))
		}
	}
	if len(kv) > 0 {
		o.span.SetAttributes(kv...)
	}
	if len(o.db.rest) > 0 {
		o.span.SetAttributes(o.db.rest...)
	}
}

// measure records the metrics.
func (o *operation) measure(out *outcome) {
	record := o.record
	if out.class != nil {
		record = recordOptions(out.classAttributes(o.metric[:len(o.metric):len(o.metric)]))
	}
	o.db.duration.Record(o.ctx, out.length.Seconds(), record...)
	if o.db.cfg.rowCounts && out.hasRows {
		o.db.rows.Record(o.ctx, out.rows, record...)
	}
}

// folds reports whether the operation is to be folded. If it would be, and is one to look
// at, it gets a span now.
func (o *operation) folds(out *outcome) bool {
	switch {
	case !o.share.Counted():
		return false
	case o.span != nil:
		o.share.End(out.failed(), out.inDriver())
		return false
	}
	slow := o.statement() && (o.db.cfg.slow > 0 && out.inDriver() >= o.db.cfg.slow || o.ledger.Limits().Slow(out.inDriver()))
	if !o.share.Late(out.failed() || out.leaked || slow, out.inDriver()) {
		return true
	}
	o.startLate(out)
	return false
}

// errorText returns the text of the outcome's error that may be exported.
func (db *database) errorText(out *outcome) (text string) {
	if out.err == nil || db.cfg.errorText == nil {
		return out.text
	}
	defer scope.Guard("the function given to WithErrorText")
	return instrument.ValidString(db.cfg.errorText(out.err))
}
