package otdb

import (
	"context"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/sqltext"
)

const (
	// driverDurationKey is the time inside the driver, in seconds, on spans
	// whose length is due to their consumer as well.
	driverDurationKey = attribute.Key("otdb.driver.duration")
	rowsAffectedKey   = attribute.Key("otdb.rows_affected")
	// rowsLeakedKey marks a span that was ended because its task was over
	// while its rows were still open.
	rowsLeakedKey = attribute.Key("otdb.rows_leaked")
)

// consumerThreshold is how much longer than the time inside the driver a span
// must be to carry otdb.driver.duration.
const consumerThreshold = time.Millisecond

// unknown marks a count that was not taken.
const unknown = -1

// operation is one logical operation on the database from its call to its end:
// a span, a point in the metrics and an entry in the task's ledger. The zero
// value is ready for begin.
type operation struct {
	*descriptor
	ctx     context.Context // the span's own, so that exemplars point at it
	span    trace.Span      // nil if there is none
	times   spanTimes       // the span again, if it tells its times
	started time.Time       // by the span, if it tells its times
	ledger  *ledger.Ledger
	text    *ledger.Text  // nil unless it is a statement
	began   time.Duration // reading of the clock, where it is needed

	recording bool // the span is
	reported  bool // the span and the metrics are over, while the rows are not
}

// outcome is how an operation ended.
type outcome struct {
	// late says that the operation ended in the past, at the reading at.
	late bool
	at   time.Duration
	// consumer is how much of the operation's length is its consumer's.
	consumer time.Duration

	leaked bool
	rows   *ledger.OpenRows // what is to be taken off the ledger's list, or nil
	err    error
	// class is nil if nothing went wrong. end sets it for err.
	class    *errs.Class
	returned int64 // rows that the consumer read, or unknown
	affected int64 // rows affected, or unknown
}

// Failures without an error.
var (
	// panicked is the class of a call into the driver that panicked.
	panicked = &errs.Class{Kind: errs.KindPanic, Type: "panic"}
	// exited is the class of a call that ended its goroutine.
	exited = &errs.Class{Kind: errs.KindOther, Type: "runtime.Goexit"}
	// abandoned is the class of a statement that the driver skipped and that
	// was never executed.
	abandoned = &errs.Class{Kind: errs.KindOther, Type: semconv.ErrorTypeOther.Value.AsString()}
)

// unwinding returns the class of a call into the driver that did not return. It
// is told from a deferred function, in which only recover could tell a panic from
// runtime.Goexit otherwise, and the panic is not ours to recover.
func unwinding() *errs.Class {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		switch frame.Function {
		case "runtime.gopanic":
			return panicked
		case "runtime.Goexit":
			return exited
		}
		if !more {
			return panicked
		}
	}
}

func (out *outcome) failed() bool { return out.err != nil || out.class != nil }

// begin begins the operation and returns the context for the driver.
func (o *operation) begin(ctx context.Context, d *descriptor, query string, opts []trace.SpanStartOption) context.Context {
	o.descriptor = d
	o.ledger = ledger.FromContext(ctx)
	if !d.db.selective || d.db.traced(ctx, d, query) {
		ctx = o.startSpan(ctx, opts)
	}
	o.ctx = ctx
	if o.times == nil || d.db.cfg.untilReturn {
		o.began = d.db.now()
	}
	return ctx
}

// startSpan starts the span and returns its context. Where the tracer cannot, there
// is none.
func (o *operation) startSpan(ctx context.Context, opts []trace.SpanStartOption) (spanCtx context.Context) {
	started := false
	defer func() {
		if started {
			return // a look costs less than recover
		}
		if p := recover(); p != nil {
			spanCtx, o.span, o.times, o.recording = ctx, nil, nil, false
			handlePanic("the tracer", p)
		}
	}()
	spanCtx, o.span = o.db.tracer.Start(ctx, o.name, opts...)
	if times, ok := o.span.(spanTimes); ok {
		if o.started = times.StartTime(); !o.started.IsZero() {
			o.times = times
		}
	}
	o.recording = o.times != nil || o.span.IsRecording()
	started = true
	return spanCtx
}

// traced reports whether an operation gets a span.
func (db *database) traced(ctx context.Context, d *descriptor, query string) bool {
	if db.cfg.requireParent && !trace.SpanContextFromContext(ctx).IsValid() {
		return false
	}
	if db.cfg.spanFilter == nil {
		return true
	}
	info := d.info
	info.Query = query
	return db.filter(ctx, info)
}

// filter asks the user's filter. One that panics suppresses nothing.
func (db *database) filter(ctx context.Context, info SpanInfo) (traced bool) {
	defer reportPanic("the function given to WithSpanFilter", func() { traced = true })
	return db.cfg.spanFilter(ctx, info)
}

// spanTimes is what a span may tell of itself. The SDK's spans do, which makes
// the points of the metrics equal to what the trace shows, and spares readings
// of the clock.
type spanTimes interface {
	StartTime() time.Time
	EndTime() time.Time
}

// end ends the span, records the metrics and enters the operation into the
// ledger, and returns the operation's length. It must be called once.
func (o *operation) end(out *outcome) (length time.Duration) {
	if out.err != nil {
		class := errs.Classify(out.err)
		out.class = &class
	}
	length = o.report(out)
	if o.ledger != nil {
		o.account(out, length)
	}
	if out.err != nil {
		errs.Remember(out.err) // which takes time that is no part of the operation
	}
	return length
}

// report ends the span, records the metrics and returns the operation's length.
func (o *operation) report(out *outcome) (length time.Duration) {
	length = o.conclude(out)
	if db := o.db; db.cfg.slow > 0 && length >= db.cfg.slow && o.info.Operation == "" {
		o.logSlow(out, length)
	}
	return length
}

// conclude ends the span, if there is one, records the metrics and returns the
// operation's length. Neither may fail the application, whose statement has been
// executed, nor keep the other from its part by a panic.
func (o *operation) conclude(out *outcome) (length time.Duration) {
	ended, measured := o.span == nil, false
	defer func() {
		if measured {
			return // a look costs less than recover
		}
		switch p := recover(); {
		case p == nil: // runtime.Goexit
		case ended:
			handlePanic("the meter", p)
		default:
			handlePanic("the span", p)
			if o.times != nil {
				length = o.sinceStart(out)
			}
			o.measureSafely(out, length)
		}
	}()
	if o.times == nil {
		length = o.length(out)
	}
	if !ended {
		length = o.endSpan(out, length)
		ended = true
	}
	o.measure(out, length)
	measured = true
	return length
}

// endSpan ends the span and returns the operation's length, which it is given where
// the span does not tell its times.
func (o *operation) endSpan(out *outcome, length time.Duration) time.Duration {
	if o.times != nil {
		return o.endTimed(out)
	}
	if o.recording {
		o.describe(out, length)
	}
	if out.late {
		o.span.End(trace.WithTimestamp(time.Now().Add(out.at - o.db.now())))
	} else {
		o.span.End()
	}
	return length
}

// measure records the metrics.
func (o *operation) measure(out *outcome, length time.Duration) {
	record := o.record
	if out.failed() {
		record = recordOptions(classAttributes(o.metric[:len(o.metric):len(o.metric)], out.class))
	}
	db := o.db
	db.duration.Record(o.ctx, length.Seconds(), record...)
	if db.cfg.rowCounts && out.returned != unknown {
		db.rows.Record(o.ctx, out.returned, record...)
	}
}

// measureSafely is measure after a panic of the span.
func (o *operation) measureSafely(out *outcome, length time.Duration) {
	defer reportPanic("the meter", func() {})
	o.measure(out, length)
}

// length returns the length of the operation by the clock.
func (o *operation) length(out *outcome) time.Duration {
	at := out.at
	if !out.late {
		at = o.db.now()
	}
	return max(0, at-o.began)
}

// endTimed ends a span that tells its times, and returns its length. What it
// takes to describe the span is no part of the operation.
func (o *operation) endTimed(out *outcome) time.Duration {
	if out.late || out.failed() || out.consumer >= consumerThreshold || o.db.cfg.rowCounts {
		length := o.sinceStart(out)
		o.describe(out, length)
		o.span.End(trace.WithTimestamp(o.started.Add(length)))
	} else {
		o.span.End()
	}
	if end := o.times.EndTime(); !end.IsZero() {
		return end.Sub(o.started)
	}
	return o.sinceStart(out) // not the SDK's, or it does not record
}

// sinceStart returns the length of the operation from the span's start on.
func (o *operation) sinceStart(out *outcome) time.Duration {
	if out.late {
		return max(0, o.db.cfg.timeAt(out.at).Sub(o.started))
	}
	return time.Since(o.started)
}

// describe puts on the span what is known only at its end.
func (o *operation) describe(out *outcome, length time.Duration) {
	if !o.span.IsRecording() {
		return
	}
	var kv []attribute.KeyValue
	if out.failed() {
		kv = classAttributes(kv, out.class)
		o.span.SetStatus(codes.Error, o.db.errorText(out.err))
	}
	if out.consumer >= consumerThreshold {
		kv = append(kv, driverDurationKey.Float64(out.inDriver(length).Seconds()))
	}
	if out.leaked {
		kv = append(kv, rowsLeakedKey.Bool(true))
	}
	if o.db.cfg.rowCounts {
		if out.returned != unknown {
			kv = append(kv, semconv.DBResponseReturnedRows(int(out.returned)))
		}
		if out.affected != unknown {
			kv = append(kv, rowsAffectedKey.Int64(out.affected))
		}
	}
	if len(kv) > 0 {
		o.span.SetAttributes(kv...)
	}
}

// inDriver returns the driver's part of the operation's length. What the
// consumer took is an estimate after the first rows.
func (out *outcome) inDriver(length time.Duration) time.Duration {
	return max(0, length-out.consumer)
}

// account enters the operation into the ledger of its task.
func (o *operation) account(out *outcome, length time.Duration) {
	e := ledger.Entry{
		Text:     o.text,
		Failed:   out.failed(),
		Duration: out.inDriver(length),
	}
	if out.returned != unknown {
		e.Rows = out.returned
	}
	if out.rows != nil {
		o.ledger.RecordRows(e, out.rows)
	} else {
		o.ledger.Record(e)
	}
}

func (o *operation) logSlow(out *outcome, length time.Duration) {
	logger := o.db.cfg.slowLogger
	if logger == nil {
		logger = slog.Default()
	}
	defer reportPanic("the handler of slow statements", func() {})
	if !logger.Enabled(o.ctx, slog.LevelWarn) {
		return
	}
	kv := slices.Concat(o.start, []attribute.KeyValue{
		attribute.Float64("duration", length.Seconds()),
		driverDurationKey.Float64(out.inDriver(length).Seconds()),
	})
	if out.failed() {
		kv = classAttributes(kv, out.class)
	}
	attrs := make([]slog.Attr, len(kv))
	for i, a := range kv {
		attrs[i] = slog.Any(string(a.Key), a.Value.AsInterface())
	}
	logger.LogAttrs(o.ctx, slog.LevelWarn, "slow statement", attrs...)
}

// classAttributes appends what is recorded of an error to kv.
func classAttributes(kv []attribute.KeyValue, c *errs.Class) []attribute.KeyValue {
	kv = append(kv, semconv.ErrorTypeKey.String(c.Type))
	if c.Code != "" {
		kv = append(kv, semconv.DBResponseStatusCode(c.Code))
	}
	return kv
}

// errorText returns the text of err that may be exported.
func (db *database) errorText(err error) (text string) {
	if err == nil {
		return ""
	}
	if db.cfg.errorText == nil {
		return errs.DriverMessage(err)
	}
	defer reportPanic("the function given to WithErrorText", func() { text = "" })
	return db.cfg.errorText(err)
}

// startOptions returns the options of the span for a call of st.
func (db *database) startOptions(st *statement, args []driver.NamedValue) []trace.SpanStartOption {
	if len(args) == 0 {
		return st.sanitized
	}
	if db.cfg.parameters == nil {
		return st.withArguments
	}
	return db.parameters(st.withArguments, args)
}

// parameters appends the arguments that the user allowed to be recorded. Drivers
// that convert arguments themselves, such as pgx, let any Go value through to here:
// of those that are none of database/sql's nothing is told. To print one could run
// the application's own methods, race with it, or show what its Value method hides.
func (db *database) parameters(opts []trace.SpanStartOption, args []driver.NamedValue) (out []trace.SpanStartOption) {
	defer reportPanic("the function given to WithQueryParameters", func() { out = opts })
	var kv []attribute.KeyValue
	first := 0
	for first < len(args) && isCallOption(args[first].Value) {
		first++
	}
	for i := range args[first:] {
		arg := &args[first+i]
		text, ok := parameterText(arg.Value)
		if !ok {
			continue
		}
		key := arg.Name
		if key == "" {
			key = strconv.Itoa(arg.Ordinal - 1 - first)
		}
		if db.cfg.parameters(key) {
			kv = append(kv, semconv.DBQueryParameter(key, text))
		}
	}
	if kv == nil {
		return opts
	}
	return append(opts[:len(opts):len(opts)], trace.WithAttributes(kv...))
}

// isCallOption reports whether an argument is one of those that pgx takes for the
// way to run the statement, in front of its arguments.
func isCallOption(v any) bool {
	if v == nil {
		return false
	}
	t := reflect.TypeOf(v)
	return strings.HasPrefix(t.PkgPath(), "github.com/jackc/pgx/") && strings.HasPrefix(t.Name(), "Query")
}

// parameterText formats an argument, and returns false for what is no value of
// database/sql or a number of Go's own. Like a text, it is exported as valid UTF-8
// and cut where it is very long.
func parameterText(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "NULL", true
	case string:
		return sqltext.Truncate(v), true
	case []byte:
		return sqltext.Truncate(string(v[:min(len(v), 2*sqltext.MaxText)])), true
	case time.Time:
		return v.Format(time.RFC3339Nano), true
	case bool, int64, float64, int, int8, int16, int32, uint, uint8, uint16, uint32, uint64, float32:
		return fmt.Sprint(v), true
	}
	return "", false
}

// reportPanic, deferred, keeps a panic of telemetry, or of a function that the user
// gave, from reaching the statement that called it.
func reportPanic(what string, instead func()) {
	if p := recover(); p != nil {
		instead()
		handlePanic(what, p)
	}
}

// handlePanic reports that what panicked with p, whose value may be a secret.
func handlePanic(what string, p any) {
	handle(fmt.Errorf("otdb: %s panicked with a %T", what, p))
}
